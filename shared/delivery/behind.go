package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
)

// noteBehind notes in the record that grants have missed an event that will not be
// redelivered: a report that expired, was suspended, or was accepted only by the
// customer's other grants, and a lasting event that was dead-lettered. The sweep then
// asks the maker to report again, once for each customer. If the note cannot be
// saved, the event is not acknowledged.
func (d *Deliverer) noteBehind(ctx context.Context, e *event, c customer, results []Result) []Result {
	discovery := e.Kind().Life.Lasting()
	if !discovery && !e.isReport() {
		return results
	}
	delivered := slices.ContainsFunc(results, Result.delivered)
	var behind []int
	news := false
	for i, r := range results {
		switch {
		case r.GrantID == "":
			continue
		case discovery && errors.Is(r.Err, ErrMissed) && r.Decision == DeadLetter, !discovery && (r.Name == Expired || r.Name == Suspended):
		case !discovery && delivered && r.Decision == Retry && !c.cached: // a cached grant may have been replaced
			results[i] = r.withError(fmt.Errorf("%w: %w", ErrBehind, r.Err))
		default:
			continue
		}
		behind = append(behind, i)
		news = news || !c.record.Grants[r.GrantID].Behind.Has(e.EndpointID(), discovery)
	}
	if !news {
		return results
	}
	if err := d.saveBehind(ctx, e, c.record, grantsOf(results, behind)); err != nil {
		for _, i := range behind {
			results[i] = results[i].withError(fmt.Errorf("noting what was missed: %w", err))
		}
	}
	return results
}

// delivered reports whether the grant has the event or a newer one.
func (r Result) delivered() bool {
	return r.Name == Accepted || r.Name == Duplicate || r.Name == Superseded
}

// grantsOf returns the ids of the grants that some results are for.
func grantsOf(results []Result, indices []int) []string {
	ids := make([]string, len(indices))
	for n, i := range indices {
		ids[n] = results[i].GrantID
	}
	return ids
}

// saveBehind notes in the record that grants have missed an event.
func (d *Deliverer) saveBehind(ctx context.Context, e *event, record grant.Record, ids []string) error {
	_, err := grant.ChangeFrom(ctx, d.Store, record, func(r *grant.Record) error {
		if !r.Stored() {
			return grant.ErrNotFound // erased in the meantime
		}
		now, discovery := d.Now(), e.Kind().Life.Lasting()
		for _, id := range ids {
			h := d.health[r.Grants[id].Region]
			due := now.Add(grant.BehindPause(h != nil && !h.closed(), id))
			r.NoteBehind(id, e.EndpointID(), discovery, now, due)
		}
		return nil
	})
	if errors.Is(err, grant.ErrNotFound) {
		return nil
	}
	if err == nil {
		logging.Add(ctx, slog.Int("noted_behind", len(ids)))
	}
	return err
}

// isReport reports whether an event reports a state that a later report supersedes.
func (e *event) isReport() bool { return !e.once && !e.answers && e.Kind().Life == alexa.LifeReport }
