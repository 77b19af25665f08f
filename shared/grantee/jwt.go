package grantee

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

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

// algorithms are those that only the issuer can sign with. "none" and the HS
// family, for which a public key is secret enough, must never be taken. Which of
// these an issuer lists in its discovery document does not matter: that list is
// about ID tokens.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// issuer verifies tokens with the keys that their issuer publishes.
type issuer struct {
	url       string
	audience  string // empty for any
	discovery *http.Client
	keys      *http.Client
	now       func() time.Time

	mu sync.Mutex
	// found is nil until a discovery has succeeded. Calls that come before that
	// discover each for itself: if they waited for one of them, they would all
	// fail when that one's caller gives up.
	found    *published
	fixed    bool      // found was configured: there is no discovery
	asked    time.Time // when the last discovery began
	doubtful bool      // the next is due after retryAfter
}

// published is where an issuer has its keys. It does not change.
type published struct {
	keysURL string
	keys    oidc.KeySet
}

// newIssuer returns the issuer with that URL. keysURL is where its keys are; if it is
// empty the discovery document, below the issuer's URL, says so.
func newIssuer(url, keysURL, audience string, client *http.Client, now func() time.Time) *issuer {
	i := &issuer{
		url:       url,
		audience:  audience,
		discovery: strictClient(client, "discovery", whole),
		keys:      strictClient(client, "keys", usableKeys),
		now:       now,
		fixed:     keysURL != "",
	}
	if i.fixed {
		i.found = i.publishes(keysURL)
	}
	return i
}

// publishes returns the key set at that address.
func (i *issuer) publishes(keysURL string) *published {
	// The keys outlive any call: with its context they could never be fetched
	// again once it has ended.
	ctx := oidc.ClientContext(context.Background(), i.keys)
	return &published{keysURL: keysURL, keys: oidc.NewRemoteKeySet(ctx, keysURL)}
}

func (i *issuer) vouch(ctx context.Context, token sensitive.String) (object, error) {
	if fault := jwtFault(token.Reveal()); fault != "" {
		return nil, rejected(string(kindJWT), 0, fault)
	}
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

// jwtFault says why a token is none whose signature can be verified, "" if it is
// one. Nothing that the token says of itself is quoted.
func jwtFault(token string) string {
	_, err := jose.ParseSignedCompact(token, algorithms)
	_, unsafe := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err)
	switch {
	case err == nil:
		return ""
	case unsafe:
		return "its algorithm is none of RS256 to RS512, PS256 to PS512, ES256 to ES512 and EdDSA"
	case strings.Count(token, ".") == 4:
		return "it is an encrypted JWT, which only its issuer can read: use userinfo or introspection"
	}
	return "it is no signed JWT: for a token that only its issuer understands use userinfo or introspection"
}

// verify returns a token's claims, and whether one of the issuer's keys signed
// the token, which may still have expired or be for somebody else.
func (i *issuer) verify(ctx context.Context, p *published, token sensitive.String) (claims object, signed bool, err error) {
	const asked = string(kindJWT)
	// Only the signature is go-oidc's to check. Its verifier refuses tokens for the
	// form of claims that are not used here, and tells a wrong audience from a wrong
	// issuer only in its text. vouch has checked the algorithm; refusal checks the rest.
	payload, err := p.keys.VerifySignature(ctx, token.Reveal())
	switch {
	case err == nil:
	// go-oidc wraps an error only where it could not get keys.
	case errors.Unwrap(err) != nil:
		return nil, false, keysError(err)
	default:
		return nil, false, rejected(asked, 0, "its signature is by none of the issuer's keys that can be read")
	}
	claims, ok := decode(payload)
	if !ok {
		return nil, true, rejected(asked, 0, "its claims are no JSON object")
	}
	if fault := i.refusal(claims); fault != "" {
		return nil, true, rejected(asked, 0, fault)
	}
	return claims, true, nil
}

// refusal says which of its claims a token is refused for, "" for none.
func (i *issuer) refusal(claims object) string {
	if _, ok := claims.seconds("exp"); !ok {
		return `it has no "exp" that is a time`
	}
	switch issuer, ok := text(claims["iss"]); {
	case !ok:
		return `it has no "iss" that is a text`
	case issuer != i.url:
		return "it is of another issuer (a slash at the end counts)"
	}
	return claims.refusal(i.now(), i.audience)
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
	if i.fixed || i.found != nil && now.Sub(i.asked) < most {
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
		KeysURL string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, discoveryError(err)
	}
	if fault := addressFault(document.KeysURL, false); fault != "" {
		return nil, unavailable("discovery", http.StatusOK, "the jwks_uri "+fault, nil)
	}
	return i.publishes(document.KeysURL), nil
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

func keysError(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if transport.Known(err) != nil {
		return unavailable("keys", 0, "no answer", err)
	}
	return unavailable("keys", http.StatusOK, "the answer is no key set", nil)
}

// certificates are the members of a key that name its certificate. They are not used
// here, and go-jose refuses a key whose certificate is malformed.
var certificates = []string{"x5c", "x5t", "x5t#S256", "x5u"}

// usableKeys returns a key set with the keys that go-jose reads, without their
// certificates. The others are skipped, as RFC 7517, section 5, asks: go-oidc
// would give up the whole set for one of them.
func usableKeys(body []byte) (usable []byte, fault string) {
	set, ok := decode(body)
	var published []json.RawMessage
	if !ok || !set.has("keys") || json.Unmarshal(set["keys"], &published) != nil {
		return nil, "the answer is no key set"
	}
	keys := make([]object, 0, len(published))
	for _, raw := range published {
		key, _ := decode(raw)
		for _, name := range certificates {
			delete(key, name)
		}
		bare, _ := json.Marshal(key) // of raw JSON: it cannot fail
		if new(jose.JSONWebKey).UnmarshalJSON(bare) == nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, "the key set has no key that can be read"
	}
	usable, _ = json.Marshal(map[string][]object{"keys": keys})
	return usable, ""
}
