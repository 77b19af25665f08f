package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

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
			t.Errorf("%s: %v, want %q", test.name, got, test.want)
		}
	}
}

func TestCauseOfAnEndedContext(t *testing.T) {
	t.Parallel()
	// net/http reports the cause that a context was cancelled with, and hides
	// that it was cancelled.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("canary"))
	_, err := post(ctx, transport.NewClient(1), "http://127.0.0.1/")
	if got := transport.Cause(ctx, err); !errors.Is(got, context.Canceled) || strings.Contains(got.Error(), "canary") {
		t.Errorf("Cause(%v) = %v, want %v", err, got, context.Canceled)
	}
}

func TestCauseOfRealFailures(t *testing.T) {
	t.Parallel()
	quiet := log.New(io.Discard, "", 0)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = quiet
	start(t, untrusted, true)
	_, err := post(t.Context(), transport.NewClient(1), untrusted.URL)
	if got := transport.Cause(t.Context(), err); !errors.As(got, new(x509.UnknownAuthorityError)) {
		t.Errorf("untrusted certificate: Cause(%v) = %v", err, got)
	}

	raw := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, r.Header.Get("Authorization")+"\r\n\r\n")
		_ = conn.Close()
	}))
	t.Cleanup(raw.Close)
	_, err = post(t.Context(), transport.NewClient(1), raw.URL)
	if err == nil || !strings.Contains(err.Error(), "fake-access") {
		t.Fatalf("net/http no longer quotes an answer that is not HTTP: %v", err)
	}
	if got := transport.Cause(t.Context(), err); strings.Contains(got.Error(), "fake-access") {
		t.Errorf("Cause shows the token: %v", got)
	}
}
