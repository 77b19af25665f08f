package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
)

var (
	// errTimeout replaces net/http's own timeouts, such as that of a TLS handshake.
	errTimeout = errors.New("timeout")
	// errUnusable replaces every error whose text is not safe to log.
	errUnusable = errors.New("no usable answer")
)

// Cause returns the part of a failed call's error that is safe to log: the error of
// ctx, a truncated answer, the network's error, that of the server's certificate, or
// "timeout". Anything else becomes a fixed text: net/http quotes the beginning of an
// answer that is not HTTP, and decoders quote the text that they cannot decode. Either
// may hold a token.
func Cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if known := Known(err); known != nil {
		return known
	}
	return errUnusable
}

// Known is Cause for callers with their own text for other errors: it returns nil for
// those.
func Known(err error) error {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errTimeout
	}
	return nil
}
