package acceptgrant

import (
	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/host"
)

// EntryPoint wires the function AcceptGrant.
func EntryPoint(p *wiring.Process) wiring.Builder {
	regions := p.NeedRegions()
	grantees := p.NeedGrantees()
	p.NeedTokens()
	tokenInfo := p.NeedTokenInfo()
	return func() (host.Handler, host.Limits) {
		f := &Function{
			Skill: p.Skill, Regions: regions, Grantees: grantees, LWA: p.LWA(), TokenInfoURL: tokenInfo, Store: p.Store(),
			Sealer: p.Sealer(), Announce: p.Announcer(), Draw: p.Draw, Now: p.Now,
		}
		return f.Handle, Limits
	}
}
