package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

// carrying implements the command carry: the sweeps of a stack in simulated time,
// through an outage of Login with Amazon.
//
// It simulates one shard with all its customers, and multiplies. That is exact as far
// as the shards are alike: they share no customer, no document but the brake, which is
// not written while no grant is refused, and no process that is short of processor
// time. What they share in the cloud, the database's writes and LWA_MAX_RATE, each gets
// its part of. Customers have buckets by a hash, so the largest of 128 shards of ten
// million has 1 % more than the mean.
type carrying struct {
	customers, shards, databaseWrites, maxRate int
	period, lwa, write, query                  time.Duration
	outage, watch, step                        time.Duration
	hangs                                      bool
}

func (c *carrying) bind(flags *flag.FlagSet) {
	flags.IntVar(&c.customers, "customers", 10_000_000, "`number` of the stack's customers, one grant each")
	flags.IntVar(&c.shards, "shards", 128, "REFRESH_SHARDS")
	flags.DurationVar(&c.period, "period", time.Minute, "REFRESH_PERIOD")
	flags.IntVar(&c.maxRate, "max-rate", 0, "LWA_MAX_RATE; 0 is no limit")
	flags.DurationVar(&c.lwa, "lwa", 200*time.Millisecond, "`time` that Login with Amazon takes to answer")
	flags.DurationVar(&c.write, "write", 15*time.Millisecond, "`time` that a write to Firestore takes")
	flags.DurationVar(&c.query, "query", 50*time.Millisecond, "`time` that a page of a query takes")
	flags.IntVar(&c.databaseWrites, "database", databaseWrites, "most `writes` a second that the database takes")
	flags.DurationVar(&c.outage, "outage", time.Hour, "`time` that Login with Amazon is down")
	flags.BoolVar(&c.hangs, "hangs", false, "it does not answer; otherwise it answers 503")
	flags.DurationVar(&c.watch, "watch", 3*time.Hour, "`time` that is shown after the outage")
	flags.DurationVar(&c.step, "step", 10*time.Minute, "`time` of a line")
}

func (c *carrying) check() error {
	if c.shards < 1 || c.shards > grant.Buckets || c.customers < c.shards || c.databaseWrites < 1 || c.maxRate < 0 ||
		c.period < time.Minute || c.period > sweep.DefaultPeriod || c.step < c.period || min(c.lwa, c.write, c.query, c.outage, c.watch) <= 0 {
		return fmt.Errorf("want 1 to %d shards, a customer for each, a period of 1m to 5m, steps of at least one, and times above 0",
			grant.Buckets)
	}
	return nil
}

func (c *carrying) run(ctx context.Context, out io.Writer) error {
	inBubble(ctx, "carry", func() error { _, err := c.simulate(out); return err })
	return nil
}

// carried is what a simulation found, for the whole stack.
type carried struct {
	before, peak      float64       // refreshes a second before the outage, and the most in a period after it
	ended, endedLater int           // most customers without a token during the outage, and after it
	caughtUp          time.Duration // after the outage, when nothing was due any longer; 0: never
}

// simulate writes a line for each step and returns the sum of them. It runs in a bubble.
func (c *carrying) simulate(out io.Writer) (found carried, err error) {
	s, err := c.newShard()
	if err != nil {
		return found, err
	}
	fmt.Fprintf(out, "%d customers in %d shards every %v; Login with Amazon takes %v, a write %v, a page %v\n\n",
		c.customers, c.shards, c.period, c.lwa, c.write, c.query)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tfrom minute\trefreshes a second\tmost in a period\twrites a second\tof the time\tdue at most\twithout a token\t")
	began := time.Now()
	down, up := began.Add(3*c.step), began.Add(3*c.step+c.outage)
	end := up.Add(c.watch)
	factor := float64(c.customers) / float64(len(s.list))
	for time.Now().Before(end) {
		phase, until := "steady", down
		switch now := time.Now(); {
		case !now.Before(up):
			phase, until = "after", end
		case !now.Before(down):
			phase, until = "down", up
		}
		s.amazon.setDown(phase == "down", c.hangs)
		from := time.Now()
		l := s.step(min(c.step, until.Sub(from)))
		took := time.Since(from).Seconds()
		perSecond := factor * float64(l.refreshed) / took
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f %%\t%.0f\t%.0f\t\n", phase, from.Sub(began).Minutes(), perSecond,
			factor*float64(l.most)/c.period.Seconds(), factor*float64(l.writes)/took, 100*l.busy.Seconds()/took,
			factor*float64(l.due), factor*float64(l.ended))
		switch phase {
		case "steady":
			found.before = perSecond
		case "down":
			found.ended = max(found.ended, int(factor*float64(l.ended)))
		case "after":
			found.peak = max(found.peak, factor*float64(l.most)/c.period.Seconds())
			found.endedLater = max(found.endedLater, int(factor*float64(l.ended)))
			if found.caughtUp == 0 && !l.doneAt.IsZero() {
				found.caughtUp = l.doneAt.Sub(up)
			}
		}
	}
	if err := table.Flush(); err != nil {
		return found, err
	}
	caughtUp := "not while it was watched"
	if found.caughtUp > 0 {
		caughtUp = fmt.Sprintf("after %v", found.caughtUp.Round(time.Second))
	}
	const ended = "\nafter the outage: all that was due had been refreshed %s; at most %.0f refreshes a second in a period, before it %.0f\n"
	_, err = fmt.Fprintf(out, ended, caughtUp, found.peak, found.before)
	return found, err
}

