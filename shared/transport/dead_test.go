package transport_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// TestDeadConnectionIsFound freezes the process, as it were, while the server
// forgets the connection. Without the ping a call would wait as long as its
// context lets it, and so would every later one.
func TestDeadConnectionIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		listener := newMemory()
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		_ = srv.Listener.Close()
		srv.Listener = listener
		srv.EnableHTTP2 = true
		srv.StartTLS()
		defer srv.Close()

		var conns []*mortal
		client := transport.NewClient(1)
		defer client.CloseIdleConnections()
		trust(client, srv)
		client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			conn, err := listener.dial()
			conns = append(conns, conn)
			return conn, err
		}
		if _, err := post(t.Context(), client, srv.URL); err != nil {
			t.Fatal(err)
		}
		conns[0].dead.Store(true)

		started := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := post(ctx, client, srv.URL); err == nil || ctx.Err() != nil {
			t.Errorf("a call over a dead connection: %v, want an error before the deadline", err)
		}
		if took := time.Since(started); took > 12*time.Second {
			t.Errorf("found after %v, want 12s at most", took)
		}
		if _, err := post(t.Context(), client, srv.URL); err != nil {
			t.Errorf("the next call: %v, want a new connection", err)
		}
		if len(conns) != 2 {
			t.Errorf("%d connections, want 2", len(conns))
		}
	})
}
