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
	// maxAge is the age at which a discovery document is fetched again: the keys
	// may have moved.
	maxAge = time.Hour
	// retryAfter replaces maxAge after a failed fetch, or a token that none of the
	// keys signed. It limits the fetches that bad tokens cause.
	retryAfter = time.Minute
)

// algorithms are the accepted ones: those that only the issuer can sign with. "none"
// and the HS family, which would take the public key as the secret, must never be
// accepted. The issuer's discovery document does not matter: its list is about ID
// tokens.
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
	// found is nil until a discovery has succeeded. Until then each call makes its
	// own discovery: calls that shared one would all fail when its caller gives up.
	found    *published
	fixed    bool      // found is configured: there is no discovery
	asked    time.Time // when the last discovery began
	doubtful bool      // the next discovery is due after retryAfter instead of maxAge
}

// published is an issuer's key set and its address. It does not change.
type published struct {
	keysURL string
	keys    oidc.KeySet
}

// newIssuer returns the issuer of that URL. keysURL is the address of its keys; if it is
// empty, it comes from the discovery document below the issuer's URL.
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
		i.found = i.keySet(keysURL)
	}
	return i
}

// keySet returns the key set at that address.
func (i *issuer) keySet(keysURL string) *published {
	// Not the context of a call: the key set outlives the call, and could not be
	// fetched after it.
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
	i.expireSoon()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil, err // no time for a discovery; the next call makes it
	}
	latest, discoveryErr := i.published(ctx)
	if discoveryErr != nil || latest == known {
		return nil, err
	}
	claims, _, err = i.verify(ctx, latest, token)
	return claims, err
}

// jwtFault returns why the signature of a token cannot be verified, "" if it can. It
// quotes nothing of the token.
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
	return "it is not a signed JWT: for a token that only its issuer understands use userinfo or introspection"
}

// verify returns a token's claims, and whether one of the issuer's keys signed it. A
// signed token may still be refused by its claims.
func (i *issuer) verify(ctx context.Context, p *published, token sensitive.String) (claims object, signed bool, err error) {
	const asked = string(kindJWT)
	// go-oidc checks the signature only. Its verifier refuses tokens for claims that
	// are not used here, and distinguishes a wrong audience from a wrong issuer only in
	// its text. vouch has checked the algorithm; refusal checks the claims.
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
		return nil, true, rejected(asked, 0, "its claims are not a JSON object")
	}
	if fault := i.refusal(claims); fault != "" {
		return nil, true, rejected(asked, 0, fault)
	}
	return claims, true, nil
}

// refusal returns why a token's claims refuse it, "" if they do not.
func (i *issuer) refusal(claims object) string {
	if _, ok := claims.seconds("exp"); !ok {
		return `it has no "exp" that is a time`
	}
	switch issuer, ok := text(claims["iss"]); {
	case !ok:
		return `it has no "iss" that is a string`
	case issuer != i.url:
		return "it has another issuer (a slash at the end counts)"
	}
	return claims.refusal(i.now(), i.audience)
}

// published returns the key set of the last discovery, after a new one if that is due.
// If the new one fails, the last key set stays in use.
func (i *issuer) published(ctx context.Context) (*published, error) {
	found, due := i.claim()
	if !due {
		return found, nil
	}
	if found != nil {
		// The other half of the time is for the token.
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
		latest.keys = i.found.keys // these are fetched already
		i.found = latest
	case err == nil:
		i.found = latest
	case i.found == nil:
		return nil, err
	}
	return i.found, nil
}

// claim returns the key set of the last discovery, and whether the caller must make
// the next.
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

// expireSoon makes the next discovery due after retryAfter.
func (i *issuer) expireSoon() {
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
	return i.keySet(document.KeysURL), nil
}

// discoveryError returns err without go-oidc's text, which may quote the answer.
func discoveryError(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if _, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return unavailable("discovery", http.StatusOK, "the document has another issuer (a slash at the end counts)", nil)
	}
	return unavailable("discovery", http.StatusOK, "the answer is not a discovery document", nil)
}

func keysError(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if transport.Known(err) != nil {
		return unavailable("keys", 0, "no answer", err)
	}
	return unavailable("keys", http.StatusOK, "the answer is not a key set", nil)
}

// certificates are the members of a key about its certificate. They are not used here,
// and go-jose refuses a key whose certificate is malformed.
var certificates = []string{"x5c", "x5t", "x5t#S256", "x5u"}

// usableKeys returns a key set with the keys that go-jose can read, without their
// certificates. The others are skipped, as RFC 7517, section 5, recommends: go-oidc
// would refuse the whole set for one of them.
func usableKeys(body []byte) (usable []byte, fault string) {
	set, ok := decode(body)
	var published []json.RawMessage
	if !ok || !set.has("keys") || json.Unmarshal(set["keys"], &published) != nil {
		return nil, "the answer is not a key set"
	}
	keys := make([]object, 0, len(published))
	for _, raw := range published {
		key, _ := decode(raw)
		for _, name := range certificates {
			delete(key, name)
		}
		bare, _ := json.Marshal(key) // raw JSON always encodes
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