// shard is a shard, in a process of its own.
type shard struct {
	*carrying
	sweeper *sweep.Sweeper
	amazon  *remote
	store   *shardStore
	buckets []int
	list    []*stored
}

// newShard returns the first shard with its customers, whose refreshes are at their
// places in the cycle.
func (c *carrying) newShard() (*shard, error) {
	sealer, err := seal.NewEphemeral()
	if err != nil {
		return nil, err
	}
	client := simulator.DefaultClient()
	at := &url.URL{Scheme: "http", Host: "lwa.test", Path: "/auth/o2/token"}
	s := &shard{carrying: c, buckets: sweep.Buckets(0, c.shards)}
	s.amazon = &remote{takes: c.lwa, status: http.StatusOK, body: tokensAnswer}
	part := float64(c.databaseWrites) * float64(len(s.buckets)) / grant.Buckets
	s.store = &shardStore{Store: grantmem.New(), byID: make(map[string]*stored), slots: make(map[int64][]*stored),
		write: c.write, query: c.query, writes: rate.NewLimiter(rate.Limit(part), int(part)+1)}
	source := &access.Source{
		Store: s.store, Sealer: sealer, Announce: silent{}, Brake: access.NewBrake(s.store, time.Now), Owner: "bench", Now: time.Now,
		LWA: lwa.New(at, &http.Client{Transport: s.amazon}, []lwa.Credentials{{ClientID: client.ID, ClientSecret: client.Secret}}, time.Now),
	}
	s.sweeper = &sweep.Sweeper{Store: s.store, Tokens: source, Brake: source.Brake, Announce: silent{}, Now: time.Now,
		Period: c.period, MaxRate: float64(c.maxRate)}
	for i := range c.customers * len(s.buckets) / grant.Buckets {
		record, err := steady(sealer, i)
		if err != nil {
			return nil, err
		}
		s.list = append(s.list, s.store.add(record))
	}
	return s, nil
}

// steady returns the record of a customer who linked hours ago.
func steady(sealer *seal.Sealer, i int) (grant.Record, error) {
	record := grant.New(customer(i))
	id := grant.ID(region, skill, fmt.Sprintf("ANfake-%d", i))
	token := newToken(tokens{"Atza|fake", "Atzr|fake"}, time.Time{})
	linked := time.Now().Add(-4 * lifetime)
	for at := linked; ; {
		next := grant.RefreshDue(id, at, at.Add(lifetime))
		if next.After(time.Now()) {
			token.ExpiresAt = at.Add(lifetime)
			sealed, err := access.Seal(sealer, record.Key(), id, token, at)
			if err != nil {
				return grant.Record{}, err
			}
			record.Link(id, region, "", sealed, at)
			record.Announced(record.Announce, at)
			record.Revision = 1
			return record, nil
		}
		at = next
	}
}

// line is what happened in a step.
type line struct {
	refreshed, most, writes, due, ended int
	busy                                time.Duration
	doneAt                              time.Time // when a sweep first left nothing
}

// step sweeps in each period of a step, and looks at the customers after each.
func (s *shard) step(during time.Duration) (l line) {
	for end := time.Now().Add(during); time.Now().Before(end); {
		next, began := time.After(s.period), time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), sweep.Timeout)
		counts, _ := s.sweeper.Sweep(ctx, s.buckets) // what fails is still due
		cancel()
		l.busy += time.Since(began)
		l.refreshed += counts.Refreshed
		l.most = max(l.most, counts.Refreshed)
		if !counts.Remaining && l.doneAt.IsZero() {
			l.doneAt = time.Now()
		}
		<-next
		due, ended := s.store.census(time.Now())
		l.due, l.ended = max(l.due, due), max(l.ended, ended)
	}
	_, l.writes = s.store.taken()
	return l
}

// remote is a service of Amazon's that can be down.
type remote struct {
	takes  time.Duration
	status int // of an answer
	body   string

	mu          sync.Mutex
	down, hangs bool
	calls       int // since taken
}

func (s *remote) setDown(down, hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.hangs = down, hangs
}

// taken returns the calls since the last one of it.
func (s *remote) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = 0
	return calls
}

const tokensAnswer = `{"access_token":"Atza|fake","refresh_token":"Atzr|fake","expires_in":3600,"token_type":"bearer"}`

