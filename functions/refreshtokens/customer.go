package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// mostUnheard is how many announcements a sweep sees fail before it leaves the
// others to the next: each may take as long as many refreshes.
const mostUnheard = 3

// customer does what one record waits for: the grants that are due are
// refreshed, or left alone if nobody uses them, the maker is asked for what they
// missed, messages are published, and what is left of revoked grants goes.
func (r *run) customer(ctx context.Context, record grant.Record) {
	done := false
	defer func(as grant.Record) {
		if !done { // or a panic
			r.stays(as)
		}
	}(record)
	due := r.dueGrants(record)
	idle := false
	if len(due) > 0 {
		var err error
		record, idle, err = r.idle(ctx, record, due)
		if errors.Is(err, grant.ErrNotFound) {
			done = true
			return // erased meanwhile
		}
		if err != nil {
			r.fail(ctx, "idle", slog.LevelError, err)
		}
	}
	if idle {
		r.add(Counts{Rested: len(due)})
		due = nil
	}
	for _, id := range due {
		if r.stop(ctx) != nil {
			return // it is due at the next sweep
		}
		if r.rate.Wait(ctx) != nil {
			r.end(errTime)
			return
		}
		if err := r.sweep.warmup.begin(ctx, r.sweep.Now()); err != nil {
			r.end(err)
			return
		}
		r.count(ctx, record, id, r.refresh(ctx, record, id))
	}
	done = true
	changed := len(due) > 0
	if asked, err := r.askAgain(ctx, record, changed); err != nil {
		r.stays(record)
		r.fail(ctx, "behind", slog.LevelError, err)
	} else if asked.Stored() {
		record, changed = asked, false
	}
	if len(record.Announce) > 0 {
		r.announce(ctx, record, changed)
	} else if err := r.clear(ctx, record); err != nil {
		r.stays(record)
		r.fail(ctx, "clearing", slog.LevelError, err)
	}
}

// askAgain has the maker asked for what active grants missed, once for each
// region, or puts that off where the region could not take it. A refresh may have
// changed the record: then it is looked up first. It returns the record as it is
// then, or one that is not stored if there was nothing to do.
func (r *run) askAgain(ctx context.Context, record grant.Record, changed bool) (grant.Record, error) {
	due, unwell := make(map[alexa.Region][]string), make(map[alexa.Region]bool)
	for _, id := range slices.Sorted(maps.Keys(record.Grants)) {
		if g := record.Grants[id]; g.BehindDue(r.started) {
			due[g.Region] = append(due[g.Region], id)
		}
	}
	if len(due) == 0 {
		return grant.Record{}, nil
	}
	regions := slices.Sorted(maps.Keys(due))
	for _, region := range regions {
		var err error
		if unwell[region], err = r.unwell(ctx, region); err != nil {
			return grant.Record{}, err // it is due at the next sweep
		}
	}
	from := record
	if changed {
		from = grant.Record{UserID: record.UserID, Skill: record.Skill}
	}
	return grant.ChangeFrom(ctx, r.sweep.Store, from, func(now *grant.Record) error {
		for _, region := range regions {
			if ids := due[region]; unwell[region] {
				now.PutOffBehind(ids, r.started, r.started.Add(grant.BehindPause(true, ids[0])))
			} else {
				now.AskAgain(ids, r.started)
			}
		}
		return nil
	})
}

// unwell reports whether a region could not take what the maker would report. It
// is looked up once in a sweep.
func (r *run) unwell(ctx context.Context, region alexa.Region) (bool, error) {
	r.mu.Lock()
	look, ok := r.regions[region]
	if !ok {
		look = sync.OnceValues(func() (bool, error) {
			stored, err := r.sweep.Store.ReadControl(ctx, grant.RegionName(string(region)))
			if errors.Is(err, grant.ErrNotFound) {
				return false, nil
			}
			var mark grant.RegionMark
			if err == nil {
				mark, err = grant.ParseRegionMark(stored.Document)
			}
			if err != nil {
				return false, fmt.Errorf("reading the mark of region %s: %w", region, err)
			}
			return mark.Unwell(r.started), nil
		})
		r.regions[region] = look
	}
	r.mu.Unlock()
	return look()
}

