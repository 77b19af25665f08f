package grantee_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

func TestJWTAlgorithms(t *testing.T) {
	t.Parallel()
	rsaKey, rsaErr := rsa.GenerateKey(rand.Reader, 2048)
	_, edKey, edErr := ed25519.GenerateKey(rand.Reader)
	for name, s := range map[string]signer{
		"RS256": wrapSigner(t, jose.RS256, "k", rsaKey, rsaErr),
		"PS384": wrapSigner(t, jose.PS384, "k", rsaKey, rsaErr),
		"ES256": newSigner(t, "k"),
		"EdDSA": wrapSigner(t, jose.EdDSA, "k", edKey, edErr),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, s.public())
			wantCustomer(t, i.resolver(t, grantee.Options{}), s.sign(t, i.claims()), "u-1")
		})
	}
	t.Run("ES256 when others are listed for ID tokens", func(t *testing.T) {
		t.Parallel()
		s := newSigner(t, "k")
		i := newIssuer(t, s.public())
		i.document["id_token_signing_alg_values_supported"] = []string{"RS256", "HS256", "none"}
		wantCustomer(t, i.resolver(t, grantee.Options{}), s.sign(t, i.claims()), "u-1")
	})
}

func TestJWTRejects(t *testing.T) {
	t.Parallel()
	good, other := newSigner(t, "k1"), newSigner(t, "k1")
	// A symmetric key in a key set is public, like every key there.
	symmetric := []byte("fake symmetric key, 32 bytes long")
	published := jose.JSONWebKey{Key: symmetric, KeyID: "hs"}
	i := newIssuer(t, good.public(), published)
	hs := func(key []byte, id string) signer {
		return signer{jose.HS256, jose.JSONWebKey{Key: key, KeyID: id}}
	}
	publicText, err := good.public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	goodToken := good.sign(t, i.claims())
	parts := strings.Split(goodToken, ".")
	encode := base64.RawURLEncoding.EncodeToString

	const noJWT, algorithm, signature = "not a signed JWT", "its algorithm is none of", "by none of the issuer's keys"
	for name, tt := range map[string]struct{ token, reason string }{
		"no JWT":                      {canary, noJWT},
		"encrypted":                   {"e30.canary.e30.e30.e30", "encrypted JWT"},
		"expired":                     {good.sign(t, i.claims("exp", now.Unix())), "expired"},
		"no expiry":                   {good.sign(t, i.claims("exp", nil)), `no "exp"`},
		"expiry is no time":           {good.sign(t, i.claims("exp", "canary")), `no "exp"`},
		"wrong issuer":                {good.sign(t, i.claims("iss", "https://canary.example.com")), "another issuer"},
		"issuer with a slash":         {good.sign(t, i.claims("iss", i.URL+"/")), "another issuer"},
		"no issuer":                   {good.sign(t, i.claims("iss", nil)), `no "iss"`},
		"wrong audience":              {good.sign(t, i.claims("aud", "canary")), "not for the configured audience"},
		"claims are a list":           {good.signBytes(t, []byte(`["canary"]`), &jose.SignerOptions{}), "not a JSON object"},
		"claims are no JSON":          {good.signBytes(t, []byte(`canary`), &jose.SignerOptions{}), "not a JSON object"},
		"other key, same id":          {other.sign(t, i.claims()), signature},
		"key in the header":           {other.signBytes(t, []byte(`{}`), &jose.SignerOptions{EmbedJWK: true}), signature},
		"claims swapped":              {parts[0] + "." + encode([]byte(`{"sub":"u-2"}`)) + "." + parts[2], signature},
		"signature cut":               {parts[0] + "." + parts[1] + ".", signature},
		"signature missing":           {parts[0] + "." + parts[1], noJWT},
		"alg none":                    {encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".", algorithm},
		"alg None":                    {encode([]byte(`{"alg":"None"}`)) + "." + parts[1] + "." + parts[2], algorithm},
		"HS256 with a public key":     {hs(publicText, "k1").sign(t, i.claims()), algorithm},
		"HS256 with a key in the set": {hs(symmetric, "hs").sign(t, i.claims()), algorithm},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := wantFault(t, i.resolver(t, grantee.Options{}), tt.token, fault{Kind: grantee.ErrRejected, Asked: "jwt"})
			if !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error = %v, want %q in it", err, tt.reason)
			}
		})
	}
	t.Run("the token they are made from", func(t *testing.T) {
		t.Parallel()
		wantCustomer(t, i.resolver(t, grantee.Options{}), goodToken, "u-1")
	})
	t.Run("no customer", func(t *testing.T) {
		t.Parallel()
		wantFault(t, i.resolver(t, grantee.Options{Claim: "user_id"}), goodToken, fault{Kind: grantee.ErrNoCustomer, Asked: "jwt"})
	})
}

