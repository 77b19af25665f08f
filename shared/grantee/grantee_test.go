package grantee_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

// canary is the token of most tests, and canarySecret the client secret: no error
// may contain them.
const (
	canary       = "maker|fake-canary-7c41"
	canarySecret = "fake/secret canary:93"
)

// now is the tests' clock.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func clock() time.Time { return now }

// TestMain refuses every connection to another machine, and every use of the
// default client: transports are clones of the default one.
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

// resolve calls r and checks the error for secrets.
func resolve(ctx context.Context, t *testing.T, r grantee.Resolver, token string) (string, error) {
	t.Helper()
	id, err := r.Resolve(ctx, sensitive.New(token))
	if err == nil {
		return id, nil
	}
	if id != "" {
		t.Errorf("Resolve() = %q with error %v", id, err)
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

// fault is the compared part of an error.
type fault struct {
	Kind   error
	Asked  string
	Status int
}

// wantFault resolves a token, checks the error, and returns it.
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
		t.Errorf("%v differs (-want +got):\n%s", err, diff)
	}
	if failed.Reason == "" {
		t.Error("the error has no reason")
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
		m, err := grantee.ParseMethod(tt.method)
		if (err != nil) != (tt.method == "") {
			t.Fatal(err)
		}
		if r, err := grantee.New(m, tt.options); err == nil || errors.Is(err, grantee.ErrJWKS) != (tt.options.JWKS != "") {
			t.Errorf("%s: New() = %v, %v, want an error", name, r, err)
		}
	}
}

// TestImpossibleToken: every method refuses an impossible token without a request:
// net/http would report some of them as connection errors.
func TestImpossibleToken(t *testing.T) {
	t.Parallel()
	s := badserver.New(t, says(200, `{"sub":"u-1"}`))
	r := newResolver(t, "userinfo:"+s.URL, grantee.Options{})
	for _, token := range []string{"", "fake\r\nX: y", "fake one", "fäke", "fake\x7f"} {
		wantFault(t, r, token, fault{Kind: grantee.ErrRejected, Asked: "userinfo"})
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("requests = %d, want 0", n)
	}
}

// TestParseMethod: each error names the rule, and never the value, which contains
// the canary.
func TestParseMethod(t *testing.T) {
	t.Parallel()
	const absolute = "must be absolute"
	for name, tt := range map[string]struct{ in, shown, rule string }{
		"userinfo":            {"userinfo:https://id.example.com/me?key=canary", "userinfo:https://id.example.com", ""},
		"introspection":       {"introspection:https://id.example.com:8443/i", "introspection:https://id.example.com:8443", ""},
		"jwt":                 {"jwt:https://id.example.com/tenant/", "jwt:https://id.example.com", ""},
		"http on localhost":   {"userinfo:http://localhost:8080/me", "userinfo:http://localhost:8080", ""},
		"http on 127.0.0.0/8": {"userinfo:http://127.9.9.9/me", "userinfo:http://127.9.9.9", ""},
		"http on ::1":         {"jwt:http://[::1]:8080", "jwt:http://[::1]:8080", ""},

		"empty":                 {"", "none", "userinfo:URL"},
		"no method":             {"https://canary.example.com/me", "none", "userinfo:URL"},
		"unknown method":        {"canary:https://id.example.com", "none", "userinfo:URL"},
		"other case":            {"JWT:https://canary.example.com", "none", "userinfo:URL"},
		"no URL":                {"userinfo", "none", absolute},
		"empty URL":             {"userinfo:", "none", absolute},
		"relative":              {"userinfo:/canary", "none", absolute},
		"no host":               {"userinfo:https:///canary", "none", absolute},
		"port only":             {"userinfo:https://:443/canary", "none", absolute},
		"opaque":                {"userinfo:https:canary", "none", absolute},
		"other scheme":          {"userinfo:ftp://canary.example.com/", "none", absolute},
		"not a URL":             {"userinfo:https://id.example.com/%zzcanary", "none", absolute},
		"control character":     {"userinfo:https://id.example.com/canary\n", "none", absolute},
		"http":                  {"userinfo:http://canary.example.com/me", "none", "must be https"},
		"http on a false local": {"userinfo:http://localhost.canary.example.com/me", "none", "must be https"},
		"http on 0.0.0.0":       {"userinfo:http://0.0.0.0/canary", "none", "must be https"},
		"user info":             {"introspection:https://id:canary@id.example.com/i", "none", "user name"},
		"fragment":              {"userinfo:https://id.example.com/me#canary", "none", "fragment"},
		"issuer with query":     {"jwt:https://id.example.com/?canary", "none", "query"},
		"issuer, empty query":   {"jwt:https://id.example.com/?", "none", "query"},
	} {
		m, err := grantee.ParseMethod(tt.in)
		credentials, signature := strings.HasPrefix(tt.shown, "introspection"), strings.HasPrefix(tt.shown, "jwt")
		if m.String() != tt.shown || m.NeedsCredentials() != credentials || m.TrustsSignature() != signature || (err != nil) != (tt.rule != "") {
			t.Errorf("%s: ParseMethod() = %s, credentials %t, error %v; want %s", name, m, m.NeedsCredentials(), err, tt.shown)
		}
		if err != nil && (!strings.Contains(err.Error(), tt.rule) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%s: error = %v, want %q and not the value", name, err, tt.rule)
		}
	}
}
