package wiring

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// lwaConnections is how many connections to Login with Amazon a process keeps:
// one for each refresh of sixteen shards of a sweep, sixteen at a time. With
// fewer it would close them and dial again all the time.
const lwaConnections = 256

// gatewayConnections is how many connections to a gateway a process has: a few
// for each request that it works on, since a customer may have several grants.
const gatewayConnections = 4 * Concurrency

// tokenPart is the client of Login with Amazon and who gives out its tokens.
type tokenPart struct {
	needed      bool
	credentials secret.Ref
	url         *url.URL

	client *lwa.Client
	brake  *access.Brake
	source *access.Source
}

// NeedTokens reads how to reach Login with Amazon. It needs the store, the
// keyset and the grant-events topic as well.
func (p *Process) NeedTokens() {
	if p.tokens.needed {
		return
	}
	p.tokens.needed = true
	p.NeedSealer()
	p.NeedGrantEvents()
	p.tokens.credentials = p.needSecret("LWA_CREDENTIALS", `reference to a secret {"client_id":…,"client_secret":…}`)
	p.tokens.url = p.Source.URL("LWA_TOKEN_URL", "https://api.amazon.com/auth/o2/token")
}

// NeedTokenInfo reads where Login with Amazon tells whose a token is: beside
// the token endpoint, unless it is said.
func (p *Process) NeedTokenInfo() *url.URL {
	beside := *p.tokens.url
	beside.Path = path.Join(path.Dir(beside.Path), "tokeninfo")
	return p.Source.URL("LWA_TOKENINFO_URL", beside.String())
}

func (p *Process) buildTokens(ctx context.Context) error {
	if !p.tokens.needed || p.tokens.credentials == (secret.Ref{}) {
		return nil
	}
	credentials, err := p.lwaCredentials(ctx)
	if err != nil {
		return err
	}
	p.tokens.client = lwa.New(p.tokens.url, transport.NewClient(lwaConnections), credentials, p.Now)
	p.tokens.client.ReloadFrom(p.lwaCredentials)
	p.tokens.brake = access.NewBrake(p.Store(), p.Now)
	p.tokens.source = &access.Source{
		Store: p.Store(), LWA: p.tokens.client, Sealer: p.Sealer(), Announce: p.Announcer(),
		Brake: p.tokens.brake, Breaker: breaker.New(breaker.Config{Now: p.Now, OnChange: p.logBreaker("login with amazon")}),
		Owner: p.Owner, Draw: p.Draw, Now: p.Now,
	}
	return nil
}

func (p *Process) lwaCredentials(ctx context.Context) ([]lwa.Credentials, error) {
	text, err := p.secret(ctx, "LWA_CREDENTIALS", p.tokens.credentials)
	if err != nil {
		return nil, err
	}
	credentials, err := lwa.ParseCredentials(text)
	if err != nil {
		return nil, fmt.Errorf("LWA_CREDENTIALS: %w", err)
	}
	return credentials, nil
}

// LWA returns the client that NeedTokens asked for.
func (p *Process) LWA() *lwa.Client { return p.tokens.client }

// LogBreaker logs that a circuit breaker of a region has opened or closed.
func (p *Process) LogBreaker(region alexa.Region, name string, from, to breaker.State) {
	p.logBreaker(name+" "+string(region))(from, to)
}

// logBreaker logs that a circuit breaker of the process has opened or closed.
func (p *Process) logBreaker(name string) func(from, to breaker.State) {
	return func(from, to breaker.State) {
		level := slog.LevelInfo
		if from == breaker.Closed {
			level = slog.LevelError
		}
		p.Log.Log(context.Background(), level, "circuit breaker", slog.String("breaker", name), slog.String("from", from.String()),
			slog.String("to", to.String()))
	}
}

// Brake returns the stack's brake.
func (p *Process) Brake() *access.Brake { return p.tokens.brake }

// SavePending saves tokens that earlier requests of the process could not save.
func (p *Process) SavePending(ctx context.Context) {
	if p.tokens.source != nil {
		p.tokens.source.SavePending(ctx)
	}
}

// SaveBeforeExit saves every token that is not saved yet.
func (p *Process) SaveBeforeExit(ctx context.Context) {
	if p.tokens.source != nil {
		p.tokens.source.SaveBeforeExit(ctx)
	}
}

// Tokens returns who gives out access tokens.
func (p *Process) Tokens() *access.Source { return p.tokens.source }

// NeedIdleAfter reads how long a customer may get no event before the sweep
// leaves its grants to be refreshed on demand; zero means for ever. Who sweeps
// and who delivers have to agree about it: the latter note the use.
func (p *Process) NeedIdleAfter() time.Duration {
	if p.Source.Text("REFRESH_IDLE_AFTER", "off") == "off" {
		return 0
	}
	return p.Source.Duration("REFRESH_IDLE_AFTER", 30*24*time.Hour, time.Hour, 10*365*24*time.Hour)
}

// NeedGateways reads where the gateways of the process's regions are.
func (p *Process) NeedGateways() {
	if p.gateway != nil {
		return
	}
	p.gateway = make(map[alexa.Region]*url.URL)
	for _, region := range p.NeedRegions() {
		p.gateway[region] = p.Source.BaseURL("EVENT_GATEWAY_"+string(region), region.GatewayURL())
	}
}

// Gateways returns a client for each region that NeedGateways found.
func (p *Process) Gateways() map[alexa.Region]*gateway.Client {
	clients := make(map[alexa.Region]*gateway.Client, len(p.gateway))
	for region, base := range p.gateway {
		clients[region] = gateway.New(region, base, transport.NewBounded(gatewayConnections))
	}
	return clients
}

// idleConnection is how long a connection may have been idle on which an event
// is sent that must not be repeated.
const idleConnection = 20 * time.Second

// PatientGateways returns a client for each region that NeedGateways found, for
// events that must not be repeated.
func (p *Process) PatientGateways() map[alexa.Region]*gateway.Client {
	clients := make(map[alexa.Region]*gateway.Client, len(p.gateway))
	for region, base := range p.gateway {
		client := transport.NewBounded(Concurrency)
		client.Transport.(*http.Transport).IdleConnTimeout = idleConnection
		clients[region] = gateway.NewPatient(region, base, client)
	}
	return clients
}
