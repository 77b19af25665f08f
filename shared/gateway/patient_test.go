package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// TestUnanswered: an event may have been taken if a part of it was sent and no
// answer came, and only then.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	const unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
	tests := []struct {
		name    string
		gateway func(net.Conn)
		within  time.Duration
		want    bool
	}{
		{"no answer in time", hang, time.Minute, true},
		{"the caller's time is up", hang, time.Second, true},
		{"closed without an answer", func(conn net.Conn) { _ = conn.Close() }, time.Minute, true},
		{"closed in the answer", func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 202 Acc"); _ = conn.Close() }, time.Minute, true},
		{"refused", after(0, unavailable), time.Minute, false},
		{"no answer to a proxy", after(0, "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n"), time.Minute, true},
		{"refused, and the body does not end", after(0, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 9\r\n\r\n{"), time.Minute, false},
		{"the caller's time was up before", hang, -time.Second, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.within)
				defer cancel()
				_, err := send(ctx, inMemory(t, test.gateway))
				wantUnanswered(t, err, test.want)
			})
		})
	}
	t.Run("no connection", func(t *testing.T) {
		t.Parallel()
		client := transport.NewClient(1)
		client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			return nil, net.ErrClosed
		}
		_, err := send(t.Context(), newClient(t, "http://127.0.0.1", client))
		wantUnanswered(t, err, false)
	})
}

func wantUnanswered(t *testing.T, err error, want bool) {
	t.Helper()
	var failed *gateway.Error
	if !errors.As(err, &failed) || failed.Unanswered() != want {
		t.Errorf("error = %v, want a *gateway.Error whose Unanswered is %t", err, want)
	}
}

// TestPatient: a call for what must not be repeated waits for 20 s, and no
// longer.
func TestPatient(t *testing.T) {
	t.Parallel()
	const accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
	for name, test := range map[string]struct {
		gateway func(net.Conn)
		taken   bool
		took    time.Duration
	}{
		"slow":     {after(19*time.Second, accepted), true, 19 * time.Second},
		"too slow": {hang, false, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				base, err := url.Parse("http://127.0.0.1")
				if err != nil {
					t.Fatal(err)
				}
				client := gateway.NewPatient(alexa.EU, base, inMemoryHTTP(t, test.gateway))
				started := time.Now()
				_, err = client.Send(t.Context(), sensitive.New(fakeToken), []byte(fakeEvent))
				if took := time.Since(started); took != test.took || (err == nil) != test.taken {
					t.Errorf("%v after %v, want taken %t after %v", err, took, test.taken, test.took)
				}
				if !test.taken {
					wantUnanswered(t, err, true)
				}
			})
		})
	}
}
