package grantee

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// issuer verifies tokens with the keys that their issuer publishes.
type issuer struct {
	url       string
	config    oidc.Config // but for the algorithms, which discovery tells
	discovery *http.Client
	keys      *http.Client

	// found is nil until a discovery has succeeded. Calls that come before that
	// discover each for itself: if they waited for one of them, they would all
	// fail when that one's caller gives up.
	found atomic.Pointer[published]
}

// published is what an issuer tells about its signatures.
type published struct {
	keys       oidc.KeySet
	algorithms []string
}

func newIssuer(url, audience string, client *http.Client, now func() time.Time) *issuer {
	return &issuer{
		url:       url,
		config:    oidc.Config{ClientID: audience, SkipClientIDCheck: audience == "", Now: now},
		discovery: strictClient(client, "discovery"),
		keys:      strictClient(client, "keys"),
	}
}

func (i *issuer) vouch(ctx context.Context, token sensitive.String) (object, error) {
	published, err := i.published(ctx)
	if err != nil {
		return nil, err
	}
	config := i.config
	config.SupportedSigningAlgs = published.algorithms
	signature := &signature{keys: published.keys}
	verified, err := oidc.NewVerifier(i.url, signature, &config).Verify(ctx, token.Reveal())
	if err != nil {
		return nil, signature.verdict(err)
	}
	var claims object
	if err := verified.Claims(&claims); err != nil {
		return nil, rejected(string(kindJWT), 0, "its claims are no JSON object")
	}
	return claims, nil
}

// published returns what discovery found, now or earlier.
func (i *issuer) published(ctx context.Context) (*published, error) {
	if p := i.found.Load(); p != nil {
		return p, nil
	}
	p, err := i.discover(ctx)
	if err != nil {
		return nil, err
	}
	// Of several the first stays, so that its keys are fetched only once.
	i.found.CompareAndSwap(nil, p)
	return i.found.Load(), nil
}

func (i *issuer) discover(ctx context.Context) (*published, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.discovery), i.url)
	if err != nil {
		return nil, discoveryError(err)
	}
	var document struct {
		KeysURL    string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, discoveryError(err)
	}
	if fault := addressFault(document.KeysURL, false); fault != "" {
		return nil, unavailable("discovery", http.StatusOK, "the jwks_uri "+fault, nil)
	}
	// The keys outlive this call: with its context they could never be fetched
	// again once it has ended.
	keysContext := oidc.ClientContext(context.Background(), i.keys)
	return &published{
		keys:       oidc.NewRemoteKeySet(keysContext, document.KeysURL),
		algorithms: asymmetric(document.Algorithms),
	}, nil
}

// discoveryError drops go-oidc's text, which may quote the answer.
func discoveryError(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if _, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return unavailable("discovery", http.StatusOK, "the document is of another issuer (a slash at the end counts)", nil)
	}
	return unavailable("discovery", http.StatusOK, "the answer is no discovery document", nil)
}

// asymmetric keeps the algorithms that only the issuer can sign with. "none"
// and the HS family, for which a public key is secret enough, must never be
// taken, whatever the document says. For an empty list go-oidc takes RS256.
func asymmetric(listed []string) []string {
	safe := []string{
		oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512,
		oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
	}
	return slices.DeleteFunc(slices.Clone(listed), func(a string) bool { return !slices.Contains(safe, a) })
}

// signature is the key set of one verification. It remembers how far that
// came: the verifier itself tells a forged token from keys that could not be
// fetched only by its text.
type signature struct {
	keys    oidc.KeySet
	checked bool
	err     error
}

// VerifySignature implements oidc.KeySet.
func (s *signature) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := s.keys.VerifySignature(ctx, jwt)
	s.checked, s.err = true, err
	return payload, err
}

// verdict explains why the verifier refused a token. Nothing that the token
// says of itself is quoted.
func (s *signature) verdict(err error) error {
	const asked = string(kindJWT)
	_, expired := errors.AsType[*oidc.TokenExpiredError](err)
	switch {
	case !s.checked:
		return rejected(asked, 0, "it is no JWT signed with one of the issuer's algorithms")
	// go-oidc wraps an error only where it could not get keys.
	case errors.Unwrap(s.err) != nil:
		return keysError(s.err)
	case s.err != nil:
		return rejected(asked, 0, "its signature is not by one of the issuer's keys")
	case expired:
		return rejected(asked, 0, "it has expired")
	default:
		return rejected(asked, 0, "it is of another issuer, not for the configured audience, or not valid yet")
	}
}

func keysError(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if transport.Known(err) != nil {
		return unavailable("keys", 0, "no answer", err)
	}
	return unavailable("keys", http.StatusOK, "the answer is no key set", nil)
}

var _ oidc.KeySet = (*signature)(nil)
