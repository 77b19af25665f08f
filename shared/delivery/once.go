package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/telemetry"
	"github.com/gatepostdev/gatepost/shared/wait"
)

const (
	// claimTime is how long an event that must not be repeated belongs to the
	// process that sends it. One that dies leaves it to the next after that.
	claimTime = 30 * time.Second
	// deliveryKept is how long a delivery record means something: longer than
	// Pub/Sub goes on delivering a message that fails, at a minute a time.
	deliveryKept = 24 * time.Hour
)

// begin returns the delivery record of an event, as far as there is a reason
// to look for one: a redelivery may find who accepted it before, and an event
// that must not be repeated is claimed. That costs such an event two writes, the
// claim and the mark, and a read and a write more for each time it comes back;
// other events cost nothing while all is well. It returns ErrDuplicate if the
// event is done with and ErrClaimed if it is another process's.
func (d *Deliverer) begin(ctx context.Context, e *event, key grant.Key, m push.Message) (grant.Delivery, error) {
	delivery := grant.Delivery{Key: grant.DeliveryKey{Customer: key.ID(), EventID: e.id}}
	if e.grant != "" {
		// A replay, of what the record holds to be done with.
		return delivery, nil
	}
	if e.once && m.Attempt <= 1 {
		// Most likely nobody has seen it: no read before the write.
		claimed, err := d.claim(ctx, delivery)
		if !errors.Is(err, grant.ErrConflict) {
			return claimed, err
		}
	} else if e.isReport() || !e.once && m.Attempt == 1 {
		return delivery, nil // a report that some grants took is not delivered again
	}
	found, err := d.Store.ReadDelivery(ctx, delivery.Key)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		found = delivery
	case err != nil:
		return delivery, fmt.Errorf("reading what was delivered: %w", err)
	case !found.Live(d.Now()):
		found.State, found.ClaimedUntil, found.Accepted = "", time.Time{}, nil
	}
	switch {
	case found.State == grant.Sent:
		return found, ErrDuplicate
	case found.State == grant.Claimed && d.Now().Before(found.ClaimedUntil):
		return found, ErrClaimed
	case !e.once:
		return found, nil
	}
	claimed, err := d.claim(ctx, found)
	if errors.Is(err, grant.ErrConflict) {
		err = ErrClaimed
	}
	return claimed, err
}

// expire gives every grant the result of an event that is too old: expired,
// unless it has had the event before, or is gone.
func (d *Deliverer) expire(ctx context.Context, e *event, record grant.Record, ids []string, m push.Message) []Result {
	var before grant.Delivery
	if m.Attempt != 1 && !e.isReport() {
		found, err := d.Store.ReadDelivery(ctx, grant.DeliveryKey{Customer: record.Key().ID(), EventID: e.id})
		if err != nil && !errors.Is(err, grant.ErrNotFound) {
			return all(ids, fmt.Errorf("reading what was delivered: %w", err))
		}
		if found.Live(d.Now()) {
			before = found
		}
	}
	results := make([]Result, len(ids))
	for i, id := range ids {
		err := ErrExpired
		switch {
		case before.State == grant.Sent, slices.Contains(before.Accepted, id), d.memory.hasAccepted(messageID(e.id, id, "")):
			err = ErrDuplicate
		case record.Grants[id].State == grant.Revoked:
			err = access.ErrRevoked
		}
		results[i] = resultOf(id, err)
	}
	return results
}

func (d *Deliverer) claim(ctx context.Context, was grant.Delivery) (grant.Delivery, error) {
	now := was
	now.State, now.ClaimedUntil, now.ExpireAt = grant.Claimed, d.Now().Add(claimTime), d.Now().Add(deliveryKept)
	claimed, err := d.Store.WriteDelivery(ctx, was, now)
	if err != nil && !errors.Is(err, grant.ErrConflict) {
		err = fmt.Errorf("claiming an event: %w", err)
	}
	return claimed, err
}

// end notes who is done with the event, if a redelivery has to know: because
// it failed for some, or because it must not be repeated. A note that cannot be
// saved within noteTime may cost a repetition, and is no reason to ask for one.
func (d *Deliverer) end(ctx context.Context, e *event, was grant.Delivery, results []Result) {
	again := slices.ContainsFunc(results, func(r Result) bool { return r.Decision == Retry })
	if e.isReport() || !e.once && !again {
		return
	}
	now := was
	now.Accepted = slices.Clone(was.Accepted)
	for _, r := range results {
		switch {
		case r.Decision == Retry:
		case r.GrantID != "" && !slices.Contains(now.Accepted, r.GrantID) && slices.Contains(doneWith, r.Name):
			now.Accepted = append(now.Accepted, r.GrantID)
		}
	}
	if !e.once && len(now.Accepted) == len(was.Accepted) {
		return
	}
	now.State, now.ClaimedUntil, now.ExpireAt = "", time.Time{}, d.Now().Add(deliveryKept)
	if e.once && !again {
		now.State = grant.Sent
	}
	// Whoever is about to be cut off must still leave its note.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	for tried := false; ; tried = true {
		_, err := d.Store.WriteDelivery(ctx, was, now)
		conflict := errors.Is(err, grant.ErrConflict)
		switch {
		case err == nil, tried && conflict: // with the write whose answer was lost
			return
		case conflict, wait.For(ctx, notePause) != nil:
			telemetry.Add(ctx, slog.String("delivery_error", err.Error()))
			return
		}
	}
}

// doneWith are the outcomes after which a grant must not get the event again.
var doneWith = []OutcomeName{Accepted, Dead, Unconfirmed, Superseded}

// noteTime bounds a note that is written even if the request has ended.
const noteTime = 2 * time.Second

// notePause is how long a note that could not be saved waits for the next try.
const notePause = 50 * time.Millisecond
