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

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/guard"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

const (
	pageSize    = 100 // records of one query
	concurrency = 16  // customers refreshed at a time by one shard
	// illness is how many refreshes in a row Login with Amazon may fail before
	// a sweep leaves it alone until the next one.
	illness = 20
)

// Refresher is the part of [access.Source] that a sweep needs.
type Refresher interface {
	Refresh(ctx context.Context, record grant.Record, id string) (access.Token, error)
}

// Sweep refreshes grants that are due. All fields are required.
type Sweep struct {
	Store    grant.Store
	Tokens   Refresher
	Announce access.Announcer
	Now      func() time.Time
}

// Counts is what became of the grants of a sweep.
type Counts struct {
	Refreshed int            `json:"refreshed"`
	Skipped   int            `json:"skipped"` // another process is at it
	Revoked   int            `json:"revoked"`
	Failed    map[string]int `json:"failed,omitempty"` // by cause
	Remaining bool           `json:"remaining"`        // time was up, or Login with Amazon ill, before all were done
}

// errTime ends a sweep whose time is up: a refresh that was begun now could not
// be finished.
var errTime = errors.New("time is up")

// errIll ends a sweep early.
var errIll = errors.New("login with amazon fails; the sweep stops until the next one")

// Sweep refreshes what is due in the given buckets, until all is done or ctx
// ends. It returns an error if it could not look at all of them for another
// reason than time.
func (s *Sweep) Sweep(ctx context.Context, buckets []int) (Counts, error) {
	run := &run{sweep: s, counts: Counts{Failed: make(map[string]int)}}
	var err error
	for group := range slices.Chunk(buckets, grant.MaxDueBuckets) {
		if err = run.group(ctx, group); err != nil {
			break
		}
	}
	if err != nil {
		run.counts.Remaining = true
	}
	if errors.Is(err, errTime) || ctx.Err() != nil {
		err = nil // which Remaining says
	}
	return run.counts, err
}

// run is one sweep under way.
type run struct {
	sweep    *Sweep
	mu       sync.Mutex
	counts   Counts
	troubles int // failures of Login with Amazon in a row
	ill      error
}

// group sweeps buckets that fit into one query, page by page. The time of the
// first page holds for all: what becomes due meanwhile is the next sweep's.
func (r *run) group(ctx context.Context, buckets []int) error {
	query := grant.DueQuery{Buckets: buckets, Before: r.sweep.Now(), Limit: pageSize}
	for {
		page, err := r.sweep.Store.Due(ctx, query)
		if err != nil {
			return fmt.Errorf("listing what is due: %w", err)
		}
		for _, err := range page.Unreadable {
			r.unreadable(ctx, err)
		}
		if err := r.page(ctx, page.Records); err != nil {
			return err
		}
		if page.Next == nil {
			return nil
		}
		query.After = page.Next
	}
}

func (r *run) page(ctx context.Context, records []grant.Record) error {
	var workers errgroup.Group
	workers.SetLimit(concurrency)
	for _, record := range records {
		if err := r.stop(ctx); err != nil {
			break
		}
		workers.Go(func() error {
			if err := guard.Run(func() error { r.customer(ctx, record); return nil }); err != nil {
				r.count(ctx, err)
			}
			return nil
		})
	}
	_ = workers.Wait() // the workers report by their counts
	return r.stop(ctx)
}

// stop says whether, and why, no further customer is to be begun.
func (r *run) stop(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ill != nil {
		return r.ill
	}
	if !access.TimeFor(ctx) {
		return errTime
	}
	return nil
}

// unreadable notes a record that could not be read. It stays due and is found
// again by every sweep, until somebody mends it.
func (r *run) unreadable(ctx context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(ctx, "unreadable", slog.LevelError, err)
}

// customer publishes what waits to be announced of one customer, and refreshes
// the grants that are due.
func (r *run) customer(ctx context.Context, record grant.Record) {
	if len(record.Announce) > 0 {
		if err := r.sweep.Announce.Announce(ctx, record); err != nil {
			r.count(ctx, fmt.Errorf("announcing: %w", err))
		}
	}
	now := r.sweep.Now()
	for _, id := range slices.Sorted(maps.Keys(record.Grants)) {
		g := record.Grants[id]
		if g.State == grant.Revoked || g.RefreshDue.IsZero() || g.RefreshDue.After(now) {
			continue
		}
		if r.stop(ctx) != nil {
			return // it is due at the next sweep
		}
		_, err := r.sweep.Tokens.Refresh(ctx, record, id)
		r.count(ctx, err)
	}
}

// count notes what became of one grant, and whether Login with Amazon is ill.
func (r *run) count(ctx context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	trouble := errors.Is(err, lwa.ErrThrottled) || errors.Is(err, lwa.ErrUnavailable)
	if !trouble {
		r.troubles = 0
	}
	switch {
	case err == nil:
		r.counts.Refreshed++
	case errors.Is(err, access.ErrBusy), errors.As(err, new(*access.BackingOffError)):
		r.counts.Skipped++
	case errors.Is(err, access.ErrRevoked):
		r.counts.Revoked++
	case errors.Is(err, lwa.ErrClientRefused):
		// Our fault, and the same for every customer.
		r.fail(ctx, "client_refused", slog.LevelError, err)
		r.ill = err
	case trouble:
		r.fail(ctx, "login_with_amazon", slog.LevelWarn, err)
		if r.troubles++; r.troubles >= illness {
			r.ill = fmt.Errorf("%w: %w", errIll, err)
		}
	case errors.Is(err, access.ErrMassInvalidGrant):
		r.fail(ctx, "mass_invalid_grant", slog.LevelError, err)
		r.ill = err
	case errors.Is(err, access.ErrSuspect), errors.Is(err, access.ErrOtherClient):
		r.fail(ctx, "refused", slog.LevelError, err)
	default:
		r.fail(ctx, "internal", slog.LevelError, err)
	}
}

// fail counts a failure. The line shows the first error of each cause: the
// others of a sweep are as a rule the same.
func (r *run) fail(ctx context.Context, cause string, level slog.Level, err error) {
	if r.counts.Failed[cause]++; r.counts.Failed[cause] == 1 {
		telemetry.Raise(ctx, level)
		telemetry.Add(ctx, slog.String("error_"+cause, err.Error()))
	}
}
