package sendevent

import (
	"time"

	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/host"
)

// EntryPoint wires the function SendEvent.
func EntryPoint(p *wiring.Process) wiring.Builder {
	p.NeedGateways()
	p.NeedTokens()
	p.NeedRecent()
	p.NeedDeadLetters()
	maxAge := p.Source.Duration("MAX_EVENT_AGE", 5*time.Minute, time.Second, 7*24*time.Hour)
	checks := map[string]alexa.Checks{"strict": alexa.CheckStrict, "advise": alexa.CheckWarn,
		"off": alexa.CheckOff}[p.Source.OneOf("EVENT_CHECKS", "strict", "advise", "off")]
	idleAfter := p.NeedIdleAfter()
	return func() (host.Handler, host.Limits) {
		options := delivery.Options{
			Skill: p.Skill, Store: p.Store(), Customers: p.Recent(), Tokens: p.Tokens(), Gateways: make(map[alexa.Region]delivery.Gateway),
			Patient: make(map[alexa.Region]delivery.Gateway), OnBreaker: p.LogBreaker,
			Announcer: p.Announcer(), MaxEventAge: maxAge, Checks: checks, IdleAfter: idleAfter, Draw: p.Draw, Now: p.Now,
		}
		for region, client := range p.Gateways() {
			options.Gateways[region] = client
		}
		for region, client := range p.PatientGateways() {
			options.Patient[region] = client
		}
		deadLetters := p.DeadLetters()
		if deadLetters != nil {
			options.DeadLetters = deadLetters
		}
		f := &Function{Deliverer: delivery.New(options), KeepsDeadLetters: deadLetters != nil}
		return f.Handle, Limits
	}
}