// refresh refreshes a grant that was admitted.
func (r *run) refresh(ctx context.Context, record grant.Record, id string) (err error) {
	defer func() { r.sweep.warmup.end(err, r.sweep.Now(), r.sweep.Period/2) }()
	_, err = r.sweep.Tokens.Refresh(ctx, record, id)
	return err
}

// announce publishes what waits in a record. A refresh may have done so: then
// it is looked up first.
func (r *run) announce(ctx context.Context, record grant.Record, changed bool) {
	r.mu.Lock()
	deaf := r.unheard >= mostUnheard
	r.mu.Unlock()
	if deaf {
		r.stays(record)
		return
	}
	var err error
	if changed {
		record, err = r.sweep.Store.Read(ctx, record.Key())
	}
	if err == nil {
		err = r.sweep.Announce.Announce(ctx, record)
	}
	if err == nil || errors.Is(err, grant.ErrNotFound) {
		return
	}
	r.mu.Lock()
	r.unheard++
	r.mu.Unlock()
	r.stays(record)
	r.fail(ctx, "announcing", slog.LevelError, err)
}

// dueGrants returns the ids of the grants that are to be refreshed, in a fixed order.
func (r *run) dueGrants(record grant.Record) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(record.Grants)) {
		g := record.Grants[id]
		if g.State != grant.Revoked && !g.RefreshDue.IsZero() && !g.RefreshDue.After(r.started) {
			ids = append(ids, id)
		}
	}
	return ids
}

// idle takes the grants that are due out of the sweep if the customer has had
// no event for long, and returns the record as it is then. While the rule is
// off the record does not say when it was used, so that, once it is switched on,
// everybody counts as used on that day.
func (r *run) idle(ctx context.Context, record grant.Record, due []string) (grant.Record, bool, error) {
	after := r.sweep.IdleAfter
	if (after == 0) == record.UsedAt.IsZero() && !record.Idle(after, r.started) {
		return record, false, nil
	}
	idle := false
	changed, err := grant.ChangeFrom(ctx, r.sweep.Store, record, func(now *grant.Record) error {
		idle = after > 0 && now.Idle(after, r.started)
		switch {
		case !now.Stored():
			return grant.ErrNotFound
		case after == 0:
			now.Used(time.Time{})
		case idle:
			for _, id := range due {
				if _, ok := now.Grants[id]; ok {
					now.Rest(id, r.started)
				}
			}
		case now.UsedAt.IsZero():
			now.Used(r.started)
		}
		return nil
	})
	if err != nil {
		return record, false, fmt.Errorf("noting who is idle: %w", err)
	}
	return changed, idle, nil
}

// clear removes what is left of grants that were revoked long enough ago: the
// record if nothing else is in it.
func (r *run) clear(ctx context.Context, record grant.Record) error {
	over := 0
	for _, g := range record.Grants {
		if r.over(g) {
			over++
		}
	}
	switch over {
	case 0:
		return nil
	case len(record.Grants):
		// Whole, so that no empty record stays that nobody would find again. Who
		// links again at this moment is not lost: the next sweep decides anew.
		if err := r.sweep.Store.Delete(ctx, record); errors.Is(err, grant.ErrConflict) {
			return nil
		} else if err != nil {
			return fmt.Errorf("removing a record: %w", err)
		}
	default:
		_, err := grant.ChangeFrom(ctx, r.sweep.Store, record, func(now *grant.Record) error {
			for id, g := range now.Grants {
				if r.over(g) {
					now.Remove(id, r.started)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("removing what is left of a grant: %w", err)
		}
	}
	r.add(Counts{Removed: over})
	return nil
}

// over reports whether a grant was revoked so long ago that its remains go.
func (r *run) over(g grant.Grant) bool {
	return g.State == grant.Revoked && !g.EraseAt.IsZero() && !g.EraseAt.After(r.started)
}
