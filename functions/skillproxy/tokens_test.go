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

// TestColdStart: a token takes two round trips, and one more for another audience.
func TestColdStart(t *testing.T) {
	t.Parallel()
	const skillEvents, directives = "https://skill-events.test", "https://directives.test"
	inBubble(t, map[string]string{
		"SKILL_EVENT_AUDIENCE": skillEvents, "DIRECTIVE_AUDIENCE": directives, "DIRECTIVE_AUTH": "google",
	}, func(t *testing.T, w *cloud, l *instance) {
		for i, test := range []struct {
			message, audience string
			trips             int
			renewed           any
		}{
			{accept, memoryURL, 2, true}, {accept, memoryURL, 2, nil}, {disabled, skillEvents, 3, true}, {turnOn, directives, 4, true},
		} {
			wantSuccess(t, l, test.message)
			w.wantRoundTrips(t, test.trips)
			tokens := w.to(test.message).tokens()
			if line := l.logged(t, i+1); line["renewed"] != test.renewed || !w.google.Accepts(tokens[len(tokens)-1], test.audience) {
				t.Errorf("%s: line = %v, want a new token: %v", test.audience, line, test.renewed)
			}
		}
	})
}

// TestConcurrentRenewal: a token with minutes to live is used, and renewed for the
// next request. The answer waits for the renewal, because Lambda freezes the
// process after it.
func TestConcurrentRenewal(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *cloud, l *instance) {
		w.google.Lifetime(4 * time.Minute)
		wantSuccess(t, l, accept)
		w.google.Lifetime(time.Hour)
		w.google.Fail(federationtest.Credentials, func(rw http.ResponseWriter, r *http.Request) {
			<-time.After(300 * time.Millisecond) // the backend answers long before
			w.google.ServeHTTP(rw, r)
		})
		if got := l.invoke(t, accept, time.Minute); string(got.body) != done || got.took != 300*time.Millisecond {
			t.Errorf("answer = %s after %v, want it after the renewal", got.body, got.took)
		}
		wantSuccess(t, l, accept)
		tokens := w.acceptGrant.tokens()
		if tokens[0] != tokens[1] || tokens[1] == tokens[2] {
			t.Error("the requests must have the old token twice and then a new one")
		}
		if second, third := l.logged(t, 2), l.logged(t, 3); second["renewed"] != true || third["renewed"] != nil {
			t.Errorf("lines = %v and %v, want a new token in the first", second, third)
		}
	})
}

func TestRenewalFails(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *cloud, l *instance) {
		w.google.Lifetime(4 * time.Minute)
		wantSuccess(t, l, accept)
		for range 2 { // one fault would be retried
			w.google.Fail(federationtest.Credentials, federationtest.Refuse(503, `canary`))
		}
		wantSuccess(t, l, accept)
		line := l.logged(t, 2)
		if line["severity"] != "WARNING" || line["renew_error"] != "getting an ID token: refused with status 503" || line["outcome"] != "passed" {
			t.Errorf("line = %v, want a warning with renew_error", line)
		}
		wantSuccess(t, l, accept)
		w.wantRoundTrips(t, 4) // no retry at the next request
	})
}

// TestRefusedToken: after a 401 the request is repeated with a new token, but not
// if the token was new already: a handler that always answers 401 costs neither a
// token nor a second delivery for each directive.
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
		{"old, twice", 10 * time.Minute, 2, 3, 3, internal},
		{"new", time.Minute, 1, 2, 2, internal},
	} {
		for name, message := range map[string]string{"AcceptGrant": accept, "directive": turnOn} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				inBubble(t, map[string]string{"DIRECTIVE_AUTH": "google"}, func(t *testing.T, w *cloud, l *instance) {
					to := w.to(message)
					wantSuccess(t, l, message)
					<-time.After(test.age)
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
						t.Fatalf("requests = %d, want %d", len(got), test.requests)
					}
					first, last := got[1], got[len(got)-1]
					another := first.header.Get("Authorization") != last.header.Get("Authorization")
					if another != (len(got) == 3) || first.body != last.body {
						t.Error("the retry must be the same request with another token")
					}
					w.wantRoundTrips(t, test.trips)
				})
			})
		}
	}
}

// TestNoToken: without a token there is no request.
func TestNoToken(t *testing.T) {
	t.Parallel()
	const (
		why  = "no ID token: getting "
		late = "context deadline exceeded"
	)
	for _, test := range []struct {
		name    string
		service federationtest.Service
		fault   http.HandlerFunc
		changes map[string]string
		timeout time.Duration
		took    time.Duration
		why     string
	}{
		{"the provider refuses", federationtest.STS,
			federationtest.Refuse(400, `{"error":"unauthorized_client","error_description":"canary"}`), nil, time.Minute, 0,
			"a federated token: refused with status 400, unauthorized_client"},
		{"STS hangs in a long Lambda", federationtest.STS, hang, nil, time.Minute, 3 * time.Second, "a federated token: " + late},
		{"STS hangs", federationtest.STS, hang, nil, 2 * time.Second, 1500 * time.Millisecond, "a federated token: " + late},
		{"IAM Credentials hangs", federationtest.Credentials, hang, nil, 2 * time.Second, 1500 * time.Millisecond, "an ID token: " + late},
		{"no role", "", nil, map[string]string{"AWS_SECRET_ACCESS_KEY": ""}, time.Minute, 0, "a federated token: AWS_ACCESS_KEY_ID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, test.changes, func(t *testing.T, w *cloud, l *instance) {
				if test.fault != nil {
					w.google.Fail(test.service, test.fault)
				}
				got := l.invoke(t, accept, test.timeout)
				wantError(t, got, accept, "")
				if got.took != test.took || len(w.acceptGrant.got()) != 0 {
					t.Errorf("%d requests after %v, want none after %v", len(w.acceptGrant.got()), got.took, test.took)
				}
				line := l.logged(t, 1)
				said, _ := line["error"].(string)
				if line["outcome"] != "unauthenticated" || line["severity"] != "ERROR" || !strings.HasPrefix(said, why+test.why) {
					t.Errorf("line = %v, want %q", line, why+test.why)
				}
				wantSuccess(t, l, turnOn) // needs no token
				if test.fault != nil {
					wantSuccess(t, l, accept)
				}
			})
		})
	}
}

// TestClient: the client keeps HTTP/2 and the verification of certificates, and
// resumes TLS sessions.
func TestClient(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(answering(http.StatusOK, done))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the refused handshake
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
		t.Errorf("first = %s, resumed: %v; second resumed: %v; want HTTP/2, TLS 1.3, the second resumed",
			first.Proto, first.TLS.DidResume, second.TLS.DidResume)
	}
	if resp, err := newClient().Get(server.URL); err == nil {
		_ = resp.Body.Close()
		t.Error("Get with an unknown certificate succeeded, want an error")
	}
}
