package grantee_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/loopback"
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
	loopback.Only()
	http.DefaultClient.Transport = refuse{}
	os.Exit(m.Run())
}

type refuse struct{}

func (refuse) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the package used the default client")
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
	shown := fmt.Sprintf("%v %+v %#v %s", err, err, err, errors.Unwrap(err))
	for _, secret := range []string{token, "canary"} {
		if secret != "" && strings.Contains(shown, secret) {
			t.Errorf("the error shows a secret: %s", shown)
		}
	}
	return "", err
}

// fault is what tests compare of an error.
type fault struct {
	Kind   error
	Asked  string
	Status int
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

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// answer is a handler that always gives the same answer.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// hang is a handler that writes head, and then nothing until the client has
// closed the connection.
func hang(head string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// Only after the body does the server look for the end of the connection.
		_, _ = io.Copy(io.Discard, r.Body)
		if head != "" {
			_, _ = w.Write([]byte(head))
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	credentials := func(context.Context) (grantee.Credentials, error) { return grantee.Credentials{}, nil }
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
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the provider was asked") })
	for name, token := range map[string]string{
		"empty": "", "line break": "fake\r\nX: y", "space": "fake one", "not ASCII": "fäke", "delete": "fake\x7f",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolver(t, "userinfo:"+s.URL, grantee.Options{})
			_, err := resolve(t.Context(), t, r, token)
			checkFault(t, err, fault{Kind: grantee.ErrRejected, Asked: "userinfo"})
		})
	}
}

// The transport of the caller's client is used; its redirects and cookies are
// not.
func TestCallersClient(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(answer(http.StatusOK, `{"sub":"u-1"}`))
	t.Cleanup(s.Close)

	r := newResolver(t, "userinfo:"+s.URL, grantee.Options{HTTPClient: s.Client()})
	if id, err := resolve(t.Context(), t, r, canary); err != nil || id != "u-1" {
		t.Errorf("with the server's own client: Resolve() = %q, %v, want u-1", id, err)
	}

	r = newResolver(t, "userinfo:"+s.URL, grantee.Options{HTTPClient: &http.Client{Transport: &http.Transport{}}})
	_, err := resolve(t.Context(), t, r, canary)
	checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo"})
	if !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error = %v, want it to name the certificate", err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(answer(http.StatusOK, ""))
	s.Close()
	r := newResolver(t, "userinfo:"+s.URL+"?key="+"canary", grantee.Options{})
	_, err := resolve(t.Context(), t, r, canary)
	checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo"})
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Errorf("error = %v, want a *net.OpError inside", err)
	}
}

// The grantee token may come back in what is no HTTP at all; net/http quotes
// the first line of that.
func TestEchoIsNotShown(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte(canary + "\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	r := newResolver(t, "userinfo:http://"+listener.Addr().String(), grantee.Options{})
	_, err = resolve(t.Context(), t, r, canary)
	checkFault(t, err, fault{Kind: grantee.ErrUnavailable, Asked: "userinfo"})
}
