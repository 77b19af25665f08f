package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/push"
)

// fake is a subscription and a topic. Its leases end by the clock, so that in a
// synctest bubble it shows what a long run does.
type fake struct {
	mu        sync.Mutex
	queue     []*stored
	published []push.Message
	batch     int              // the most that one pull brings
	step      func(step) error // called first in every operation
	answer    time.Duration    // how long a pull takes that brings something
	wait      time.Duration    // how long a publish takes
	forgets   bool             // loses every first acknowledgement
}

// step is one operation on a fake.
type step string

const (
	pulling   step = "pull"
	extending step = "extend"
	starting  step = "publish"
	waiting   step = "wait"
	acking    step = "acknowledge"
)

// stored is a message in the subscription.
type stored struct {
	push.Message
	until      time.Time // the end of its lease
	ackID      string
	deliveries int
	acked      int
}

func newFake(messages ...push.Message) *fake {
	f := &fake{batch: pullSize, step: func(step) error { return nil }}
	f.add(messages...)
	return f
}

func (f *fake) add(messages ...push.Message) {
	for _, m := range messages {
		f.queue = append(f.queue, &stored{Message: m})
	}
}

func (f *fake) pull(ctx context.Context) ([]received, error) {
	if err := f.step(pulling); err != nil {
		return nil, err
	}
	for {
		messages, pause := f.take(), 100*time.Millisecond
		if len(messages) > 0 {
			pause = f.answer
		}
		select {
		case <-ctx.Done():
			return nil, nil // and nobody has what was taken, until its leases end
		case <-time.After(pause):
		}
		if len(messages) > 0 {
			return messages, nil
		}
	}
}

func (f *fake) take() []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	const ackDeadline = 10 * time.Second
	var messages []received
	for _, s := range f.queue {
		if f.gone(s) || time.Now().Before(s.until) || len(messages) == f.batch {
			continue
		}
		s.deliveries++
		s.ackID = fmt.Sprintf("%s/%d", s.ID, s.deliveries)
		s.until = time.Now().Add(ackDeadline)
		messages = append(messages, received{s.Message, s.ackID})
	}
	return messages
}

// gone reports whether a message was acknowledged.
func (f *fake) gone(s *stored) bool { return s.acked > 1 || s.acked == 1 && !f.forgets }

func (f *fake) extend(_ context.Context, ackIDs []string, d time.Duration) error {
	return f.each(extending, ackIDs, func(s *stored) {
		if time.Now().Before(s.until) { // no lease that has run out can be extended
			s.until = time.Now().Add(d)
		}
	})
}

func (f *fake) acknowledge(_ context.Context, ackIDs []string) error {
	return f.each(acking, ackIDs, func(s *stored) {
		s.acked++
		s.until = time.Time{}
	})
}

// each does something to the messages whose newest lease is given.
func (f *fake) each(kind step, ackIDs []string, do func(*stored)) error {
	if err := f.step(kind); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	meant := make(map[string]bool)
	for _, id := range ackIDs {
		meant[id] = true
	}
	for _, s := range f.queue {
		if meant[s.ackID] {
			do(s)
		}
	}
	return nil
}

func (f *fake) publish(m push.Message) func() error {
	if err := f.step(starting); err != nil {
		return func() error { return err }
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published = append(f.published, m)
	done := time.Now().Add(f.wait)
	return func() error {
		<-time.After(time.Until(done))
		return f.step(waiting)
	}
}

// available returns the ids of the messages that a pull would bring now.
func (f *fake) available() map[string]bool {
	ids := make(map[string]bool)
	for _, s := range f.queue {
		if !f.gone(s) && !time.Now().Before(s.until) {
			ids[s.ID] = true
		}
	}
	return ids
}

// inTopic counts the publishes by identity.
func (f *fake) inTopic() map[string]int {
	ids := make(map[string]int)
	for _, m := range f.published {
		ids[m.Attributes[attrIdentity]]++
	}
	return ids
}

// replay runs a real run on the fake.
func (f *fake) replay(ctx context.Context, o options) (tally, error) {
	o.forReal = true
	if o.idle == 0 {
		o.idle = 5 * time.Second
	}
	r := replayer{options: o, letters: f, events: f, now: time.Now, report: &report{out: io.Discard, err: io.Discard, forReal: true}}
	return r.run(ctx)
}

// letters returns n dead letters that were published before now.
func letters(n int) []push.Message {
	messages := make([]push.Message, n)
	for i := range messages {
		messages[i] = push.Message{
			ID:          fmt.Sprintf("m-%d", i),
			Data:        []byte(`{"userId":"u-1"}`),
			PublishTime: time.Now().Add(-time.Minute),
		}
	}
	return messages
}

var errBroken = errors.New("broken")

// checkSums fails the test unless every message is counted once in each sum.
func checkSums(t *testing.T, got tally) {
	t.Helper()
	if got.Read != got.Replayed+got.Left || got.Selected != got.Replayed+got.Untried+got.Refused+got.Failed ||
		got.Refused != got.StaleDeletes+got.WrongRegions || got.Selected > got.Read {
		t.Errorf("the sums of %+v do not add up", got)
	}
}
