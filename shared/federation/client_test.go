package federation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/federation"
	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
	"github.com/gatepostdev/gatepost/shared/transport"
)

const audience = "https://accept-grant.example.com"

// world is Google, and a Lambda's side of it.
type world struct {
	google *federationtest.Google
	config federation.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	google := federationtest.New(time.Now)
	server := httptest.NewServer(google)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	role := federationtest.Role()
	return &world{google, federation.Config{
		Provider: federationtest.Provider, ServiceAccount: federationtest.ServiceAccount, AWSRegion: federationtest.AWSRegion,
		AWS:    func(name string) (string, bool) { value, ok := role[name]; return value, ok },
		STSURL: base.JoinPath("/v1/token"), CredentialsURL: base,
	}}
}

func (w *world) client() *federation.Client {
	return federation.New(w.config, transport.NewClient(2), time.Now)
}

// wantCalls holds the calls to Google so far against a list.
func (w *world) wantCalls(t *testing.T, want ...federationtest.Service) {
	t.Helper()
	if diff := cmp.Diff(want, w.google.Calls()); diff != "" {
		t.Errorf("calls differ (-want +got):\n%s", diff)
	}
}

func TestTwoRoundTrips(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.client()
	token, err := client.IDToken(t.Context(), audience)
	if err != nil {
		t.Fatalf("%v; Google says %q", err, w.google.Problems())
	}
	if !w.google.Accepts("Bearer "+token.Text.Reveal(), audience) {
		t.Error("the token is not for the audience")
	}
	if left := time.Until(token.ExpiresAt); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the token lives %v, want 1h", left)
	}
	w.wantCalls(t, federationtest.STS, federationtest.Credentials)

	// The federated token serves another audience as well.
	if _, err := client.IDToken(t.Context(), "https://directives.example.com"); err != nil {
		t.Fatal(err)
	}
	w.wantCalls(t, federationtest.STS, federationtest.Credentials, federationtest.Credentials)
}

func TestFederatedTokenIsRenewed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		spoil func(w *world, later *time.Duration)
		want  []federationtest.Service // after the first two
	}{
		{"good", func(*world, *time.Duration) {}, []federationtest.Service{federationtest.Credentials}},
		{"still good", func(_ *world, later *time.Duration) { *later = 58 * time.Minute }, []federationtest.Service{federationtest.Credentials}},
		{"about to expire", func(_ *world, later *time.Duration) { *later = 59*time.Minute + 30*time.Second },
			[]federationtest.Service{federationtest.STS, federationtest.Credentials}},
		{"revoked", func(w *world, _ *time.Duration) { w.google.Revoke() },
			[]federationtest.Service{federationtest.Credentials, federationtest.STS, federationtest.Credentials}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var later time.Duration
			client := federation.New(w.config, transport.NewClient(2), func() time.Time { return time.Now().Add(later) })
			if _, err := client.IDToken(t.Context(), audience); err != nil {
				t.Fatal(err)
			}
			test.spoil(w, &later)
			if _, err := client.IDToken(t.Context(), audience); err != nil {
				t.Fatal(err)
			}
			w.wantCalls(t, append([]federationtest.Service{federationtest.STS, federationtest.Credentials}, test.want...)...)
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const canary = "canary"
	for _, test := range []struct {
		name    string
		service federationtest.Service
		fault   http.HandlerFunc
		want    federation.RefusedError // zero for another error
		text    string
		once    bool // the call does not try again
	}{
		{"no such provider", federationtest.STS, federationtest.Refuse(400, `{"error":"invalid_target","error_description":"canary"}`),
			federation.RefusedError{Status: 400, Code: "invalid_target"}, "getting a federated token: refused with status 400, invalid_target", true},
		{"not a code", federationtest.STS, federationtest.Refuse(400, `{"error":"canary 1"}`),
			federation.RefusedError{Status: 400}, "getting a federated token: refused with status 400", true},
		{"HTML", federationtest.STS, federationtest.Refuse(502, `<html>canary`),
			federation.RefusedError{Status: 502}, "getting a federated token: refused with status 502", false},
		{"no JSON", federationtest.STS, federationtest.Refuse(200, `canary`), federation.RefusedError{}, "getting a federated token: no usable answer", false},
		{"no token", federationtest.STS, federationtest.Refuse(200, `{"expires_in":3599}`), federation.RefusedError{},
			"getting a federated token: the answer holds no usable token", true},
		{"no expiry", federationtest.STS, federationtest.Refuse(200, `{"access_token":"canary"}`), federation.RefusedError{}, "getting a federated token: no usable answer", false},
		{"hung up", federationtest.STS, hangUp, federation.RefusedError{}, "getting a federated token: EOF", false},
		{"redirect", federationtest.STS, http.RedirectHandler("/v1/canary", http.StatusTemporaryRedirect).ServeHTTP, federation.RefusedError{Status: 307}, "getting a federated token: refused with status 307", true},
		{"no permission", federationtest.Credentials, federationtest.Refuse(403, `{"error":{"code":403,"message":"canary","status":"PERMISSION_DENIED"}}`),
			federation.RefusedError{Status: 403, Code: "PERMISSION_DENIED"}, "getting an ID token: refused with status 403, PERMISSION_DENIED", true},
		{"no ID token", federationtest.Credentials, federationtest.Refuse(200, `{}`), federation.RefusedError{}, "getting an ID token: the answer holds no usable token", true},
		{"no JWT", federationtest.Credentials, federationtest.Refuse(200, `{"token":"canary.canary.canary"}`), federation.RefusedError{},
			"getting an ID token: the answer holds no usable token", true},
		{"JWT without an end", federationtest.Credentials, federationtest.Refuse(200, `{"token":"e30.e30.canary"}`), federation.RefusedError{},
			"getting an ID token: the answer holds no usable token", true},
		{"hung up on the second", federationtest.Credentials, hangUp, federation.RefusedError{}, "getting an ID token: EOF", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for range 2 { // or a fault that may pass would have passed
				w.google.Fail(test.service, test.fault)
			}
			client := w.client()
			_, err := client.IDToken(t.Context(), audience)
			if err == nil || err.Error() != test.text || strings.Contains(fmt.Sprintf("%+v", err), canary) {
				t.Errorf("error %v, want %q", err, test.text)
			}
			refused, ok := errors.AsType[*federation.RefusedError](err)
			if ok != (test.want.Status != 0) || ok && *refused != test.want {
				t.Errorf("error %#v, want %#v", err, test.want)
			}
			if _, err := client.IDToken(t.Context(), audience); test.once == (err == nil) {
				t.Errorf("the next call: %v; want it to meet the second fault: %v", err, test.once)
			}
		})
	}
}

