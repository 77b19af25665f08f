package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// line lists one thing that was done, or would be, its fields separated by
// tabs.
func (p *program) line(o options, fields ...string) {
	if o.json {
		return
	}
	for i, field := range fields {
		fields[i] = clean(field)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.stdout, strings.Join(fields, "\t"))
}

// done is what was done, as a line says it.
func (o options) done(verb, past string) string {
	if o.forReal {
		return past
	}
	return "would " + verb
}

// row writes one line of a table.
func row(w io.Writer, name, format string, a ...any) {
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-20s %s", name, clean(fmt.Sprintf(format, a...))), " "))
}

// clean makes text that may hold anything fit for a line of a terminal.
func clean(s string) string {
	return cmp.Or(strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return unicode.ReplacementChar
		}
		return c
	}, s), "-")
}

// moment shows a time, in the form in which flags take it.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return alexa.FormatTime(t)
}
