package grantee

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const (
	defaultClaim   = "sub"
	defaultTimeout = 2 * time.Second
)

// Resolver finds the customer of a grantee token. It is safe for concurrent use.
type Resolver interface {
	// Resolve returns the maker's id of the customer, if the maker's identity provider
	// vouches for the token. It returns within the Resolver's timeout, or earlier if
	// ctx ends. Every error is an *Error.
	Resolve(ctx context.Context, token sensitive.String) (userID string, err error)
}

// Credentials authenticate this client at an introspection endpoint.
type Credentials struct {
	ClientID     string
	ClientSecret sensitive.String
}

// Options configure a Resolver.
type Options struct {
	// Claim is the name of the claim that holds the customer, "sub" if empty.
	Claim string

	// JWKS is the URL of the issuer's key set, for an issuer whose discovery
	// document is not below its own URL; empty for discovery. Only jwt takes it.
	JWKS string

	// Audience is the audience that a token must have, empty for any. It is an
	// error for userinfo, whose answer does not name the audience.
	Audience string

	// Credentials returns the client credentials for introspection; no other method
	// takes them. Each Resolve calls it, within its timeout, so that a secret can be
	// rotated without a restart.
	Credentials func(context.Context) (Credentials, error)

	// HTTPClient provides the transport only: redirects, cookies and the timeout are
	// the Resolver's own. Nil means a transport of its own.
	HTTPClient *http.Client

	// Timeout bounds one Resolve as a whole, 2 seconds if not positive.
	Timeout time.Duration

	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// New returns the Resolver for method. It makes no call, so that a process starts while
// the provider is down. An error means that the method and the options do not match.
func New(method Method, o Options) (Resolver, error) {
	if err := o.check(method); err != nil {
		return nil, err
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	client := newClient(o.HTTPClient, timeout)
	r := &resolver{asked: string(method.kind), claim: cmp.Or(o.Claim, defaultClaim), timeout: timeout}
	switch method.kind {
	case kindUserinfo:
		r.provider = &userinfo{url: method.url, client: client}
	case kindIntrospection:
		r.provider = &introspection{url: method.url, audience: o.Audience, credentials: o.Credentials, client: client, now: o.Now}
	case kindJWT:
		r.provider = newIssuer(method.url, o.JWKS, o.Audience, client, o.Now)
	}
	return r, nil
}

func (o Options) check(m Method) error {
	switch {
	case m.kind == "":
		return errors.New("grantee: no method given")
	case m.kind == kindUserinfo && o.Audience != "":
		return errors.New("grantee: userinfo cannot check an audience; use introspection or jwt, or configure none")
	case o.JWKS != "" && m.kind != kindJWT:
		return fmt.Errorf("%w: only jwt has one", ErrJWKS)
	case m.NeedsCredentials() && o.Credentials == nil:
		return errors.New("grantee: introspection needs client credentials")
	case !m.NeedsCredentials() && o.Credentials != nil:
		return errors.New("grantee: only introspection takes client credentials")
	}
	if fault := addressFault(o.JWKS, false); o.JWKS != "" && fault != "" {
		return fmt.Errorf("%w: its URL %s", ErrJWKS, fault)
	}
	return nil
}

// provider verifies tokens by one method.
type provider interface {
	// vouch returns the claims about the token's owner, or an *Error. ctx has a
	// deadline.
	vouch(ctx context.Context, token sensitive.String) (object, error)
}

// resolver implements Resolver for every method.
type resolver struct {
	provider provider
	asked    string
	claim    string
	timeout  time.Duration
}

// quickFailure is the age below which a failed call is retried. A retry is worthwhile:
// the code of an AcceptGrant is lost if the customer is not known.
const quickFailure = time.Second

func (r *resolver) Resolve(ctx context.Context, token sensitive.String) (string, error) {
	if !bearer(token.Reveal()) {
		return "", rejected(r.asked, 0, "it is empty, or has characters that no bearer token has")
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	began := time.Now()
	claims, err := r.provider.vouch(ctx, token)
	if errors.Is(err, ErrUnavailable) && time.Since(began) < quickFailure && ctx.Err() == nil {
		claims, err = r.provider.vouch(ctx, token)
	}
	if err != nil {
		return "", err
	}
	id, fault := customer(claims, r.claim)
	if fault != "" {
		return "", &Error{Kind: ErrNoCustomer, Asked: r.asked, Reason: fault}
	}
	return id, nil
}

// bearer reports whether the text can be sent as a token: visible ASCII without spaces.
// That is more than RFC 6750 allows, since real tokens have characters like "|", and no
// more than a header can carry.
func bearer(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != ""
}
