package skillevent

import (
	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/host"
)

// EntryPoint wires the function SkillEvent.
func EntryPoint(p *wiring.Process) wiring.Builder {
	grantees := p.NeedGrantees()
	p.NeedStore()
	return func() (host.Handler, host.Limits) {
		f := &Function{Skill: p.Skill, Grantees: grantees, Store: p.Store(), Now: p.Now}
		return f.Handle, Limits
	}
}
