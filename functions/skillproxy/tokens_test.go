package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
)

func TestColdStartTakesTwoRoundTrips(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	l := start(t, w.env(nil))
	wantSuccess(t, l, turnOn)
	w.wantRoundTrips(t, 0)
	wantSuccess(t, l, accept)
	w.wantRoundTrips(t, 2)
	if line := l.logged(t, 2); line["renewed"] != true {
		t.Errorf("logged %v, want a new token", line)
	}
	wantSuccess(t, l, accept)
	w.wantRoundTrips(t, 2)
	if line := l.logged(t, 3); line["renewed"] != nil {
		t.Errorf("logged %v, want no new token", line)
	}
	wantSuccess(t, l, disabled) // for another audience
	w.wantRoundTrips(t, 3)
}

func TestDirectiveAuth(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	l := serve(t, w.env(map[string]string{"DIRECTIVE_AUTH": "google", "DIRECTIVE_AUDIENCE": "https://directives.example.com"}))
	wantSuccess(t, l, turnOn)
	if got := w.directive.got()[0].header.Get("Authorization"); !w.google.Accepts(got, "https://directives.example.com") {
		t.Errorf("Authorization: %q", got)
	}
}

// TestRenewalSideBySide: a token with minutes to live is used, and another is
// there for the next request. The answer waits for that, because the process
// would be frozen on the way.
func TestRenewalSideBySide(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.google.Lifetime(4 * time.Minute)
	l := serve(t, w.env(nil))
	wantSuccess(t, l, accept)
	w.google.Lifetime(time.Hour)
	w.google.Fail(federationtest.Credentials, func(rw http.ResponseWriter, r *http.Request) {
		<-time.After(300 * time.Millisecond) // the answer from behind is there long before
		r.URL.Path = string(federationtest.Credentials)
		w.google.ServeHTTP(rw, r)
	})
	if got := l.invoke(t, accept, time.Minute); string(got.body) != done || got.took < 300*time.Millisecond {
		t.Errorf("answer %s after %v, want it after the renewal", got.body, got.took)
	}
	wantSuccess(t, l, accept)
	tokens := w.acceptGrant.tokens()
	if tokens[0] != tokens[1] || tokens[1] == tokens[2] {
		t.Error("want the old token for the request that renews it, and the new one afterwards")
	}
	if line := l.logged(t, 2); line["renewed"] != true {
		t.Errorf("logged %v, want a new token", line)
	}
	if line := l.logged(t, 3); line["renewed"] != nil {
		t.Errorf("logged %v, want no new token", line)
	}
}

func TestRenewalFails(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.google.Lifetime(4 * time.Minute)
	l := serve(t, w.env(nil))
	wantSuccess(t, l, accept)
	for range 2 { // one fault would pass
		w.google.Fail(federationtest.Credentials, federationtest.Refuse(503, `canary`))
	}
	wantSuccess(t, l, accept)
	line := l.logged(t, 2)
	if line["severity"] != "WARNING" || line["renew_error"] != "getting an ID token: refused with status 503" || line["outcome"] != "passed" {
		t.Errorf("logged %v", line)
	}
	wantSuccess(t, l, accept)
	w.wantRoundTrips(t, 4) // not tried again at once
}

// TestRefusedToken: the function says 401 to a token. Only if it is not a new
// one, another helps: a handler that answers 401 for reasons of its own costs neither
// a token nor a second delivery for each directive.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		age      time.Duration
		refusals int
		trips    int
		requests int
		typ      string
	}{
		{"old, once", 10 * time.Minute, 1, 3, 3, ""},
		{"old, for ever", 10 * time.Minute, 2, 3, 3, internal},
		{"new", time.Minute, 1, 2, 2, internal},
	} {
		for name, message := range map[string]string{"AcceptGrant": accept, "directive": turnOn} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newPlace(t)
				to := w.to(message)
				l := serve(t, w.env(map[string]string{"DIRECTIVE_AUTH": "google"}))
				wantSuccess(t, l, message)
				l.later = test.age
				for range test.refusals {
					to.then(answering(401, "canary"))
				}
				if test.typ == "" {
					wantSuccess(t, l, message)
				} else {
					wantError(t, l.invoke(t, message, time.Minute), message, test.typ)
				}
				got := to.got()
				if len(got) != test.requests {
					t.Fatalf("%d requests, want %d", len(got), test.requests)
				}
				first, last := got[1], got[len(got)-1]
				another := first.header.Get("Authorization") != last.header.Get("Authorization")
				if another != (len(got) == 3) || first.body != last.body {
					t.Error("the second try must be the same request with another token")
				}
				w.wantRoundTrips(t, test.trips)
			})
		}
	}
}

// TestNoToken: without one nobody is asked.
func TestNoToken(t *testing.T) {
	t.Parallel()
	const why = "no ID token: getting "
	for _, test := range []struct {
		name    string
		service federationtest.Service
		fault   http.HandlerFunc
		changes map[string]string
		why     string
	}{
		{"the provider refuses", federationtest.STS,
			federationtest.Refuse(400, `{"error":"unauthorized_client","error_description":"canary"}`), nil,
			"a federated token: refused with status 400, unauthorized_client"},
		{"STS hangs", federationtest.STS, hang, nil, "a federated token: context deadline exceeded"},
		{"IAM Credentials hangs", federationtest.Credentials, hang, nil, "an ID token: context deadline exceeded"},
		{"no role", "", nil, map[string]string{"AWS_SECRET_ACCESS_KEY": ""}, "a federated token: AWS_ACCESS_KEY_ID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			if test.fault != nil {
				w.google.Fail(test.service, test.fault)
			}
			l := serve(t, w.env(test.changes))
			got := l.invoke(t, accept, 2*time.Second)
			wantError(t, got, accept, "")
			if got.took > 2*time.Second || len(w.acceptGrant.got()) != 0 {
				t.Errorf("after %v, and %d requests", got.took, len(w.acceptGrant.got()))
			}
			line := l.logged(t, 1)
			said, _ := line["error"].(string)
			if line["outcome"] != "unauthenticated" || line["severity"] != "ERROR" || !strings.HasPrefix(said, why+test.why) {
				t.Errorf("logged %v, want %q", line, why+test.why)
			}
			wantSuccess(t, l, turnOn) // which needs none
			if test.fault != nil {
				wantSuccess(t, l, accept)
			}
		})
	}
}

// TestClient: the client's own settings must leave HTTP/2 and the server's
// certificate's examination as they were, and make a second handshake cheap.
func TestClient(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(answering(http.StatusOK, done))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that refuses it
	server.StartTLS()
	t.Cleanup(server.Close)

	client := newClient()
	fetch := func() *http.Response {
		resp, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	first := fetch()
	client.CloseIdleConnections()
	second := fetch()
	if first.ProtoMajor != 2 || first.TLS.Version != tls.VersionTLS13 || first.TLS.DidResume || !second.TLS.DidResume {
		t.Errorf("first %s, resumed: %v; second resumed: %v", first.Proto, first.TLS.DidResume, second.TLS.DidResume)
	}
	if resp, err := newClient().Get(server.URL); err == nil {
		_ = resp.Body.Close()
		t.Error("an unknown certificate was accepted")
	}
}
