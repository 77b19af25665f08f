package grantee

import (
	"errors"
	"strconv"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// What a failed Resolve means. Each [Error] is exactly one of them.
var (
	// ErrRejected: the identity provider says that the token is not valid, or
	// not for us. Trying again is no use.
	ErrRejected = errors.New("grantee: token rejected")
	// ErrNoCustomer: the token is valid, but the answer names no customer by
	// the configured claim. As a rule the configuration is wrong.
	ErrNoCustomer = errors.New("grantee: no customer")
	// ErrUnavailable: there is no verdict. The identity provider did not answer
	// in time, refused us instead of the token, or said what nobody
	// understands. Trying again may help.
	ErrUnavailable = errors.New("grantee: no verdict")
)

// ErrJWKS is what New returns for an Options.JWKS that is no address of a key set,
// or is given with a method that has none.
var ErrJWKS = errors.New("grantee: key set")

// Error is a failed Resolve. Its text is fit for a log: neither a token nor a
// part of an answer's body is in it.
type Error struct {
	Kind   error  // ErrRejected, ErrNoCustomer or ErrUnavailable
	Asked  string // "userinfo", "introspection", "credentials", "jwt", "discovery" or "keys"
	Status int    // HTTP status of the answer, 0 when the fault is not in an answer
	Reason string // what is wrong, in this package's words
	Err    error  // what broke the connection or ended the wait, if known; nil otherwise
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

// unavailable keeps of err only what cannot quote the identity provider: net/http
// quotes the URL, and the start of an answer that is not HTTP, which may be an
// echo of the token.
func unavailable(asked string, status int, reason string, err error) *Error {
	return &Error{Kind: ErrUnavailable, Asked: asked, Status: status, Reason: reason, Err: transport.Known(err)}
}
