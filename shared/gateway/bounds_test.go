package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// TestMoreAtOnceThanConnections: those for whom there is no connection wait for
// one, and nobody dials anew.
func TestMoreAtOnceThanConnections(t *testing.T) {
	t.Parallel()
	const conns, n = 8, 100
	var busy, most atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := busy.Add(1)
		defer busy.Add(-1)
		for was := most.Load(); now > was && !most.CompareAndSwap(was, now); was = most.Load() {
		}
		wantOwnToken(t, r)
		w.WriteHeader(http.StatusAccepted)
	}))
	dialled := countDials(srv)
	srv.Start()
	t.Cleanup(srv.Close)
	client := newClient(t, srv.URL, transport.NewBounded(conns))
	for range 3 {
		sendTogether(t, client, n, http.StatusAccepted)
	}
	if dialled.Load() > conns || most.Load() > conns {
		t.Errorf("%d connections, %d events at a time, want at most %d", dialled.Load(), most.Load(), conns)
	}
}

// TestGatewayThatHangs: whatever is sent to it comes back when its time is up,
// without leaving anything behind, and what is sent afterwards arrives.
func TestGatewayThatHangs(t *testing.T) {
	const conns, n = 8, 100
	var hangs atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not see the client leave
		if hangs.Load() {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	client := newClient(t, srv.URL, transport.NewBounded(conns))
	calm := func() int {
		srv.CloseClientConnections()
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
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	hangs.Store(false)
	if _, err := send(t.Context(), client); err != nil {
		t.Errorf("when it is well again: %v", err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for calm() > before+conns && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if after := calm(); after > before+conns {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}
