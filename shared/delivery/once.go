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
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/wait"
)

const (
	// claimTime is how long a process has the exclusive right to send an event that
	// must not be repeated. If the process dies, another may send the event after
	// that.
	claimTime = 30 * time.Second
	// deliveryLifetime is how long a delivery record is valid: longer than Pub/Sub
	// redelivers a failing message, which is 100 attempts a minute apart.
	deliveryLifetime = 24 * time.Hour
)

// claim returns the delivery record of an event, if the event needs one: a
// redelivery reads which grants accepted it before, and an event that must not be
// repeated is claimed. Such an event costs two writes, the claim and the result, and
// a read and a write for each redelivery; other events cost nothing unless they are
// redelivered. It returns ErrDuplicate if the event needs no more deliveries, and
// ErrClaimed if another process is sending it.
func (d *Deliverer) claim(ctx context.Context, e *event, key grant.Key, m push.Message) (grant.Delivery, error) {
	delivery := grant.Delivery{Key: grant.DeliveryKey{Customer: key.ID(), EventID: e.id}}
	if e.grant != "" {
		// A replay: the delivery record marks the event as sent.
		return delivery, nil
	}
	if e.once && m.Attempt <= 1 {
		// Most likely this is the first delivery: write without a read.
		claimed, err := d.writeClaim(ctx, delivery)
		if !errors.Is(err, grant.ErrConflict) {
			return claimed, err
		}
	} else if e.isReport() || !e.once && m.Attempt == 1 {
		return delivery, nil // a report that some grants accepted is not redelivered
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
	claimed, err := d.writeClaim(ctx, found)
	if errors.Is(err, grant.ErrConflict) {
		err = ErrClaimed
	}
	return claimed, err
}

// expire returns the results of an event that is too old: expired, unless the grant
// accepted the event before, or is revoked.
func (d *Deliverer) expire(ctx context.Context, e *event, record grant.Record, ids []string, m push.Message) []Result {
	var before grant.Delivery
	if m.Attempt != 1 && !e.isReport() {
		found, err := d.Store.ReadDelivery(ctx, grant.DeliveryKey{Customer: record.Key().ID(), EventID: e.id})
		if err != nil && !errors.Is(err, grant.ErrNotFound) {
			return resultForAll(ids, fmt.Errorf("reading what was delivered: %w", err))
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

func (d *Deliverer) writeClaim(ctx context.Context, was grant.Delivery) (grant.Delivery, error) {
	now := was
	now.State, now.ClaimedUntil, now.ExpireAt = grant.Claimed, d.Now().Add(claimTime), d.Now().Add(deliveryLifetime)
	claimed, err := d.Store.WriteDelivery(ctx, was, now)
	if err != nil && !errors.Is(err, grant.ErrConflict) {
		err = fmt.Errorf("claiming an event: %w", err)
	}
	return claimed, err
}

// recordDelivery records which grants are done with the event if a redelivery needs
// to know, because the event failed for some grants or must not be repeated. If the
// record cannot be saved within noteTime, the event may be repeated. That does not
// fail the request, which would repeat it for certain.
func (d *Deliverer) recordDelivery(ctx context.Context, e *event, was grant.Delivery, results []Result) {
	again := slices.ContainsFunc(results, func(r Result) bool { return r.Decision == Retry })
	if e.isReport() || !e.once && !again {
		return
	}
	now := was
	now.Accepted = slices.Clone(was.Accepted)
	for _, r := range results {
		switch {
		case r.Decision == Retry:
		case r.GrantID != "" && !slices.Contains(now.Accepted, r.GrantID) && slices.Contains(finalOutcomes, r.Name):
			now.Accepted = append(now.Accepted, r.GrantID)
		}
	}
	if !e.once && len(now.Accepted) == len(was.Accepted) {
		return
	}
	now.State, now.ClaimedUntil, now.ExpireAt = "", time.Time{}, d.Now().Add(deliveryLifetime)
	if e.once && !again {
		now.State = grant.Sent
	}
	// The note is saved even if the request is about to be cut off.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	for tried := false; ; tried = true {
		_, err := d.Store.WriteDelivery(ctx, was, now)
		conflict := errors.Is(err, grant.ErrConflict)
		switch {
		case err == nil, tried && conflict: // the first write succeeded, and its answer was lost
			return
		case conflict, wait.For(ctx, notePause) != nil:
			logging.Add(ctx, slog.String("delivery_error", err.Error()))
			return
		}
	}
}

// finalOutcomes are the outcomes after which a grant must not get the event again.
var finalOutcomes = []OutcomeName{Accepted, Dead, Unconfirmed, Superseded}

// noteTime bounds a note that is written even if the request has ended.
const noteTime = 2 * time.Second

// notePause is the pause before a note is retried.
const notePause = 50 * time.Millisecond
