package lwa

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// The kinds of failure. Match them with errors.Is.
var (
	// ErrInvalidGrant: the code or refresh token is wrong, expired, used, of
	// another client, or the customer took the grant back.
	ErrInvalidGrant = errors.New("invalid grant")
	// ErrClientRefused: LWA refuses us, not the customer (invalid_client,
	// unauthorized_client, invalid_request, unsupported_grant_type,
	// invalid_scope, insufficient_scope). It hits every customer alike.
	ErrClientRefused = errors.New("client refused")
	// ErrThrottled: too many requests.
	ErrThrottled = errors.New("throttled")
	// ErrUnavailable: no answer, a failure of LWA, or an answer that is none.
	ErrUnavailable = errors.New("unavailable")
)

// kinds maps the member "error" of an answer, RFC 6749 section 5.2. It decides
// before the status: LWA documents some of them with more than one.
var kinds = map[string]error{
	"invalid_grant":          ErrInvalidGrant,
	"invalid_client":         ErrClientRefused,
	"unauthorized_client":    ErrClientRefused,
	"invalid_request":        ErrClientRefused,
	"unsupported_grant_type": ErrClientRefused,
	"invalid_scope":          ErrClientRefused,
	"insufficient_scope":     ErrClientRefused,
}

// Error is a failed call. It unwraps to its kind and, if no answer could be
// read, to what went wrong.
type Error struct {
	Op         string        // "exchange" or "refresh"
	Status     int           // HTTP status, 0 without an answer that could be read
	Code       string        // LWA's "error", empty when it gave none that is known
	RetryAfter time.Duration // how long LWA wants to be left alone, 0 when it did not say

	kind  error
	cause error
}

// Error names the call, the kind, status and code. It holds nothing else of
// the answer, which might repeat a token.
func (e *Error) Error() string {
	text := fmt.Sprintf("login with amazon: %s: %v", e.Op, e.kind)
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d, error %q)", e.Status, e.Code)
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the kind, and the cause if there is one.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

// Unanswered reports whether the request was sent and no answer came: nobody
// knows whether Login with Amazon did what it was asked, and a refresh token that
// it ended may have a successor that is lost.
func (e *Error) Unanswered() bool {
	return e.Status == 0 && errors.Is(e.kind, ErrUnavailable) && !isDial(e.cause)
}

// isDial reports whether there was no connection to send a request on.
func isDial(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial"
}

// Resting is the error of a refresh that is not made, because Login with Amazon
// asked to be left alone, and will be for that long.
func Resting(left time.Duration) *Error {
	return &Error{Op: "refresh", RetryAfter: left, kind: ErrThrottled}
}

// newError turns what the oauth2 package returns into an Error. The oauth2
// error itself is not kept: its text may hold the whole body, or the part of
// it that could not be decoded.
func newError(ctx context.Context, op string, err error) *Error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return &Error{Op: op, kind: ErrUnavailable, cause: transport.Cause(ctx, err)}
	}
	e := &Error{Op: op, Status: answer.Response.StatusCode, RetryAfter: transport.RetryAfter(answer.Response.Header)}
	kind, known := kinds[strings.ToLower(answer.ErrorCode)]
	switch {
	case known:
		e.Code, e.kind = strings.ToLower(answer.ErrorCode), kind
	case e.Status == http.StatusTooManyRequests:
		e.kind = ErrThrottled
	default:
		e.kind = ErrUnavailable
	}
	return e
}
