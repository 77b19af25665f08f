package grantee

import (
	"errors"
	"strconv"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// The kinds of failure. Each [Error] is exactly one of them.
var (
	// ErrRejected: the token is not valid, or not for this client. A retry is
	// pointless.
	ErrRejected = errors.New("grantee: token rejected")
	// ErrNoCustomer: the token is valid, but the answer lacks a usable claim of
	// the configured name. Usually the configuration is wrong.
	ErrNoCustomer = errors.New("grantee: no customer")
	// ErrUnavailable: there is no verdict. The identity provider did not answer
	// in time, refused this client instead of the token, or sent an unexpected
	// answer. A retry may succeed.
	ErrUnavailable = errors.New("grantee: no verdict")
)

// ErrJWKS is the error of New for an Options.JWKS that is not a usable URL, or is set
// for a method other than jwt.
var ErrJWKS = errors.New("grantee: key set")

// Error is a failed Resolve. Its text is safe to log: it quotes neither a token nor an
// answer's body.
type Error struct {
	Kind   error  // ErrRejected, ErrNoCustomer or ErrUnavailable
	Asked  string // "userinfo", "introspection", "credentials", "jwt", "discovery" or "keys"
	Status int    // HTTP status of the answer, 0 if the fault is not in an answer
	Reason string // this package's description of the fault
	Err    error  // the cause, if it is safe to log; nil otherwise
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Kind.Error() + ": " + e.Asked + ": " + e.Reason
	if e.Status != 0 {
		text += " (HTTP " + strconv.Itoa(e.Status) + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the kind, and the cause if there is one.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

func rejected(asked string, status int, reason string) *Error {
	return &Error{Kind: ErrRejected, Asked: asked, Status: status, Reason: reason}
}

// unavailable keeps only the part of err that is safe to log: net/http quotes the URL,
// and the beginning of an answer that is not HTTP, which may echo the token.
func unavailable(asked string, status int, reason string, err error) *Error {
	return &Error{Kind: ErrUnavailable, Asked: asked, Status: status, Reason: reason, Err: transport.Known(err)}
}
