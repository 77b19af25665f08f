// Package sensitive keeps secrets out of logs, errors and JSON.
//
// A [String] holds a token, an authorization code or a client secret. However
// it is printed (any fmt verb, slog, encoding/json, text templates, inside a
// struct, a map or an error) it reads "[redacted]". The one way to the text is
// [String.Reveal], so that every place where a secret leaves the process can
// be found by searching for that word.
//
// The zero String is an absent secret; it too prints as "[redacted]", so that
// a log does not say which of two secrets was empty.
package sensitive

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every String prints as.
const Redacted = "[redacted]"

// String is a text that must not be shown.
type String struct {
	// A pointer, not a string: reflection-based printers that ignore Formatter
	// (a debugger, %v of a struct with an unexported String inside) then show
	// an address and not the secret.
	text *string
}

// New wraps text.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{text: &text}
}

// Reveal returns the secret itself. Call it only where the secret goes on the
// wire, into a cipher or into a hash.
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

// MarshalJSON implements json.Marshaler. It is deliberately one-way: a type
// that must be stored or sent holds its own string, sealed.
func (s String) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText implements encoding.TextMarshaler.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
