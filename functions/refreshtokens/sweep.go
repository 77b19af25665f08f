package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

const (
	pageSize = 100 // records of one query
	// mostLeft is how far what a sweep leaves undone is counted, and leftTime how
	// long that may take. Firestore charges a read for each thousand.
	mostLeft = 100_000
	leftTime = 2 * time.Second
	// upkeepTime bounds what a sweep does for the brake.
	upkeepTime = 2 * time.Second
)

// Refresher is the part of [access.Source] that a sweep needs.
type Refresher interface {
	Refresh(ctx context.Context, record grant.Record, id string) (access.Token, error)
}

// Brake is the part of [access.Brake] that a sweep needs.
type Brake interface {
	Latched(ctx context.Context) (bool, error)
	Observe(ctx context.Context, good, bad int) (report bool, err error)
	CountCustomers(ctx context.Context) error
}

// Sweep refreshes grants that are due, and does what else records wait for. All
// fields but MaxRate and IdleAfter are required.
type Sweep struct {
	Store    grant.Store
	Tokens   Refresher
	Brake    Brake
	Announce access.Announcer
	Now      func() time.Time
	// Period is how often a sweep is started.
	Period time.Duration
	// MaxRate is how many refreshes a second the sweeps of all buckets together
	// may ask for; zero is no limit. Each has its part.
	MaxRate float64
	// IdleAfter is how long a customer may get no event before the sweep leaves
	// its grants to be refreshed on demand; zero is for ever.
	IdleAfter time.Duration

	warmup warmup
}

// errLatched is logged once an hour.
var errLatched = errors.New("the brake is latched: nobody is revoked until refreshes go well for two hours, or an operator releases it")

// errTime ends a sweep whose time is up: a refresh that was begun now could not
// be finished.
var errTime = errors.New("time is up")

// Sweep works through what is due in the given buckets, until all is done or
// ctx ends. It returns an error if it could not look at all of them for another
// reason than time.
func (s *Sweep) Sweep(ctx context.Context, buckets []int) (Counts, error) {
	r := &run{sweep: s, started: s.Now(), pace: newPace(), rate: s.limiter(len(buckets)), regions: make(map[alexa.Region]func() (bool, error)),
		counts: Counts{Failed: make(map[string]int)}}
	latched := r.latched(ctx)
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
	r.upkeep(ctx, buckets, latched)
	if errors.Is(err, errTime) || ctx.Err() != nil {
		err = nil // which Remaining says
	}
	return r.counts, err
}

// latched reports whether the brake is latched. A revocation asks for itself.
func (r *run) latched(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, upkeepTime)
	defer cancel()
	latched, err := r.sweep.Brake.Latched(ctx)
	if err != nil {
		r.fail(ctx, "brake", slog.LevelWarn, fmt.Errorf("reading the brake: %w", err))
	}
	return latched
}

// limiter is the part of MaxRate that so many buckets have.
func (s *Sweep) limiter(buckets int) *rate.Limiter {
	if s.MaxRate == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(s.MaxRate*float64(buckets)/grant.Buckets), 1)
}

// upkeep does what the brake needs: it learns how the refreshes of the sweep went
// while it is latched, and, once a day, how many customers there are.
func (r *run) upkeep(ctx context.Context, buckets []int, latched bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), upkeepTime)
	defer cancel()
	if latched || r.braked {
		report, err := r.sweep.Brake.Observe(ctx, r.good, r.bad)
		if err != nil {
			r.fail(ctx, "brake", slog.LevelWarn, err)
		}
		if report {
			r.fail(ctx, "brake", slog.LevelError, errLatched)
		}
	}
	if slices.Contains(buckets, 0) {
		if err := r.sweep.Brake.CountCustomers(ctx); err != nil {
			r.fail(ctx, "counting_customers", slog.LevelWarn, err)
		}
	}
}

// run is one sweep under way.
type run struct {
	sweep   *Sweep
	started time.Time
	pace    *pace
	rate    *rate.Limiter

	mu       sync.Mutex
	counts   Counts
	failed   []failure                             // not yet put off
	regions  map[alexa.Region]func() (bool, error) // whether they are unwell, looked up once
	braked   bool                                  // the brake did not believe a refusal
	good     int                                   // refreshes that went well
	bad      int                                   // and those that were refused
	oldest   time.Time                             // since when the longest of the records waits that stay due
	refused  int                                   // refusals of our client in a row
	tried    int                                   // refreshes since the last doubt
	well     int                                   // of them
	anyWell  bool                                  // whether any refresh of the sweep went well
	own      int                                   // failures because of our settings
	verdict  error                                 // why the sweep must end
	unheard  int                                   // announcements that failed
	absolved int                                   // doubts that proved wrong
}

// groups divides buckets into what fits into one query. Each period begins with
// another group: a sweep that never comes to the end must not always leave out
// the same customers.
func (r *run) groups(buckets []int) [][]int {
	groups := slices.Collect(slices.Chunk(buckets, grant.MaxDueBuckets))
	if len(groups) == 0 {
		return nil
	}
	first := int(r.started.Unix()/int64(r.sweep.Period/time.Second)) % len(groups)
	return slices.Concat(groups[first:], groups[:first])
}

// group sweeps buckets that fit into one query, page by page. The time of the
// start holds for all: what becomes due meanwhile is the next sweep's.
func (r *run) group(ctx context.Context, buckets []int) error {
	mark := r.mark(ctx, buckets)
	query := grant.DueQuery{Buckets: buckets, From: mark.from(r.started), Before: r.started, Limit: pageSize}
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
			r.moveMark(ctx, mark)
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
		// It stays due, and a sweep finds it each hour until somebody mends it.
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
			if err := flight.Guard(func() error { r.customer(ctx, record); return nil }); err != nil {
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
