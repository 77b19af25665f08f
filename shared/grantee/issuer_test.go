package grantee_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

const audience = "https://devices.maker.example"

// issuer is an identity provider that publishes keys.
type issuer struct {
	URL                  string
	discoveries, fetches atomic.Int32

	mu        sync.Mutex
	keys      []jose.JSONWebKey
	document  map[string]any // of discovery
	discovery http.Handler   // replaces the document if not nil
	keySet    http.Handler   // replaces the keys if not nil
}

func newIssuer(t *testing.T, keys ...jose.JSONWebKey) *issuer {
	t.Helper()
	i := &issuer{keys: keys}
	i.URL = badserver.New(t, i).URL
	i.document = map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys",
		// The last two are algorithms that no key set makes safe.
		"id_token_signing_alg_values_supported": []string{"RS256", "PS384", "ES256", "EdDSA", "HS256", "none"},
	}
	return i
}

// ServeHTTP implements [http.Handler].
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what, count, instead := "keys", &i.fetches, &i.keySet
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		what, count, instead = "discovery", &i.discoveries, &i.discovery
	case "/moved":
		count, instead = new(atomic.Int32), new(http.Handler)
	}
	count.Add(1)
	i.mu.Lock()
	special := *instead
	i.mu.Unlock()
	if special != nil {
		special.ServeHTTP(w, r)
		return
	}
	i.serve(w, what)
}

// serve writes the document or the keys.
func (i *issuer) serve(w http.ResponseWriter, what string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if what == "discovery" {
		_ = json.NewEncoder(w).Encode(i.document)
		return
	}
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: i.keys})
}

// keySet returns the key set of an issuer with these keys.
func keySet(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// set changes the issuer while it serves.
func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) resolver(t *testing.T, o grantee.Options) grantee.Resolver {
	t.Helper()
	o.Audience = audience
	return newResolver(t, "jwt:"+i.URL, o)
}

// claims returns a valid token's claims, with the given changes; nil removes a
// claim.
func (i *issuer) claims(changes ...any) map[string]any {
	c := map[string]any{"iss": i.URL, "aud": []string{"other", audience}, "sub": "u-1", "exp": now.Unix() + 1, "iat": now.Unix()}
	for n := 0; n < len(changes); n += 2 {
		c[changes[n].(string)] = changes[n+1]
		if changes[n+1] == nil {
			delete(c, changes[n].(string))
		}
	}
	return c
}

// signer is a private key, whose public half an issuer publishes.
type signer struct {
	alg jose.SignatureAlgorithm
	key jose.JSONWebKey
}

func newSigner(t *testing.T, id string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return wrapSigner(t, jose.ES256, id, key, err)
}

func wrapSigner(t *testing.T, alg jose.SignatureAlgorithm, id string, key crypto.PrivateKey, err error) signer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return signer{alg, jose.JSONWebKey{Key: key, KeyID: id}}
}

func (s signer) public() jose.JSONWebKey { return s.key.Public() }

func (s signer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return s.signBytes(t, payload, &jose.SignerOptions{})
}

func (s signer) signBytes(t *testing.T, payload []byte, o *jose.SignerOptions) string {
	t.Helper()
	with, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, o)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := with.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}
