package sweep

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

// maxAnnounceFailures is how many announcements may fail before a sweep leaves the
// others to the next: each may take as long as many refreshes.
const maxAnnounceFailures = 3

// customer does what one record waits for: grants that are due are refreshed, or
// left alone if the customer is idle; the maker is asked to report what they
// missed; announcements are published; and what is left of revoked grants goes.
func (p *pass) customer(ctx context.Context, record grant.Record) {
	finished := false
	defer func(found grant.Record) {
		if !finished { // the sweep ends, or this panics
			p.deferral.stays(found)
		}
	}(record)
	due := p.dueGrants(record)
	if len(due) > 0 {
		var idle bool
		var err error
		record, idle, err = p.idle(ctx, record, due)
		switch {
		case errors.Is(err, grant.ErrNotFound):
			finished = true // erased in the meantime
			return
		case err != nil: // better one refresh too many than a token that ends
			p.tally.fail(ctx, "idle", slog.LevelError, err)
		case idle:
			p.tally.add(Counts{Rested: len(due)})
			due = nil
		}
	}
	for _, id := range due {
		if !p.refresh(ctx, record, id) {
			return
		}
	}
	finished = true
	p.publish(ctx, record, len(due) > 0)
}

// dueGrants returns the ids of the grants that are to be refreshed, in a fixed order.
func (p *pass) dueGrants(record grant.Record) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(record.Grants)) {
		g := record.Grants[id]
		if g.State != grant.Revoked && !g.RefreshDue.IsZero() && !g.RefreshDue.After(p.started) {
			ids = append(ids, id)
		}
	}
	return ids
}

// refresh refreshes a grant as soon as the limits of the sweep and of the process
// allow it, and judges the result. It reports whether the sweep goes on.
func (p *pass) refresh(ctx context.Context, record grant.Record, id string) bool {
	if p.stop(ctx) != nil {
		return false
	}
	if p.limiter.rate.Wait(ctx) != nil {
		p.breaker.end(errTime)
		return false
	}
	if err := p.slowStart.acquire(ctx, p.Now()); err != nil {
		p.breaker.end(err)
		return false
	}
	p.judge(ctx, record, id, p.callTokens(ctx, record, id))
	return true
}

// callTokens refreshes a grant that the limits have let through.
func (p *pass) callTokens(ctx context.Context, record grant.Record, id string) (err error) {
	// Deferred, so that a panic gives back its slot.
	defer func() { p.slowStart.release(err, p.Now()) }()
	_, err = p.Tokens.Refresh(ctx, record, id)
	return err
}

// publish does what a record waits for besides its refreshes. changed says that
// one of these may have changed it.
func (p *pass) publish(ctx context.Context, record grant.Record, changed bool) {
	if asked, err := p.requestReports(ctx, record, changed); err != nil {
		p.deferral.stays(record)
		p.tally.fail(ctx, "behind", slog.LevelError, err)
	} else if asked.Stored() {
		record, changed = asked, false
	}
	if len(record.Announce) > 0 {
		p.announce(ctx, record, changed)
	} else if err := p.clear(ctx, record); err != nil {
		p.deferral.stays(record)
		p.tally.fail(ctx, "clearing", slog.LevelError, err)
	}
}

// requestReports turns the due notes of what active grants missed into one
// announcement for each region, or puts them off where the region is unhealthy: the
// reports that the maker would send could not be delivered either. It returns the
// record as it is then, or one that is not stored if there was nothing to do.
func (p *pass) requestReports(ctx context.Context, record grant.Record, changed bool) (grant.Record, error) {
	due, unhealthy := make(map[alexa.Region][]string), make(map[alexa.Region]bool)
	for _, id := range slices.Sorted(maps.Keys(record.Grants)) {
		if g := record.Grants[id]; g.BehindDue(p.started) {
			due[g.Region] = append(due[g.Region], id)
		}
	}
	if len(due) == 0 {
		return grant.Record{}, nil
	}
	for region := range due {
		var err error
		if unhealthy[region], err = p.unhealthy(ctx, region); err != nil {
			return grant.Record{}, err // not put off, which would be a write for each customer
		}
	}
	if changed {
		record = grant.Record{UserID: record.UserID, Skill: record.Skill} // to be read again
	}
	return grant.ChangeFrom(ctx, p.Store, record, func(now *grant.Record) error {
		for _, region := range slices.Sorted(maps.Keys(due)) {
			if ids := due[region]; unhealthy[region] {
				now.PutOffBehind(ids, p.started, p.started.Add(grant.BehindPause(true, ids[0])))
			} else {
				now.AnnounceStale(ids, p.started)
			}
		}
		return nil
	})
}

