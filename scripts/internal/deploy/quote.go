package main

import (
	"regexp"
	"strings"
)

var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]*$`)

// quote writes an argument so that a POSIX shell reads it back: what is
// literally so in single quotes, where nothing has a meaning, and references as
// variables that have to be set.
func quote(arg string) string {
	if arg == "" {
		return "''"
	}
	var quoted strings.Builder
	for i, part := range strings.Split(arg, mark) {
		switch {
		case i%2 == 1:
			quoted.WriteString(`"${` + part + `:?}"`)
		case plain.MatchString(part):
			quoted.WriteString(part)
		default:
			quoted.WriteString("'" + strings.ReplaceAll(part, "'", `'\''`) + "'")
		}
	}
	return quoted.String()
}

// String returns the command line as a shell takes it.
func (c command) String() string {
	words := make([]string, len(c.args))
	for i, arg := range c.args {
		words[i] = quote(arg)
	}
	return strings.Join(words, " ")
}
