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
	// ErrInvalidGrant: the code or refresh token is wrong, expired, used, or belongs to
	// another client, or the customer revoked the grant.
	ErrInvalidGrant = errors.New("invalid grant")
	// ErrClientRefused: LWA refuses this client, not the customer (invalid_client,
	// unauthorized_client, invalid_request, unsupported_grant_type,
	// invalid_scope, insufficient_scope). It affects every customer.
	ErrClientRefused = errors.New("client refused")
	// ErrThrottled: too many requests.
	ErrThrottled = errors.New("throttled")
	// ErrUnavailable: no answer, a failure of LWA, or an unusable answer.
	ErrUnavailable = errors.New("unavailable")
)

// kinds maps the member "error" of an answer, RFC 6749 section 5.2. It takes precedence
// over the status: LWA documents some codes with more than one status.
var kinds = map[string]error{
	"invalid_grant":          ErrInvalidGrant,
	"invalid_client":         ErrClientRefused,
	"unauthorized_client":    ErrClientRefused,
	"invalid_request":        ErrClientRefused,
	"unsupported_grant_type": ErrClientRefused,
	"invalid_scope":          ErrClientRefused,
	"insufficient_scope":     ErrClientRefused,
}

// Error is a failed call. It unwraps to its kind and, if no answer could be read, to
// the cause.
type Error struct {
	Op         string        // "exchange" or "refresh"
	Status     int           // HTTP status, 0 without a readable answer
	Code       string        // LWA's "error", empty if it is absent or unknown
	RetryAfter time.Duration // the answer's Retry-After, 0 without one

	kind  error
	cause error
}

// Error names the call, kind, status and code. It quotes nothing else of the answer,
// which might echo a token.
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

// Unanswered reports whether the request was sent and no answer came. Login with Amazon
// may have processed it: the refresh token may be invalid, and its successor lost.
func (e *Error) Unanswered() bool {
	return e.Status == 0 && errors.Is(e.kind, ErrUnavailable) && !isDial(e.cause)
}

// isDial reports whether no connection could be made, so no request was sent.
func isDial(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial"
}

// Throttled returns the error of a refresh that is not made, because an earlier answer's
// Retry-After has this long left.
func Throttled(left time.Duration) *Error {
	return &Error{Op: "refresh", RetryAfter: left, kind: ErrThrottled}
}

// newError converts an error of the oauth2 package into an Error. It does not wrap it:
// its text may quote the whole body, or the part that could not be decoded.
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
