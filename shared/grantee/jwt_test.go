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
			id, err := resolve(t.Context(), t, i.resolver(t, grantee.Options{}), s.sign(t, i.claims()))
			if err != nil || id != "u-1" {
				t.Errorf("Resolve() = %q, %v, want u-1", id, err)
			}
		})
	}
	t.Run("ES256 when others are listed for ID tokens", func(t *testing.T) {
		t.Parallel()
		s := newSigner(t, "k")
		i := newIssuer(t, s.public())
		i.document["id_token_signing_alg_values_supported"] = []string{"RS256", "HS256", "none"}
		id, err := resolve(t.Context(), t, i.resolver(t, grantee.Options{}), s.sign(t, i.claims()))
		if err != nil || id != "u-1" {
			t.Errorf("Resolve() = %q, %v, want u-1", id, err)
		}
	})
}

func TestJWTRejects(t *testing.T) {
	t.Parallel()
	good, other := newSigner(t, "k1"), newSigner(t, "k1")
	// A symmetric key in a key set is known to everybody, like a public one.
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

	const noJWT, algorithm, signature = "no signed JWT", "its algorithm is none of", "by none of the issuer's keys"
	for name, tt := range map[string]struct{ token, reason string }{
		"no JWT":                      {canary, noJWT},
		"encrypted":                   {"e30.canary.e30.e30.e30", "encrypted JWT"},
		"expired":                     {good.sign(t, i.claims("exp", now.Unix())), "expired"},
		"no expiry":                   {good.sign(t, i.claims("exp", nil)), `no "exp"`},
		"expiry is no time":           {good.sign(t, i.claims("exp", "canary")), `no "exp"`},
		"not valid yet":               {good.sign(t, i.claims("nbf", now.Add(5*time.Minute).Unix()+1)), "not valid yet"},
		"wrong issuer":                {good.sign(t, i.claims("iss", "https://canary.example.com")), "another issuer"},
		"issuer with a slash":         {good.sign(t, i.claims("iss", i.URL+"/")), "another issuer"},
		"no issuer":                   {good.sign(t, i.claims("iss", nil)), `no "iss"`},
		"wrong audience":              {good.sign(t, i.claims("aud", "canary")), "not for the configured audience"},
		"no audience":                 {good.sign(t, i.claims("aud", nil)), `no "aud"`},
		"audience of another type":    {good.sign(t, i.claims("aud", 1)), "not for the configured audience"},
		"claims are a list":           {good.signBytes(t, []byte(`["canary"]`), &jose.SignerOptions{}), "no JSON object"},
		"claims are no JSON":          {good.signBytes(t, []byte(`canary`), &jose.SignerOptions{}), "no JSON object"},
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
			_, err := resolve(t.Context(), t, i.resolver(t, grantee.Options{}), tt.token)
			checkFault(t, err, fault{Kind: grantee.ErrRejected, Asked: "jwt"})
			if !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error = %v, want it to say %q", err, tt.reason)
			}
		})
	}
	t.Run("any audience when none is configured", func(t *testing.T) {
		t.Parallel()
		r := newResolver(t, "jwt:"+i.URL, grantee.Options{})
		for _, aud := range []any{"another", nil} {
			if id, err := resolve(t.Context(), t, r, good.sign(t, i.claims("aud", aud))); err != nil || id != "u-1" {
				t.Errorf("audience %v: Resolve() = %q, %v, want u-1", aud, id, err)
			}
		}
	})
	t.Run("the token they are made from", func(t *testing.T) {
		t.Parallel()
		if id, err := resolve(t.Context(), t, i.resolver(t, grantee.Options{}), goodToken); err != nil || id != "u-1" {
			t.Errorf("Resolve() = %q, %v, want u-1", id, err)
		}
	})
	t.Run("no customer", func(t *testing.T) {
		t.Parallel()
		_, err := resolve(t.Context(), t, i.resolver(t, grantee.Options{Claim: "user_id"}), goodToken)
		checkFault(t, err, fault{Kind: grantee.ErrNoCustomer, Asked: "jwt"})
	})
}

