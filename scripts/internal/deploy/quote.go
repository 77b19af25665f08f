package main

import (
	"regexp"
	"strings"
)

var (
	plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)
	// reference is what ref writes, and no dollar sign of the settings'.
	reference = regexp.MustCompile(`\$\{(` + projectNumber + `|` + sourceHash + `|(NA|EU|FE)_[A-Z]+_URL)\}`)
)

// quote writes an argument so that a POSIX shell reads it back, with the
// references expanded.
func quote(arg string) string {
	switch {
	case plain.MatchString(arg):
		return arg
	case !reference.MatchString(arg):
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	var quoted strings.Builder
	literal := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")
	for {
		at := reference.FindStringIndex(arg)
		if at == nil {
			break
		}
		quoted.WriteString(literal.Replace(arg[:at[0]]) + arg[at[0]:at[1]])
		arg = arg[at[1]:]
	}
	return `"` + quoted.String() + literal.Replace(arg) + `"`
}

// String returns the command line as a shell takes it.
func (c command) String() string {
	words := make([]string, len(c.args))
	for i, arg := range c.args {
		words[i] = quote(arg)
	}
	return strings.Join(words, " ")
}