// TestJWTClaims: unused claims may have any form, and others more than one.
func TestJWTClaims(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k")
	i := newIssuer(t, s.public())
	token := s.sign(t, i.claims("exp", fmt.Sprint(now.Unix()+1), "nbf", nil, "iat", []int{7}, "nonce", 7, "at_hash", 7, "jti", 7,
		"_claim_names", 7, "user", map[string]any{"id": uint64(9007199254740993)}))
	r := i.resolver(t, grantee.Options{Claim: "user.id", Timeout: time.Minute})
	var calls sync.WaitGroup
	for range 16 { // each discovers on its own
		calls.Go(func() { wantCustomer(t, r, token, "9007199254740993") })
	}
	calls.Wait()
}

func TestJWTKeyRotation(t *testing.T) {
	t.Parallel()
	first, second := newSigner(t, "k1"), newSigner(t, "k2")
	i := newIssuer(t, first.public())
	r := i.resolver(t, grantee.Options{})
	// The context of the discovering call has ended when keys are fetched later.
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		if id, err := resolve(ctx, t, r, first.sign(t, i.claims())); err != nil || id != "u-1" {
			t.Fatalf("first key: Resolve() = %q, %v, want u-1", id, err)
		}
	}
	cancel()
	if d, f := i.discoveries.Load(), i.fetches.Load(); d != 1 || f != 1 {
		t.Errorf("discoveries, fetches = %d, %d for three tokens, want 1, 1", d, f)
	}

	i.set(func() { i.keys = []jose.JSONWebKey{second.public()} })
	var id string
	var err error
	soon(func() bool {
		id, err = resolve(t.Context(), t, r, second.sign(t, i.claims()))
		return err == nil
	})
	if err != nil || id != "u-1" {
		t.Errorf("second key: Resolve() = %q, %v, want u-1", id, err)
	}
	soon(func() bool {
		_, err = resolve(t.Context(), t, r, first.sign(t, i.claims()))
		return err != nil
	})
	checkFault(t, err, fault{Kind: grantee.ErrRejected, Asked: "jwt"})
	if d := i.discoveries.Load(); d != 1 {
		t.Errorf("discoveries = %d, want 1", d)
	}
}

// soon repeats a call until it succeeds. go-oidc returns a fetched key set an instant
// before it stores it. On a busy machine the next call may come in between, and is
// answered from the same fetch.
func soon(call func() bool) {
	for until := time.Now().Add(10 * time.Second); !call() && time.Now().Before(until); {
	}
}

