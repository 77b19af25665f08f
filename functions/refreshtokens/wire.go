package refreshtokens

import (
	"time"

	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/host"
)

// TokensEntryPoint wires the function RefreshTokens. With a topic for shards
// it needs nothing but the topic.
func TokensEntryPoint(p *wiring.Process) wiring.Builder {
	p.NeedRefresh()
	shards := p.Source.Int("REFRESH_SHARDS", 16, 1, grant.Buckets)
	var idleAfter time.Duration
	if !p.HasRefresh() {
		p.NeedTokens()
		idleAfter = p.NeedIdleAfter()
	}
	return func() (host.Handler, host.Limits) {
		f := &Function{Shards: shards, Now: p.Now}
		if p.HasRefresh() {
			f.Topic = p.Refresh()
		} else {
			f.Sweeper = newSweep(p, idleAfter)
		}
		return f.RefreshTokens, Limits
	}
}

// ShardEntryPoint wires the function RefreshShard.
func ShardEntryPoint(p *wiring.Process) wiring.Builder {
	p.NeedTokens()
	idleAfter := p.NeedIdleAfter()
	return func() (host.Handler, host.Limits) {
		f := &Function{Sweeper: newSweep(p, idleAfter), Now: p.Now}
		return f.RefreshShard, Limits
	}
}

func newSweep(p *wiring.Process, idleAfter time.Duration) *Sweep {
	return &Sweep{Store: p.Store(), Tokens: p.Tokens(), Announce: p.Announcer(), Now: p.Now, IdleAfter: idleAfter}
}
