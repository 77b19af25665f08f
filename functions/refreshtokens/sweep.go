package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/guard"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

const (
	pageSize = 100 // records of one query
	// mostLeft is how far what a sweep leaves undone is counted, and leftTime how
	// long that may take. Firestore charges a read for each thousand.
	mostLeft = 100_000
	leftTime = 2 * time.Second
)

// Refresher is the part of [access.Source] that a sweep needs.
type Refresher interface {
	Refresh(ctx context.Context, record grant.Record, id string) (access.Token, error)
}

// Sweep refreshes grants that are due, and does what else records wait for.
// Store, Tokens, Announce and Now are required.
type Sweep struct {
	Store    grant.Store
	Tokens   Refresher
	Announce access.Announcer
	Now      func() time.Time
	// IdleAfter is how long a customer may get no event before the sweep leaves
	// its grants to be refreshed on demand; zero is for ever.
	IdleAfter time.Duration
}

// errTime ends a sweep whose time is up: a refresh that was begun now could not
// be finished.
var errTime = errors.New("time is up")

// Sweep works through what is due in the given buckets, until all is done or
// ctx ends. It returns an error if it could not look at all of them for another
// reason than time.
func (s *Sweep) Sweep(ctx context.Context, buckets []int) (Counts, error) {
	r := &run{sweep: s, started: s.Now(), pace: newPace(), counts: Counts{Failed: make(map[string]int)}}
	var err error
	for _, group := range r.groups(buckets) {
		if err = r.group(ctx, group); err != nil {
			break
		}
	}
	if err != nil {
		r.counts.Remaining = true
		r.counts.Left = r.left(ctx, buckets)
	}
	if errors.Is(err, errTime) || ctx.Err() != nil {
		err = nil // which Remaining says
	}
	return r.counts, err
}

// run is one sweep under way.
type run struct {
	sweep   *Sweep
	started time.Time
	pace    *pace

	mu       sync.Mutex
	counts   Counts
	failed   []failure // not yet put off
	refused  int       // refusals of our client in a row
	tried    int       // refreshes since the last doubt
	well     int       // of them
	anyWell  bool      // whether any refresh of the sweep went well
	own      int       // failures because of our settings
	verdict  error     // why the sweep must end
	unheard  int       // announcements that failed
	absolved int       // doubts that proved wrong
}

// groups divides buckets into what fits into one query. Each period begins with
// another group: a sweep that never comes to the end must not always leave out
// the same customers.
func (r *run) groups(buckets []int) [][]int {
	groups := slices.Collect(slices.Chunk(buckets, grant.MaxDueBuckets))
	if len(groups) == 0 {
		return nil
	}
	first := int(r.started.Unix()/int64(Period/time.Second)) % len(groups)
	return slices.Concat(groups[first:], groups[:first])
}

// group sweeps buckets that fit into one query, page by page. The time of the
// start holds for all: what becomes due meanwhile is the next sweep's.
func (r *run) group(ctx context.Context, buckets []int) error {
	query := grant.DueQuery{Buckets: buckets, Before: r.started, Limit: pageSize}
	for {
		page, err := r.due(ctx, query)
		if err != nil {
			return err
		}
		for left := page.Records; len(left) > 0; {
			left = left[r.work(ctx, left):]
			err := r.stop(ctx)
			if err == nil {
				continue
			}
			others := r.others(ctx, err, query, page, &left)
			if !r.wrong(ctx, err, others) {
				return err
			}
		}
		r.putOff(ctx)
		if page.Next == nil {
			return nil
		}
		query.After = page.Next
	}
}

func (r *run) due(ctx context.Context, query grant.DueQuery) (grant.DuePage, error) {
	page, err := r.sweep.Store.Due(ctx, query)
	if err != nil {
		return grant.DuePage{}, fmt.Errorf("listing what is due: %w", err)
	}
	for _, err := range page.Unreadable {
		// It stays due, and every sweep finds it until somebody mends it.
		r.fail(ctx, "unreadable", slog.LevelError, err)
	}
	return page, nil
}

// work works on customers side by side, as many as the pace allows, until there
// is a reason to stop. It returns how many it has begun, after they are done.
func (r *run) work(ctx context.Context, records []grant.Record) (begun int) {
	var workers sync.WaitGroup
	defer workers.Wait()
	for i, record := range records {
		if err := r.pace.begin(ctx); err != nil {
			return i
		}
		if r.stop(ctx) != nil {
			r.pace.end()
			return i
		}
		workers.Go(func() {
			defer r.pace.end()
			if err := guard.Run(func() error { r.customer(ctx, record); return nil }); err != nil {
				r.fail(ctx, "internal", slog.LevelError, err)
			}
		})
	}
	return len(records)
}

// stop says whether, and why, nothing further is to be begun.
func (r *run) stop(ctx context.Context) error {
	if err := r.pace.ill(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.verdict != nil {
		return r.verdict
	}
	if !access.TimeFor(ctx) {
		return errTime
	}
	return nil
}

// left counts what is still due, -1 if that cannot be found out.
func (r *run) left(ctx context.Context, buckets []int) int {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leftTime)
	defer cancel()
	left := 0
	for group := range slices.Chunk(buckets, grant.MaxDueBuckets) {
		n, err := r.sweep.Store.CountDue(ctx, grant.DueQuery{Buckets: group, Before: r.started, Limit: mostLeft})
		if err != nil {
			telemetry.Add(ctx, slog.String("left_error", err.Error()))
			return -1
		}
		left += n
	}
	return left
}
