package refreshtokens

import (
	"time"

	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

// TokensEntryPoint wires the function RefreshTokens. With a topic for shards
// it needs nothing but the topic.
func TokensEntryPoint(p *wiring.Process) wiring.Builder {
	p.NeedRefresh()
	shards := p.Source.Int("REFRESH_SHARDS", 16, 1, grant.Buckets)
	var s settings
	if !p.HasRefresh() {
		s = needSweep(p)
	}
	return func() (host.Handler, host.Limits) {
		f := &Function{Shards: shards, Now: p.Now}
		if p.HasRefresh() {
			f.Topic = p.Refresh()
		} else {
			f.Sweeper = s.newSweeper(p)
		}
		return f.RefreshTokens, Limits
	}
}

// ShardEntryPoint wires the function RefreshShard.
func ShardEntryPoint(p *wiring.Process) wiring.Builder {
	s := needSweep(p)
	return func() (host.Handler, host.Limits) {
		f := &Function{Sweeper: s.newSweeper(p), Period: s.period, Now: p.Now}
		return f.RefreshShard, Limits
	}
}

// settings are those of a sweep.
type settings struct {
	period    time.Duration
	maxRate   float64
	idleAfter time.Duration
}

func needSweep(p *wiring.Process) settings {
	p.NeedTokens()
	return settings{
		period:    p.Source.Duration("REFRESH_PERIOD", sweep.DefaultPeriod, time.Minute, sweep.DefaultPeriod),
		maxRate:   float64(p.Source.Int("LWA_MAX_RATE", 0, 0, 100_000)),
		idleAfter: p.NeedIdleAfter(),
	}
}

func (s settings) newSweeper(p *wiring.Process) *sweep.Sweeper {
	return &sweep.Sweeper{
		Store: p.Store(), Tokens: p.Tokens(), Brake: p.Brake(), Announce: p.Announcer(), Now: p.Now,
		Period: s.period, MaxRate: s.maxRate, IdleAfter: s.idleAfter,
	}
}