func TestJWTProviderFaults(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k")
	type broken struct {
		breakIt func(*issuer)
		asked   string
		status  int
	}
	document := func(member string, value any) func(*issuer) { return func(i *issuer) { i.document[member] = value } }
	keys := func(body string) func(*issuer) { return func(i *issuer) { i.keySet = says(200, body) } }
	faults := map[string]broken{
		"another issuer":         {document("issuer", "https://canary.example.com"), "discovery", 200},
		"issuer with a slash":    {func(i *issuer) { i.document["issuer"] = i.URL + "/" }, "discovery", 200},
		"algorithms are no list": {document("id_token_signing_alg_values_supported", "canary"), "discovery", 200},
		"no jwks_uri":            {document("jwks_uri", nil), "discovery", 200},
		"jwks_uri in the clear":  {document("jwks_uri", "http://canary.example.com/keys"), "discovery", 200},
		"keys are no list":       {keys(`{"keys":{"canary":1}}`), "keys", 200},
		"no key can be read":     {keys(`{"keys":[{"kty":"RSA","canary":1},7]}`), "keys", 200},
	}
	for status, answer := range map[int]http.Handler{
		404: says(404, "canary"),
		503: says(503, "canary"),
		200: says(200, `{"pad":"`+strings.Repeat("x", 64<<10)+`"}`),
		302: http.RedirectHandler("/keys", http.StatusFound),
	} {
		faults[fmt.Sprint("discovery ", status)] = broken{func(i *issuer) { i.discovery = answer }, "discovery", status}
		faults[fmt.Sprint("keys ", status)] = broken{func(i *issuer) { i.keySet = answer }, "keys", status}
	}
	for name, tt := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, s.public())
			tt.breakIt(i)
			wantFault(t, i.resolver(t, grantee.Options{}), s.sign(t, i.claims()), fault{grantee.ErrUnavailable, tt.asked, tt.status})
		})
	}
	for _, asked := range []string{"discovery", "keys"} {
		t.Run(asked, func(t *testing.T) {
			badserver.EachFault(t, []string{"canary"}, nil, func(t *testing.T, answer http.Handler) error {
				const issuer = "http://127.0.0.1:443" // the address of a server in a bubble
				document := says(200, `{"issuer":"`+issuer+`","jwks_uri":"`+issuer+`/keys"}`)
				answers := map[string][]http.Handler{"discovery": {answer}, "keys": {document, answer}}[asked]
				server := badserver.NewInBubble(t, answers...)
				r := newResolver(t, "jwt:"+issuer, grantee.Options{HTTPClient: server.Client()})
				began := time.Now()
				_, err := resolve(t.Context(), t, r, s.sign(t, map[string]any{"iss": issuer, "sub": "u-1", "exp": now.Unix() + 1}))
				failed, ok := errors.AsType[*grantee.Error](err)
				if took := time.Since(began); !ok || failed.Kind != grantee.ErrUnavailable || failed.Asked != asked || took > 2*time.Second {
					t.Errorf("error = %v after %v, want ErrUnavailable of %s", err, took, asked)
				}
				return err
			})
		})
	}
}

// TestJWTRecovers: a failed or cancelled first call has no effect on the next one.
func TestJWTRecovers(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k")
	for name, which := range map[string]func(*issuer) *http.Handler{
		"discovery": func(i *issuer) *http.Handler { return &i.discovery },
		"keys":      func(i *issuer) *http.Handler { return &i.keySet },
	} {
		t.Run(name+" answers 503 first", func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, s.public())
			*which(i) = says(503, "")
			r := i.resolver(t, grantee.Options{})
			err := wantFault(t, r, s.sign(t, i.claims()), fault{Kind: grantee.ErrUnavailable, Asked: name, Status: 503})
			i.set(func() { *which(i) = nil })
			var id string
			soon(func() bool {
				id, err = resolve(t.Context(), t, r, s.sign(t, i.claims()))
				return err == nil
			})
			if err != nil || id != "u-1" {
				t.Errorf("second call: Resolve() = %q, %v, want u-1", id, err)
			}
		})
		t.Run(name+" is cancelled first", func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, s.public())
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			release := sync.OnceFunc(func() { close(over) })
			t.Cleanup(release)
			*which(i) = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				cancel()
				<-over
				i.set(func() { *which(i) = nil })
				i.serve(w, name)
			})
			// Neither call may end by its timeout.
			r := i.resolver(t, grantee.Options{Timeout: time.Minute})
			_, err := resolve(ctx, t, r, s.sign(t, i.claims()))
			checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: name})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("first call: error = %v, want context.Canceled inside", err)
			}
			// The keys are still being fetched, and serve the next call.
			release()
			wantCustomer(t, r, s.sign(t, i.claims()), "u-1")
		})
	}
}
