package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/sweep"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// perShard is how many customers the sweep refreshes in parallel in one shard.
const perShard = 16

// sweeping implements the command sweep: a sweep takes turns with a bare HTTP client.
type sweeping struct {
	grants, shards, rounds int
	latency                time.Duration
}

func (s *sweeping) bind(flags *flag.FlagSet) {
	flags.IntVar(&s.grants, "grants", 100_000, "`number` of customers, one grant each; memory is measured for a tenth too")
	flags.IntVar(&s.shards, "shards", 16, "`number` of shards, swept in parallel")
	flags.IntVar(&s.rounds, "rounds", 3, "how `often` sweep and bare client take turns; medians are shown")
	flags.DurationVar(&s.latency, "latency", 50*time.Millisecond, "what Login with Amazon takes to answer the second time")
}

func (s *sweeping) check() error {
	if s.grants < 10 || s.rounds < 1 || s.shards < 1 || s.shards > grant.Buckets || s.latency < 0 {
		return fmt.Errorf("want at least 10 grants, 1 round, 1 to %d shards, and no negative latency", grant.Buckets)
	}
	return nil
}

// inFlight returns how many refreshes are in flight.
func (s *sweeping) inFlight() int { return s.shards * perShard }

func (s *sweeping) run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "gatepost-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w, err := startWorld(ctx, pins{}, dir)
	if err != nil {
		return err
	}
	defer w.Kill()
	fmt.Fprintf(out, "%d grants, %d shards of %d at a time, %d rounds, %d CPUs\n\n",
		s.grants, s.shards, perShard, s.rounds, runtime.NumCPU())
	list, err := w.tokens(ctx, 1)
	if err != nil {
		return err
	}
	client := transport.NewClient(s.inFlight())
	f, err := s.memory(ctx, out, w, list[0], client)
	if err != nil {
		return err
	}
	form := clientForm("refresh_token")
	form.Set("refresh_token", list[0].Refresh)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nlatency\tCPU of a refresh\tCPU of a bare request\tshare")
	for _, latency := range []time.Duration{0, s.latency} {
		rounds, err := s.takeTurns(ctx, w, latency, f, bareClient{client, w.TokenURL, form.Encode()})
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%v\t", latency)
		s.line(table, rounds)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "\nshare: of the CPU that a refresh takes, what the bare HTTP request takes too")
	return err
}

// memory writes the peak memory of this process after a sweep of a tenth of the grants,
// and after one of all: it must not grow with them. It returns the fleet of all.
func (s *sweeping) memory(ctx context.Context, out io.Writer, w *world, t tokens, client *http.Client) (f *fleet, err error) {
	at, err := url.Parse(w.TokenURL)
	if err != nil {
		return nil, err
	}
	known := simulator.DefaultClient()
	for _, grants := range []int{s.grants / 10, s.grants} {
		f = new(fleet)
		amazon := lwa.New(at, client, []lwa.Credentials{{ClientID: known.ID, ClientSecret: known.Secret}}, f.now)
		if err := errors.Join(f.fill(grants, t, amazon), f.sweep(ctx, s.shards)); err != nil {
			return nil, err
		}
		most, err := memoryOf(os.Getpid(), "VmHWM")
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "most memory of the process, after a sweep of %d grants: %.1f MiB\n", grants, mib(most))
	}
	return f, nil
}

// round has the CPU time of the sweep and of the bare client, one after the other.
type round struct{ sweep, bare time.Duration }

// takeTurns measures the sweep and the bare client in turn, so that other load of the
// machine affects both.
func (s *sweeping) takeTurns(ctx context.Context, w *world, latency time.Duration, f *fleet, bare bareClient) ([]round, error) {
	if err := w.delayRefreshes(ctx, latency); err != nil {
		return nil, err
	}
	rounds := make([]round, s.rounds)
	for i := range rounds {
		var err error
		if rounds[i].sweep, err = measure(func() error { return f.sweep(ctx, s.shards) }); err != nil {
			return nil, err
		}
		if rounds[i].bare, err = measure(func() error { return bare.post(ctx, s.grants, s.inFlight()) }); err != nil {
			return nil, err
		}
	}
	return rounds, nil
}

