package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/transport"
)

func TestCause(t *testing.T) {
	t.Parallel()
	post := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://user@127.0.0.1/?canary", Err: err}
	}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"cancelled", post(context.Canceled), "context canceled"},
		{"out of time", post(context.DeadlineExceeded), "context deadline exceeded"},
		{"closed instead of an answer", post(io.EOF), "EOF"},
		{"cut", fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), "unexpected EOF"},
		{"refused", post(refused), "dial tcp: connect: connection refused"},
		{"certificate", post(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
			"tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"not HTTP", post(errors.New(`malformed HTTP response "canary"`)), "no usable answer"},
		{"not JSON", errors.New(`invalid number "canary"`), "no usable answer"},
	}
	for _, test := range tests {
		got := transport.Cause(t.Context(), test.err)
		if got == nil || got.Error() != test.want {
			t.Errorf("%s: Cause() = %v, want %q", test.name, got, test.want)
		}
	}
}

func TestCauseOfAnEndedContext(t *testing.T) {
	t.Parallel()
	// net/http reports a context's cancellation cause, and hides the cancellation.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("canary"))
	_, err := post(ctx, transport.NewClient(1), "http://127.0.0.1/")
	if got := transport.Cause(ctx, err); !errors.Is(got, context.Canceled) || strings.Contains(got.Error(), "canary") {
		t.Errorf("Cause(%v) = %v, want %v", err, got, context.Canceled)
	}
}

func TestCauseOfRealFailures(t *testing.T) {
	t.Parallel()
	// In a bubble a busy machine has no time to exceed.
	synctest.Test(t, func(t *testing.T) {
		untrusted := badserver.NewHTTP2InBubble(t, fine)
		client := untrusted.Client()
		client.Transport.(*http.Transport).TLSClientConfig = nil
		_, err := post(t.Context(), client, untrusted.URL)
		if got := transport.Cause(t.Context(), err); !errors.As(got, new(x509.UnknownAuthorityError)) {
			t.Errorf("Cause(%v) of an untrusted certificate = %v", err, got)
		}

		client = transport.NewClient(1)
		silent, _ := net.Pipe()
		client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return silent, nil }
		_, err = post(t.Context(), client, "https://127.0.0.1")
		if got := transport.Cause(t.Context(), err); got.Error() != "timeout" {
			t.Errorf("Cause(%v) of a silent server = %v, want timeout", err, got)
		}
	})

	raw := badserver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		badserver.Raw(r.Header.Get("Authorization")+"\r\n\r\n")(w, r)
	}))
	_, err := post(t.Context(), transport.NewClient(1), raw.URL)
	if err == nil || !strings.Contains(err.Error(), "fake-access") {
		t.Fatalf("net/http no longer quotes an answer that is not HTTP: %v", err)
	}
	if got := transport.Cause(t.Context(), err); strings.Contains(got.Error(), "fake-access") {
		t.Errorf("Cause() = %v, which contains the token", got)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const now = "Fri, 02 Jan 2026 03:04:05 GMT"
	tests := []struct {
		name, value, date string
		want              time.Duration
	}{
		{"absent", "", now, 0},
		{"seconds", "7", now, 7 * time.Second},
		{"zero", "0", now, 0},
		{"negative", "-3", now, 0},
		{"too many", "99999999999999999999", now, 0},
		{"date", "Fri, 02 Jan 2026 03:05:05 GMT", now, time.Minute},
		{"date passed", "Fri, 02 Jan 2026 03:03:05 GMT", now, 0},
		{"date without a Date", "Fri, 02 Jan 2026 03:05:05 GMT", "", 0},
		{"nonsense", "soon", now, 0},
	}
	for _, test := range tests {
		h := http.Header{}
		h.Set("Retry-After", test.value)
		h.Set("Date", test.date)
		if got := transport.RetryAfter(h); got != test.want {
			t.Errorf("%s: RetryAfter() = %v, want %v", test.name, got, test.want)
		}
	}
}
