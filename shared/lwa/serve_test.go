package lwa_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

const (
	fakeCode    = "ANfake|code+/=&% "
	fakeRefresh = "Atzr|fake-refresh+/=&% "
	fakeID      = "amzn1.application-oa2-client.fake"
	fakeSecret  = "fake|secret+/=&% "

	// newTokens is an answer that LWA gives when all is well.
	newTokens = `{"access_token":"Atza|fake-new","refresh_token":"Atzr|fake-new","token_type":"bearer","expires_in":3600}`
)

// today is what the clients of these tests take for now.
var today = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func now() time.Time { return today }

func fakeCredentials() []lwa.Credentials {
	return []lwa.Credentials{{ClientID: fakeID, ClientSecret: sensitive.New(fakeSecret)}}
}

// serve starts an LWA that answers with handler, and returns a client of it
// with one pair of credentials.
func serve(t *testing.T, handler http.Handler) *lwa.Client {
	t.Helper()
	return serveFor(t, handler, fakeCredentials())
}

func serveFor(t *testing.T, handler http.Handler, credentials []lwa.Credentials) *lwa.Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return newClient(t, srv.URL, transport.NewClient(8), credentials)
}

func newClient(t *testing.T, base string, client *http.Client, credentials []lwa.Credentials) *lwa.Client {
	t.Helper()
	tokenURL, err := url.Parse(base + "/auth/o2/token")
	if err != nil {
		t.Fatal(err)
	}
	return lwa.New(tokenURL, client, credentials, now)
}

// calls are the two operations, for what holds for both.
var calls = map[string]func(context.Context, *lwa.Client) (lwa.Token, error){
	"exchange": func(ctx context.Context, c *lwa.Client) (lwa.Token, error) {
		return c.Exchange(ctx, sensitive.New(fakeCode))
	},
	"refresh": func(ctx context.Context, c *lwa.Client) (lwa.Token, error) {
		return c.Refresh(ctx, fakeID, sensitive.New(fakeRefresh))
	},
}

// answer is what LWA writes, whatever it is asked.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// script answers each request with the next of its answers, the last one again
// and again, and keeps the forms that it was sent.
type script struct {
	answers []http.Handler

	mu    sync.Mutex
	forms []url.Values
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "no form", http.StatusTeapot)
		return
	}
	s.mu.Lock()
	next := s.answers[min(len(s.forms), len(s.answers)-1)]
	s.forms = append(s.forms, r.PostForm)
	s.mu.Unlock()
	next.ServeHTTP(w, r)
}

// asked returns the forms that came so far.
func (s *script) asked() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forms
}

// hijacked takes the connection out of the server's hands.
func hijacked(t *testing.T, then func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		then(conn)
		_ = conn.Close()
	}
}

// inMemory returns the client of an LWA without a socket, so that a synctest
// bubble sees both ends wait and lets the time pass. Each request gets a
// connection, is read and handed to then, which may write an answer.
func inMemory(t *testing.T, then func(net.Conn)) *lwa.Client {
	t.Helper()
	client := transport.NewClient(1)
	t.Cleanup(client.CloseIdleConnections) // a bubble must not be left with goroutines
	client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			req, err := http.ReadRequest(bufio.NewReader(far))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			then(far)
		}()
		return near, nil
	}
	return newClient(t, "http://127.0.0.1", client, fakeCredentials())
}

// kinds lists every kind, since an error must be of one and no other.
var kinds = []error{lwa.ErrInvalidGrant, lwa.ErrClientRefused, lwa.ErrThrottled, lwa.ErrUnavailable}

// wantError checks kind and fields of an error and that it comes with no
// token.
func wantError(t *testing.T, token lwa.Token, err, want error, fields lwa.Error) {
	t.Helper()
	for _, kind := range kinds {
		if errors.Is(err, kind) != errors.Is(want, kind) {
			t.Errorf("error = %v, want a kind of %v and no other", err, want)
		}
	}
	var got *lwa.Error
	if !errors.As(err, &got) {
		t.Fatalf("error = %v, want a *lwa.Error", err)
	}
	if got.Op != fields.Op || got.Status != fields.Status || got.Code != fields.Code || got.RetryAfter != fields.RetryAfter {
		t.Errorf("error = %#v, want %#v", got, fields)
	}
	if token != (lwa.Token{}) {
		t.Errorf("a token came with the error: %v", token)
	}
}
