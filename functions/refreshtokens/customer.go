package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// customer does what one record waits for: messages are published, what is
// left of revoked grants goes, and the grants that are due are refreshed, or
// left alone if nobody uses them.
func (r *run) customer(ctx context.Context, record grant.Record) {
	if len(record.Announce) > 0 {
		if err := r.sweep.Announce.Announce(ctx, record); err != nil {
			r.fail(ctx, "announcing", slog.LevelError, err)
		}
	}
	if err := r.clear(ctx, record); err != nil {
		r.fail(ctx, "clearing", slog.LevelError, err)
	}
	due := r.due(record)
	if len(due) == 0 {
		return
	}
	record, idle, err := r.idle(ctx, record, due)
	switch {
	case err != nil:
		r.fail(ctx, "idle", slog.LevelError, err)
	case idle:
		r.add(Counts{Rested: len(due)})
		return
	}
	for _, id := range due {
		if r.stop(ctx) != nil {
			return // it is due at the next sweep
		}
		_, err := r.sweep.Tokens.Refresh(ctx, record, id)
		r.count(ctx, record, id, err)
	}
}

// due returns the ids of the grants that are to be refreshed, in a fixed order.
func (r *run) due(record grant.Record) []string {
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
// no event for long. Whoever was linked by a version that did not note it, or
// before the rule was switched on, counts as used today. It returns the record
// as it is then.
func (r *run) idle(ctx context.Context, record grant.Record, due []string) (grant.Record, bool, error) {
	after := r.sweep.IdleAfter
	if after == 0 || !record.UsedAt.IsZero() && !record.Idle(after, r.started) {
		return record, false, nil
	}
	idle := false
	changed, err := grant.ChangeFrom(ctx, r.sweep.Store, record, func(now *grant.Record) error {
		idle = now.Idle(after, r.started)
		switch {
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

// clear removes what is left of grants that were revoked long enough ago, and
// the record if nothing else is in it.
func (r *run) clear(ctx context.Context, record grant.Record) error {
	over := func(g grant.Grant) bool {
		return g.State == grant.Revoked && !g.EraseAt.IsZero() && !g.EraseAt.After(r.started)
	}
	some := false
	for _, g := range record.Grants {
		some = some || over(g)
	}
	if !some {
		return nil
	}
	removed := 0
	changed, err := grant.ChangeFrom(ctx, r.sweep.Store, record, func(now *grant.Record) error {
		removed = 0
		for id, g := range now.Grants {
			if over(g) {
				now.Remove(id, r.started)
				removed++
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("removing what is left of a grant: %w", err)
	}
	r.add(Counts{Removed: removed})
	if len(changed.Grants) > 0 || len(changed.Announce) > 0 || !changed.Stored() {
		return nil
	}
	// Somebody who links again at this moment is not to be lost.
	if err := r.sweep.Store.Delete(ctx, changed); err != nil && !errors.Is(err, grant.ErrConflict) {
		return fmt.Errorf("removing an empty record: %w", err)
	}
	return nil
}
