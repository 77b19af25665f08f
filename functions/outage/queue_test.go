package outage_test

import (
	"time"

	"github.com/gatepostdev/gatepost/shared/push"
)

// Pub/Sub's retry backoff, as in infra.
const (
	firstBackOff = 5 * time.Second
	lastBackOff  = time.Minute
)

// queue is a subscription with ordering keys: one message of each key is out at a
// time, and a failed one is redelivered after a growing delay.
type queue struct {
	keys  map[string]*lane
	lanes []*lane
	held  int // messages
}

// lane is the messages of one ordering key, oldest first.
type lane struct {
	messages []push.Message
	at       time.Time // when the first may be pushed
	out      bool      // being delivered
}

func newQueue() *queue { return &queue{keys: make(map[string]*lane)} }

func (q *queue) put(m push.Message) {
	l, ok := q.keys[m.OrderingKey]
	if !ok {
		l = new(lane)
		q.keys[m.OrderingKey], q.lanes = l, append(q.lanes, l)
	}
	if len(l.messages) == 0 {
		l.at = m.PublishTime
	}
	l.messages = append(l.messages, m)
	q.held++
}

// next returns the lane whose first message has waited longest, nil if none is to
// be pushed now.
func (q *queue) next(now time.Time) (next *lane) {
	if q.held == 0 {
		return nil
	}
	for _, l := range q.lanes {
		if len(l.messages) > 0 && !l.out && !l.at.After(now) && (next == nil || l.at.Before(next.at)) {
			next = l
		}
	}
	if next != nil {
		next.out = true
		next.messages[0].Attempt++
	}
	return next
}

// done returns a lane after the delivery of its first message.
func (q *queue) done(l *lane, acknowledged bool, now time.Time) {
	l.out, l.at = false, now
	if acknowledged {
		l.messages = l.messages[1:]
		q.held--
	} else {
		l.at = now.Add(min(firstBackOff<<min(l.messages[0].Attempt-1, 8), lastBackOff))
	}
}
