package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// customer is whom an event is for.
type customer struct {
	record     grant.Record
	grants     []string // ids of the grants that the event is for
	remembered bool     // record was not read for this event
}

// customer returns the customer of an event.
//
// A remembered record is good for sending: a token that is no longer good is
// refused and refreshed, and whoever changes the record finds out that it is
// not the stored one. It is not good for saying anything about the customer, so
// that one who has nobody to send to is believed only if it was read after the
// event was published: an event that follows a link at once is not lost.
func (d *Deliverer) customer(ctx context.Context, e *event, m push.Message) (customer, error) {
	key := grant.Key{Skill: d.Skill, UserID: e.UserID}
	if d.Customers != nil && m.Attempt <= 1 && e.recent() {
		record, asOf, err := d.Customers.Recent(ctx, key)
		grants := d.addressees(record, e)
		switch {
		case asOf.IsZero(), err == nil && allTake(record, grants, d.Now()), asOf.After(e.published.Add(clockSkew)):
			return customer{record, grants, !asOf.IsZero()}, err
		}
	}
	record, err := d.Store.Read(ctx, key)
	return customer{record, d.addressees(record, e), false}, err
}

// clockSkew is how far Pub/Sub's clock may be behind this process's.
const clockSkew = time.Second

// recent reports whether there is no more to an event than sending it, and it is
// one of many. Of an endpoint that came or went there is one event only, which a
// grant of this minute must not miss; one that must not be repeated writes a
// record about the customer, who should be there; of one that is too old the
// maker is told.
func (e *event) recent() bool {
	return e.grant == "" && !e.expired && !e.once && !e.answers && !e.Kind().Life.Lasting()
}

// allTake reports whether there are grants to send to, and no others.
func allTake(record grant.Record, ids []string, now time.Time) bool {
	for _, id := range ids {
		g := record.Grants[id]
		if g.State != grant.Active && !(g.Doubted() && !g.TokenEnded(now)) {
			return false
		}
	}
	return len(ids) > 0
}

// again sends an event once more when a grant of a remembered record may be
// gone: to the grants that the customer has by now, among which may be the one
// that took its place. What became of the others stays as it is. It returns the
// customer as read, if that was necessary.
//
// A retry counts where another grant took the event: the event is not redelivered
// then, see noteBehind.
func (d *Deliverer) again(ctx context.Context, e *event, c customer, results []Result, accepted []string) (customer, []Result) {
	taken := slices.ContainsFunc(results, Result.taken)
	doubtful := func(r Result) bool {
		return r.Name == Revoked && c.record.Grants[r.GrantID].State != grant.Revoked ||
			r.Decision == DeadLetter || taken && r.Decision == Retry
	}
	if !slices.ContainsFunc(results, doubtful) {
		return c, results
	}
	stored, err := d.Store.Read(ctx, c.record.Key())
	if errors.Is(err, grant.ErrNotFound) {
		return c, results // gone with its customer
	}
	if err != nil {
		err = fmt.Errorf("reading the customer again: %w", err)
		for i, r := range results {
			if doubtful(r) {
				results[i] = r.instead(err)
			}
		}
		return c, results
	}
	// A grant that is still there keeps its result, unless that is a revocation.
	done := slices.DeleteFunc(results, func(r Result) bool {
		_, there := stored.Grants[r.GrantID]
		return doubtful(r) && (r.Name == Revoked || !there)
	})
	isDone := func(id string) bool { return slices.ContainsFunc(done, func(r Result) bool { return r.GrantID == id }) }
	left := slices.DeleteFunc(d.addressees(stored, e), isDone)
	c.record, c.remembered = stored, false
	return c, append(done, d.fanOut(ctx, e, stored, left, accepted)...)
}

// addressees returns the ids of the grants that an event is for, in a fixed
// order.
func (d *Deliverer) addressees(record grant.Record, e *event) []string {
	ids := make([]string, 0, len(record.Grants))
	for id, g := range record.Grants {
		if d.isFor(e, id, g.Region) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// isFor reports whether an event is for a grant. Grants of regions that this
// process does not serve are not its business.
func (d *Deliverer) isFor(e *event, id string, region alexa.Region) bool {
	_, served := d.Gateways[region]
	return served && (e.region == "" || region == e.region) && (e.grant == "" || e.grant == id)
}

// used notes that the customer gets events, if that matters and was not noted
// for a while: whoever gets none for long leaves the sweep. It is done after
// the event, which it does not hold up, and if it cannot be done the next event
// does it.
func (d *Deliverer) used(ctx context.Context, record grant.Record, results []Result) {
	accepted := func(r Result) bool { return r.Name == Accepted }
	if d.IdleAfter == 0 || !record.NoteUse(d.IdleAfter, d.Now()) || !slices.ContainsFunc(results, accepted) {
		return
	}
	id := record.Key().ID()
	if !d.memory.claimUse(id, d.IdleAfter, d.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	_, err := grant.ChangeFrom(ctx, d.Store, record, func(r *grant.Record) error {
		if !r.Stored() {
			return grant.ErrNotFound // erased meanwhile
		}
		if r.NoteUse(d.IdleAfter, d.Now()) {
			r.Used(d.Now())
		}
		return nil
	})
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		d.memory.used.Remove(id)
		telemetry.Add(ctx, slog.String("used_error", err.Error()))
	}
}

// claimUse reports whether the caller is to note that a customer is used: of
// the events that come at once, one is enough.
func (m *memory) claimUse(id string, after time.Duration, now time.Time) bool {
	claimed := false
	m.used.Update(id, func(noted time.Time, _ bool) (time.Time, bool) {
		if claimed = (grant.Record{UsedAt: noted}).NoteUse(after, now); claimed {
			noted = now
		}
		return noted, true
	})
	return claimed
}
