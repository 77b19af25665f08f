package story

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
)

// Text returns a story for a terminal: a line for each link, √ where it holds and ×
// where it does not, and the sentence.
func (s Story) Text() string {
	var text strings.Builder
	known := func(value string) string { return cmp.Or(cli.Graphic(value), "?") }
	fmt.Fprintf(&text, "event %s of customer %s, endpoint %s", known(s.EventID), known(s.Customer), known(s.Endpoint))
	if at := s.Links[0].At; !at.IsZero() {
		text.WriteString(at.UTC().Format(", 2006-01-02 (UTC)"))
	}
	text.WriteString("\n\n")
	for _, l := range s.Links {
		mark, at := "√", strings.Repeat(" ", 12)
		if !l.At.IsZero() {
			at = l.At.UTC().Format("15:04:05.000")
		}
		if l.Fault != "" {
			mark = "×"
		}
		fmt.Fprintf(&text, "  %s %s  %-12s  %s\n", mark, at, l.Step, cli.Graphic(strings.Trim(l.Value+": "+l.Fault, ": ")))
	}
	fmt.Fprintf(&text, "\n%s\n%s\n%s\n", cli.Graphic(s.Happened), s.Do, s.Page)
	return text.String()
}
