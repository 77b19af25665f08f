package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lifecycle"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// world is a stack in a bubble: customers u-0, u-1, … who are linked, and several
// processes that sweep.
type world struct {
	*accesstest.World
	t        *testing.T
	store    *spy
	topic    topic
	ids      []string   // of the grants, by customer
	sweepers []*Sweeper // by process
}

// inWorld runs a test in a bubble. Tokens are due 40 minutes after its start.
func inWorld(t *testing.T, customers, processes int, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{World: accesstest.InBubble(t, simulator.Options{}), t: t}
		w.store = &spy{Store: w.Store, controls: make(map[string]int)}
		for i := range customers {
			w.ids = append(w.ids, w.Link(t, user(i), alexa.EU, fmt.Sprint("amzn-", i)))
		}
		for p := range processes {
			w.sweepers = append(w.sweepers, &Sweeper{Tokens: w.Process(fmt.Sprint("p-", p)), Now: w.Now, Period: DefaultPeriod})
			w.use(p, w.store)
		}
		test(t, w)
	})
}

func user(i int) string { return fmt.Sprint("u-", i) }

// use has a process use a store.
func (w *world) use(process int, store grant.Store) {
	sweeper := w.sweepers[process]
	sweeper.Store, sweeper.Brake = store, access.NewBrake(store, w.Now)
	sweeper.Announce = &lifecycle.Announcer{Store: store, Topic: &w.topic, Log: slog.New(slog.DiscardHandler), Now: w.Now}
	source := sweeper.Tokens.(*access.Source)
	source.Store, source.Brake, source.Announce = store, access.NewBrake(store, w.Now), sweeper.Announce
}

// edit changes each grant of a customer.
func (w *world) edit(user string, edit func(r *grant.Record, id string, g *grant.Grant)) {
	w.t.Helper()
	w.Change(w.t, user, func(r *grant.Record) {
		for id, g := range r.Grants {
			edit(r, id, &g)
		}
		r.Announced(r.Announce, w.Now()) // settles when the record is due
	})
}

// set is edit for fields of the grants.
func (w *world) set(user string, set func(g *grant.Grant)) {
	w.t.Helper()
	w.edit(user, func(r *grant.Record, id string, g *grant.Grant) { set(g); r.Grants[id] = *g })
}

// sweep sweeps all buckets.
func (w *world) sweep() Counts {
	w.t.Helper()
	counts, err := w.sweepers[0].Sweep(w.t.Context(), Buckets(0, 1))
	if err != nil {
		w.t.Error(err)
	}
	return counts
}

// swept sweeps all buckets and compares the counts.
func (w *world) swept(want Counts) {
	w.t.Helper()
	if want.Failed == nil {
		want.Failed = map[string]int{}
	}
	if diff := cmp.Diff(want, w.sweep()); diff != "" {
		w.t.Errorf("swept (-want +got):\n%s", diff)
	}
}

// publishes sweeps all buckets and compares what was published.
func (w *world) publishes(want ...string) {
	w.t.Helper()
	w.sweep()
	if diff := cmp.Diff(want, w.topic.take()); diff != "" {
		w.t.Errorf("published (-want +got):\n%s", diff)
	}
}

// topic keeps what is published, and fails while it is told to.
type topic struct {
	mu    sync.Mutex
	lines []string
	err   error
}

func (p *topic) Publish(_ context.Context, data []byte, _ map[string]string) error {
	var m lifecycle.Message
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.lines = append(p.lines, fmt.Sprint(m.Type, " ", m.UserID, " ", m.Region, " ", m.EndpointIDs, " ", m.ActiveGrants))
	}
	return p.err
}

// take returns what was published since the last call, sorted.
func (p *topic) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.lines)
	taken := p.lines
	p.lines = nil
	return taken
}

// spy is a store that counts what goes to it, and fails as it is told to.
type spy struct {
	grant.Store
	beforeWrite func(was grant.Record)
	unreadable  []error // of each page
	regionErr   error   // of the marks of regions

	mu            sync.Mutex
	reads, writes int
	controls      map[string]int // reads, by name
	from          []time.Time    // where sweeps began to look
}

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
	s.mu.Unlock()
	if s.regionErr != nil && (name == grant.RegionName("EU") || name == grant.RegionName("FE")) {
		return grant.Control{}, s.regionErr
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

func TestSweepRefreshesWhatIsDue(t *testing.T) {
	t.Parallel()
	inWorld(t, 60, 1, func(t *testing.T, w *world) {
		w.swept(Counts{}) // nothing is due
		w.Forward(40*time.Minute + time.Second)
		w.Sim.Disable(alexa.EU, "amzn-7")
		w.store.unreadable = []error{errors.New("record x: grants: not a map")} // holds up nobody
		w.swept(Counts{Refreshed: 59, Refused: 1, Failed: map[string]int{"unreadable": 9}})
		w.store.unreadable = nil
		w.swept(Counts{})
		if n := w.Sim.Counts().Refreshes; n != 59 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestSweepStopsWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	inWorld(t, 60, 1, func(t *testing.T, w *world) {
		w.Forward(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		w.Sim.Always(simulator.Refresh, simulator.Fault{OmitExpiresIn: true, Match: func(simulator.Request) bool { cancel(); return true }})
		counts, err := w.sweepers[0].Sweep(ctx, Buckets(0, 1))
		done := counts.Refreshed
		if err != nil || !counts.Remaining || done == 0 || done > concurrency+1 || counts.Left != 60-done {
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
		if !slices.Equal(covered, Buckets(0, 1)) || len(covered) != grant.Buckets {
			t.Errorf("%d shards cover %v", shards, covered)
		}
	}
}

// TestSweepBeginsWhereTheLastEnded: the index entries of what was refreshed
// lately are not read over and over again, and nothing is missed all the same.
func TestSweepBeginsWhereTheLastEnded(t *testing.T) {
	t.Parallel()
	inWorld(t, 60, 1, func(t *testing.T, w *world) {
		w.spread()
		w.run(DefaultPeriod)
		began := w.store.from
		w.store.from = nil
		w.run(11 * DefaultPeriod)
		if from := w.store.from; !began[0].IsZero() || from[0].IsZero() || w.Now().Sub(from[len(from)-1]) > 3*DefaultPeriod+markMargin {
			t.Errorf("the first sweep began at %v, the others at %v", began[0], from)
		}
		w.run(2 * DefaultPeriod) // an hour is over
		overdue := func(g *grant.Grant) { g.RefreshDue = w.Now().Add(-3 * time.Hour) }
		found := func(i int, within time.Duration) {
			t.Helper()
			w.run(within)
			if due := w.Read(t, user(i)).Grants[w.ids[i]].RefreshDue; due.Before(w.Now().Add(-within)) {
				t.Errorf("u-%d is due since %v, and was not found within %v", i, due, within)
			}
		}
		// A grant that is overdue when it is written, as of a token that lasts a few
		// minutes, is found by the next sweep. Once an hour everything is, even a record
		// that was stored with a wrong time.
		w.set(user(4), overdue)
		found(4, 2*DefaultPeriod)
		w.set(user(3), overdue)
		w.Change(t, user(3), func(r *grant.Record) { r.RefreshDue = r.Grants[w.ids[3]].RefreshDue })
		found(3, time.Hour)
	})
}
