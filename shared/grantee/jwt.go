package grantee

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

const (
	// maxAge is how old a discovery document gets before it is fetched again: the
	// keys may have moved.
	maxAge = time.Hour
	// retryAfter is the same once a fetch has failed, or a token was signed with
	// none of the keys. It limits the fetches that bad tokens cause.
	retryAfter = time.Minute
)

// issuer verifies tokens with the keys that their issuer publishes.
type issuer struct {
	url       string
	config    oidc.Config // but for the algorithms, which discovery tells
	discovery *http.Client
	keys      *http.Client
	now       func() time.Time

	mu sync.Mutex
	// found is nil until a discovery has succeeded. Calls that come before that
	// discover each for itself: if they waited for one of them, they would all
	// fail when that one's caller gives up.
	found    *published
	asked    time.Time // when the last discovery began
	doubtful bool      // the next is due after retryAfter
}

// published is what an issuer tells about its signatures. It does not change.
type published struct {
	keysURL    string
	keys       oidc.KeySet
	algorithms []string
}

func newIssuer(url, audience string, client *http.Client, now func() time.Time) *issuer {
	return &issuer{
		url:       url,
		config:    oidc.Config{ClientID: audience, SkipClientIDCheck: audience == "", Now: now},
		discovery: strictClient(client, "discovery"),
		keys:      strictClient(client, "keys"),
		now:       now,
	}
}

func (i *issuer) vouch(ctx context.Context, token sensitive.String) (object, error) {
	known, err := i.published(ctx)
	if err != nil {
		return nil, err
	}
	claims, signed, err := i.verify(ctx, known, token)
	if signed {
		return claims, err
	}
	i.doubt()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil, err // the next call has the time for a discovery
	}
	latest, discoveryErr := i.published(ctx)
	if discoveryErr != nil || latest == known {
		return nil, err
	}
	claims, _, err = i.verify(ctx, latest, token)
	return claims, err
}

// verify returns a token's claims, and whether one of the issuer's keys signed
// the token, which may still have expired or be for somebody else.
func (i *issuer) verify(ctx context.Context, p *published, token sensitive.String) (claims object, signed bool, err error) {
	config := i.config
	config.SupportedSigningAlgs = p.algorithms
	signature := &signature{keys: p.keys}
	verified, err := oidc.NewVerifier(i.url, signature, &config).Verify(ctx, token.Reveal())
	signed = signature.checked && signature.err == nil
	if err != nil {
		return nil, signed, signature.verdict(err)
	}
	if err := verified.Claims(&claims); err != nil {
		return nil, signed, rejected(string(kindJWT), 0, "its claims are no JSON object")
	}
	return claims, signed, nil
}

// published returns what discovery found, now or earlier. While discovery
// fails, what it found before stays in use.
func (i *issuer) published(ctx context.Context) (*published, error) {
	found, due := i.claim()
	if !due {
		return found, nil
	}
	if found != nil {
		// The other half is for the token.
		deadline, _ := ctx.Deadline()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	latest, err := i.discover(ctx)

	i.mu.Lock()
	defer i.mu.Unlock()
	i.doubtful = err != nil
	switch {
	case err == nil && i.found != nil && i.found.keysURL == latest.keysURL:
		latest.keys = i.found.keys // which are fetched already
		i.found = latest
	case err == nil:
		i.found = latest
	case i.found == nil:
		return nil, err
	}
	return i.found, nil
}

// claim returns what was found, and whether a discovery is due, which is then
// the caller's.
func (i *issuer) claim() (found *published, due bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now, most := i.now(), maxAge
	if i.doubtful {
		most = retryAfter
	}
	if i.found != nil && now.Sub(i.asked) < most {
		return i.found, false
	}
	i.asked = now
	return i.found, true
}

// doubt has the discovery document fetched again soon.
func (i *issuer) doubt() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.doubtful = true
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
		keysURL:    document.KeysURL,
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
