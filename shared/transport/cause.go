package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// errUnusable stands for every failure whose own text is not fit for a log.
var errUnusable = errors.New("no usable answer")

// Cause returns the part of a failed call's error that is fit for a log: that
// ctx ended, that the answer broke off, what the network says, or what is
// wrong with the server's certificate. Anything else becomes a fixed text:
// net/http quotes the beginning of an answer that is not HTTP, and decoders
// quote what they cannot decode, either of which may be a token.
func Cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if known := Known(err); known != nil {
		return known
	}
	return errUnusable
}

// Known is Cause for those who say themselves what it means that a failure is
// of no known kind: it returns nil then.
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
	return nil
}
