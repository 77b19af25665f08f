package wiring

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// granteePart is who recognizes customers. It is read and checked once, however
// many functions of the process need it.
type granteePart struct {
	needed   bool
	resolver grantee.Resolver
}

// NeedGrantees reads how customers are recognized, and returns who does it. It
// returns nil if there is a fault.
func (p *Process) NeedGrantees() grantee.Resolver {
	if !p.grantees.needed {
		p.grantees = granteePart{needed: true, resolver: p.newGrantees()}
	}
	return p.grantees.resolver
}

func (p *Process) newGrantees() grantee.Resolver {
	text := p.Source.Required("GRANTEE_RESOLVER", "userinfo:URL, introspection:URL or jwt:ISSUER")
	options := grantee.Options{
		Claim:    p.Source.Text("GRANTEE_CLAIM", "sub"),
		JWKS:     p.Source.Text("GRANTEE_JWKS", ""),
		Audience: p.Source.Text("GRANTEE_AUDIENCE", ""),
		Now:      p.Now,
		// Not their own: a frozen process must notice that connections died.
		HTTPClient: transport.NewClient(Concurrency),
	}
	if text == "" {
		return nil
	}
	method, err := grantee.ParseMethod(text)
	if err != nil {
		p.Source.Fault("GRANTEE_RESOLVER", "%v", err)
		return nil
	}
	if method.NeedsCredentials() {
		ref := p.needSecret("GRANTEE_CREDENTIALS", "reference to the client credentials that introspection asks for")
		options.Credentials = func(ctx context.Context) (grantee.Credentials, error) {
			return p.granteeCredentials(ctx, ref)
		}
		// They are read again for each grant; now only to find out whether they
		// can be.
		if ref != (secret.Ref{}) {
			p.checks = append(p.checks, func(ctx context.Context) error {
				_, err := p.granteeCredentials(ctx, ref)
				return err
			})
		}
	}
	resolver, err := grantee.New(method, options)
	if errors.Is(err, grantee.ErrJWKS) {
		p.Source.Fault("GRANTEE_JWKS", "%v", err)
		return nil
	}
	if err != nil {
		p.Source.Fault("GRANTEE_RESOLVER", "%v", err)
		return nil
	}
	if method.TrustsSignature() && options.Audience == "" {
		p.Log.Warn("GRANTEE_AUDIENCE is not set: any token that the issuer of GRANTEE_RESOLVER signed is accepted, ID tokens and tokens for " +
			"other APIs included")
	}
	return resolver
}

func (p *Process) granteeCredentials(ctx context.Context, ref secret.Ref) (grantee.Credentials, error) {
	text, err := p.secret(ctx, "GRANTEE_CREDENTIALS", ref)
	if err != nil {
		return grantee.Credentials{}, err
	}
	credentials, err := lwa.ParseCredentials(text)
	if err != nil {
		return grantee.Credentials{}, fmt.Errorf("GRANTEE_CREDENTIALS: %w", err)
	}
	return grantee.Credentials(credentials[0]), nil
}
