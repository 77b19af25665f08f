package replay

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/push"
)

// received is a message on lease. Pub/Sub does not redeliver it before the lease ends.
type received struct {
	push.Message
	ackID string
}

// fate is the state of a message in the run.
type fate int

const (
	passed         fate = iota // not selected
	late                       // became a dead letter during the run
	staleDeletes               // refused: errStaleDelete
	wrongRegions               // refused: errWrongRegion
	untried                    // not published, because of a dry run or an interrupt
	failed                     // the publish failed
	unacknowledged             // published, and still in the subscription
	replayed                   // published and acknowledged
	fates
)

// ledger has the fate of every message, and the leases. A message that is redelivered
// still has one entry and one fate. The counts come from the fates.
type ledger struct {
	mu     sync.Mutex
	fates  map[string]fate   // by message id
	leases map[string]string // newest ack ids by message id, of unacknowledged messages
}

func newLedger() *ledger {
	return &ledger{fates: make(map[string]fate), leases: make(map[string]string)}
}

// enter records messages, and returns those that are new.
func (l *ledger) enter(messages []received) []received {
	l.mu.Lock()
	defer l.mu.Unlock()
	var fresh []received
	for _, m := range messages {
		l.leases[m.ID] = m.ackID
		switch known, ok := l.fates[m.ID]; {
		case !ok:
			l.fates[m.ID] = passed
			fresh = append(fresh, m)
		case known == replayed: // Pub/Sub lost the acknowledgement
			l.fates[m.ID] = unacknowledged
		}
	}
	return fresh
}

func (l *ledger) settle(id string, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fates[id] = f
	if f == replayed {
		delete(l.leases, id)
	}
}

func (l *ledger) fateOf(id string) fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fates[id]
}

// lease is the lease of one message.
type lease struct{ id, ackID string }

// held returns the leases of all unacknowledged messages.
func (l *ledger) held() []lease {
	return l.leasesOf(func(fate) bool { return true })
}

// published returns the leases of the messages to acknowledge.
func (l *ledger) published() []lease {
	return l.leasesOf(func(f fate) bool { return f == unacknowledged })
}

func (l *ledger) leasesOf(want func(fate) bool) []lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	var leases []lease
	for id, ackID := range l.leases {
		if want(l.fates[id]) {
			leases = append(leases, lease{id, ackID})
		}
	}
	return leases
}

// tally counts the messages of each fate.
func (l *ledger) tally() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n [fates]int
	for _, f := range l.fates {
		n[f]++
	}
	refused := n[staleDeletes] + n[wrongRegions]
	all := len(l.fates)
	return tally{
		Read:           all,
		Selected:       n[replayed] + n[untried] + refused + n[failed] + n[unacknowledged],
		Replayed:       n[replayed],
		Untried:        n[untried],
		Refused:        refused,
		StaleDeletes:   n[staleDeletes],
		WrongRegions:   n[wrongRegions],
		Failed:         n[failed] + n[unacknowledged],
		Unacknowledged: n[unacknowledged],
		Left:           all - n[replayed],
		Late:           n[late],
	}
}

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
		fmt.Fprintf(w, "Events older than %v: %d. Unless MAX_EVENT_AGE is longer, SendEvent drops them as expired\n"+
			"and announces their endpoints as stale. With --as-new they are delivered, as if they had happened now.\n", usualMaxAge, t.Expiring)
	}
	if t.DryRun {
		fmt.Fprintln(w, "This was a dry run: nothing was published. Add --for-real to replay.")
	}
}

// some returns a remark about n messages, or "" if n is 0.
func some(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("(%d %s)", n, what)
}
