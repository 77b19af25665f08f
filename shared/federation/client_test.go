package federation_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/federation"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
	"github.com/gatepostdev/gatepost/shared/transport"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	audience = "https://accept-grant.example.com"

	sts, credentials = federationtest.STS, federationtest.Credentials
)

// world is Google's services and a Lambda's configuration.
type world struct {
	google *federationtest.Google
	config federation.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	google := federationtest.New(time.Now)
	base, err := url.Parse(badserver.New(t, google).URL)
	if err != nil {
		t.Fatal(err)
	}
	role := federationtest.Role()
	return &world{google, federation.Config{
		Provider: federationtest.Provider, ServiceAccount: federationtest.ServiceAccount, AWSRegion: federationtest.AWSRegion,
		AWS:    role,
		STSURL: base.JoinPath("/v1/token"), CredentialsURL: base,
	}}
}

func (w *world) client() *federation.Client {
	return federation.New(w.config, transport.NewClient(2), time.Now)
}

// wantCalls compares the calls to Google so far with a list.
func (w *world) wantCalls(t *testing.T, want ...federationtest.Service) {
	t.Helper()
	expect.Equal(t, "calls", want, w.google.Calls())
}

func TestTwoRoundTrips(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.client()
	token, err := client.IDToken(t.Context(), audience)
	if err != nil {
		t.Fatalf("IDToken() error = %v; problems at Google: %q", err, w.google.Problems())
	}
	if !w.google.Accepts("Bearer "+token.Text.Reveal(), audience) {
		t.Error("the token is not for the audience")
	}
	if left := time.Until(token.ExpiresAt); left < 59*time.Minute || left > time.Hour {
		t.Errorf("lifetime = %v, want 1h", left)
	}
	w.wantCalls(t, sts, credentials)

	// The federated token is used for another audience.
	if _, err := client.IDToken(t.Context(), "https://directives.example.com"); err != nil {
		t.Fatal(err)
	}
	w.wantCalls(t, sts, credentials, credentials)
}

func TestFederatedTokenIsRenewed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		spoil func(w *world, later *time.Duration)
		want  []federationtest.Service // after the first two calls
	}{
		{"good", func(*world, *time.Duration) {}, []federationtest.Service{credentials}},
		{"still good", func(_ *world, later *time.Duration) { *later = 58 * time.Minute }, []federationtest.Service{credentials}},
		{"about to expire", func(_ *world, later *time.Duration) { *later = 59*time.Minute + 30*time.Second },
			[]federationtest.Service{sts, credentials}},
		{"revoked", func(w *world, _ *time.Duration) { w.google.Revoke() },
			[]federationtest.Service{credentials, sts, credentials}},
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
			w.wantCalls(t, append([]federationtest.Service{sts, credentials}, test.want...)...)
		})
	}
}

// TestRefusals has each fault twice: a call that retries meets the second one
// itself, otherwise the next call does.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const exchange, issue = "getting a federated token: ", "getting an ID token: "
	const unusable = "the answer holds no usable token"
	says := func(status int, body string) http.Handler { return badserver.Answer{Status: status, Body: body} }
	for _, test := range []struct {
		name    string
		service federationtest.Service
		fault   http.Handler
		want    federation.RefusedError // zero for other errors
		text    string
		again   bool // the call is retried
	}{
		{"no such provider", sts, says(400, `{"error":"invalid_target","error_description":"canary"}`),
			federation.RefusedError{Status: 400, Code: "invalid_target"}, exchange + "refused with status 400, invalid_target", false},
		{"not a code", sts, says(400, `{"error":"canary 1"}`),
			federation.RefusedError{Status: 400}, exchange + "refused with status 400", false},
		{"HTML", sts, badserver.Page(502, "canary"), federation.RefusedError{Status: 502}, exchange + "refused with status 502", true},
		{"no JSON", sts, says(200, `canary`), federation.RefusedError{}, exchange + "no usable answer", true},
		{"no token", sts, says(200, `{"expires_in":3599}`), federation.RefusedError{}, exchange + unusable, false},
		{"no expiry", sts, says(200, `{"access_token":"canary"}`), federation.RefusedError{}, exchange + "no usable answer", true},
		{"redirect", sts, http.RedirectHandler("/v1/canary", http.StatusTemporaryRedirect),
			federation.RefusedError{Status: 307}, exchange + "refused with status 307", false},
		{"hung up", sts, badserver.Raw(""), federation.RefusedError{}, exchange + "EOF", true},
		{"no permission", credentials, says(403, `{"error":{"code":403,"message":"canary","status":"PERMISSION_DENIED"}}`),
			federation.RefusedError{Status: 403, Code: "PERMISSION_DENIED"}, issue + "refused with status 403, PERMISSION_DENIED", false},
		{"no ID token", credentials, says(200, `{}`), federation.RefusedError{}, issue + unusable, false},
		{"no JWT", credentials, says(200, `{"token":"canary.canary.canary"}`), federation.RefusedError{}, issue + unusable, false},
		{"JWT without an end", credentials, says(200, `{"token":"e30.e30.canary"}`), federation.RefusedError{}, issue + unusable, false},
		{"hung up on the second", credentials, badserver.Raw(""), federation.RefusedError{}, issue + "EOF", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for range 2 {
				w.google.Fail(test.service, test.fault.ServeHTTP)
			}
			client := w.client()
			_, err := client.IDToken(t.Context(), audience)
			if err == nil || err.Error() != test.text {
				t.Errorf("error = %v, want %q", err, test.text)
			}
			badserver.NoSecret(t, err, "canary")
			refused, ok := errors.AsType[*federation.RefusedError](err)
			if ok != (test.want.Status != 0) || ok && *refused != test.want {
				t.Errorf("error = %#v, want %#v", err, test.want)
			}
			if _, err := client.IDToken(t.Context(), audience); test.again != (err == nil) {
				t.Errorf("next call: %v; want success: %v", err, test.again)
			}
		})
	}
}

