package grantee_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

// ageing is an issuer, a resolver that has its discovery document, and a clock.
type ageing struct {
	*issuer
	resolver grantee.Resolver
	signer   signer
	past     atomic.Int64 // nanoseconds since now
}

func newAgeing(t *testing.T, o grantee.Options) *ageing {
	t.Helper()
	a := &ageing{signer: newSigner(t, "k1")}
	a.issuer = newIssuer(t, a.signer.public())
	o.Now = func() time.Time { return now.Add(time.Duration(a.past.Load())) }
	a.resolver = a.issuer.resolver(t, o)
	a.accepts(t, a.signer)
	return a
}

func (a *ageing) pass(d time.Duration) { a.past.Add(int64(d)) }

func (a *ageing) token(t *testing.T, s signer) string {
	t.Helper()
	return s.sign(t, a.claims("exp", now.Add(24*time.Hour).Unix()))
}

func (a *ageing) accepts(t *testing.T, s signer) {
	t.Helper()
	wantCustomer(t, a.resolver, a.token(t, s), "u-1")
}

func (a *ageing) refuses(t *testing.T, s signer, want fault) {
	t.Helper()
	wantFault(t, a.resolver, a.token(t, s), want)
}

func (a *ageing) fetched(t *testing.T, documents, keys int32) {
	t.Helper()
	if d, k := a.discoveries.Load(), a.fetches.Load(); d != documents || k != keys {
		t.Errorf("fetched %d discovery documents and %d key sets, want %d and %d", d, k, documents, keys)
	}
}

// move publishes the keys at another address. The old address answers with old.
func (a *ageing) move(old http.Handler, keys ...jose.JSONWebKey) {
	a.set(func() {
		a.document["jwks_uri"] = a.URL + "/moved"
		a.keys, a.keySet = keys, old
	})
}

func TestDiscoveryIsRepeated(t *testing.T) {
	t.Parallel()
	a := newAgeing(t, grantee.Options{Timeout: time.Minute})
	a.pass(time.Hour - 1)
	a.accepts(t, a.signer)
	a.fetched(t, 1, 1)
	a.pass(1)
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() { a.accepts(t, a.signer) })
	}
	calls.Wait()
	a.fetched(t, 2, 1) // the keys' address is unchanged
}

// TestDiscoveryFailsLater: valid tokens are accepted without a new document.
func TestDiscoveryFailsLater(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]http.Handler{
		"503":            says(503, ""),
		"hangs":          badserver.Hang("HTTP/1.1 200 OK\r\n\r\n{"),
		"another issuer": says(200, `{"issuer":"https://other.example.com"}`),
		"no keys":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAgeing(t, grantee.Options{Timeout: time.Second})
			a.set(func() {
				a.discovery = fails
				a.document["jwks_uri"] = nil
			})
			a.pass(time.Hour)
			a.accepts(t, a.signer)
			a.pass(time.Minute - 1)
			a.accepts(t, a.signer)
			a.fetched(t, 2, 1)

			a.set(func() {
				a.discovery = nil
				a.document["jwks_uri"] = a.URL + "/keys"
			})
			a.pass(1)
			a.accepts(t, a.signer)
			a.fetched(t, 3, 1)
			a.pass(time.Hour - 1)
			a.accepts(t, a.signer)
			a.fetched(t, 3, 1) // no longer each minute
		})
	}
	t.Run("hangs, and the key is new", func(t *testing.T) {
		t.Parallel()
		a := newAgeing(t, grantee.Options{Timeout: time.Second})
		next := newSigner(t, "k2")
		a.set(func() {
			a.discovery = badserver.Hang("")
			a.keys = []jose.JSONWebKey{next.public()}
		})
		a.pass(time.Hour)
		a.accepts(t, next) // half of the timeout is left for the keys
	})
}

// TestKeysMove: a key that is missing at the old address is fetched from the new
// one.
func TestKeysMove(t *testing.T) {
	t.Parallel()
	next := newSigner(t, "k2")
	for name, old := range map[string]http.Handler{
		"old address has the old key": nil,
		"old address is gone":         says(404, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAgeing(t, grantee.Options{})
			if old == nil {
				old = says(200, keySet(t, a.signer.public()))
			}
			a.move(old, next.public())
			a.pass(time.Minute)
			a.accepts(t, next)
			a.accepts(t, next)
			if got := a.discoveries.Load(); got != 2 {
				t.Errorf("discoveries = %d, want 2", got)
			}
		})
	}
	t.Run("old address hangs", func(t *testing.T) {
		t.Parallel()
		a := newAgeing(t, grantee.Options{Timeout: time.Second})
		a.move(badserver.Hang(""), next.public())
		a.pass(time.Minute)
		// The first call usually spends its time on the old address. The next one
		// begins with the document.
		_, _ = resolve(t.Context(), t, a.resolver, a.token(t, next))
		a.accepts(t, next)
	})
	t.Run("all keys are new after an hour", func(t *testing.T) {
		t.Parallel()
		a := newAgeing(t, grantee.Options{})
		a.move(nil, next.public())
		a.pass(time.Hour)
		a.refuses(t, a.signer, fault{Kind: grantee.ErrRejected, Asked: "jwt"})
		a.accepts(t, next)
	})
}

// TestForgedTokensAreBounded: tokens signed with no known key cause one discovery a
// minute.
func TestForgedTokensAreBounded(t *testing.T) {
	t.Parallel()
	a := newAgeing(t, grantee.Options{})
	forger := newSigner(t, "k9")
	for _, step := range []struct {
		pass time.Duration
		want int32
	}{{0, 1}, {time.Minute - 1, 1}, {1, 2}, {time.Minute - 1, 2}, {1, 3}} {
		a.pass(step.pass)
		a.refuses(t, forger, fault{Kind: grantee.ErrRejected, Asked: "jwt"})
		a.refuses(t, forger, fault{Kind: grantee.ErrRejected, Asked: "jwt"})
		if got := a.discoveries.Load(); got != step.want {
			t.Errorf("%v after the first token: discoveries = %d, want %d", time.Duration(a.past.Load()), got, step.want)
		}
	}
}
