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
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
)

// customer is the customer of an event.
type customer struct {
	record grant.Record
	grants []string // ids of the grants that the event is for
	cached bool     // record was not read for this event
}

// findCustomer returns the customer of an event.
//
// A cached record is good enough to send with: the gateway refuses a token that is
// no longer valid, and a change to the record fails if the stored one is newer. A
// cached record without an active grant is trusted only if it was read after the
// event was published; otherwise an event right after linking would be dropped.
func (d *Deliverer) findCustomer(ctx context.Context, e *event, m push.Message) (customer, error) {
	key := grant.Key{Skill: d.Skill, UserID: e.UserID}
	if d.Customers != nil && m.Attempt <= 1 && e.cacheable() {
		record, asOf, err := d.Customers.Recent(ctx, key)
		grants := d.addressees(record, e)
		switch {
		case asOf.IsZero(), err == nil && allUsable(record, grants, d.Now()), asOf.After(e.published.Add(clockSkew)):
			return customer{record, grants, !asOf.IsZero()}, err
		}
	}
	record, err := d.Store.Read(ctx, key)
	return customer{record, d.addressees(record, e), false}, err
}

// clockSkew is how far Pub/Sub's clock may be behind this process's.
const clockSkew = time.Second

// cacheable reports whether a cached record is good enough for this event. It is
// not for an event that has no successor, such as discovery, which a grant of this
// minute must not miss; nor for one that must not be repeated or has expired, since
// both write to the customer's records.
func (e *event) cacheable() bool {
	return e.grant == "" && !e.expired && !e.once && !e.answers && !e.Kind().Life.Lasting()
}

// allUsable reports whether there are grants, and events can be sent to all.
func allUsable(record grant.Record, ids []string, now time.Time) bool {
	for _, id := range ids {
		g := record.Grants[id]
		if g.State != grant.Active && !(g.Doubted() && !g.TokenEnded(now)) {
			return false
		}
	}
	return len(ids) > 0
}

// retryOnStored reads the customer if a result suggests that a grant of the cached
// record is gone, and sends the event to the grants that replaced it. Other results
// stay. It returns the customer as read, if it was.
//
// A retry is such a result only if another grant accepted the event, since the
// event is not redelivered then: see noteBehind.
func (d *Deliverer) retryOnStored(ctx context.Context, e *event, c customer, results []Result, accepted []string) (customer, []Result) {
	delivered := slices.ContainsFunc(results, Result.delivered)
	doubtful := func(r Result) bool {
		return r.Name == Revoked && c.record.Grants[r.GrantID].State != grant.Revoked ||
			r.Decision == DeadLetter || delivered && r.Decision == Retry
	}
	if !slices.ContainsFunc(results, doubtful) {
		return c, results
	}
	stored, err := d.Store.Read(ctx, c.record.Key())
	if errors.Is(err, grant.ErrNotFound) {
		return c, results // the customer is gone as well
	}
	if err != nil {
		err = fmt.Errorf("rereading the customer: %w", err)
		for i, r := range results {
			if doubtful(r) {
				results[i] = r.withError(err)
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
	c.record, c.cached = stored, false
	return c, append(done, d.fanOut(ctx, e, stored, left, accepted)...)
}

// addressees returns the ids of the grants that an event is for, sorted.
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

// isFor reports whether an event is for a grant of a region that this process
// serves.
func (d *Deliverer) isFor(e *event, id string, region alexa.Region) bool {
	_, served := d.Gateways[region]
	return served && (e.region == "" || region == e.region) && (e.grant == "" || e.grant == id)
}

// noteUse notes that the customer gets events, unless that was noted recently: the
// sweep leaves out customers without events. It runs after the event has been sent,
// so that it delays nothing. If it fails, the next event retries.
func (d *Deliverer) noteUse(ctx context.Context, record grant.Record, results []Result) {
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
			return grant.ErrNotFound // erased in the meantime
		}
		if r.NoteUse(d.IdleAfter, d.Now()) {
			r.Used(d.Now())
		}
		return nil
	})
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		d.memory.used.Remove(id)
		logging.Add(ctx, slog.String("used_error", err.Error()))
	}
}

// claimUse reports whether the caller should note the use of a customer. Of several
// events that arrive at the same time, only one does.
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
