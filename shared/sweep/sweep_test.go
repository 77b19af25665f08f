package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

const customers = 150 // more than a page in a group of buckets

// inWorld runs a test in a bubble, with customers who are linked and what
// sweeps them.
func inWorld(t *testing.T, test func(t *testing.T, w *accesstest.World, sweep *Sweeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		for i := range customers {
			w.Link(t, fmt.Sprint("u-", i), alexa.EU, fmt.Sprint("amzn-", i))
		}
		test(t, w, sweepOf(w, nil))
	})
}

func all() []int { return Buckets(0, 1) }

// sweepOf is what sweeps a world, with tokens of its own process unless they are
// given.
func sweepOf(w *accesstest.World, tokens Refresher) *Sweeper {
	if tokens == nil {
		tokens = w.Process("p")
	}
	return &Sweeper{Store: w.Store, Tokens: tokens, Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now, Period: DefaultPeriod}
}

// spy is a store that counts what goes to it, and fails as it is told to.
type spy struct {
	grant.Store
	beforeWrite func(was grant.Record)
	unreadable  []error // of each page

	mu            sync.Mutex
	reads, writes int
	controls      map[string]int // reads, by name
	controlErr    error          // of the mark of the EU
	from          []time.Time    // where sweeps began to look
}

func spyOn(store grant.Store) *spy { return &spy{Store: store, controls: make(map[string]int)} }

func (s *spy) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	return s.Store.Read(ctx, key)
}

func (s *spy) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	s.mu.Lock()
	s.writes++
	s.mu.Unlock()
	if s.beforeWrite != nil {
		s.beforeWrite(was)
	}
	return s.Store.Write(ctx, was, now)
}

func (s *spy) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	s.mu.Lock()
	s.controls[name]++
	err := s.controlErr
	s.mu.Unlock()
	if err != nil && name == grant.RegionName("EU") {
		return grant.Control{}, err
	}
	return s.Store.ReadControl(ctx, name)
}

func (s *spy) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	s.mu.Lock()
	s.from = append(s.from, q.From)
	s.mu.Unlock()
	page, err := s.Store.Due(ctx, q)
	page.Unreadable = append(page.Unreadable, s.unreadable...)
	return page, err
}

// announce is an Announcer.
type announce func(ctx context.Context, record grant.Record) error

func (f announce) Announce(ctx context.Context, record grant.Record) error { return f(ctx, record) }

// topic keeps what is published, and fails while it is told to.
type topic struct {
	mu   sync.Mutex
	data []string
	err  error
}

func (p *topic) Publish(_ context.Context, data []byte, _ map[string]string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.data = append(p.data, string(data))
	}
	return p.err
}

// take returns what was published since the last call, sorted.
func (p *topic) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.data)
	taken := p.data
	p.data = nil
	return taken
}

// swept sweeps all buckets and compares the counts.
func swept(t *testing.T, sweep *Sweeper, want Counts) {
	t.Helper()
	counts, err := sweep.Sweep(t.Context(), all())
	if want.Failed == nil {
		want.Failed = map[string]int{}
	}
	if diff := cmp.Diff(want, counts); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestSweepRefreshesWhatIsDue(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweeper) {
		swept(t, sweep, Counts{}) // nothing is due
		w.Forward(40*time.Minute + time.Second)
		w.Sim.Disable(alexa.EU, "amzn-7")
		swept(t, sweep, Counts{Refreshed: customers - 1, Refused: 1})
		swept(t, sweep, Counts{})
		if w.Sim.Counts().Refreshes != customers-1 {
			t.Errorf("%d refreshes", w.Sim.Counts().Refreshes)
		}
	})
}

func TestTwoSweepsAtOnceRefreshOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweeper) {
		w.Forward(time.Hour)
		var wg sync.WaitGroup
		for _, s := range []*Sweeper{sweep, sweepOf(w, w.Process("q"))} {
			wg.Go(func() {
				if _, err := s.Sweep(context.Background(), all()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if c := w.Sim.Counts(); c.Refreshes != customers || c.RotatedAway != 0 {
			t.Errorf("%d refreshes, %d with a token that was rotated away; want %d and 0", c.Refreshes, c.RotatedAway, customers)
		}
	})
}

func TestDamagedRecordHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweeper) {
		w.Forward(time.Hour)
		store := spyOn(w.Store)
		store.unreadable = []error{errors.New("record x: grants: not a map")}
		sweep.Store = store
		counts, err := sweep.Sweep(t.Context(), []int{accesstest.Key("u-1").Bucket()})
		if err != nil || counts.Refreshed == 0 || counts.Failed["unreadable"] != 1 {
			t.Errorf("%+v, %v", counts, err)
		}
	})
}

func TestSweepStopsWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweeper) {
		w.Forward(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		w.Sim.Always(simulator.Refresh, simulator.Fault{OmitExpiresIn: true, Match: func(simulator.Request) bool { cancel(); return true }})
		counts, err := sweep.Sweep(ctx, all())
		done := counts.Refreshed
		if err != nil || !counts.Remaining || done == 0 || done > concurrency+1 || counts.Left != customers-done {
			t.Errorf("%+v, %v", counts, err)
		}
	})
}

func TestShardsCoverEveryBucketOnce(t *testing.T) {
	t.Parallel()
	for shards := 1; shards <= grant.Buckets; shards++ {
		var covered []int
		for i := range shards {
			covered = append(covered, Buckets(i, shards)...)
		}
		if len(covered) != grant.Buckets || !slices.IsSorted(covered) || len(slices.Compact(covered)) != grant.Buckets {
			t.Errorf("%d shards cover %v", shards, covered)
		}
	}
}
