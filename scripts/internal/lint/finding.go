package lint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// finding is a fault of a file, as -json writes it.
type finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"` // in characters
	Severity severity `json:"severity"`
	Path     string   `json:"path,omitempty"`
	Problem  string   `json:"problem"`
	Rule     string   `json:"rule,omitempty"`

	at     int  // offset of the value in the file
	syntax bool // the place is a character, not a value
}

type severity string

const (
	failure severity = "error" // it would be refused or have no effect
	warned  severity = "warning"
)

// String returns "file:line: severity: path: problem (rule)", a format that editors and
// CI services parse. A syntax error has its column as well.
func (f finding) String() string {
	place := fmt.Sprintf("%s:%d", f.File, f.Line)
	if f.syntax {
		place = fmt.Sprintf("%s:%d", place, f.Column)
	}
	field := alexa.FieldError{Path: f.Path, Problem: f.Problem, Rule: f.Rule}
	return fmt.Sprintf("%s: %s: %v", place, f.Severity, &field)
}

// judge returns the findings of a file, sorted by place.
func judge(name string, text []byte, known declarations) []finding {
	list, broken := documents(text)
	var findings []finding
	if bytes.HasPrefix(text, byteOrderMark) {
		findings = append(findings, finding{Severity: warned, Problem: "begins with a byte order mark, which an event must not have"})
	}
	if broken != nil {
		broken.Severity = failure
		findings = append(findings, *broken)
	}
	last := make(paces)
	for _, d := range list {
		for _, fault := range d.faults(known, last) {
			findings = append(findings, d.finding(fault))
		}
	}
	slices.SortStableFunc(findings, func(a, b finding) int { return cmp.Compare(a.at, b.at) })
	place(name, text, findings)
	return findings
}

func (d document) finding(fault *alexa.FieldError) finding {
	f := finding{at: d.find(fault.Path).at, Severity: failure, Path: d.path(printable(fault.Path)), Problem: fault.Problem, Rule: fault.Rule}
	if fault.Warning {
		f.Severity = warned
	}
	return f
}

// path returns the path in the file of a path in the document.
func (d document) path(inner string) string {
	if d.prefix == "" || inner == "" {
		return d.prefix + inner
	}
	return d.prefix + "." + inner
}

// printable replaces unprintable characters of a path, whose names are untrusted.
func printable(path string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, path)
}

// place sets the lines and columns of findings, which are sorted by offset.
func place(name string, text []byte, findings []finding) {
	line, start, seen := 1, 0, 0
	for i := range findings {
		f := &findings[i]
		passed := text[seen:f.at]
		line += bytes.Count(passed, []byte("\n"))
		if last := bytes.LastIndexByte(passed, '\n'); last >= 0 {
			start = seen + last + 1
		}
		seen = f.at
		f.File, f.Line, f.Column = name, line, utf8.RuneCount(text[start:f.at])+1
	}
}

// report writes findings.
type report struct {
	out          io.Writer
	json, strict bool

	refused bool  // a finding is a failure
	err     error // of writing
}

func (r *report) write(findings []finding) {
	for _, f := range findings {
		r.refused = r.refused || r.strict || f.Severity == failure
		var err error
		if r.json {
			encoder := json.NewEncoder(r.out)
			encoder.SetEscapeHTML(false)
			err = encoder.Encode(f)
		} else {
			_, err = fmt.Fprintln(r.out, f)
		}
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("writing the findings: %w", err)
		}
	}
}
