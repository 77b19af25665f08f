package outage_test

import (
	"container/heap"
	"time"

	"github.com/gatepostdev/gatepost/shared/push"
)

// Pub/Sub's back-off before it redelivers: see infra.
const (
	firstBackOff = 5 * time.Second
	lastBackOff  = time.Minute
)

// queue is a subscription with ordering keys: of each key one message is out at
// a time, and what fails is redelivered after a growing pause.
type queue struct {
	keys  map[string]*lane
	ready lanes
	held  int // messages
}

// lane is the messages of one ordering key, the oldest first.
type lane struct {
	messages []push.Message
	at       time.Time // when the first may be pushed
	out      bool      // it is with the function
}

func newQueue() *queue { return &queue{keys: make(map[string]*lane)} }

func (q *queue) put(m push.Message) {
	l, ok := q.keys[m.OrderingKey]
	if !ok {
		l = new(lane)
		q.keys[m.OrderingKey] = l
	}
	l.messages = append(l.messages, m)
	q.held++
	if len(l.messages) == 1 && !l.out {
		l.at = m.PublishTime
		heap.Push(&q.ready, l)
	}
}

// next takes a lane whose first message is to be pushed now, nil if there is
// none.
func (q *queue) next(now time.Time) *lane {
	if len(q.ready) == 0 || q.ready[0].at.After(now) {
		return nil
	}
	l := heap.Pop(&q.ready).(*lane)
	l.out = true
	l.messages[0].Attempt++
	return l
}

// done puts a lane back whose first message was acknowledged, or not.
func (q *queue) done(l *lane, acknowledged bool, now time.Time) {
	l.out = false
	if acknowledged {
		l.messages = l.messages[1:]
		q.held--
		l.at = now
	} else {
		l.at = now.Add(min(firstBackOff<<min(l.messages[0].Attempt-1, 8), lastBackOff))
	}
	if len(l.messages) > 0 {
		heap.Push(&q.ready, l)
	}
}

// lanes is a heap, the earliest first.
type lanes []*lane

func (h lanes) Len() int           { return len(h) }
func (h lanes) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h lanes) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lanes) Push(l any)        { *h = append(*h, l.(*lane)) }
func (h *lanes) Pop() any {
	old := *h
	l := old[len(old)-1]
	*h = old[:len(old)-1]
	return l
}