// unhealthy reports whether a region could not accept what the maker would report.
// Its mark is read once in a sweep.
func (p *pass) unhealthy(ctx context.Context, region alexa.Region) (bool, error) {
	read, _ := p.regions.LoadOrStore(region, sync.OnceValues(func() (bool, error) {
		stored, err := p.Store.ReadControl(ctx, grant.RegionName(string(region)))
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
		return mark.Unhealthy(p.started), nil
	}))
	return read.(func() (bool, error))()
}

// announce publishes what waits in a record. A refresh may have done so: then the
// record is read again first.
func (p *pass) announce(ctx context.Context, record grant.Record, changed bool) {
	if p.announceFailures.Load() >= maxAnnounceFailures {
		p.deferral.stays(record)
		return
	}
	var err error
	if changed {
		record, err = p.Store.Read(ctx, record.Key())
	}
	if err == nil {
		err = p.Announce.Announce(ctx, record)
	}
	if err == nil || errors.Is(err, grant.ErrNotFound) {
		return
	}
	p.announceFailures.Add(1)
	p.deferral.stays(record)
	p.tally.fail(ctx, "announcing", slog.LevelError, err)
}

// idle takes the grants that are due out of the sweep if the customer has had
// no event for long, and returns the record as it is then. While the rule is
// off the record does not say when it was used, so all customers count as used
// on the day it is switched on.
func (p *pass) idle(ctx context.Context, record grant.Record, due []string) (grant.Record, bool, error) {
	after := p.IdleAfter
	if (after == 0) == record.UsedAt.IsZero() && !record.Idle(after, p.started) {
		return record, false, nil
	}
	idle := false
	changed, err := grant.ChangeFrom(ctx, p.Store, record, func(now *grant.Record) error {
		idle = after > 0 && now.Idle(after, p.started)
		switch {
		case !now.Stored():
			return grant.ErrNotFound
		case after == 0:
			now.Used(time.Time{})
		case idle:
			for _, id := range due {
				if _, ok := now.Grants[id]; ok {
					now.Rest(id, p.started)
				}
			}
		case now.UsedAt.IsZero():
			now.Used(p.started)
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
func (p *pass) clear(ctx context.Context, record grant.Record) error {
	over := 0
	for _, g := range record.Grants {
		if p.over(g) {
			over++
		}
	}
	switch over {
	case 0:
		return nil
	case len(record.Grants):
		// Whole: no sweep would find an empty record again. A customer who links again
		// at this moment is not lost: the write conflicts, and the next sweep decides.
		if err := p.Store.Delete(ctx, record); errors.Is(err, grant.ErrConflict) {
			return nil
		} else if err != nil {
			return fmt.Errorf("removing a record: %w", err)
		}
	default:
		_, err := grant.ChangeFrom(ctx, p.Store, record, func(now *grant.Record) error {
			for id, g := range now.Grants {
				if p.over(g) {
					now.Remove(id, p.started)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("removing what is left of a grant: %w", err)
		}
	}
	p.tally.add(Counts{Removed: over})
	return nil
}

// over reports whether a grant was revoked so long ago that its remains go.
func (p *pass) over(g grant.Grant) bool {
	return g.State == grant.Revoked && !g.EraseAt.IsZero() && !g.EraseAt.After(p.started)
}
