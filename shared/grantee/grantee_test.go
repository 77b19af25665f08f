package grantee_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

// canary is the token of most tests, and canarySecret the client secret: no
// error may hold either.
const (
	canary       = "maker|fake-canary-7c41"
	canarySecret = "fake/secret canary:93"
)

// now is the tests' clock.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func clock() time.Time { return now }

// TestMain refuses every connection that would leave this machine, and every
// use of the default client: transports are copies of the default one.
func TestMain(m *testing.M) {
	http.DefaultClient.Transport = refuse{}
	testkit.Main(m)
}

type refuse struct{}

func (refuse) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the package used the default client")
}

func credentials(context.Context) (grantee.Credentials, error) {
	return grantee.Credentials{ClientID: "gate post", ClientSecret: sensitive.New(canarySecret)}, nil
}

func newResolver(t *testing.T, method string, o grantee.Options) grantee.Resolver {
	t.Helper()
	m, err := grantee.ParseMethod(method)
	if err != nil {
		t.Fatal(err)
	}
	if o.Now == nil {
		o.Now = clock
	}
	if m.NeedsCredentials() && o.Credentials == nil {
		o.Credentials = credentials
	}
	r, err := grantee.New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// resolve calls r and looks for secrets in the error.
func resolve(ctx context.Context, t *testing.T, r grantee.Resolver, token string) (string, error) {
	t.Helper()
	id, err := r.Resolve(ctx, sensitive.New(token))
	if err == nil {
		return id, nil
	}
	if id != "" {
		t.Errorf("Resolve returned the customer %q with the error %v", id, err)
	}
	if token != "" {
		badserver.NoSecret(t, err, token)
	}
	badserver.NoSecret(t, err, "canary")
	return "", err
}

func wantCustomer(t *testing.T, r grantee.Resolver, token, want string) {
	t.Helper()
	if id, err := resolve(t.Context(), t, r, token); err != nil || id != want {
		t.Errorf("Resolve() = %q, %v, want %s", id, err, want)
	}
}

// fault is what tests compare of an error.
type fault struct {
	Kind   error
	Asked  string
	Status int
}

// wantFault resolves a token, and returns the error.
func wantFault(t *testing.T, r grantee.Resolver, token string, want fault) error {
	t.Helper()
	_, err := resolve(t.Context(), t, r, token)
	checkFault(t, err, want)
	return err
}

func checkFault(t *testing.T, err error, want fault) {
	t.Helper()
	failed, ok := errors.AsType[*grantee.Error](err)
	if !ok {
		t.Fatalf("error = %v (%T), want a *grantee.Error", err, err)
	}
	got := fault{failed.Kind, failed.Asked, failed.Status}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return a == b })); diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if failed.Reason == "" {
		t.Error("the error gives no reason")
	}
	for _, kind := range []error{grantee.ErrRejected, grantee.ErrNoCustomer, grantee.ErrUnavailable} {
		if errors.Is(err, kind) != (kind == want.Kind) {
			t.Errorf("errors.Is(%v, %v) = %t", err, kind, kind != want.Kind)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method  string
		options grantee.Options
	}{
		"no method":                         {"", grantee.Options{}},
		"userinfo with audience":            {"userinfo:https://id.example.com/me", grantee.Options{Audience: "api"}},
		"introspection without credentials": {"introspection:https://id.example.com/i", grantee.Options{}},
		"userinfo with a key set":           {"userinfo:https://id.example.com/me", grantee.Options{JWKS: "https://id.example.com/keys"}},
		"key set in the clear":              {"jwt:https://id.example.com", grantee.Options{JWKS: "http://id.example.com/keys"}},
		"userinfo with credentials":         {"userinfo:https://id.example.com/me", grantee.Options{Credentials: credentials}},
		"jwt with credentials":              {"jwt:https://id.example.com", grantee.Options{Audience: "api", Credentials: credentials}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m grantee.Method
			if tt.method != "" {
				var err error
				if m, err = grantee.ParseMethod(tt.method); err != nil {
					t.Fatal(err)
				}
			}
			r, err := grantee.New(m, tt.options)
			if err == nil {
				t.Errorf("New() = %v, want an error", r)
			}
			if errors.Is(err, grantee.ErrJWKS) != (tt.options.JWKS != "") {
				t.Errorf("errors.Is(%v, ErrJWKS) = %t", err, errors.Is(err, grantee.ErrJWKS))
			}
		})
	}
}

