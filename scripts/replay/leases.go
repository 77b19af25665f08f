package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// callTime bounds one call to Pub/Sub that has to be made, whatever the user
	// has interrupted.
	callTime = 10 * time.Second
	// callSize is how many ack ids one call carries. Pub/Sub takes 512 KiB of
	// them, and they have a few hundred bytes each.
	callSize = 1000
)

// holdOn begins the leases: those that messages come with may be shorter than
// it takes to publish as many.
func (r *replayer) holdOn(messages []received) {
	leases := make([]lease, len(messages))
	for i, m := range messages {
		leases[i] = lease{m.ID, m.ackID}
	}
	if err := r.extend(context.Background(), leases, leaseTime); err != nil {
		r.report.say("%v", err)
	}
}

// keepLeases keeps what was read from being handed out again, until ctx ends.
// A lease that is lost all the same does no harm: the message comes again, and
// is known.
func (r *replayer) keepLeases(ctx context.Context) {
	ticker := time.NewTicker(leaseTime / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := r.extend(ctx, r.ledger.held(), leaseTime); err != nil {
				r.report.say("%v", err)
			}
		}
	}
}

// putBack ends the leases of everything that was not acknowledged.
func (r *replayer) putBack() error {
	if err := r.extend(context.Background(), r.ledger.held(), 0); err != nil {
		return fmt.Errorf("%w (they come back by themselves within %v)", err, leaseTime)
	}
	return nil
}

// extend stops between calls when ctx ends, and never within one: Pub/Sub might
// carry out a call that was given up after a later one.
func (r *replayer) extend(ctx context.Context, leases []lease, d time.Duration) error {
	for some := range slices.Chunk(leases, callSize) {
		if ctx.Err() != nil {
			return nil
		}
		err := call(some, func(ctx context.Context, ackIDs []string) error {
			return r.letters.extend(ctx, ackIDs, d)
		})
		if err != nil {
			return fmt.Errorf("changing the leases of %d messages: %w", len(leases), err)
		}
	}
	return nil
}

// acknowledgeReplays removes from the subscription what the topic has.
func (r *replayer) acknowledgeReplays() error {
	for some := range slices.Chunk(r.ledger.published(), callSize) {
		if err := call(some, r.letters.acknowledge); err != nil {
			return fmt.Errorf("acknowledging what was published: %w", err)
		}
		for _, l := range some {
			r.ledger.settle(l.id, replayed)
		}
	}
	return nil
}

// call makes one call for some leases.
func call(leases []lease, do func(ctx context.Context, ackIDs []string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	ackIDs := make([]string, len(leases))
	for i, l := range leases {
		ackIDs[i] = l.ackID
	}
	return do(ctx, ackIDs)
}