// TestErrorsShowNothing has both services repeat their input.
func TestErrorsShowNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := federationtest.Role()
	secrets := []string{role["AWS_SECRET_ACCESS_KEY"], role["AWS_SESSION_TOKEN"], "federated-canary"}
	granted := badserver.Answer{Status: 200, Body: `{"access_token":"federated-canary","expires_in":3599}`}
	for name, before := range map[string][]http.Handler{"STS": nil, "IAM Credentials": {granted}} {
		t.Run(name, func(t *testing.T) {
			badserver.EachFault(t, secrets, nil, func(t *testing.T, fault http.Handler) error {
				server := badserver.NewInBubble(t, append(slices.Clone(before), fault)...)
				config := w.config
				config.STSURL, config.CredentialsURL = &url.URL{Scheme: "http", Host: "sts"}, &url.URL{Scheme: "http", Host: "iam"}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := federation.New(config, server.Client(), time.Now).IDToken(ctx, audience)
				return err
			})
		})
	}
}

// TestPassingFault: a passing fault costs a fifth of a second, and no successful
// round trip is repeated.
func TestPassingFault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int // 0 closes the connection
		again  bool
	}{"hangs up": {0, true}, "429": {429, true}, "500": {500, true}, "503": {503, true}, "403": {403, false}} {
		for service, want := range map[federationtest.Service][]federationtest.Service{
			sts: {sts, sts, credentials}, credentials: {sts, credentials, credentials},
		} {
			t.Run(name+" from "+string(service), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				fault := badserver.Raw("")
				if test.status != 0 {
					fault = badserver.Answer{Status: test.status}.ServeHTTP
				}
				w.google.Fail(service, fault)
				started := time.Now()
				_, err := w.client().IDToken(t.Context(), audience)
				if took := time.Since(started); (err == nil) != test.again || test.again && took < 200*time.Millisecond {
					t.Errorf("error = %v after %v, want a retry after a pause: %v", err, took, test.again)
				}
				if test.again {
					w.wantCalls(t, want...)
				}
			})
		}
	}
}

// TestEndDuringThePause: if the context ends during the pause, the error is the
// fault.
func TestEndDuringThePause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		server := badserver.NewInBubble(t, badserver.Answer{Status: 503})
		w.config.STSURL = &url.URL{Scheme: "http", Host: "sts"}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		started := time.Now()
		_, err := federation.New(w.config, server.Client(), time.Now).IDToken(ctx, audience)
		refused, ok := errors.AsType[*federation.RefusedError](err)
		if calls := len(server.Requests()); !ok || refused.Status != 503 || calls != 1 || time.Since(started) != 100*time.Millisecond {
			t.Errorf("error = %v after %d calls and %v, want the fault", err, calls, time.Since(started))
		}
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.google.Fail(sts, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := w.client().IDToken(ctx, audience); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want the context's", err)
	}
}

// TestSignature: the fake detects a wrong signature.
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
			w.config.AWS = role
			spoil(&w.config, role)
			_, err := w.client().IDToken(t.Context(), audience)
			if refused, ok := errors.AsType[*federation.RefusedError](err); !ok || refused.Status != 401 || len(w.google.Problems()) == 0 {
				t.Errorf("error = %v, want a refusal", err)
			}
		})
	}
}

func TestNoRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config.AWS = nil
	_, err := w.client().IDToken(t.Context(), audience)
	if err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("error = %v, want the variables' names", err)
	}
	w.wantCalls(t)
}