// Claims that nobody asks for may have any form, and the others more than one.
func TestJWTClaims(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k")
	i := newIssuer(t, s.public())
	for name, tt := range map[string]struct {
		claims []any
		claim  string
		want   string
	}{
		"digits of a nested claim":  {[]any{"user", map[string]any{"id": uint64(9007199254740993)}}, "user.id", "9007199254740993"},
		"sub is a number":           {[]any{"sub", 12345}, "", "12345"},
		"times as text":             {[]any{"exp", fmt.Sprint(now.Unix() + 1), "nbf", fmt.Sprint(now.Unix()), "iat", now.String()}, "", "u-1"},
		"expiry with a fraction":    {[]any{"exp", float64(now.Unix()) + 0.5}, "", "u-1"},
		"start within the leeway":   {[]any{"nbf", now.Add(5 * time.Minute).Unix()}, "", "u-1"},
		"others are numbers":        {[]any{"nonce", 7, "at_hash", 7, "jti", 7, "iat", []int{7}, "_claim_names", 7, "nbf", nil}, "", "u-1"},
		"audience is one text":      {[]any{"aud", audience}, "", "u-1"},
		"expires in the far future": {[]any{"exp", 1e300}, "", "u-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := resolve(t.Context(), t, i.resolver(t, grantee.Options{Claim: tt.claim}), s.sign(t, i.claims(tt.claims...)))
			if err != nil || id != tt.want {
				t.Errorf("Resolve() = %q, %v, want %s", id, err, tt.want)
			}
		})
	}
}

func TestJWTKeyRotation(t *testing.T) {
	t.Parallel()
	first, second := newSigner(t, "k1"), newSigner(t, "k2")
	i := newIssuer(t, first.public())
	r := i.resolver(t, grantee.Options{})
	// The context of the call that discovered is over when keys are fetched anew.
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		if id, err := resolve(ctx, t, r, first.sign(t, i.claims())); err != nil || id != "u-1" {
			t.Fatalf("first key: Resolve() = %q, %v, want u-1", id, err)
		}
	}
	cancel()
	if d, f := i.discoveries.Load(), i.fetches.Load(); d != 1 || f != 1 {
		t.Errorf("%d discoveries and %d fetches for three tokens, want one each", d, f)
	}

	i.set(func() { i.keys = []jose.JSONWebKey{second.public()} })
	if id, err := resolve(t.Context(), t, r, second.sign(t, i.claims())); err != nil || id != "u-1" {
		t.Errorf("second key: Resolve() = %q, %v, want u-1", id, err)
	}
	var err error
	soon(func() bool {
		_, err = resolve(t.Context(), t, r, first.sign(t, i.claims()))
		return err != nil
	})
	checkFault(t, err, fault{Kind: grantee.ErrRejected, Asked: "jwt"})
	if d := i.discoveries.Load(); d != 1 {
		t.Errorf("%d discoveries, want 1", d)
	}
}

// soon repeats a call until it does what it should. go-oidc gives out what it has
// fetched an instant before it keeps it, and on a busy machine the next call may
// come in between.
func soon(call func() bool) {
	for until := time.Now().Add(10 * time.Second); !call() && time.Now().Before(until); {
	}
}

func TestJWTConcurrentFirstCalls(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k")
	i := newIssuer(t, s.public())
	r := i.resolver(t, grantee.Options{Timeout: time.Minute})
	token := s.sign(t, i.claims())
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			if id, err := resolve(t.Context(), t, r, token); err != nil || id != "u-1" {
				t.Errorf("Resolve() = %q, %v, want u-1", id, err)
			}
		})
	}
	calls.Wait()
}

