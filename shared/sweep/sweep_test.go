package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// world is a stack in a bubble: linked customers u-0, u-1, … and several processes
// that sweep.
type world struct {
	*accesstest.World
	t        *testing.T
	store    *spy
	topic    topic
	ids      []string   // grant ids, by customer
	sweepers []*Sweeper // by process
}

// inWorld runs a test in a bubble. Tokens are due 23 to 47 minutes after its start.
func inWorld(t *testing.T, customers, processes int, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{World: accesstest.InBubble(t, simulator.Options{}), t: t}
		w.store = &spy{Store: w.Store, calls: make(map[string]int)}
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

// use sets a process's store.
func (w *world) use(process int, store grant.Store) {
	sweeper := w.sweepers[process]
	sweeper.Store, sweeper.Brake = store, access.NewBrake(store, w.Now)
	sweeper.Announce = &announce.Announcer{Store: store, Topic: &w.topic, Log: slog.New(slog.DiscardHandler), Now: w.Now}
	source := sweeper.Tokens.(*access.Source)
	source.Store, source.Brake, source.Announce = store, access.NewBrake(store, w.Now), sweeper.Announce
}

// edit edits each grant of a customer.
func (w *world) edit(user string, edit func(r *grant.Record, id string, g *grant.Grant)) {
	w.t.Helper()
	w.Change(w.t, user, func(r *grant.Record) {
		for id, g := range r.Grants {
			edit(r, id, &g)
		}
		r.Announced(r.Announce, w.Now()) // computes when the record is due
	})
}

// set edits fields of each grant.
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
	expect.Equal(w.t, "counts", want, w.sweep())
}

const shards = 16

// spread makes customers due one after the other within half an hour, and counts
// them for the brake.
func (w *world) spread() {
	w.t.Helper()
	for i := range w.ids {
		due := w.Now().Add(time.Duration(i) * 30 * time.Minute / time.Duration(len(w.ids)))
		w.set(user(i), func(g *grant.Grant) { g.RefreshDue = due })
	}
	if err := w.Brake().CountCustomers(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// run sweeps in each period with all shards at once.
func (w *world) run(during time.Duration) {
	for end := w.Now().Add(during); w.Now().Before(end); {
		next := w.Now().Add(w.sweepers[0].Period)
		var all sync.WaitGroup
		for i := range shards {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), Timeout)
				defer cancel()
				sweeper := w.sweepers[i%len(w.sweepers)]
				sweeper.Tokens.(*access.Source).SavePending(ctx)
				_, _ = sweeper.Sweep(ctx, Buckets(i, shards)) // the census shows what is left
			})
		}
		all.Wait()
		w.Forward(next.Sub(w.Now()))
	}
}

// census counts grants by state.
func (w *world) census() map[grant.State]int {
	w.t.Helper()
	states := make(map[grant.State]int)
	for i, id := range w.ids {
		states[w.Read(w.t, user(i)).Grants[id].State]++
	}
	return states
}

// crowd is the number of customers in the larger tests: one in a hundred is more
// than the brake's least limit. The race detector, which runs with -short, needs
// fewer.
func crowd() int {
	if testing.Short() {
		return 300
	}
	return 1000
}

// spy is a store that counts its calls, and can fail.
type spy struct {
	grant.Store
	beforeWrite func(was grant.Record)
	unreadable  []error // in each page
	regionErr   error   // of the marks of regions

	mu    sync.Mutex
	calls map[string]int // "read", "write", and the names of shared documents
	from  []time.Time    // where the queries of sweeps began
}

func (s *spy) count(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[call]++
}

func (s *spy) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	s.count("read")
	return s.Store.Read(ctx, key)
}

func (s *spy) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	s.count("write")
	if s.beforeWrite != nil {
		s.beforeWrite(was)
	}
	return s.Store.Write(ctx, was, now)
}

func (s *spy) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	s.count(name)
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
		w.Forward(47 * time.Minute)
		w.Sim.Disable(alexa.EU, "amzn-7")
		w.store.unreadable = []error{errors.New("record x: grants: not a map")} // delays no others
		w.swept(Counts{Refreshed: 59, Refused: 1, Failed: map[string]int{"unreadable": 9}})
		w.store.unreadable = nil
		w.swept(Counts{})
		if n := w.Sim.Counts().Refreshes; n != 59 {
			t.Errorf("refreshes = %d, want 59", n)
		}
	})
}

