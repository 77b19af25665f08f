package lwa_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

// TestRepeats: an exchange is retried once after LWA's own failure, a refresh
// never.
func TestRepeats(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		answers   []http.Handler
		exchanges int
		succeeds  bool // the exchange in the end
	}{
		{"500, then tokens", []http.Handler{answer{Status: 500, Body: `{}`}, works}, 2, true},
		{"503 of a proxy, then tokens", []http.Handler{failing, works}, 2, true},
		{"503, then refused", []http.Handler{failing, disowned}, 2, false},
		{"503 for good", []http.Handler{failing}, 2, false},
		{"500 that knows the reason", []http.Handler{answer{Status: 500, Body: disowned.Body}, works}, 1, false},
		{"disowned", []http.Handler{disowned, works}, 1, false},
		{"client refused", []http.Handler{refused, works}, 1, false},
		{"throttled", []http.Handler{answer{Status: 429}, works}, 1, false},
		{"403 of a proxy", []http.Handler{badserver.Page(403, ""), works}, 1, false},
		{"200 of a proxy", []http.Handler{badserver.Page(200, ""), works}, 1, false},
		{"200 without a token", []http.Handler{answer{Status: 200, Body: "{}"}, works}, 1, false},
		// The code may be spent.
		{"closed instead of an answer", []http.Handler{badserver.Raw(""), works}, 1, false},
		{"reset instead of an answer", []http.Handler{http.HandlerFunc(badserver.Reset), works}, 1, false},
	}
	for _, test := range tests {
		each(t, test.name, func(t *testing.T, op string, call call) {
			server, client := serve(t, test.answers...)
			_, err := call(t.Context(), client)
			sent, want := server.Requests(), map[string]int{"exchange": test.exchanges, "refresh": 1}[op]
			if len(sent) != want {
				t.Fatalf("requests = %d, want %d (%v)", len(sent), want, err)
			}
			if succeeded := err == nil; succeeded != (test.succeeds && op == "exchange") {
				t.Errorf("error = %v", err)
			}
			if diff := cmp.Diff(sent[0], sent[len(sent)-1]); diff != "" {
				t.Errorf("second request differs (-first +second):\n%s", diff)
			}
		})
	}
}

// TestRepeatsDials: without a connection nothing was sent, so the code is still
// valid.
func TestRepeatsDials(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, op        string
		failures, dials int
		succeeds        bool
	}{
		{"exchange, first fails", "exchange", 1, 2, true},
		{"exchange, both fail", "exchange", 2, 2, false},
		{"refresh, first fails", "refresh", 1, 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := badserver.New(t, works)
			client, dials := server.Client(), 0
			transport := client.Transport.(*http.Transport)
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials++; dials <= test.failures {
					return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
				}
				return dial(ctx, network, address)
			}
			token, err := calls[test.op](t.Context(), newClient(t, server.URL, client, fakeCredentials()))
			if test.succeeds != (err == nil) || dials != test.dials {
				t.Errorf("error = %v after %d dials, want %d", err, dials, test.dials)
			}
			if err != nil {
				wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: test.op})
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("error = %v, want it to wrap the cause", err)
				}
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	limits := map[string]time.Duration{"exchange": lwa.ExchangeTimeout, "refresh": lwa.RefreshTimeout}
	tests := []struct {
		name   string
		amazon http.Handler
		within time.Duration // the caller's own deadline
	}{
		{"no answer", badserver.Hang(""), time.Hour},
		{"no answer, less time", badserver.Hang(""), time.Second},
		{"half a header", badserver.Hang("HTTP/1.1 200 OK\r\nContent-Le"), time.Hour},
		{"half a body", badserver.Hang("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + newTokens), time.Hour},
		{"half a refusal", badserver.Hang("HTTP/1.1 503 Unavailable\r\nContent-Length: 500\r\n\r\n{"), time.Hour},
	}
	for _, test := range tests {
		each(t, test.name, func(t *testing.T, op string, call call) {
			synctest.Test(t, func(t *testing.T) {
				server := badserver.NewInBubble(t, test.amazon)
				ctx, cancel := context.WithTimeout(t.Context(), test.within)
				defer cancel()
				started := time.Now()
				token, err := call(ctx, newClient(t, server.URL, server.Client(), fakeCredentials()))
				if took, want := time.Since(started), min(test.within, limits[op]); took != want {
					t.Errorf("took %v, want %v", took, want)
				}
				wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: op})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error = %v, want it to wrap %v", err, context.DeadlineExceeded)
				}
				// Without an answer the code may be spent.
				if n := len(server.Requests()); n != 1 {
					t.Errorf("requests = %d, want 1", n)
				}
			})
		})
	}
	t.Run("a repeated exchange shares the time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			slow := badserver.After(lwa.ExchangeTimeout-time.Second, answer{Status: 500, Body: "{}"})
			server := badserver.NewInBubble(t, slow, badserver.Hang(""))
			started := time.Now()
			token, err := calls["exchange"](t.Context(), newClient(t, server.URL, server.Client(), fakeCredentials()))
			wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: "exchange"})
			if took, n := time.Since(started), len(server.Requests()); took != lwa.ExchangeTimeout || n != 2 {
				t.Errorf("requests = %d in %v, want 2 in %v", n, took, lwa.ExchangeTimeout)
			}
		})
	})
}

// TestCancelled ends the context while LWA handles the request.
func TestCancelled(t *testing.T) {
	t.Parallel()
	each(t, "at work", func(t *testing.T, op string, call call) {
		ctx, cancel := context.WithCancelCause(t.Context())
		server, client := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel(errors.New("another grant failed"))
			<-r.Context().Done()
			failing.ServeHTTP(w, r)
		}))
		token, err := call(ctx, client)
		wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: op})
		if n := len(server.Requests()); n != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v after %d requests, want it to wrap %v after 1", err, n, context.Canceled)
		}
	})
}

// TestCancelledBeforeTheRetry ends the context after LWA's failure was read: the
// error is that failure, not the cancellation of the retry.
func TestCancelledBeforeTheRetry(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	client := &http.Client{Transport: lastWords{canned{503, "text/html", "<html>"}, cancel}}
	token, err := calls["exchange"](ctx, newClient(t, "http://127.0.0.1", client, fakeCredentials()))
	wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: "exchange", Status: 503})
}

// lastWords is a transport that cancels the context after the answer was read.
type lastWords struct {
	http.RoundTripper
	leave func()
}

func (l lastWords) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	resp, err := l.RoundTripper.RoundTrip(req)
	resp.Body = leaving{resp.Body, l.leave}
	return resp, err
}

type leaving struct {
	io.ReadCloser
	leave func()
}

func (l leaving) Close() error {
	l.leave()
	return l.ReadCloser.Close()
}
