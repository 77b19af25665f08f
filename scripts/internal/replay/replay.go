package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
)

const (
	// leaseTime is the length of a lease. After a crash Pub/Sub redelivers the
	// messages when it is over.
	leaseTime = 2 * time.Minute
	// grace is how long a pull in flight at an interrupt may still take. If it were
	// cancelled, its messages would stay hidden for a lease.
	grace = time.Second
	// maxFailures is how many publishes in a row may fail. After that the cause is not
	// in the messages.
	maxFailures = 10
)

var (
	errInterrupted = errors.New("interrupted")
	// errHeldBack is the error of a publish that was not tried, to keep the order.
	errHeldBack = errors.New("an earlier message with the same ordering key was not published")
)

// source is the subscription of the dead-letter topic.
type source interface {
	// pull waits for messages and returns them. If ctx ends first it returns no
	// messages and no error. It leaves no message on lease that it does not return.
	pull(ctx context.Context) ([]received, error)
	// acknowledge removes messages.
	acknowledge(ctx context.Context, ackIDs []string) error
	// extend makes the leases end after d from now; after 0 they end at once.
	extend(ctx context.Context, ackIDs []string, d time.Duration) error
}

// sink is the topic of device events.
type sink interface {
	// publish begins to publish. wait returns nil when the topic has the message. After
	// an error the topic may have it as well.
	publish(m push.Message) (wait func() error)
}

// replayer does one run.
type replayer struct {
	*Command
	*cli.Env
	letters source
	events  sink

	shown    func(letter, fate, error) // if not nil, is called for each selected letter, which is not listed then
	ledger   *ledger
	begun    time.Time
	taken    int // messages to publish, limited by --max
	expiring int // those of them that SendEvent will drop as expired
	failures int // publishes that failed since the last success
}

// run replays until no new message arrives, --max is reached or ctx ends, and releases
// all other messages. The tally is valid even if there is an error.
func (r *replayer) run(ctx context.Context) (tally, error) {
	r.begun = r.Now()
	r.ledger = newLedger()
	keeping, stop := context.WithCancel(context.Background())
	var keeper sync.WaitGroup
	keeper.Go(func() { r.keepLeases(keeping) })
	err := r.read(ctx)
	stop()
	keeper.Wait()              // or it might extend leases after they are released
	_ = r.acknowledgeReplays() // retries those that failed; err has the first error
	interrupted := errors.Is(err, errInterrupted)
	if held := r.release(); held != nil {
		err = errors.Join(err, held)
	}
	result := r.ledger.tally()
	result.DryRun, result.Expiring, result.Interrupted = !r.ForReal, r.expiring, interrupted
	return result, err
}

// read pulls and replays until no new message arrives for the idle time. Redelivered
// messages, and dead letters published during the run, do not restart the idle time.
func (r *replayer) read(ctx context.Context) error {
	wait, cancel := r.idleContext(ctx)
	defer func() { cancel() }()
	progress := r.Progress("messages")
	for {
		messages, err := r.letters.pull(wait)
		if err != nil {
			return fmt.Errorf("reading the subscription: %w", err)
		}
		due, err := r.replay(ctx, r.ledger.enter(messages))
		share := 0.0 // without --max it is unknown
		if r.Max > 0 {
			share = float64(r.taken) / float64(r.Max)
		}
		progress.Show(r.ledger.tally().Read, share)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return errInterrupted
		case r.full():
			return nil
		case due > 0:
			cancel()
			wait, cancel = r.idleContext(ctx)
		case wait.Err() != nil:
			return nil
		}
	}
}

// idleContext returns a context that ends after the idle time, or a short time after
// ctx.
func (r *replayer) idleContext(ctx context.Context) (context.Context, context.CancelFunc) {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Idle)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return wait, func() { stop(); cancel() }
}

func (r *replayer) full() bool { return r.Max > 0 && r.taken >= r.Max }

// replay judges new messages, and publishes the selected ones unless this is a dry run.
// It returns how many of the messages were dead letters when the run began.
func (r *replayer) replay(ctx context.Context, fresh []received) (due int, err error) {
	r.beginLeases(fresh)
	letters := r.open(fresh)
	fit := r.judge(letters)
	if r.ForReal {
		err = errors.Join(r.publish(ctx, fit), r.acknowledgeReplays())
	}
	for _, c := range fit {
		r.line(c.letter, r.ledger.fateOf(c.ID), c.err)
	}
	return len(letters), err
}

// open returns the messages that were dead letters when the run began, the oldest
// event first, so that reports which are pulled together are replayed in order.
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

// judge returns the messages to publish, and reports the refused ones.
func (r *replayer) judge(letters []letter) []*candidate {
	var fit []*candidate
	for _, l := range letters {
		if r.full() || !r.filter.selects(l) {
			continue
		}
		message, err := r.revival.revive(l, r.Now())
		if err != nil {
			f := refusal(err)
			r.ledger.settle(l.ID, f)
			r.line(l, f, err)
			continue
		}
		if r.revival.expires(l, r.Now()) {
			r.expiring++
		}
		r.taken++
		r.ledger.settle(l.ID, untried)
		fit = append(fit, &candidate{letter: l, message: message})
	}
	return fit
}

// publish publishes in parallel until ctx ends, and waits for the publishes in flight.
// After an error the run must end.
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
	if r.failures >= maxFailures {
		return fmt.Errorf("publishing failed %d times in a row", r.failures)
	}
	return nil
}

// note records the outcome of a publish.
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

// line lists one selected message with everything that helps to decide about it, but
// without its data.
func (r *replayer) line(l letter, f fate, reason error) {
	switch {
	case r.shown != nil:
		r.shown(l, f, reason)
		return
	case r.JSON.JSON:
		return
	}
	fields := []string{
		r.verb(f), alexa.FormatTime(l.published), l.region, cmp.Or(l.code, l.reason), l.customer, l.kind, l.endpoint, l.description,
	}
	if reason != nil {
		fields = append(fields, reason.Error())
	}
	r.Line(fields...)
}

func (r *replayer) verb(f fate) string {
	switch f {
	case untried:
		if !r.ForReal {
			return "would replay"
		}
		return "not reached"
	case staleDeletes, wrongRegions:
		return "refused"
	case replayed:
		return "replayed"
	case unacknowledged:
		return "published, but not acknowledged"
	}
	return "failed"
}
