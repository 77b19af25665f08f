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

// Resolver finds the customer that a grantee token stands for. It may be used
// by any number of goroutines.
type Resolver interface {
	// Resolve returns the maker's id of the customer, once the maker's identity
	// provider has vouched for the token. It returns within the Resolver's
	// time-out, or earlier when ctx ends. Every error is an *Error.
	Resolve(ctx context.Context, token sensitive.String) (userID string, err error)
}

// Credentials are what this client shows to an introspection endpoint.
type Credentials struct {
	ClientID     string
	ClientSecret sensitive.String
}

// Options are what a Resolver may or must be told besides the method.
type Options struct {
	// Claim names the claim that is the customer, "sub" if empty.
	Claim string

	// JWKS is the URL of the issuer's key set, for an issuer whose discovery
	// document is not below its own URL; empty for discovery. Only jwt takes it.
	JWKS string

	// Audience is what a token must have been issued for, empty for anything.
	// It is an error for userinfo, whose answer does not say whom a token is
	// for.
	Audience string

	// Credentials returns the client credentials for introspection; no other
	// method takes them. It is called in each Resolve, within its time-out, so
	// that a rotated secret is taken up without a restart.
	Credentials func(context.Context) (Credentials, error)

	// HTTPClient is asked for its transport only: redirects, cookies and the
	// time-out are the Resolver's own. Nil means a transport of its own.
	HTTPClient *http.Client

	// Timeout bounds one Resolve as a whole, 2 seconds if not positive.
	Timeout time.Duration

	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// New returns the Resolver for method. It calls nobody: a provider that is
// down when the process starts is found out by the first Resolve. An error
// means that method and options do not fit together.
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

// provider is one way to ask the maker's identity provider.
type provider interface {
	// vouch returns the claims about the token's owner, or an *Error. ctx has a
	// deadline.
	vouch(ctx context.Context, token sensitive.String) (object, error)
}

// resolver is what the methods have in common.
type resolver struct {
	provider provider
	asked    string
	claim    string
	timeout  time.Duration
}

// quickFailure is how soon a failure must come for the provider to be asked once
// more: the code of an AcceptGrant is lost if nobody knows whose it is.
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

// bearer reports whether the text can be sent as a token: visible ASCII
// without spaces. That is more than RFC 6750 allows, since real tokens hold
// characters like "|", and no more than a header can carry.
func bearer(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != ""
}