// A token that cannot be one is refused without asking anybody, by every
// method: net/http would call some of them a fault of the connection.
func TestImpossibleToken(t *testing.T) {
	t.Parallel()
	s := badserver.New(t, says(200, `{"sub":"u-1"}`))
	r := newResolver(t, "userinfo:"+s.URL, grantee.Options{})
	for _, token := range []string{"", "fake\r\nX: y", "fake one", "fäke", "fake\x7f"} {
		wantFault(t, r, token, fault{Kind: grantee.ErrRejected, Asked: "userinfo"})
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// The transport of the caller's client is used; its redirects and cookies are
// not.
func TestCallersClient(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(says(200, `{"sub":"u-1"}`))
	t.Cleanup(s.Close)
	wantCustomer(t, newResolver(t, "userinfo:"+s.URL, grantee.Options{HTTPClient: s.Client()}), canary, "u-1")

	r := newResolver(t, "userinfo:"+s.URL, grantee.Options{HTTPClient: &http.Client{Transport: &http.Transport{}}})
	err := wantFault(t, r, canary, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo"})
	if !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error = %v, want it to name the certificate", err)
	}
}

func TestParseMethod(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in, shown   string
		credentials bool
	}{
		"userinfo": {in: "userinfo:https://id.example.com/me?key=canary", shown: "userinfo:https://id.example.com"},
		"introspection": {
			in: "introspection:https://id.example.com:8443/i", shown: "introspection:https://id.example.com:8443", credentials: true,
		},
		"jwt":                 {in: "jwt:https://id.example.com/tenant/", shown: "jwt:https://id.example.com"},
		"http on localhost":   {in: "userinfo:http://localhost:8080/me", shown: "userinfo:http://localhost:8080"},
		"http on 127.0.0.0/8": {in: "userinfo:http://127.9.9.9/me", shown: "userinfo:http://127.9.9.9"},
		"http on ::1":         {in: "jwt:http://[::1]:8080", shown: "jwt:http://[::1]:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := grantee.ParseMethod(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if m.String() != tt.shown || m.NeedsCredentials() != tt.credentials {
				t.Errorf("got %s, credentials %t, want %s, %t",
					m, m.NeedsCredentials(), tt.shown, tt.credentials)
			}
		})
	}
	var none grantee.Method
	if none.String() != "none" {
		t.Errorf("the zero Method reads %q", none)
	}
}

// Each fault names the rule, and never shows what was given: the canary.
func TestParseMethodRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, rule string }{
		"empty":                 {"", "userinfo:URL"},
		"no method":             {"https://canary.example.com/me", "userinfo:URL"},
		"unknown method":        {"canary:https://id.example.com", "userinfo:URL"},
		"other case":            {"JWT:https://canary.example.com", "userinfo:URL"},
		"no URL":                {"userinfo", "absolute"},
		"empty URL":             {"userinfo:", "absolute"},
		"relative":              {"userinfo:/canary", "absolute"},
		"no host":               {"userinfo:https:///canary", "absolute"},
		"port only":             {"userinfo:https://:443/canary", "absolute"},
		"opaque":                {"userinfo:https:canary", "absolute"},
		"other scheme":          {"userinfo:ftp://canary.example.com/", "absolute"},
		"not a URL":             {"userinfo:https://id.example.com/%zzcanary", "absolute"},
		"control character":     {"userinfo:https://id.example.com/canary\n", "absolute"},
		"http":                  {"userinfo:http://canary.example.com/me", "https"},
		"http on a false local": {"userinfo:http://localhost.canary.example.com/me", "https"},
		"http on 0.0.0.0":       {"userinfo:http://0.0.0.0/canary", "https"},
		"user info":             {"introspection:https://id:canary@id.example.com/i", "user name"},
		"fragment":              {"userinfo:https://id.example.com/me#canary", "fragment"},
		"issuer with query":     {"jwt:https://id.example.com/?canary", "query"},
		"issuer, empty query":   {"jwt:https://id.example.com/?", "query"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := grantee.ParseMethod(tt.in)
			if err == nil {
				t.Fatalf("ParseMethod() = %v, want an error", m)
			}
			if !strings.Contains(err.Error(), tt.rule) {
				t.Errorf("error = %v, want it to say %q", err, tt.rule)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows the value: %v", err)
			}
		})
	}
}
