package story

import (
	"cmp"
	"fmt"
	"strings"
)

// Text returns a story for a terminal: a line for each link, √ where it holds and ×
// where it does not, and the sentence.
func (s Story) Text() string {
	var text strings.Builder
	fmt.Fprintf(&text, "event %s of customer %s, endpoint %s\n\n", cmp.Or(s.EventID, "?"), cmp.Or(s.Customer, "?"), cmp.Or(s.Endpoint, "?"))
	for _, l := range s.Links {
		mark, at := "√", strings.Repeat(" ", 12)
		if !l.At.IsZero() {
			at = l.At.UTC().Format("15:04:05.000")
		}
		if l.Fault != "" {
			mark = "×"
		}
		fmt.Fprintf(&text, "  %s %s  %-12s  %s\n", mark, at, l.Step, strings.Trim(l.Value+": "+l.Fault, ": "))
	}
	fmt.Fprintf(&text, "\n%s\n%s\n%s\n", s.Happened, s.Do, s.Page)
	return text.String()
}
