package main

import (
	"sync"

	"github.com/gatepostdev/gatepost/shared/push"
)

// received is a message on lease: until the lease ends nobody else gets it.
type received struct {
	push.Message
	ackID string
}

// fate is what has become of a message.
type fate int

const (
	passed         fate = iota // not selected
	late                       // became a dead letter after the run had begun
	staleDeletes               // refused: errStaleDelete
	wrongRegions               // refused: errWrongRegion
	untried                    // selected and fit, but a dry run or an interrupt came before
	failed                     // could not be published
	unacknowledged             // published, and still in the subscription
	replayed                   // published and acknowledged
	fates
)

// ledger keeps what became of every message, and the leases that are held. One
// message may be handed out several times; it has one entry and one fate, from
// which everything that is reported is counted.
type ledger struct {
	mu     sync.Mutex
	fates  map[string]fate   // by message id
	leases map[string]string // message id to the newest ack id, of all that were not acknowledged
}

func newLedger() *ledger {
	return &ledger{fates: make(map[string]fate), leases: make(map[string]string)}
}

// enter notes messages and returns those that were never seen before.
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
		case known == replayed: // Pub/Sub did not keep the acknowledgement
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

// lease is one message's.
type lease struct{ id, ackID string }

// held returns the leases of all messages that were not acknowledged.
func (l *ledger) held() []lease {
	return l.leasesOf(func(fate) bool { return true })
}

// published returns the leases of those that are to be acknowledged.
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
