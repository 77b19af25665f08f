package delivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

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
