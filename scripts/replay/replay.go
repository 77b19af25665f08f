package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/push"
)

const (
	// leaseTime is how long a message is kept from others at a time, and so how
	// long after a crash it takes until the messages come back.
	leaseTime = 2 * time.Minute
	// grace is how long a read that is under way when an interrupt comes may
	// still take: messages that nobody receives stay hidden for a lease.
	grace = time.Second
	// hopeless is how many publishes may fail with none in between that
	// succeeds. After that it is not the messages' fault.
	hopeless = 10
)

var (
	errInterrupted = errors.New("interrupted")
	// errHeldBack is a publish that was not tried, to keep the order.
	errHeldBack = errors.New("an earlier message with the same ordering key was not published")
)

// source is the subscription of the dead-letter topic.
type source interface {
	// pull returns what there is. It waits until there is something, and returns
	// nothing and no error when ctx ends first. After that no message is on
	// lease that was not returned.
	pull(ctx context.Context) ([]received, error)
	// acknowledge removes messages.
	acknowledge(ctx context.Context, ackIDs []string) error
	// extend makes the leases end after d from now; after 0 they end at once.
	extend(ctx context.Context, ackIDs []string, d time.Duration) error
}

// sink is the topic of device events.
type sink interface {
	// publish begins to publish; wait returns when the topic has the message, or
	// with an error after which it may have it all the same.
	publish(m push.Message) (wait func() error)
}

// replayer carries out one run.
type replayer struct {
	options
	letters source
	events  sink
	report  *report
	now     func() time.Time

	ledger   *ledger
	begun    time.Time
	taken    int // selected and fit messages, of which -max allows so many
	expiring int // of these, those that will be too old
	failures int // publishes that failed since the last that succeeded
}

// run replays until nothing more comes, -max is reached or ctx ends, and puts
// everything else back. The error says why something went wrong; the
// tally is right in any case.
func (r *replayer) run(ctx context.Context) (tally, error) {
	r.begun = r.now()
	r.ledger = newLedger()
	keeping, stop := context.WithCancel(context.Background())
	var keeper sync.WaitGroup
	keeper.Go(func() { r.keepLeases(keeping) })
	err := r.read(ctx)
	stop()
	keeper.Wait()              // or it might take up again what is put back
	_ = r.acknowledgeReplays() // a second time for some: why it failed is in err
	interrupted := errors.Is(err, errInterrupted)
	err = errors.Join(err, r.putBack())
	result := r.ledger.tally()
	result.DryRun, result.Expiring, result.Interrupted = !r.forReal, r.expiring, interrupted
	return result, err
}

// read reads and replays. What comes a second time, or came after the run had
// begun, does not keep it from ending.
func (r *replayer) read(ctx context.Context) error {
	wait, cancel := r.patience(ctx)
	defer func() { cancel() }()
	for {
		messages, err := r.letters.pull(wait)
		if err != nil {
			return fmt.Errorf("reading the subscription: %w", err)
		}
		due, err := r.work(ctx, r.ledger.enter(messages))
		r.report.progress(r.now(), r.ledger)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return errInterrupted
		case r.full():
			return nil
		case due > 0:
			cancel()
			wait, cancel = r.patience(ctx)
		case wait.Err() != nil:
			return nil
		}
	}
}

// patience is the context of waiting for something new.
func (r *replayer) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.idle)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return wait, func() { stop(); cancel() }
}

func (r *replayer) full() bool { return r.max > 0 && r.taken >= r.max }

// work decides about messages that came for the first time, replays them in a
// real run, and returns how many were in the subscription when the run began.
func (r *replayer) work(ctx context.Context, fresh []received) (due int, err error) {
	r.holdOn(fresh)
	letters := r.open(fresh)
	fit := r.judge(letters)
	if r.forReal {
		err = errors.Join(r.publish(ctx, fit), r.acknowledgeReplays())
	}
	for _, c := range fit {
		r.report.line(c.letter, r.ledger.fateOf(c.ID), c.err)
	}
	return len(letters), err
}

// open returns the letters that were there when the run began, the oldest
// event first, so that reports are replayed in their order as far as they come
// together.
func (r *replayer) open(messages []received) []letter {
	var letters []letter
	for _, m := range messages {
		if m.PublishTime.After(r.begun) {
			r.ledger.settle(m.ID, late)
			continue
		}
		letters = append(letters, open(m.Message))
	}
	slices.SortStableFunc(letters, func(a, b letter) int { return a.published.Compare(b.published) })
	return letters
}

// candidate is a selected letter, and the message to publish for it.
type candidate struct {
	letter
	message push.Message
	err     error // why it was not published
}

// judge returns what is to be published, and reports what is refused.
func (r *replayer) judge(letters []letter) []*candidate {
	var fit []*candidate
	for _, l := range letters {
		if r.full() || !r.filter.selects(l) {
			continue
		}
		message, err := r.revival.revive(l, r.now())
		if err != nil {
			f := refusal(err)
			r.ledger.settle(l.ID, f)
			r.report.line(l, f, err)
			continue
		}
		if r.revival.expires(l, r.now()) {
			r.expiring++
		}
		r.taken++
		r.ledger.settle(l.ID, untried)
		fit = append(fit, &candidate{letter: l, message: message})
	}
	return fit
}

// publish publishes side by side until ctx ends, and waits for what it has
// begun. The error means that there is no use in going on.
func (r *replayer) publish(ctx context.Context, fit []*candidate) error {
	var waits []func() error
	for _, c := range fit {
		if ctx.Err() != nil {
			break
		}
		waits = append(waits, r.events.publish(c.message))
	}
	for i, wait := range waits {
		fit[i].err = wait()
		r.note(fit[i])
	}
	if r.failures >= hopeless {
		return fmt.Errorf("publishing failed %d times on end", r.failures)
	}
	return nil
}

// note notes what became of a publish.
func (r *replayer) note(c *candidate) {
	if c.err == nil {
		r.failures = 0
		r.ledger.settle(c.ID, unacknowledged)
		return
	}
	if !errors.Is(c.err, errHeldBack) {
		r.failures++
	}
	r.ledger.settle(c.ID, failed)
}
