package lwa_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
)

// hang keeps the connection open until the client closes it.
func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// saying writes an answer and then hangs.
func saying(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, answer)
		hang(conn)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	limits := map[string]time.Duration{"exchange": lwa.ExchangeTimeout, "refresh": lwa.RefreshTimeout}
	tests := []struct {
		name   string
		amazon func(net.Conn)
		within time.Duration // the caller's own deadline
	}{
		{"no answer", hang, time.Hour},
		{"no answer, less time", hang, time.Second},
		{"half a header", saying("HTTP/1.1 200 OK\r\nContent-Le"), time.Hour},
		{"half a body", saying("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + newTokens), time.Hour},
		{"half a refusal", saying("HTTP/1.1 503 Unavailable\r\nContent-Length: 500\r\n\r\n{"), time.Hour},
	}
	for _, test := range tests {
		for op, call := range calls {
			t.Run(op+", "+test.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var requests atomic.Int64
					client := inMemory(t, func(conn net.Conn) {
						requests.Add(1)
						test.amazon(conn)
					})
					ctx, cancel := context.WithTimeout(t.Context(), test.within)
					defer cancel()
					started := time.Now()
					token, err := call(ctx, client)
					if took, want := time.Since(started), min(test.within, limits[op]); took != want {
						t.Errorf("took %v, want %v", took, want)
					}
					wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: op})
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("error = %v, want it to wrap %v", err, context.DeadlineExceeded)
					}
					// Without an answer nobody knows what became of the code.
					if requests.Load() != 1 {
						t.Errorf("%d requests, want 1", requests.Load())
					}
				})
			})
		}
	}
}

// TestRepeatedExchangeSharesTheTime bounds the longest exchange that there is.
func TestRepeatedExchangeSharesTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slow = lwa.ExchangeTimeout - time.Second
		var requests atomic.Int64
		client := inMemory(t, func(conn net.Conn) {
			if requests.Add(1) == 1 {
				<-time.After(slow)
				_, _ = fmt.Fprint(conn, "HTTP/1.1 500 Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
				_ = conn.Close()
				return
			}
			hang(conn)
		})
		started := time.Now()
		token, err := calls["exchange"](t.Context(), client)
		wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: "exchange"})
		if took := time.Since(started); took != lwa.ExchangeTimeout || requests.Load() != 2 {
			t.Errorf("%d requests in %v, want 2 in %v", requests.Load(), took, lwa.ExchangeTimeout)
		}
	})
}
