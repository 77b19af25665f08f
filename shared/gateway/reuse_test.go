package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// countDials counts the connections made to srv, which is not started yet.
func countDials(srv *httptest.Server) *atomic.Int64 {
	dialled := new(atomic.Int64)
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialled.Add(1)
		}
	}
	return dialled
}

// startHTTP2 starts srv with HTTP/2 over TLS, and returns its client.
func startHTTP2(t *testing.T, srv *httptest.Server) *gateway.Client {
	t.Helper()
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	client := transport.NewClient(64)
	client.Transport.(*http.Transport).TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	return newClient(t, srv.URL, client)
}

// TestManyAtOnce sends 64 events at a time, several times over, to a gateway
// that answers when all 64 are there: each needs a connection of its own, and
// none needs a second one. With the two idle connections that Go keeps by
// default the measure shows it.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const n, rounds = 64, 4
	two := transport.NewClient(n)
	two.Transport.(*http.Transport).MaxIdleConnsPerHost = http.DefaultMaxIdleConnsPerHost
	tests := []struct {
		name   string
		http   *http.Client
		answer answer
		kept   bool
	}{
		{"accepted", transport.NewClient(n), answer{status: 202}, true},
		{"throttled", transport.NewClient(n), answer{status: 429, body: exception("THROTTLING_EXCEPTION", "slow down")}, true},
		{"two idle connections", two, answer{status: 202}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			everyone := rendezvous{n: n, all: make(chan struct{})}
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				wantOwnToken(t, r)
				everyone.wait(r.Context())
				test.answer.ServeHTTP(w, r)
			}))
			dialled := countDials(srv)
			srv.Start()
			t.Cleanup(srv.Close)
			client := newClient(t, srv.URL, test.http)
			for range rounds {
				sendTogether(t, client, n, test.answer.status)
			}
			if got := dialled.Load(); (got <= n) != test.kept {
				t.Errorf("%d connections for %d events at a time, want no more than that: %v", got, n, test.kept)
			}
		})
	}
}

// sendTogether sends n events at once, each with a token of its own.
func sendTogether(t *testing.T, client *gateway.Client, n, status int) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	for i := range n {
		group.Go(func() error {
			token := fmt.Sprintf("Atza|fake-%d", i)
			_, err := client.Send(ctx, sensitive.New(token), []byte(`{"token":"`+token+`"}`))
			if refused := err != nil; refused != (status != http.StatusAccepted) {
				return fmt.Errorf("event %d: %w", i, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// wantOwnToken checks that header and body of one event have not been mixed
// with another's.
func wantOwnToken(t *testing.T, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if string(body) != `{"token":"`+token+`"}` {
		t.Errorf("the body %s came with the token of another event, %s", body, token)
	}
}

// rendezvous holds each until n are there.
type rendezvous struct {
	n int

	mu    sync.Mutex
	there int
	all   chan struct{}
}

func (r *rendezvous) wait(ctx context.Context) {
	r.mu.Lock()
	all := r.all
	if r.there++; r.there == r.n {
		close(all)
		r.there, r.all = 0, make(chan struct{})
	}
	r.mu.Unlock()
	select {
	case <-all:
	case <-ctx.Done():
	}
}

// TestConnectionSurvives is about one connection and every kind of answer.
func TestConnectionSurvives(t *testing.T) {
	t.Parallel()
	chunked := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		for range 8 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<10))
			_ = http.NewResponseController(w).Flush()
		}
	})
	answers := []http.Handler{
		answer{status: 202},
		answer{status: 202, body: "accepted"},
		answer{status: 400, body: exception("INVALID_REQUEST_EXCEPTION", "The request was malformed.")},
		answer{status: 401},
		answer{status: 307, header: http.Header{"Location": {"/elsewhere"}}, body: "moved"},
		answer{status: 502, body: "<html>" + strings.Repeat("x", 60<<10) + "</html>"},
		gzipped(403, exception("SKILL_DISABLED_EXCEPTION", ""), 0),
		chunked,
	}
	var requests atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[int(requests.Add(1)-1)%len(answers)].ServeHTTP(w, r)
	}))
	dialled := countDials(srv)
	srv.Start()
	t.Cleanup(srv.Close)
	client := newClient(t, srv.URL, transport.NewClient(1))
	for range 3 * len(answers) {
		_, _ = send(t.Context(), client) // what came is other tests' matter
	}
	if dialled.Load() != 1 || requests.Load() != int64(3*len(answers)) {
		t.Errorf("%d connections for %d requests, want 1 for %d", dialled.Load(), requests.Load(), 3*len(answers))
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	const n = 64
	var asked atomic.Int64
	everyone := rendezvous{n: n, all: make(chan struct{})}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Method != http.MethodPost || r.RequestURI != "/v3/events" {
			t.Errorf("%s %s %s", r.Method, r.RequestURI, r.Proto)
		}
		wantOwnToken(t, r)
		if asked.Add(1) > 1 {
			everyone.wait(r.Context())
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	dialled := countDials(srv)
	client := startHTTP2(t, srv)
	// The first call finds out that HTTP/2 is offered; calls that begin before
	// it has may dial as well.
	sendTogether(t, client, 1, http.StatusAccepted)
	sendTogether(t, client, n, http.StatusAccepted)
	if dialled.Load() != 1 {
		t.Errorf("%d connections for %d events at once, want 1", dialled.Load(), n)
	}
}
