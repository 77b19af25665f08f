package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// wantNoAnswer checks that an error reports no answer because of cause.
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

func wantUnanswered(t *testing.T, err error, want bool) {
	t.Helper()
	var failed *gateway.Error
	if !errors.As(err, &failed) || failed.Unanswered() != want {
		t.Errorf("error = %v, want a *gateway.Error whose Unanswered is %t", err, want)
	}
}

// TestErrorsShowNothing makes the gateway repeat its input in every part of an
// answer that could be in an error.
func TestErrorsShowNothing(t *testing.T) {
	t.Parallel()
	const token, inBody = "Atza|canary-token-8f1c", "canary-body-2b7e"
	const event = `{"event":{"payload":"` + inBody + `"}}`
	badserver.EachFault(t, []string{token, inBody}, map[string]http.Handler{
		"description": answer{Status: 401, Body: exception("INVALID_ACCESS_TOKEN_EXCEPTION", "Bearer "+token+" "+event)},
		"code":        answer{Status: 400, Body: exception(token, "")},
		"request id":  answer{Status: 503}.With("X-Amzn-Requestid", token),
	}, func(t *testing.T, fault http.Handler) error {
		s := badserver.NewInBubble(t, fault)
		client := newClient(t, s.URL, s.Client())
		_, err := client.Send(t.Context(), sensitive.New(token), []byte(event))
		// The description may repeat parts of the event: it is for the dead letter,
		// and not in the error's text.
		badserver.NoSecret(t, fmt.Sprintf("%#v", err), token)
		if _, err := client.Send(t.Context(), sensitive.New(token+"\r\nX-Injected: 1"), []byte(event)); err == nil {
			t.Error("a token with a line break was sent")
		} else {
			badserver.NoSecret(t, err, token)
		}
		return err
	})
}

// TestTime checks slow and unanswered calls: their duration, their result, and
// whether the event may have been accepted, which is so if part of it was sent
// without an answer.
func TestTime(t *testing.T) {
	t.Parallel()
	const second = time.Second
	accepted := answer{Status: 202}
	tests := []struct {
		name       string
		gateway    http.Handler
		patient    bool
		within     time.Duration // the caller's own deadline
		took       time.Duration
		kind       error // nil if the event counts as accepted
		unanswered bool
	}{
		{"no answer", badserver.Hang(""), false, time.Hour, gateway.CallTimeout, gateway.ErrUnavailable, true},
		{"no answer, less time", badserver.Hang(""), false, 3 * second, 3 * second, gateway.ErrUnavailable, true},
		{"no time from the start", badserver.Hang(""), false, -second, 0, gateway.ErrUnavailable, false},
		{"slow", badserver.After(4900*time.Millisecond, accepted), false, time.Hour, 4900 * time.Millisecond, nil, false},
		{"slow, and patient", badserver.After(19*second, accepted), true, time.Hour, 19 * second, nil, false},
		{"no answer, and patient", badserver.Hang(""), true, time.Hour, 20 * second, gateway.ErrUnavailable, true},
		{"half a header", badserver.Hang("HTTP/1.1 202 Accepted\r\nContent-Le"), false, time.Hour, gateway.CallTimeout,
			gateway.ErrUnavailable, true},
		{"closed without an answer", badserver.Raw(""), false, time.Hour, 0, gateway.ErrUnavailable, true},
		{"closed in the answer", badserver.Raw("HTTP/1.1 202 Acc"), false, time.Hour, 0, gateway.ErrUnavailable, true},
		{"refused", answer{Status: 503}, false, time.Hour, 0, gateway.ErrUnavailable, false},
		{"no answer to a proxy", answer{Status: 504}, false, time.Hour, 0, gateway.ErrUnavailable, true},
		// After the status the rest of the answer has no effect.
		{"202 that does not end", badserver.Hang("HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n{"), false, time.Hour,
			gateway.CallTimeout, nil, false},
		{"401 that does not end", badserver.Hang("HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n{"), false, time.Hour,
			gateway.CallTimeout, gateway.ErrInvalidAccessToken, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.within)
				defer cancel()
				server := badserver.NewInBubble(t, test.gateway)
				client := newClient(t, server.URL, server.Client())
				if test.patient {
					client = gateway.NewPatient(alexa.EU, &url.URL{Scheme: "http", Host: "gateway"}, server.Client())
				}
				started := time.Now()
				receipt, err := send(ctx, client)
				if took := time.Since(started); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				if test.kind == nil {
					if err != nil || receipt.Status != 202 {
						t.Errorf("receipt = %v, %v, want status 202", receipt, err)
					}
					return
				}
				wantKind(t, err, test.kind)
				wantUnanswered(t, err, test.unanswered)
				if test.kind == gateway.ErrUnavailable && test.took > 0 {
					wantNoAnswer(t, err, context.DeadlineExceeded)
				}
			})
		})
	}
}

// TestNoConnection: nothing was sent, so the event may be resent.
func TestNoConnection(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		// Port 1 is never in use: tests beside this one take free ports.
		_, err := send(t.Context(), newClient(t, "http://127.0.0.1:1", transport.NewClient(1)))
		wantNoAnswer(t, err, syscall.ECONNREFUSED)
		wantUnanswered(t, err, false)
	})
	t.Run("not in time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			// net/http lets a dial outlast the call that started it, because its
			// connection may serve another call.
			over := make(chan struct{})
			defer close(over)
			client := transport.NewClient(1)
			client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
				<-over
				return nil, net.ErrClosed
			}
			started := time.Now()
			_, err := send(t.Context(), newClient(t, "http://127.0.0.1", client))
			wantNoAnswer(t, err, context.DeadlineExceeded)
			wantUnanswered(t, err, false)
			if took := time.Since(started); took != gateway.CallTimeout {
				t.Errorf("took %v, want %v", took, gateway.CallTimeout)
			}
		})
	})
}

// TestBrokenConnection breaks the second call's connection, after the first has
// used it: net/http repeats idempotent requests on a reused connection, and an
// event is not idempotent.
func TestBrokenConnection(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		broken http.HandlerFunc
		cause  error
	}{
		{"reset", badserver.Reset, syscall.ECONNRESET},
		{"closed", badserver.Raw(""), io.EOF},
		{"closed in the header", badserver.Raw("HTTP/1.1 202 Acc"), io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, client := serve(t, answer{Status: 202}, test.broken)
			if _, err := send(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			_, err := send(t.Context(), client)
			wantNoAnswer(t, err, test.cause)
			if n := len(server.Requests()); n != 2 {
				t.Errorf("requests = %d, want 2", n)
			}
		})
	}
	t.Run("HTTP/2 stream", func(t *testing.T) {
		t.Parallel()
		server := badserver.NewHTTP2(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		_, err := send(t.Context(), newClient(t, server.URL, server.Client()))
		wantKind(t, err, gateway.ErrUnavailable)
		if n := len(server.Requests()); n != 1 {
			t.Errorf("requests = %d, want 1", n)
		}
	})
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cause    error // of the cancellation, which net/http reports instead
		before   bool  // cancelled before the call
		requests int
	}{
		"plainly":         {nil, false, 1},
		"with a cause":    {errors.New("another grant's event failed"), false, 1},
		"before the call": {nil, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			server, client := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				cancel(test.cause)
				<-r.Context().Done()
			}))
			if test.before {
				cancel(test.cause)
			}
			_, err := send(ctx, client)
			wantNoAnswer(t, err, context.Canceled)
			if n := len(server.Requests()); n != test.requests {
				t.Errorf("requests = %d, want %d", n, test.requests)
			}
		})
	}
}
