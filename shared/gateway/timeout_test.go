package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// hang keeps the connection open until the client closes it.
func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// after writes an answer later on and then hangs.
func after(wait time.Duration, answer string) func(net.Conn) {
	return func(conn net.Conn) {
		<-time.After(wait)
		_, _ = io.WriteString(conn, answer)
		hang(conn)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	const second = time.Second
	tests := []struct {
		name    string
		gateway func(net.Conn)
		within  time.Duration // the caller's own deadline, 0 for none
		want    error         // nil when the event counts as accepted
		status  int
		took    time.Duration
	}{
		{"no answer", hang, 0, gateway.ErrUnavailable, 0, gateway.CallTimeout},
		{"no answer, less time", hang, 3 * second, gateway.ErrUnavailable, 0, 3 * second},
		{"no answer, more time", hang, 60 * second, gateway.ErrUnavailable, 0, gateway.CallTimeout},
		{"slow", after(4900*time.Millisecond, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"), 0, nil, 202, 4900 * time.Millisecond},
		{"half a header", after(0, "HTTP/1.1 202 Accepted\r\nContent-Le"), 0, gateway.ErrUnavailable, 0, gateway.CallTimeout},
		// Once the status is there, the rest of the answer changes nothing.
		{"202 that does not end", after(0, "HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n{"), 0, nil, 202, gateway.CallTimeout},
		{"401 that does not end", after(0, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n{"), 0,
			gateway.ErrInvalidAccessToken, 401, gateway.CallTimeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if test.within > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.within)
				}
				client := inMemory(t, test.gateway)
				started := time.Now()
				receipt, err := send(ctx, client)
				if took := time.Since(started); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				switch {
				case test.want == nil && (err != nil || receipt.Status != test.status):
					t.Errorf("%v, %v, want status %d", receipt, err, test.status)
				case test.want != nil && test.status == 0:
					wantNoAnswer(t, err, context.DeadlineExceeded)
				case test.want != nil:
					wantKind(t, err, test.want)
				}
				cancel()
			})
		})
	}
}

func TestTimeoutOfTheDial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// net/http gives a dial more time than the call that asked for it: what
		// it finds may serve another.
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
		if took := time.Since(started); took != gateway.CallTimeout {
			t.Errorf("took %v, want %v", took, gateway.CallTimeout)
		}
	})
}
