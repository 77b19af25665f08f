package alexa

import (
	"errors"
	"fmt"
	"strings"
)

// FieldError says which field of a message is wrong, and how. Neither part
// ever holds a value of the message, which might be a secret.
type FieldError struct {
	Path    string // for example event.payload.change.cause.type; empty for the message as a whole
	Problem string // for example "missing"
}

// Error gives "path: problem".
func (e *FieldError) Error() string {
	if e.Path == "" {
		return e.Problem
	}
	return e.Path + ": " + e.Problem
}

// wrong makes a FieldError about the member path of the value at hand.
func wrong(path, problem string, args ...any) error {
	return &FieldError{Path: path, Problem: fmt.Sprintf(problem, args...)}
}

// in puts the name of the surrounding member in front of a FieldError's path.
// Paths grow while an error travels outwards, so a message without fault pays
// nothing for them.
func in(parent string, err error) error {
	var field *FieldError
	if !errors.As(err, &field) {
		return err
	}
	switch {
	case field.Path == "":
		field.Path = parent
	case strings.HasPrefix(field.Path, "["):
		field.Path = parent + field.Path
	default:
		field.Path = parent + "." + field.Path
	}
	return field
}
