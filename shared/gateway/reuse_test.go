package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// TestManyAtOnce: calls without a free connection wait for one, and do not dial.
// Header and body are of the same event.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const conns = 8
	server := badserver.New(t, answer{Status: 202})
	client := newClient(t, server.URL, transport.NewBounded(conns))
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			token := fmt.Sprintf("Atza|fake-%d", i)
			if _, err := client.Send(t.Context(), sensitive.New(token), []byte(`{"token":"`+token+`"}`)); err != nil {
				t.Errorf("event %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for _, r := range server.Requests() {
		if token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); r.Body != `{"token":"`+token+`"}` {
			t.Errorf("body %s has the token of another event, %s", r.Body, token)
		}
	}
	if got := server.Dialled(); got > conns {
		t.Errorf("connections = %d, want %d or fewer", got, conns)
	}
}

// TestGatewayThatHangs: calls to it return in time and leave nothing behind, and
// later events are accepted.
func TestGatewayThatHangs(t *testing.T) {
	const conns, n = 8, 100
	var hangs atomic.Bool
	server := badserver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hangs.Load() {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	client := newClient(t, server.URL, transport.NewBounded(conns))
	calm := func() int {
		server.CloseClientConnections()
		count := runtime.NumGoroutine()
		for range 100 {
			runtime.Gosched()
			count = min(count, runtime.NumGoroutine())
		}
		return count
	}
	if _, err := send(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	before := calm()
	hangs.Store(true)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := send(ctx, client); !errors.Is(err, gateway.ErrUnavailable) {
				t.Errorf("error = %v, want ErrUnavailable", err)
			}
		})
	}
	all.Wait()
	hangs.Store(false)
	if _, err := send(t.Context(), client); err != nil {
		t.Errorf("after the recovery: %v", err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for calm() > before+conns && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if after := calm(); after > before+conns {
		t.Errorf("goroutines = %d, %d before", after, before)
	}
}

// TestConnectionSurvives: one connection survives every kind of answer.
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
		answer{Status: 202},
		answer{Status: 202, Body: "accepted"},
		answer{Status: 400, Body: exception("INVALID_REQUEST_EXCEPTION", "The request was malformed.")},
		answer{Status: 401},
		answer{Status: 307, Body: "moved"}.With("Location", "/elsewhere"),
		badserver.Page(502, strings.Repeat("x", 60<<10)),
		gzipped(exception("SKILL_DISABLED_EXCEPTION", ""), 0),
		chunked,
		answer{Status: 202}, // on the same connection
	}
	server, client := serve(t, answers...)
	for range answers {
		_, _ = send(t.Context(), client) // other tests check the results
	}
	if dialled, n := server.Dialled(), len(server.Requests()); dialled != 1 || n != len(answers) {
		t.Errorf("connections = %d for %d requests, want 1 for %d", dialled, n, len(answers))
	}
}