// unwritable is a store that cannot write the records of some customers.
type unwritable struct {
	grant.Store
	fails func(user string) bool
}

func (s unwritable) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if s.fails(now.UserID) {
		return grant.Record{}, errors.New("out of order")
	}
	return s.Store.Write(ctx, was, now)
}

// TestStoreFails: a refresh that the store fails is a warning, since the next sweep
// retries. If all fail the sweep ends with an error, for which RefreshShard raises the
// severity.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fails func(user string) bool
		ends  bool
	}{
		"one": {func(user string) bool { return user == "u-7" }, false},
		"all": {func(string) bool { return true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, 60, 1, func(t *testing.T, w *world) {
				w.use(0, unwritable{w.store, test.fails})
				w.Forward(47 * time.Minute)
				ctx, line := logging.Begin(t.Context())
				counts, err := w.sweepers[0].Sweep(ctx, Buckets(0, 1))
				var written bytes.Buffer
				line.Write(ctx, logging.New(&written), "RefreshShard")
				if (err != nil) != test.ends || counts.Failed["internal"] == 0 || !strings.Contains(written.String(), `"severity":"WARNING"`) {
					t.Errorf("sweep = %+v, %v; line = %s", counts, err, &written)
				}
			})
		})
	}
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
			t.Errorf("sweep = %+v, %v, want some left", counts, err)
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
			t.Errorf("%d shards cover %v, want each bucket once", shards, covered)
		}
	}
}

// TestSweepBeginsWhereTheLastEnded: the index entries of recently refreshed grants
// are not read again and again, and still no grant is missed.
func TestSweepBeginsWhereTheLastEnded(t *testing.T) {
	t.Parallel()
	inWorld(t, 60, 1, func(t *testing.T, w *world) {
		w.spread()
		w.run(DefaultPeriod)
		began := w.store.from
		w.store.from = nil
		w.run(11 * DefaultPeriod)
		if from := w.store.from; !began[0].IsZero() || from[0].IsZero() || w.Now().Sub(from[len(from)-1]) > 3*DefaultPeriod+markMargin {
			t.Errorf("the first sweep began at %v, the others at %v, want the other ones later", began[0], from)
		}
		w.run(2 * DefaultPeriod) // for an hour in all
		overdue := func(g *grant.Grant) { g.RefreshDue = w.Now().Add(-3 * time.Hour) }
		found := func(i int, within time.Duration) {
			t.Helper()
			w.run(within)
			if due := w.Read(t, user(i)).Grants[w.ids[i]].RefreshDue; due.Before(w.Now().Add(-within)) {
				t.Errorf("u-%d has been due since %v, and was not refreshed within %v", i, due, within)
			}
		}
		// A grant that is overdue when it is written, like one with a token of a
		// few minutes, is found by the next sweep. Once an hour every grant is
		// found, even in a record that was stored with a wrong time.
		w.set(user(4), overdue)
		found(4, 2*DefaultPeriod)
		w.set(user(3), overdue)
		w.Change(t, user(3), func(r *grant.Record) { r.RefreshDue = r.Grants[w.ids[3]].RefreshDue })
		found(3, time.Hour)
	})
}

// TestRefusedByLoginWithAmazonAlone: for an hour Login with Amazon refuses every
// grant, and the gateway none. Afterwards all grants are active, and the brake
// releases itself.
func TestRefusedByLoginWithAmazonAlone(t *testing.T) {
	t.Parallel()
	for customers, processes := range map[int]int{1: 1, 60: 3, crowd(): 20} {
		t.Run(fmt.Sprint(customers, " customers in ", processes, " processes"), func(t *testing.T) {
			t.Parallel()
			inWorld(t, customers, processes, func(t *testing.T, w *world) {
				w.spread()
				w.run(20 * time.Minute)
				w.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
				w.run(time.Hour)
				most := max(5, customers/100)
				if states := w.census(); states[grant.Revoked] != 0 || states[grant.Suspect] > most {
					t.Errorf("after an hour: %v, want none revoked and %d or fewer suspect", states, most)
				}
				if latched, err := w.Brake().Latched(t.Context()); err != nil || latched != (customers > most) {
					t.Errorf("latched = %t, %v, want %t", latched, err, customers > most)
				}
				w.Sim.Clear()
				w.run(5 * time.Hour)
				if states := w.census(); states[grant.Active] != customers {
					t.Errorf("after the recovery: %v, want %d active", states, customers)
				}
				if latched, err := w.Brake().Latched(t.Context()); err != nil || latched {
					t.Errorf("latched five hours later = %t, %v, want false", latched, err)
				}
			})
		})
	}
}

