// Package sweep makes one pass over the grants that are due: it refreshes the
// access tokens that expire soon, so that an event finds a token ready.
//
// A [Sweeper] walks the due records of some buckets, the earliest first, and works
// on several customers at a time. Three parts handle failures:
//
//   - The limiter bounds how many refreshes are in flight and how many begin in a
//     second. It obeys Retry-After.
//   - The circuit breaker ends the sweep when too many refreshes fail. While it is
//     half-open, a probe of a few customers elsewhere in the queue shows whether
//     all refreshes fail or only those at the head of the queue.
//   - The deferral moves a grant that fails for a reason of its own out of the
//     way, so that the next sweep does not begin with it.
//
// The package does not judge what Login with Amazon says about one grant: package access
// does, and revokes. A sweep that is cut short loses nothing: what was due is still due
// at the next one. Counts has the results and the causes of failures; an error says why
// the sweep ended early.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
)

const (
	// DefaultPeriod is how often a sweep is started if nothing else is configured.
	DefaultPeriod = 5 * time.Minute
	// Timeout is how long a sweep may take. The platform allows sixty seconds.
	Timeout = 55 * time.Second

	// pageSize is the number of records of one query: ten for each worker, since a page
	// ends when the last of its workers does.
	pageSize = 10 * concurrency
	// maxLeft is the most records left due that a sweep counts, and leftTime is how long
	// the count may take. Firestore charges a read for each thousand.
	maxLeft  = 100_000
	leftTime = 2 * time.Second
	// brakeTime bounds each of a sweep's calls to the brake.
	brakeTime = 2 * time.Second
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

// Sweeper refreshes grants that are due, and does the other work that is due in
// their records. All fields but MaxRate and IdleAfter are required. The sweeps of a
// process share one Sweeper and may run concurrently.
type Sweeper struct {
	Store    grant.Store
	Tokens   Refresher
	Brake    Brake
	Announce access.Announcer
	Now      func() time.Time
	// Period is how often a sweep is started.
	Period time.Duration
	// MaxRate is how many refreshes a second the sweeps of all buckets together may
	// begin; zero means no limit. Each sweep gets its share.
	MaxRate float64
	// IdleAfter is how long a customer may go without an event before the sweep
	// leaves its grants to be refreshed on demand; zero means no limit.
	IdleAfter time.Duration

	slowStart slowStart
}

// Buckets returns the buckets of one of several shards, which count from 0. Every
// bucket is in exactly one of them.
func Buckets(shard, shards int) []int {
	var list []int
	for bucket := shard * grant.Buckets / shards; bucket < (shard+1)*grant.Buckets/shards; bucket++ {
		list = append(list, bucket)
	}
	return list
}

// Counts is the result of a sweep, in numbers of grants.
type Counts struct {
	Refreshed int            `json:"refreshed"`
	Skipped   int            `json:"skipped"` // another process refreshes it, or it failed a short time ago
	Revoked   int            `json:"revoked"`
	Refused   int            `json:"refused,omitempty"` // by Login with Amazon; a second witness will confirm or refute it
	Rested    int            `json:"rested,omitempty"`  // left to be refreshed on demand: the customer is idle
	Removed   int            `json:"removed,omitempty"` // remains of grants that were revoked long ago
	Failed    map[string]int `json:"failed,omitempty"`  // by cause
	Remaining bool           `json:"remaining"`         // the sweep ended before all were done
	Left      int            `json:"left,omitempty"`    // records still due then, counted to 100,000 for each 30 buckets; -1: not known
}

// pass is one sweep under way.
type pass struct {
	*Sweeper
	started  time.Time
	breaker  *breaker
	limiter  *limiter
	deferral deferral
	tally    tally

	regions          sync.Map // region → func() (unhealthy bool, err error), which reads once
	announceFailures atomic.Int32
}

// errTime ends a sweep whose time is up: a refresh that began now could not be
// finished.
var errTime = errors.New("time is up")

// Sweep works through what is due in the given buckets, until all is done or ctx
// ends. It returns an error if it ended early for a reason other than time.
func (s *Sweeper) Sweep(ctx context.Context, buckets []int) (Counts, error) {
	p := &pass{Sweeper: s, started: s.Now(), breaker: new(breaker)}
	p.limiter = newLimiter(p.breaker, s.MaxRate*float64(len(buckets))/grant.Buckets)
	p.deferral.oldest = p.started
	p.tally.counts.Failed = make(map[string]int)
	latched := p.latched(ctx)
	var err error
	for _, group := range p.groups(buckets) {
		if err = p.walk(ctx, group); err != nil {
			break
		}
	}
	if err != nil {
		p.tally.counts.Remaining = true
		p.tally.counts.Left = p.left(ctx, buckets)
	}
	p.updateBrake(ctx, buckets, latched)
	if errors.Is(err, errTime) || ctx.Err() != nil {
		err = nil // Remaining says so
	}
	return p.tally.counts, err
}

// groups splits the buckets into groups that fit into one query. Each period starts
// with a different group, so that a sweep that never finishes does not always leave
// out the same customers.
func (p *pass) groups(buckets []int) [][]int {
	groups := slices.Collect(slices.Chunk(buckets, grant.MaxDueBuckets))
	if len(groups) == 0 {
		return nil
	}
	first := int(p.started.Unix()/int64(p.Period/time.Second)) % len(groups)
	return slices.Concat(groups[first:], groups[:first])
}

// walk visits the due records of buckets that fit into one query, page by page. All
// pages share the start time as their bound: records that become due later are left
// to the next sweep, or a sweep might never end.
func (p *pass) walk(ctx context.Context, buckets []int) error {
	mark := p.readMark(ctx, buckets)
	query := grant.DueQuery{Buckets: buckets, From: mark.from(p.started), Before: p.started, Limit: pageSize}
	for {
		page, err := p.due(ctx, query)
		if err != nil {
			return err
		}
		if err := p.visit(ctx, query, page); err != nil {
			return err
		}
		p.putOff(ctx)
		if page.Next == nil {
			p.moveMark(ctx, mark)
			return nil
		}
		query.After = page.Next
	}
}

func (p *pass) due(ctx context.Context, query grant.DueQuery) (grant.DuePage, error) {
	page, err := p.Store.Due(ctx, query)
	if err != nil {
		return grant.DuePage{}, fmt.Errorf("listing what is due: %w", err)
	}
	for _, err := range page.Unreadable {
		// It stays due, and a sweep finds it each hour until an operator repairs it.
		p.tally.fail(ctx, "unreadable", slog.LevelError, err)
	}
	return page, nil
}

// visit works on the records of a page. It returns an error if the sweep must end.
func (p *pass) visit(ctx context.Context, query grant.DueQuery, page grant.DuePage) error {
	for left := page.Records; len(left) > 0; {
		left = left[p.work(ctx, left):]
		err := p.stop(ctx)
		if err == nil {
			continue
		}
		var sample []grant.Record
		sample, left = p.sample(ctx, err, query, page, left)
		if !p.probe(ctx, err, sample) {
			return err
		}
	}
	return nil
}

// work works on as many customers in parallel as the limiter allows, until there is
// a reason to stop. It waits for those that it has begun, and returns their number.
func (p *pass) work(ctx context.Context, records []grant.Record) (begun int) {
	var workers sync.WaitGroup
	defer workers.Wait()
	for i, record := range records {
		if err := p.limiter.acquire(ctx); err != nil {
			return i
		}
		// Checked only now, since the wait may have been long.
		if p.stop(ctx) != nil {
			p.limiter.release()
			return i
		}
		workers.Go(func() {
			defer p.limiter.release()
			// A panic concerns one record, and must not keep the others from being
			// refreshed.
			if err := flight.Guard(func() error { p.customer(ctx, record); return nil }); err != nil {
				p.tally.fail(ctx, "internal", slog.LevelError, err)
			}
		})
	}
	return len(records)
}

// stop returns why nothing more may start, or nil.
func (p *pass) stop(ctx context.Context) error {
	if err := p.breaker.open(); err != nil {
		return err
	}
	if !access.TimeFor(ctx) {
		return errTime
	}
	return nil
}

// left counts the records that are still due. It returns -1 if that fails.
func (p *pass) left(ctx context.Context, buckets []int) int {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leftTime)
	defer cancel()
	left := 0
	for group := range slices.Chunk(buckets, grant.MaxDueBuckets) {
		n, err := p.Store.CountDue(ctx, grant.DueQuery{Buckets: group, Before: p.started, Limit: maxLeft})
		if err != nil {
			logging.Add(ctx, slog.String("left_error", err.Error()))
			return -1
		}
		left += n
	}
	return left
}

