package replay

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// callTime bounds one call to Pub/Sub. An interrupt does not cancel calls.
	callTime = 10 * time.Second
	// callSize is the number of ack ids in one call. Pub/Sub takes 512 KiB of them, and
	// each has a few hundred bytes.
	callSize = 1000
)

// beginLeases extends the leases of new messages: the subscription's may be too short
// to publish all of them.
func (r *replayer) beginLeases(messages []received) {
	leases := make([]lease, len(messages))
	for i, m := range messages {
		leases[i] = lease{m.ID, m.ackID}
	}
	if err := r.extend(context.Background(), leases, leaseTime); err != nil {
		r.Say("%v", err)
	}
}

// keepLeases extends the leases of all unacknowledged messages until ctx ends. A lost
// lease does no harm: the ledger knows the message when it is redelivered.
func (r *replayer) keepLeases(ctx context.Context) {
	ticker := time.NewTicker(leaseTime / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := r.extend(ctx, r.ledger.held(), leaseTime); err != nil {
				r.Say("%v", err)
			}
		}
	}
}

// release ends the leases of all unacknowledged messages.
func (r *replayer) release() error {
	if err := r.extend(context.Background(), r.ledger.held(), 0); err != nil {
		return fmt.Errorf("%w (Pub/Sub redelivers them within %v)", err, leaseTime)
	}
	return nil
}

// extend makes the leases end after d. When ctx ends it stops between calls, and never
// cancels one: Pub/Sub might carry out a cancelled call after a later one.
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

// acknowledgeReplays acknowledges the messages that were published.
func (r *replayer) acknowledgeReplays() error {
	for some := range slices.Chunk(r.ledger.published(), callSize) {
		if err := call(some, r.letters.acknowledge); err != nil {
			return fmt.Errorf("acknowledging published messages: %w", err)
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
