package lwa_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/transport"
)

var (
	works    = answer{status: 200, body: newTokens}
	disowned = answer{status: 400, body: `{"error":"invalid_grant"}`}
	refused  = answer{status: 401, body: `{"error":"invalid_client"}`}
	failing  = answer{status: 503, body: `<html>`}
)

// TestRepeats proves how often each call is made: an exchange once more after
// LWA's own failure, a refresh never.
func TestRepeats(t *testing.T) {
	t.Parallel()
	hangUp := hijacked(t, func(net.Conn) {})
	reset := hijacked(t, func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) })
	tests := []struct {
		name      string
		answers   []http.Handler
		exchanges int
		succeeds  bool // the exchange, at last
	}{
		{"500, then tokens", []http.Handler{answer{status: 500, body: `{}`}, works}, 2, true},
		{"503 of a proxy, then tokens", []http.Handler{failing, works}, 2, true},
		{"503, then refused", []http.Handler{failing, disowned}, 2, false},
		{"503 for good", []http.Handler{failing}, 2, false},
		{"500 that knows the reason", []http.Handler{answer{status: 500, body: disowned.body}, works}, 1, false},
		{"disowned", []http.Handler{disowned, works}, 1, false},
		{"client refused", []http.Handler{refused, works}, 1, false},
		{"throttled", []http.Handler{answer{status: 429}, works}, 1, false},
		{"403 of a proxy", []http.Handler{answer{status: 403, body: "<html>"}, works}, 1, false},
		{"200 of a proxy", []http.Handler{answer{status: 200, body: "<html>"}, works}, 1, false},
		{"200 without a token", []http.Handler{answer{status: 200, body: "{}"}, works}, 1, false},
		{"redirect", []http.Handler{answer{status: 307, header: http.Header{"Location": {"/again"}}}, works}, 1, false},
		// The code may be used up by then.
		{"closed instead of an answer", []http.Handler{hangUp, works}, 1, false},
		{"reset instead of an answer", []http.Handler{reset, works}, 1, false},
	}
	for _, test := range tests {
		for op, call := range calls {
			t.Run(op+", "+test.name, func(t *testing.T) {
				t.Parallel()
				amazon := &script{answers: test.answers}
				_, err := call(t.Context(), serve(t, amazon))
				want := map[string]int{"exchange": test.exchanges, "refresh": 1}[op]
				forms := amazon.asked()
				if len(forms) != want {
					t.Fatalf("%d requests, want %d (%v)", len(forms), want, err)
				}
				if succeeded := err == nil; succeeded != (test.succeeds && op == "exchange") {
					t.Errorf("error = %v", err)
				}
				if diff := cmp.Diff(forms[0], forms[len(forms)-1]); diff != "" {
					t.Errorf("the second request differs (-first +second):\n%s", diff)
				}
			})
		}
	}
}

// failDials makes the first dials of the client fail and counts all of them.
func failDials(client *http.Client, failures int64, err error) *atomic.Int64 {
	dials := new(atomic.Int64)
	t := client.Transport.(*http.Transport)
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) <= failures {
			return nil, &net.OpError{Op: "dial", Net: network, Err: err}
		}
		return dial(ctx, network, address)
	}
	return dials
}

func TestRepeatsDials(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		op       string
		failures int64
		dials    int64
		succeeds bool
	}{
		{"exchange, first fails", "exchange", 1, 2, true},
		{"exchange, both fail", "exchange", 2, 2, false},
		{"refresh, first fails", "refresh", 1, 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(works)
			t.Cleanup(srv.Close)
			client := transport.NewClient(1)
			dials := failDials(client, test.failures, os.NewSyscallError("connect", syscall.ECONNREFUSED))
			token, err := calls[test.op](t.Context(), newClient(t, srv.URL, client, fakeCredentials()))
			if !test.succeeds {
				wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: test.op})
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("error = %v, want it to wrap the cause", err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if dials.Load() != test.dials {
				t.Errorf("%d dials, want %d", dials.Load(), test.dials)
			}
		})
	}
}

// TestCancelled ends the context while LWA is at work on its failure.
func TestCancelled(t *testing.T) {
	t.Parallel()
	for op, call := range calls {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			amazon := &script{answers: []http.Handler{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				cancel(errors.New("another grant failed"))
				<-r.Context().Done()
				failing.ServeHTTP(w, r)
			})}}
			token, err := call(ctx, serve(t, amazon))
			wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: op})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v, want it to wrap %v", err, context.Canceled)
			}
			if n := len(amazon.asked()); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

// TestNobodyWaitsForTheRepeat ends the context when LWA's failure has just been
// read: that is what the caller is told, and not that a repeat was cancelled.
func TestNobodyWaitsForTheRepeat(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	client := &http.Client{Transport: lastWords{canned{503, "text/html", "<html>"}, cancel}}
	token, err := calls["exchange"](ctx, newClient(t, "http://127.0.0.1", client, fakeCredentials()))
	wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: "exchange", Status: 503})
}

// lastWords is a transport whose caller goes away when it has read the answer.
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

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for op, call := range calls {
			t.Run(op+" "+strconv.Itoa(status), func(t *testing.T) {
				t.Parallel()
				elsewhere := &script{answers: []http.Handler{works}}
				other := httptest.NewServer(elsewhere)
				t.Cleanup(other.Close)
				client := serve(t, http.RedirectHandler(other.URL, status))
				token, err := call(t.Context(), client)
				wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: op, Status: status})
				if forms := elsewhere.asked(); len(forms) != 0 {
					t.Errorf("another host was sent %v", forms)
				}
			})
		}
	}
}
