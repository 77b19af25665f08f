// Package sensitive keeps secrets out of logs, errors and JSON.
//
// A [String] holds a token, an authorization code or a client secret. It prints as
// "[redacted]" by any fmt verb, slog, encoding/json and text templates, even inside
// a struct, a map or an error. Only [String.Reveal] returns the text, so that a
// search for that word finds every place where a secret leaves the process.
//
// The zero String is an absent secret. It prints as "[redacted]" too, so that a log
// does not reveal which secret was empty.
package sensitive

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is the text that every String prints as.
const Redacted = "[redacted]"

// String is a text that must not be shown.
type String struct {
	// A pointer, not a string: printers that use reflection and ignore Formatter (a
	// debugger, %v of a struct with an unexported String inside) then show an
	// address and not the secret.
	text *string
}

// New wraps text.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{text: &text}
}

// Reveal returns the secret. Call it only where the secret is sent, encrypted or
// hashed.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty reports whether there is no secret.
func (s String) Empty() bool { return s.text == nil }

// Equal reports whether both hold the same text.
func (s String) Equal(other String) bool { return s.Reveal() == other.Reveal() }

// Format implements [fmt.Formatter] for every verb.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String implements [fmt.Stringer].
func (s String) String() string { return Redacted }

// GoString implements [fmt.GoStringer].
func (s String) GoString() string { return Redacted }

// LogValue implements [slog.LogValuer].
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON implements json.Marshaler. It is deliberately one-way: a type that is
// stored or sent holds its own string, sealed.
func (s String) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText implements encoding.TextMarshaler.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
