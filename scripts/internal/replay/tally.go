package replay

import (
	"fmt"
	"io"
	"strings"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
)

// tally counts messages by fate. Read is Replayed plus Left; Selected is Replayed plus
// Untried, Refused and Failed.
type tally struct {
	DryRun      bool `json:"dryRun"`
	Interrupted bool `json:"interrupted"`

	Read     int `json:"read"`
	Selected int `json:"selected"`
	Replayed int `json:"replayed"` // published, and no longer in the subscription
	Untried  int `json:"untried"`  // in a dry run, those that would be replayed
	Refused  int `json:"refused"`
	Failed   int `json:"failed"`
	Left     int `json:"left"` // in the subscription

	StaleDeletes   int `json:"refusedDeleteReports"` // of Refused
	WrongRegions   int `json:"refusedRegions"`       // of Refused
	Unacknowledged int `json:"unacknowledged"`       // of Failed: published nevertheless
	Late           int `json:"late"`                 // of Left: became dead letters during the run
	Expiring       int `json:"expiring"`             // of Replayed, Untried and Failed: too old for SendEvent
}

// write writes the tally for people.
func (t tally) write(w io.Writer) {
	row := func(name string, n int, remarks ...string) {
		cli.Row(w, name, "%7d  %s", n, strings.Join(remarks, ""))
	}
	row("read", t.Read)
	row("selected", t.Selected)
	if t.DryRun {
		row("would replay", t.Untried)
	} else {
		row("replayed", t.Replayed)
		row("not reached", t.Untried)
		row("failed", t.Failed, some(t.Unacknowledged, "were published but not acknowledged, and will be published again"))
	}
	row("refused", t.Refused, some(t.StaleDeletes, "are DeleteReports older than an hour (--force)"),
		some(t.WrongRegions, "have a wrong region (--set-region)"))
	row("left", t.Left, some(t.Late, "became dead letters since the run began"))
	if t.Expiring > 0 {
		fmt.Fprintf(w, "Events older than %v: %d. Unless MAX_EVENT_AGE is more than that, SendEvent drops them as expired\n"+
			"and announces their endpoints as stale. With --as-new they are delivered, as if they had happened now.\n", usualMaxAge, t.Expiring)
	}
	if t.DryRun {
		fmt.Fprintln(w, "This was a dry run: nothing was published. With --for-real it is.")
	}
}

// some returns a remark about n messages, or "" if n is 0.
func some(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("(%d %s)", n, what)
}