func TestJWTProviderFaults(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k")
	document := func(change string, value any) func(*issuer) {
		return func(i *issuer) { i.document[change] = value }
	}
	discovery := func(h http.HandlerFunc) func(*issuer) { return func(i *issuer) { i.discovery = h } }
	keys := func(h http.HandlerFunc) func(*issuer) { return func(i *issuer) { i.keySet = h } }
	huge := `{"pad":"` + strings.Repeat("x", 64<<10) + `"}`
	for name, tt := range map[string]struct {
		breakIt func(*issuer)
		asked   string
		status  int
	}{
		"discovery 404":           {discovery(answer(404, "canary")), "discovery", 404},
		"discovery 500":           {discovery(answer(500, "canary")), "discovery", 500},
		"discovery is HTML":       {discovery(answer(200, "<html>canary")), "discovery", 200},
		"discovery is huge":       {discovery(answer(200, huge)), "discovery", 200},
		"discovery hangs":         {discovery(hang("")), "discovery", 0},
		"discovery hangs in body": {discovery(hang("{")), "discovery", 200},
		"discovery redirects":     {discovery(http.RedirectHandler("/keys", http.StatusFound).ServeHTTP), "discovery", 302},
		"another issuer":          {document("issuer", "https://canary.example.com"), "discovery", 200},
		"issuer with a slash":     {func(i *issuer) { i.document["issuer"] = i.URL + "/" }, "discovery", 200},
		"algorithms are no list":  {document("id_token_signing_alg_values_supported", "canary"), "discovery", 200},
		"no jwks_uri":             {document("jwks_uri", nil), "discovery", 200},
		"jwks_uri in the clear":   {document("jwks_uri", "http://canary.example.com/keys"), "discovery", 200},
		"keys 404":                {keys(answer(404, "canary")), "keys", 404},
		"keys 503":                {keys(answer(503, "canary")), "keys", 503},
		"keys are HTML":           {keys(answer(200, "<html>canary")), "keys", 200},
		"keys are huge":           {keys(answer(200, huge)), "keys", 200},
		"keys are no list":        {keys(answer(200, `{"keys":{"canary":1}}`)), "keys", 200},
		"no key can be read":      {keys(answer(200, `{"keys":[{"kty":"RSA","canary":1},7]}`)), "keys", 200},
		"keys hang":               {keys(hang("")), "keys", 0},
		"keys hang in body":       {keys(hang("{")), "keys", 200},
		"keys redirect":           {keys(http.RedirectHandler("/elsewhere", http.StatusFound).ServeHTTP), "keys", 302},
		"keys break off":          {keys(broken), "keys", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, s.public())
			o := grantee.Options{}
			if strings.Contains(name, "hang") {
				o.Timeout = 100 * time.Millisecond
			}
			tt.breakIt(i)
			r := i.resolver(t, o)
			token := s.sign(t, i.claims())
			_, err := resolve(t.Context(), t, r, token)
			if tt.asked == "keys" && strings.Contains(name, "hang") {
				// The call's deadline and that of the fetch fall together: either
				// may be reported.
				if failed, ok := errors.AsType[*grantee.Error](err); ok {
					tt.status = failed.Status
				}
			}
			checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: tt.asked, Status: tt.status})
			if timeout := errors.Is(err, context.DeadlineExceeded); timeout != (o.Timeout != 0) {
				t.Errorf("errors.Is(%v, DeadlineExceeded) = %t", err, timeout)
			}
		})
	}
}

// The provider is down, or the caller gives up, while the first call is
// under way: that must not spoil the next one.
func TestJWTRecovers(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k")
	for name, which := range map[string]func(*issuer) *http.HandlerFunc{
		"discovery": func(i *issuer) *http.HandlerFunc { return &i.discovery },
		"keys":      func(i *issuer) *http.HandlerFunc { return &i.keySet },
	} {
		t.Run(name+" answers 503 first", func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, s.public())
			*which(i) = answer(http.StatusServiceUnavailable, "")
			r := i.resolver(t, grantee.Options{})
			_, err := resolve(t.Context(), t, r, s.sign(t, i.claims()))
			checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: name, Status: 503})
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
			*which(i) = func(w http.ResponseWriter, _ *http.Request) {
				cancel()
				<-over
				i.set(func() { *which(i) = nil })
				i.serve(w, name)
			}
			// Neither call may end by the time-out.
			r := i.resolver(t, grantee.Options{Timeout: time.Minute})
			_, err := resolve(ctx, t, r, s.sign(t, i.claims()))
			checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: name})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("first call: error = %v, want context.Canceled inside", err)
			}
			// The keys that were asked for are still under way, and serve the next.
			release()
			if id, err := resolve(t.Context(), t, r, s.sign(t, i.claims())); err != nil || id != "u-1" {
				t.Errorf("second call: Resolve() = %q, %v, want u-1", id, err)
			}
		})
	}
}