// measure does the work and returns its CPU time in this process, including garbage
// collection.
func measure(work func() error) (time.Duration, error) {
	runtime.GC() // of garbage that is not this work's
	before, err := cpuOf(os.Getpid())
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, err
	}
	after, err := cpuOf(os.Getpid())
	return after - before, err
}

// line writes the medians. The share is the median of the rounds' shares, because the two
// of a round were measured one after the other.
func (s *sweeping) line(out io.Writer, rounds []round) {
	each := func(of func(round) time.Duration) time.Duration {
		return (median(rounds, of) / time.Duration(s.grants)).Round(time.Microsecond / 10)
	}
	fmt.Fprintf(out, "%v\t%v\t%.0f %%\n",
		each(func(r round) time.Duration { return r.sweep }), each(func(r round) time.Duration { return r.bare }),
		100*median(rounds, func(r round) float64 { return r.bare.Seconds() / r.sweep.Seconds() }))
}

// bareClient is the minimum of a refresh over HTTP: it posts a prepared form with the
// product's pooled client, and drops the answer.
type bareClient struct {
	client *http.Client
	url    string
	form   string
}

// post makes n requests, some of them in parallel.
func (b bareClient) post(ctx context.Context, n, inFlight int) error {
	var left atomic.Int64
	left.Store(int64(n))
	workers, ctx := errgroup.WithContext(ctx)
	for range inFlight {
		workers.Go(func() error {
			for left.Add(-1) >= 0 {
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(b.form))
				if err != nil {
					return err
				}
				request.Header.Set("Content-Type", formType)
				if err := drop(b.client, request, http.StatusOK); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return workers.Wait()
}

const (
	skill    = "default"
	lifetime = time.Hour // of an access token
)

// beginning is the start of a fleet's fake time, which does not pass by itself.
var beginning = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// fleet has a maker's customers, and the client that refreshes their tokens. It is also
// the store of their records. It generates a record at a read and drops it at a write, so
// that the sweep's own work is measured, and the heap is as small as that of a process
// with a database. Every sweep finds all customers.
type fleet struct {
	grant.Store // for everything except records
	passed      time.Duration
	sealer      *seal.Sealer
	source      *access.Source
	token       lwa.Token
	controls    sync.Map // the shared documents, by name
	customers   [grant.Buckets][]int32
}

func (f *fleet) now() time.Time { return beginning.Add(f.passed) }

// fill gives an empty fleet n customers with the same tokens, and the client that
// refreshes them.
func (f *fleet) fill(n int, t tokens, amazon access.Refresher) (err error) {
	if f.sealer, err = seal.NewEphemeral(); err != nil {
		return err
	}
	f.Store, f.token = grantmem.New(), newToken(t, beginning.Add(lifetime))
	f.source = &access.Source{
		Store: f, LWA: amazon, Sealer: f.sealer, Announce: silent{}, Brake: access.NewBrake(f, f.now),
		Owner: "bench", Now: f.now,
	}
	for i := range n {
		bucket := customer(i).Bucket()
		f.customers[bucket] = append(f.customers[bucket], int32(i))
	}
	return nil
}

// newToken returns an answer of Login with Amazon.
func newToken(t tokens, expires time.Time) lwa.Token {
	return lwa.Token{
		AccessToken: sensitive.New(t.Access), RefreshToken: sensitive.New(t.Refresh),
		ExpiresAt: expires, ClientID: simulator.DefaultClient().ID,
	}
}

func customer(i int) grant.Key {
	return grant.Key{Skill: skill, UserID: fmt.Sprintf("customer-%09d", i)}
}

// record returns the record of customer i, linked now.
func (f *fleet) record(i int) (grant.Record, error) {
	key := customer(i)
	id := grant.ID(region, skill, fmt.Sprintf("ANfake-%d", i))
	sealed, err := access.Seal(f.sealer, key, id, f.token, f.now())
	if err != nil {
		return grant.Record{}, err
	}
	record := grant.New(key)
	record.Link(id, region, "", sealed, f.now())
	record.Announced(record.Announce, f.now())
	record.Revision = 1
	return record, nil
}

// Due implements [grant.Store]. In each bucket a record is due a microsecond after the
// previous one, so that the cursor's time is the position of the sweep.
func (f *fleet) Due(_ context.Context, q grant.DueQuery) (page grant.DuePage, err error) {
	passed := 0
	if q.After != nil {
		passed = int(q.After.RefreshDue.Sub(beginning) / time.Microsecond)
	}
	skip := passed
	for _, bucket := range q.Buckets {
		list := f.customers[bucket]
		skipped := min(skip, len(list))
		skip -= skipped
		for _, i := range list[skipped:] {
			if len(page.Records) == q.Limit {
				due := beginning.Add(time.Duration(passed+q.Limit) * time.Microsecond)
				page.Next = &grant.DueCursor{RefreshDue: due, ID: page.Records[q.Limit-1].Key().ID()}
				return page, nil
			}
			record, err := f.record(int(i))
			if err != nil {
				return grant.DuePage{}, err
			}
			page.Records = append(page.Records, record)
		}
	}
	return page, nil
}

// Write implements [grant.Store].
func (*fleet) Write(_ context.Context, was, now grant.Record) (grant.Record, error) {
	now = now.Clone()
	now.Revision = was.Revision + 1
	return now, nil
}

// ReadControl implements [grant.Store].
func (f *fleet) ReadControl(_ context.Context, name string) (grant.Control, error) {
	c, ok := f.controls.Load(name)
	if !ok {
		return grant.Control{}, grant.ErrNotFound
	}
	return c.(grant.Control), nil
}

// WriteControl implements [grant.Store]. There is no other writer.
func (f *fleet) WriteControl(_ context.Context, was, now grant.Control) (grant.Control, error) {
	now.Revision = was.Revision + 1
	f.controls.Store(now.Name, now)
	return now, nil
}

// CountCustomers implements [grant.Store].
func (f *fleet) CountCustomers(context.Context) (n int, err error) {
	for _, list := range f.customers {
		n += len(list)
	}
	return n, nil
}

// sweep advances the time by a token's lifetime and sweeps all buckets, in shards that run
// in parallel, as Pub/Sub pushes them. It fails unless every grant was refreshed once. The
// context has no deadline, because the whole work is measured.
func (f *fleet) sweep(ctx context.Context, shards int) error {
	f.passed += lifetime
	sweeper := &sweep.Sweeper{
		Store: f.source.Store, Tokens: f.source, Brake: access.NewBrake(f.source.Store, f.now), Announce: silent{},
		Now: f.now, Period: sweep.DefaultPeriod,
	}
	counts := make([]sweep.Counts, shards)
	var all errgroup.Group
	for shard := range shards {
		all.Go(func() (err error) {
			counts[shard], err = sweeper.Sweep(ctx, sweep.Buckets(shard, shards))
			return err
		})
	}
	err := all.Wait()
	n, _ := f.CountCustomers(ctx)
	refreshed := 0
	for _, c := range counts {
		refreshed += c.Refreshed
		for cause, n := range c.Failed {
			err = errors.Join(err, fmt.Errorf("%d refreshes failed: %s", n, cause))
		}
	}
	if err == nil && refreshed != n {
		err = fmt.Errorf("%d grants were refreshed, not %d", refreshed, n)
	}
	return err
}

// silent announces nothing: no grant of a bench changes its state.
type silent struct{}

func (silent) Announce(context.Context, grant.Record) error {
	return errors.New("a grant has changed its state")
}