// TestLeaverIsRevoked: one of many customers disables the skill, without a skill
// event. The sweeps revoke the grant within the lifetime of a token and an hour.
func TestLeaverIsRevoked(t *testing.T) {
	t.Parallel()
	inWorld(t, crowd(), 20, func(t *testing.T, w *world) {
		w.spread()
		w.run(40 * time.Minute) // the customer's token is new
		w.Sim.Disable(alexa.EU, "amzn-0")
		for left := w.Now(); w.Read(t, user(0)).Grants[w.ids[0]].State != grant.Revoked; w.run(DefaultPeriod) {
			if w.Now().Sub(left) > 2*time.Hour+10*time.Minute {
				t.Fatalf("grant is still %+v", w.Read(t, user(0)).Grants[w.ids[0]])
			}
		}
		if states := w.census(); states[grant.Active] != len(w.ids)-1 {
			t.Errorf("grants by state = %v, want all but one active", states)
		}
	})
}

// lateAnswers is Login with Amazon with delayed answers.
type lateAnswers struct {
	access.Refresher
	by atomic.Int64
}

func (l *lateAnswers) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error) {
	token, err := l.Refresher.Refresh(ctx, clientID, refreshToken)
	if wait.For(ctx, time.Duration(l.by.Load())) != nil {
		return lwa.Token{}, ctx.Err()
	}
	return token, err
}

// TestLateAnswersAreSaved: for ten minutes Login with Amazon ends each old token
// and answers late. No grant is lost.
func TestLateAnswersAreSaved(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{6 * time.Second, 18 * time.Second} {
		inWorld(t, crowd(), 4, func(t *testing.T, w *world) {
			w.spread()
			late := &lateAnswers{Refresher: w.LWA}
			for _, sweeper := range w.sweepers {
				sweeper.Tokens.(*access.Source).LWA = late
			}
			w.run(DefaultPeriod)
			late.by.Store(int64(by))
			w.run(2 * DefaultPeriod)
			late.by.Store(0)
			w.run(time.Hour)
			if states := w.census(); states[grant.Active] != len(w.ids) || w.Sim.Counts().RotatedAway != 0 {
				t.Errorf("%v late: states = %v, %d replaced tokens used, want all active and 0", by, states, w.Sim.Counts().RotatedAway)
			}
		})
	}
}

// TestLostAnswersCostFew: for ten minutes Login with Amazon ends each old token,
// and its answers are lost. Each lost answer costs a grant, so the sweeps of a
// process start only a few refreshes.
func TestLostAnswersCostFew(t *testing.T) {
	t.Parallel()
	for _, period := range []time.Duration{DefaultPeriod, time.Minute} {
		lostAnswers(t, period)
	}
}

func lostAnswers(t *testing.T, period time.Duration) {
	const processes, periods, most = 4, 2, 8
	inWorld(t, crowd(), processes, func(t *testing.T, w *world) {
		w.spread()
		for _, sweeper := range w.sweepers {
			sweeper.Period = period
		}
		w.run(DefaultPeriod)
		w.Sim.Always(simulator.Refresh, simulator.Fault{AnswerLost: true, Delay: 6 * time.Second})
		w.run(periods * DefaultPeriod)
		w.Sim.Clear()
		lost := 0
		for _, r := range w.Sim.LWARequests() {
			if r.Target == simulator.Refresh && r.Accepted && r.Scripted {
				lost++
			}
		}
		if lost == 0 || lost > processes*periods*most {
			t.Errorf("lost grants = %d of %d, want %d or fewer for each process and sweep", lost, len(w.ids), most)
		}
		w.run(time.Hour)
		if states := w.census(); states[grant.Suspect] > lost || states[grant.Revoked] != 0 {
			t.Errorf("grants by state = %v, want %d or fewer suspect and none revoked", states, lost)
		}
	})
}
