package acceptgrant_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/functions/acceptgrant"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

// inTime returns a context with the function's time limit.
func inTime(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), acceptgrant.Limits.Time)
	t.Cleanup(cancel)
	return ctx
}

// TestStoreThatFails: a code can be exchanged only once, so the tokens are stored
// even if the store fails, before or after a write.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	f := function(t, w)
	store := granttest.Flaky(w.Store, 1, 3)
	f.Store = store
	const links = 40
	for i := range links {
		r := directive(w.Sim.Code(alexa.EU, fmt.Sprint("amzn-", i)).Reveal(), "grantee-u-"+fmt.Sprint(i))
		if got := name(t, f.Handle(inTime(t), r)); got != success {
			t.Errorf("link %d = %s, want %s", i, got, success)
		}
		if n := len(w.Read(t, fmt.Sprint("u-", i)).Grants); n != 1 {
			t.Errorf("link %d: grants = %d, want 1", i, n)
		}
	}
	if store.Faults() < links/3 {
		t.Errorf("store faults = %d, want %d or more", store.Faults(), links/3)
	}
}

// TestIdentityProviderHiccup: one quick failure is retried.
func TestIdentityProviderHiccup(t *testing.T) {
	t.Parallel()
	for name503, failures := range map[string]int64{"once": 1, "for good": 1000} {
		t.Run(name503, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			f := function(t, w)
			var calls atomic.Int64
			provider := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				if calls.Add(1) <= failures {
					rw.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				_, _ = rw.Write([]byte(`{"sub":"u-1"}`))
			}))
			t.Cleanup(provider.Close)
			method, err := grantee.ParseMethod("userinfo:" + provider.URL)
			if err != nil {
				t.Fatal(err)
			}
			if f.Grantees, err = grantee.New(method, grantee.Options{}); err != nil {
				t.Fatal(err)
			}
			want := success
			if failures > 1 {
				want = failure
			}
			got := name(t, f.Handle(inTime(t), directive(w.Sim.Code(alexa.EU, "amzn-1").Reveal(), "grantee-u-1")))
			if got != want || calls.Load() != 2 {
				t.Errorf("%s after %d calls, want %s after 2", got, calls.Load(), want)
			}
		})
	}
}

// TestSlowExchange: Login with Amazon may use all the time that storing does not
// need, and no more.
func TestSlowExchange(t *testing.T) {
	t.Parallel()
	for delay, want := range map[time.Duration]string{2500 * time.Millisecond: success, 4 * time.Second: failure} {
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			w.Sim.Script(simulator.Exchange, simulator.Fault{OmitExpiresIn: true, Delay: delay})
			began := time.Now()
			got := name(t, function(t, w).Handle(inTime(t), directive(w.Sim.Code(alexa.EU, "amzn-1").Reveal(), "grantee-u-1")))
			if took := time.Since(began); got != want || took > acceptgrant.Limits.Time {
				t.Errorf("%s after %v, want %s", got, took, want)
			}
		})
	}
}

// TestFailedLinkIsNotStoredLater: a link that was answered with a failure is not stored
// later.
func TestFailedLinkIsNotStoredLater(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	f := function(t, w)
	f.Store = brokenStore{w.Store}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	ctx, line := logging.Begin(ctx)
	if got := name(t, f.Handle(ctx, directive(w.Sim.Code(alexa.EU, "amzn-1").Reveal(), "grantee-u-1"))); got != failure {
		t.Errorf("answer = %s, want %s", got, failure)
	}
	var written bytes.Buffer
	if line.Write(ctx, logging.New(&written), "AcceptGrant"); !strings.Contains(written.String(), `"failure":"store"`) {
		t.Errorf("log line = %s, want a failure of the store", &written)
	}
	f.Store = w.Store
	if got := name(t, f.Handle(inTime(t), directive(w.Sim.Code(alexa.EU, "amzn-2").Reveal(), "grantee-u-1"))); got != success {
		t.Errorf("answer = %s, want %s", got, success)
	}
	if record := w.Read(t, "u-1"); len(record.Grants) != 1 || record.Announce != nil || record.Left(alexa.EU) != 1 {
		t.Errorf("record = %+v, want the second grant only", record)
	}
}
