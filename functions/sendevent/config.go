package sendevent

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// gatewayConnections is the number of connections of a process to a gateway: a few
// for each concurrent request, since a customer may have several grants.
const gatewayConnections = 4 * wiring.Concurrency

// patientIdleTime is how long a connection for events that must not be repeated may
// be idle. A server may close an older one while the event is on its way.
const patientIdleTime = 20 * time.Second

// Config is the configuration of SendEvent.
type Config struct {
	Tokens      wiring.TokensConfig
	Gateways    map[alexa.Region]*url.URL // of ALEXA_REGIONS; EVENT_GATEWAY_NA, …
	DeadLetters string                    // DEAD_LETTER_TOPIC, empty for none
	MaxEventAge time.Duration             // MAX_EVENT_AGE
	Checks      string                    // EVENT_CHECKS
	IdleAfter   time.Duration             // REFRESH_IDLE_AFTER
}

// checks are the values of EVENT_CHECKS.
var checks = map[string]alexa.Checks{"strict": alexa.CheckStrict, "advise": alexa.CheckWarn, "off": alexa.CheckOff}

// ReadConfig reads the configuration. Faults go to s.
func ReadConfig(s *config.Source) wiring.Config {
	return Config{
		Tokens:      wiring.ReadTokens(s),
		Gateways:    wiring.ReadGateways(s, wiring.ReadRegions(s)),
		DeadLetters: wiring.ReadTopic(s, "DEAD_LETTER_TOPIC"),
		MaxEventAge: s.Duration("MAX_EVENT_AGE", 5*time.Minute, time.Second, 7*24*time.Hour),
		Checks:      s.OneOf("EVENT_CHECKS", "strict", "advise", "off"),
		IdleAfter:   wiring.ReadIdleAfter(s),
	}
}

// Build implements [wiring.Config].
func (c Config) Build(ctx context.Context, p *wiring.Process) (handler.Func, handler.Limits) {
	p.Note("checks", c.Checks)
	p.Note("max_event_age", c.MaxEventAge.String())
	t := p.Tokens(ctx, c.Tokens)
	options := delivery.Options{
		Skill: p.Skill, Store: t.Store, Customers: p.Recent(), Tokens: t.Source, Announcer: t.Announcer,
		Gateways: make(map[alexa.Region]delivery.Gateway), Patient: make(map[alexa.Region]delivery.Gateway),
		OnBreaker: func(region alexa.Region, name string, c breaker.Change) {
			p.LogBreaker(name + " " + string(region))(c)
		},
		MaxEventAge: c.MaxEventAge, Checks: checks[c.Checks], IdleAfter: c.IdleAfter, Draw: p.Draw, Now: p.Now,
	}
	for region, base := range c.Gateways {
		options.Gateways[region] = gateway.New(region, base, transport.NewBounded(gatewayConnections))
		patient := transport.NewBounded(wiring.Concurrency) // for events that must not be repeated
		patient.Transport.(*http.Transport).IdleConnTimeout = patientIdleTime
		options.Patient[region] = gateway.NewPatient(region, base, patient)
	}
	deadLetters := p.Topic(ctx, c.DeadLetters)
	if deadLetters != nil {
		options.DeadLetters = deadLetters
	}
	f := &Function{Deliverer: delivery.New(options), KeepsDeadLetters: deadLetters != nil}
	return f.Handle, Limits
}