// errLatched is logged once an hour.
var errLatched = errors.New("the brake is latched: no grant is revoked until refreshes succeed for two hours, or an operator releases it")

// latched reports whether the brake is latched as the sweep begins. It only saves an
// update of a brake that is not latched: each revocation reads the brake itself.
func (p *pass) latched(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, brakeTime)
	defer cancel()
	latched, err := p.Brake.Latched(ctx)
	if err != nil {
		p.tally.fail(ctx, "brake", slog.LevelWarn, fmt.Errorf("reading the brake: %w", err))
	}
	return latched
}

// updateBrake reports the sweep's refreshes to a latched brake, which releases
// itself when they succeed. In the shard with bucket 0 it also counts the customers,
// since the brake's limit depends on their number.
func (p *pass) updateBrake(ctx context.Context, buckets []int, latched bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), brakeTime)
	defer cancel()
	if latched || p.tally.braked {
		report, err := p.Brake.Observe(ctx, p.tally.good, p.tally.bad)
		if err != nil {
			p.tally.fail(ctx, "brake", slog.LevelWarn, err)
		}
		if report {
			p.tally.fail(ctx, "brake", slog.LevelError, errLatched)
		}
	}
	if slices.Contains(buckets, 0) {
		if err := p.Brake.CountCustomers(ctx); err != nil {
			p.tally.fail(ctx, "counting_customers", slog.LevelWarn, err)
		}
	}
}

