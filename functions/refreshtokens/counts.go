package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// Counts is what became of the grants of a sweep.
type Counts struct {
	Refreshed int            `json:"refreshed"`
	Skipped   int            `json:"skipped"` // another process is at it, or it failed a short time ago
	Revoked   int            `json:"revoked"`
	Refused   int            `json:"refused,omitempty"` // by Login with Amazon, which one witness more will confirm or refute
	Rested    int            `json:"rested,omitempty"`  // left to be refreshed on demand: the customer is idle
	Removed   int            `json:"removed,omitempty"` // remains of grants that were revoked long ago
	Failed    map[string]int `json:"failed,omitempty"`  // by cause
	Remaining bool           `json:"remaining"`         // time was up, or Login with Amazon ill, before all were done
	Left      int            `json:"left,omitempty"`    // records still due then, counted to 100,000 for each 30 buckets; -1: not known
}

// clientRefusals is how many grants in a row Login with Amazon may refuse with
// an error that is ours before a sweep believes that it is not theirs.
const clientRefusals = 3

// failure is a grant that could not be refreshed.
type failure struct {
	record grant.Record
	id     string
	own    bool // for a reason of its own, whatever Login with Amazon's health
}

// count notes what became of one grant, and what that says about the health of
// Login with Amazon and of ourselves.
func (r *run) count(ctx context.Context, record grant.Record, id string, err error) {
	r.note(err)
	r.observe(record.Grants[id], err)
	configured := !errors.Is(err, access.ErrOtherClient) && !errors.Is(err, seal.ErrOpen)
	switch {
	case err == nil:
		r.pace.well()
		r.add(Counts{Refreshed: 1})
	case errors.Is(err, access.ErrBusy), errors.As(err, new(*access.BackingOffError)):
		r.add(Counts{Skipped: 1})
		r.stays(record)
		if errors.Is(err, access.ErrNoTime) {
			r.end(errTime)
		}
	case errors.Is(err, access.ErrRevoked):
		r.pace.well()
		r.add(Counts{Revoked: 1})
	case errors.Is(err, access.ErrSuspect) && configured:
		r.pace.well()
		r.add(Counts{Refused: 1})
	case errors.Is(err, access.ErrBraked):
		// If it is not believed it is an illness of Login with Amazon.
		r.mu.Lock()
		r.braked = true
		r.mu.Unlock()
		r.fail(ctx, "braked", slog.LevelWarn, err)
		r.pace.unwell(err)
		r.later(failure{record, id, true}) // beside others who are well it is one who left, and waits
	case errors.Is(err, lwa.ErrClientRefused):
		r.fail(ctx, "client_refused", slog.LevelError, err)
		r.clientRefused(failure{record, id, true}, err)
	case !configured:
		cause := "sealed"
		if errors.Is(err, access.ErrOtherClient) {
			cause = "other_client"
		}
		r.fail(ctx, cause, slog.LevelError, err)
		if !errors.Is(err, access.ErrSuspect) { // which has moved it out of the way
			r.ours(failure{record, id, true}, err)
		}
	case errors.Is(err, lwa.ErrThrottled), errors.Is(err, lwa.ErrUnavailable):
		r.fail(ctx, "login_with_amazon", slog.LevelWarn, err)
		r.pace.unwell(err)
		r.later(failure{record, id, false})
	default:
		r.fail(ctx, "internal", slog.LevelError, err)
		r.pace.unwell(err)
		r.later(failure{record, id, false})
	}
}

// observe counts what the brake is told: refreshes that went well, and those that
// were refused. That a customer linked again says nothing about Login with Amazon.
func (r *run) observe(g grant.Grant, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.good++
	case !g.UnprovenSince.IsZero():
	case errors.Is(err, access.ErrRevoked), errors.Is(err, access.ErrSuspect), errors.Is(err, access.ErrBraked):
		r.bad++
	}
}

// note counts refreshes, and those that went well: Login with Amazon has
// answered, whatever it was.
func (r *run) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried++
	if err == nil || errors.Is(err, access.ErrRevoked) || errors.Is(err, access.ErrSuspect) {
		r.well++
		r.anyWell = true
	}
	if !errors.Is(err, lwa.ErrClientRefused) {
		r.refused = 0
	}
}

// clientRefused has the sweep end when it is our client that Login with Amazon
// refuses, and not one grant's token that it calls an invalid request.
func (r *run) clientRefused(f failure, err error) {
	r.later(f)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused++; r.refused >= clientRefusals {
		r.verdict = fmt.Errorf("%w: %w", errClient, err)
	}
}

// mostOurs is how many grants a sweep meets that fail because of our settings
// before it ends, if none goes well. They cost no call of Login with Amazon, so
// it may look far: there may be many grants of a former client.
const mostOurs = 1000

// ours notes a grant that fails because of our settings.
func (r *run) ours(f failure, err error) {
	r.later(f)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own++; r.own >= mostOurs && !r.anyWell {
		r.verdict = fmt.Errorf("%w: %w", errOurs, err)
	}
}

// end ends the sweep.
func (r *run) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verdict = err
}

func (r *run) later(f failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, f)
}

// add adds to the counts.
func (r *run) add(more Counts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &r.counts
	c.Refreshed, c.Skipped, c.Revoked = c.Refreshed+more.Refreshed, c.Skipped+more.Skipped, c.Revoked+more.Revoked
	c.Refused, c.Rested, c.Removed = c.Refused+more.Refused, c.Rested+more.Rested, c.Removed+more.Removed
}

// fail counts a failure. The line shows the first error of each cause: the
// others of a sweep are as a rule the same.
func (r *run) fail(ctx context.Context, cause string, level slog.Level, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts.Failed[cause]++; r.counts.Failed[cause] == 1 {
		telemetry.Raise(ctx, level)
		telemetry.Add(ctx, slog.String("error_"+cause, err.Error()))
	}
}

// putOff moves failures out of the way, so that the next sweep does not begin
// with them: a write for each. When Login with Amazon is unwell nothing is
// written for those it failed, since that would be a write for every customer.
// Nor is it for the others as long as no grant went well: that may be our
// fault, and the same for every customer.
func (r *run) putOff(ctx context.Context) {
	r.mu.Lock()
	failed := r.failed
	if r.anyWell {
		r.failed = nil
	}
	well := r.anyWell
	r.mu.Unlock()
	if !well {
		return
	}
	for i, f := range failed {
		if !f.own && r.pace.slowed() {
			r.stays(f.record)
			continue
		}
		from := f.record.Grants[f.id]
		_, err := grant.Change(ctx, r.sweep.Store, f.record.Key(), func(now *grant.Record) error {
			if g, ok := now.Grants[f.id]; ok && g.TokenVersion == from.TokenVersion && g.RefreshDue.Equal(from.RefreshDue) {
				now.RefreshFailed(f.id, r.started)
			}
			return nil
		})
		if err != nil {
			r.fail(ctx, "putting_off", slog.LevelWarn, err)
			for _, f := range failed[i:] {
				r.stays(f.record)
			}
			return
		}
	}
}
