package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// wantNoAnswer checks an error that speaks of no answer but of cause.
func wantNoAnswer(t *testing.T, err, cause error) {
	t.Helper()
	wantKind(t, err, gateway.ErrUnavailable)
	if !errors.Is(err, cause) {
		t.Errorf("error = %v, want it to wrap %v", err, cause)
	}
	var failed *gateway.Error
	if !errors.As(err, &failed) || failed.Status != 0 || failed.Region == "" {
		t.Errorf("error = %#v, want a *gateway.Error with region and without status", err)
	}
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	_, err = send(t.Context(), newClient(t, "http://"+listener.Addr().String(), transport.NewClient(1)))
	wantNoAnswer(t, err, syscall.ECONNREFUSED)
}

// TestBrokenConnection breaks the second call's connection, after the first
// has shown that the connection is good: net/http repeats what it may on a
// connection that is used again, and an event is not of that kind.
func TestBrokenConnection(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		broken func(*net.TCPConn)
		cause  error
	}{
		{"reset", func(conn *net.TCPConn) { _ = conn.SetLinger(0) }, syscall.ECONNRESET},
		{"closed", func(*net.TCPConn) {}, io.EOF},
		{"closed in the header", func(conn *net.TCPConn) { _, _ = io.WriteString(conn, "HTTP/1.1 202 Acc") }, io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) > 1 {
					hijacked(t, test.broken)(w, r)
				}
			})
			if _, err := send(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			_, err := send(t.Context(), client)
			wantNoAnswer(t, err, test.cause)
			if requests.Load() != 2 {
				t.Errorf("%d requests for 2 calls", requests.Load())
			}
		})
	}
}

func TestBrokenHTTP2Stream(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	srv := httptest.NewUnstartedServer(counted(&requests, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	})))
	_, err := send(t.Context(), startHTTP2(t, srv))
	wantKind(t, err, gateway.ErrUnavailable)
	if requests.Load() != 1 {
		t.Errorf("%d requests, want 1", requests.Load())
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cause error // given to the context, which net/http then reports instead
	}{
		{"plainly", nil},
		{"with a cause", errors.New("another grant's event failed")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
				cancel(test.cause)
				<-r.Context().Done()
			})
			_, err := send(ctx, client)
			wantNoAnswer(t, err, context.Canceled)
		})
	}
}

func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	client := serve(t, counted(&requests, answer{status: 202}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := send(ctx, client)
	wantNoAnswer(t, err, context.Canceled)
	if requests.Load() != 0 {
		t.Error("the event was sent nevertheless")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			var elsewhere atomic.Int64
			other := httptest.NewServer(counted(&elsewhere, answer{status: 202}))
			t.Cleanup(other.Close)
			client := serve(t, http.RedirectHandler(other.URL+"/v3/events", status).ServeHTTP)
			_, err := send(t.Context(), client)
			wantKind(t, err, gateway.ErrUnavailable)
			var refusal *gateway.Error
			if !errors.As(err, &refusal) || refusal.Status != status {
				t.Errorf("error = %v, want status %d", err, status)
			}
			if elsewhere.Load() != 0 {
				t.Error("the token was carried to another host")
			}
		})
	}
}