// tally counts. It is safe for concurrent use.
type tally struct {
	mu        sync.Mutex
	counts    Counts
	braked    bool // the brake did not admit a refusal
	good, bad int  // refreshes that succeeded and that were refused, for the brake
}

// observe counts a refresh for the brake. A refusal of a grant that is unproven
// since a relink does not count: that a customer linked again says nothing about the
// health of Login with Amazon.
func (t *tally) observe(g grant.Grant, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.braked = t.braked || errors.Is(err, access.ErrBraked)
	switch {
	case err == nil:
		t.good++
	case !g.UnprovenSince.IsZero():
	case errors.Is(err, access.ErrRevoked), errors.Is(err, access.ErrSuspect), errors.Is(err, access.ErrBraked):
		t.bad++
	}
}

// add adds to the counts of grants.
func (t *tally) add(more Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts
	c.Refreshed, c.Skipped, c.Revoked = c.Refreshed+more.Refreshed, c.Skipped+more.Skipped, c.Revoked+more.Revoked
	c.Refused, c.Rested, c.Removed = c.Refused+more.Refused, c.Rested+more.Rested, c.Removed+more.Removed
}

// fail counts a failure. The log line shows the first error of each cause: the
// others in a sweep are usually the same.
func (t *tally) fail(ctx context.Context, cause string, level slog.Level, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts.Failed[cause]++; t.counts.Failed[cause] == 1 {
		logging.Raise(ctx, level)
		logging.Add(ctx, slog.String("error_"+cause, err.Error()))
	}
}