// RoundTrip implements [http.RoundTripper].
func (s *remote) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	s.mu.Lock()
	s.calls++
	down, hangs := s.down, s.down && s.hangs
	s.mu.Unlock()
	if hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	time.Sleep(s.takes)
	answer := &http.Response{StatusCode: s.status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(s.body))}
	if down {
		answer.StatusCode, answer.Body = http.StatusServiceUnavailable, http.NoBody
	}
	return answer, nil
}

// shardStore is the database of one shard. It takes its time, and no more writes a
// second than its part of the database's limit. It keeps records as they are, without
// the cost of documents.
type shardStore struct {
	grant.Store // for everything except records
	write       time.Duration
	query       time.Duration
	writes      *rate.Limiter

	mu    sync.Mutex
	reads int // of single records, since taken
	wrote int
	byID  map[string]*stored
	slots map[int64][]*stored // by the minute in which they are due, each in order
}

// stored is a record and the place of its index entry.
type stored struct {
	id     string
	record grant.Record
}

func (e *stored) compare(other *stored) int {
	return cmp.Or(e.record.RefreshDue.Compare(other.record.RefreshDue), strings.Compare(e.id, other.id))
}

func slot(t time.Time) int64 { return t.Unix() / 60 }

func (s *shardStore) add(record grant.Record) *stored {
	e := &stored{record.Key().ID(), record}
	s.byID[e.id] = e
	s.index(e)
	return e
}

func (s *shardStore) index(e *stored) {
	at := slot(e.record.RefreshDue)
	i, _ := slices.BinarySearchFunc(s.slots[at], e, (*stored).compare)
	s.slots[at] = slices.Insert(s.slots[at], i, e)
}

func (s *shardStore) unindex(e *stored) {
	at := slot(e.record.RefreshDue)
	i, _ := slices.BinarySearchFunc(s.slots[at], e, (*stored).compare)
	if s.slots[at] = slices.Delete(s.slots[at], i, i+1); len(s.slots[at]) == 0 {
		delete(s.slots, at)
	}
}

// Due implements [grant.Store]. All records are in the query's buckets.
func (s *shardStore) Due(ctx context.Context, q grant.DueQuery) (page grant.DuePage, err error) {
	time.Sleep(s.query)
	if err := ctx.Err(); err != nil {
		return page, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := &stored{"", grant.Record{RefreshDue: q.From}}
	if q.After != nil {
		first = &stored{q.After.ID, grant.Record{RefreshDue: q.After.RefreshDue}}
	}
	var times []int64
	for at := range s.slots {
		if at >= slot(first.record.RefreshDue) && at <= slot(q.Before) {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	for _, at := range times {
		for _, e := range s.slots[at] {
			if e.compare(first) <= 0 || e.record.RefreshDue.After(q.Before) {
				continue
			}
			page.Records = append(page.Records, e.record.Clone())
			if len(page.Records) == q.Limit {
				page.Next = &grant.DueCursor{RefreshDue: e.record.RefreshDue, ID: e.id}
				return page, nil
			}
		}
	}
	return page, nil
}

// CountDue implements [grant.Store].
func (s *shardStore) CountDue(ctx context.Context, q grant.DueQuery) (int, error) {
	due, _ := s.census(q.Before)
	return min(due, q.Limit), ctx.Err()
}

// Write implements [grant.Store].
func (s *shardStore) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if err := s.wait(ctx); err != nil {
		return grant.Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote++
	e := s.byID[now.Key().ID()]
	if e == nil || e.record.Revision != was.Revision {
		return grant.Record{}, grant.ErrConflict
	}
	s.unindex(e)
	e.record = now.Clone()
	e.record.Revision = was.Revision + 1
	s.index(e)
	return e.record.Clone(), nil
}

// Read implements [grant.Store].
func (s *shardStore) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	time.Sleep(s.write)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	e := s.byID[key.ID()]
	if e == nil {
		return grant.Record{}, grant.ErrNotFound
	}
	return e.record.Clone(), ctx.Err()
}

// WriteControl implements [grant.Store].
func (s *shardStore) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	if err := s.wait(ctx); err != nil {
		return grant.Control{}, err
	}
	s.mu.Lock()
	s.wrote++
	s.mu.Unlock()
	return s.Store.WriteControl(ctx, was, now)
}

var errOverloaded = errors.New("the database takes no more writes")

// wait waits as long as a write takes.
func (s *shardStore) wait(ctx context.Context) error {
	if s.writes.Wait(ctx) != nil {
		return errOverloaded
	}
	time.Sleep(s.write)
	return ctx.Err()
}

// taken returns the reads of single records and the writes since the last call.
func (s *shardStore) taken() (reads, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reads, writes = s.reads, s.wrote
	s.reads, s.wrote = 0, 0
	return reads, writes
}

// census counts the customers who are due, and those whose access token has ended.
func (s *shardStore) census(now time.Time) (due, ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, list := range s.slots {
		if at > slot(now) { // not due, and so not ended
			continue
		}
		for _, e := range list {
			if !e.record.RefreshDue.After(now) {
				due++
			}
			for _, g := range e.record.Grants {
				if g.TokenEnded(now) {
					ended++
				}
			}
		}
	}
	return due, ended
}