// TestPassingFault: one fault that may pass costs a fifth of a second, and no
// round trip that had succeeded.
func TestPassingFault(t *testing.T) {
	t.Parallel()
	sts, credentials := federationtest.STS, federationtest.Credentials
	for _, test := range []struct {
		name    string
		service federationtest.Service
		fault   http.HandlerFunc
		want    []federationtest.Service
	}{
		{"503 from STS", sts, federationtest.Refuse(503, ``), []federationtest.Service{sts, sts, credentials}},
		{"429 from STS", sts, federationtest.Refuse(429, `{"error":"rate_limit_exceeded"}`), []federationtest.Service{sts, sts, credentials}},
		{"STS hangs up", sts, hangUp, []federationtest.Service{sts, sts, credentials}},
		{"500 from IAM Credentials", credentials, federationtest.Refuse(500, ``), []federationtest.Service{sts, credentials, credentials}},
		{"429 from IAM Credentials", credentials, federationtest.Refuse(429, ``), []federationtest.Service{sts, credentials, credentials}},
		{"IAM Credentials hangs up", credentials, hangUp, []federationtest.Service{sts, credentials, credentials}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.google.Fail(test.service, test.fault)
			started := time.Now()
			if _, err := w.client().IDToken(t.Context(), audience); err != nil {
				t.Error(err)
			}
			if took := time.Since(started); took < 200*time.Millisecond {
				t.Errorf("tried again within %v, want a pause", took)
			}
			w.wantCalls(t, test.want...)
		})
	}
}

// TestEndDuringThePause: the fault is the reason, and nobody waits for nothing.
func TestEndDuringThePause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			calls++
			return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
		})}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		started := time.Now()
		_, err := federation.New(w.config, client, time.Now).IDToken(ctx, audience)
		refused, ok := errors.AsType[*federation.RefusedError](err)
		if !ok || refused.Status != 503 || calls != 1 || time.Since(started) != 100*time.Millisecond {
			t.Errorf("error %v after %d calls and %v, want the fault", err, calls, time.Since(started))
		}
	})
}

// roundTrip is a transport without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hangUp closes the connection instead of answering.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.google.Fail(federationtest.STS, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the client is gone
		cancel()
		<-r.Context().Done()
	})
	if _, err := w.client().IDToken(ctx, audience); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

// TestSignature proves that the fake would notice a wrong one.
func TestSignature(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(c *federation.Config, role map[string]string){
		"another secret":  func(_ *federation.Config, role map[string]string) { role["AWS_SECRET_ACCESS_KEY"] = "fake-other" },
		"another session": func(_ *federation.Config, role map[string]string) { role["AWS_SESSION_TOKEN"] = "fake-other" },
		"another key id":  func(_ *federation.Config, role map[string]string) { role["AWS_ACCESS_KEY_ID"] = "ASIAOTHER" },
		"another region":  func(c *federation.Config, _ map[string]string) { c.AWSRegion = "us-east-1" },
		"another account": func(c *federation.Config, _ map[string]string) { c.ServiceAccount = "other@example.com" },
		"another pool":    func(c *federation.Config, _ map[string]string) { c.Provider = "//iam.googleapis.com/other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			role := federationtest.Role()
			w.config.AWS = func(name string) (string, bool) { value, ok := role[name]; return value, ok }
			spoil(&w.config, role)
			_, err := w.client().IDToken(t.Context(), audience)
			if refused, ok := errors.AsType[*federation.RefusedError](err); !ok || refused.Status != 401 || len(w.google.Problems()) == 0 {
				t.Errorf("error %v, want a refusal", err)
			}
		})
	}
}

func TestNoRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.AWS = func(string) (string, bool) { return "", false }
	_, err := w.client().IDToken(t.Context(), audience)
	if err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("error %v, want the variables named", err)
	}
	w.wantCalls(t)
}
