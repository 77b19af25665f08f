package wiring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// lwaConnections is how many connections to Login with Amazon a process keeps:
// one for each refresh of sixteen shards of a sweep, sixteen at a time. With
// fewer it would close them and dial again all the time.
const lwaConnections = 256

// Tokens has what a function that handles tokens needs: the store that keeps them,
// the sealer, the client of Login with Amazon, the brake, the source of access
// tokens and the announcer.
type Tokens struct {
	Store     grant.Store
	Sealer    *seal.Sealer
	LWA       *lwa.Client
	Brake     *access.Brake // the stack's
	Source    *access.Source
	Announcer *announce.Announcer
}

// Tokens returns the parts that get and keep tokens.
func (p *Process) Tokens(ctx context.Context, c TokensConfig) Tokens {
	return p.tokens.get(p, func() (Tokens, error) {
		t := Tokens{Store: p.Store(ctx, c.Store)}
		t.Announcer = &announce.Announcer{Store: t.Store, Log: p.Log, Now: p.Now}
		if events := p.Topic(ctx, c.GrantEvents); events != nil {
			t.Announcer.Topic = events
		}
		sealer, sealerErr := p.sealer(ctx, c)
		client, clientErr := p.lwaClient(ctx, c)
		t.Sealer, t.LWA, t.Brake = sealer, client, access.NewBrake(t.Store, p.Now)
		t.Source = &access.Source{
			Store: t.Store, LWA: t.LWA, Sealer: t.Sealer, Announce: t.Announcer, Brake: t.Brake,
			Breaker: breaker.New(breaker.Config{Now: p.Now, OnChange: p.LogBreaker("login with amazon")}),
			Owner:   p.Owner, Now: p.Now,
		}
		return t, errors.Join(sealerErr, clientErr)
	})
}

// lwaClient returns the client of Login with Amazon, nil if its configuration is a
// fault already.
func (p *Process) lwaClient(ctx context.Context, c TokensConfig) (*lwa.Client, error) {
	if c.Credentials == (secret.Ref{}) || c.URL == nil {
		return nil, nil
	}
	read := func(ctx context.Context) ([]lwa.Credentials, error) {
		return p.credentials(ctx, "LWA_CREDENTIALS", c.Credentials)
	}
	credentials, err := read(ctx)
	if err != nil {
		return nil, err
	}
	client := lwa.New(c.URL, transport.NewClient(lwaConnections), credentials, p.Now)
	client.ReloadFrom(read)
	return client, nil
}

// credentials reads client credentials from the secret that a variable refers to.
func (p *Process) credentials(ctx context.Context, name string, ref secret.Ref) ([]lwa.Credentials, error) {
	text, err := p.secret(ctx, name, ref)
	if err != nil {
		return nil, err
	}
	credentials, err := lwa.ParseCredentials(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return credentials, nil
}

// SavePending saves tokens that earlier requests of the process could not save.
func (p *Process) SavePending(ctx context.Context) {
	if source := p.tokens.value.Source; source != nil {
		source.SavePending(ctx)
	}
}

// SaveBeforeExit saves every token that is not saved yet.
func (p *Process) SaveBeforeExit(ctx context.Context) {
	if source := p.tokens.value.Source; source != nil {
		source.SaveBeforeExit(ctx)
	}
}

// Grantees returns the resolver of grantee tokens, or nil if its configuration is
// wrong.
func (p *Process) Grantees(ctx context.Context, c GranteesConfig) grantee.Resolver {
	return p.grantees.get(p, func() (grantee.Resolver, error) {
		if c.Method == (grantee.Method{}) {
			return nil, nil
		}
		options := c.Options
		options.Now = p.Now
		// Not its own: a frozen process must notice that connections died.
		options.HTTPClient = transport.NewClient(Concurrency)
		var unreadable error
		if c.Method.NeedsCredentials() {
			options.Credentials = func(ctx context.Context) (grantee.Credentials, error) {
				credentials, err := p.credentials(ctx, "GRANTEE_CREDENTIALS", c.Credentials)
				if err != nil {
					return grantee.Credentials{}, err
				}
				return grantee.Credentials(credentials[0]), nil
			}
			if c.Credentials != (secret.Ref{}) { // they are read again for each token
				_, unreadable = options.Credentials(ctx)
			}
		}
		resolver, err := grantee.New(c.Method, options)
		switch {
		case errors.Is(err, grantee.ErrJWKS):
			return nil, errors.Join(fmt.Errorf("GRANTEE_JWKS: %w", err), unreadable)
		case err != nil:
			return nil, errors.Join(fmt.Errorf("GRANTEE_RESOLVER: %w", err), unreadable)
		}
		if c.Method.TrustsSignature() && options.Audience == "" {
			p.Log.Warn("GRANTEE_AUDIENCE is not set: any token that the issuer of GRANTEE_RESOLVER signed is accepted, ID tokens and " +
				"tokens for other APIs included")
		}
		return resolver, unreadable
	})
}

// LogBreaker returns a function that logs each change of a circuit breaker of the
// process. The steps of the ramp are at DEBUG, which only the local run shows.
func (p *Process) LogBreaker(name string) func(breaker.Change) {
	return func(c breaker.Change) {
		level := slog.LevelInfo
		switch c.From {
		case breaker.Closed:
			level = slog.LevelError
		case c.To:
			level = slog.LevelDebug
		}
		fields := []slog.Attr{slog.String("breaker", name), slog.String("from", c.From.String()), slog.String("to", c.To.String())}
		if c.Room > 0 {
			fields = append(fields, slog.Int("room", c.Room))
		}
		p.Log.LogAttrs(context.Background(), level, "circuit breaker", fields...)
	}
}
