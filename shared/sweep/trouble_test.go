package sweep

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

// stack is the sweeps of a whole stack in a bubble: several processes, each with
// some of the shards.
type stack struct {
	*accesstest.World
	t      *testing.T
	users  []string
	ids    map[string]string // of the grants, by customer
	sweeps []*Sweeper
	began  time.Time
}

const shards = 16

// newStack links customers, who become due one after the other within the first
// half an hour, and starts processes.
func newStack(t *testing.T, customers, processes int, store func(grant.Store) grant.Store) *stack {
	t.Helper()
	s := &stack{World: accesstest.InBubble(t, simulator.Options{}), t: t, ids: make(map[string]string)}
	for i := range customers {
		user := fmt.Sprint("u-", i)
		id := s.Link(t, user, alexa.EU, fmt.Sprint("amzn-", i))
		s.Change(t, user, func(r *grant.Record) {
			g := r.Grants[id]
			g.RefreshDue = s.Now().Add(time.Duration(i) * 30 * time.Minute / time.Duration(customers))
			r.Grants[id] = g
			r.Announced(nil, s.Now()) // settles when the record is due
		})
		s.users, s.ids[user] = append(s.users, user), id
	}
	if err := s.Brake().CountCustomers(t.Context()); err != nil {
		t.Fatal(err)
	}
	for p := range processes {
		source := s.Process(fmt.Sprint("p-", p))
		source.Store = store(s.Store)
		source.Brake = access.NewBrake(source.Store, s.Now)
		sweep := sweepOf(s.World, source)
		sweep.Store, sweep.Brake = source.Store, source.Brake
		s.sweeps = append(s.sweeps, sweep)
	}
	s.began = s.Now()
	return s
}

func plain(store grant.Store) grant.Store { return store }

// run sweeps for some time, each period with all shards at once.
func (s *stack) run(during time.Duration) {
	for end := s.Now().Add(during); s.Now().Before(end); {
		next := s.Now().Add(DefaultPeriod)
		var all sync.WaitGroup
		for i := range shards {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), Timeout)
				defer cancel()
				sweep := s.sweeps[i%len(s.sweeps)]
				sweep.Tokens.(*access.Source).SavePending(ctx)
				_, _ = sweep.Sweep(ctx, Buckets(i, shards)) // what is left the census shows
			})
		}
		all.Wait()
		s.Forward(next.Sub(s.Now()))
	}
}

// census counts grants by state.
func (s *stack) census() map[grant.State]int {
	s.t.Helper()
	states := make(map[grant.State]int)
	for _, user := range s.users {
		states[s.Read(s.t, user).Grants[s.ids[user]].State]++
	}
	return states
}

// crowd is how many customers the larger tests have. The race detector, which gets
// -short, needs fewer.
func crowd() int {
	if testing.Short() {
		return 300
	}
	return 3000
}

func forSizes(t *testing.T, test func(t *testing.T, customers, processes int)) {
	t.Helper()
	for _, size := range []struct{ customers, processes int }{{1, 1}, {60, 3}, {crowd(), 20}} {
		t.Run(fmt.Sprint(size.customers, " customers in ", size.processes, " processes"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, size.customers, size.processes) })
		})
	}
}

// TestRefusedByLoginWithAmazonAlone: for an hour it refuses everybody, and the
// gateway nobody. All are there afterwards, and the brake releases itself.
func TestRefusedByLoginWithAmazonAlone(t *testing.T) {
	t.Parallel()
	forSizes(t, func(t *testing.T, customers, processes int) {
		s := newStack(t, customers, processes, plain)
		s.run(20 * time.Minute)
		s.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
		s.run(time.Hour)
		most := max(5, customers/100)
		if states := s.census(); states[grant.Revoked] != 0 || states[grant.Suspect] > most {
			t.Errorf("after an hour: %v, want nobody revoked and at most %d suspect", states, most)
		}
		latched, err := s.Brake().Latched(t.Context())
		if err != nil || latched != (customers > most) {
			t.Errorf("latched: %t, %v", latched, err)
		}
		s.Sim.Clear()
		s.run(5 * time.Hour)
		if states := s.census(); states[grant.Active] != customers {
			t.Errorf("when it is over: %v, want %d active", states, customers)
		}
		if latched, err := s.Brake().Latched(t.Context()); err != nil || latched {
			t.Errorf("the brake is latched five hours later: %t, %v", latched, err)
		}
	})
}

// TestLeaverIsFoundOut: one of many disables the skill. With a second witness the
// next sweep ends the grant, and without one the sweeps do within the lifetime of
// a token and an hour.
func TestLeaverIsFoundOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		witness bool
		within  time.Duration
	}{"told by a skill event": {true, 2 * DefaultPeriod}, "found out": {false, 2*time.Hour + 10*time.Minute}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forSizes(t, func(t *testing.T, customers, processes int) {
				s := newStack(t, customers, processes, plain)
				s.run(40 * time.Minute) // the customer's token is new
				s.Sim.Disable(alexa.EU, "amzn-0")
				if test.witness {
					s.Change(t, "u-0", func(r *grant.Record) { r.Prove(grant.BySkillEvent, s.Now()) })
				}
				left := s.Now()
				for s.Read(t, "u-0").Grants[s.ids["u-0"]].State != grant.Revoked {
					if s.Now().Sub(left) > test.within {
						t.Fatalf("still %+v", s.Read(t, "u-0").Grants[s.ids["u-0"]])
					}
					s.run(DefaultPeriod)
				}
				if states := s.census(); states[grant.Active] != customers-1 {
					t.Errorf("%v", states)
				}
			})
		})
	}
}

// TestLateAnswersAreSaved: for ten minutes Login with Amazon does what it is
// asked, ends the old token, and answers late. Nobody is lost.
func TestLateAnswersAreSaved(t *testing.T) {
	t.Parallel()
	customers := crowd()
	for _, by := range []time.Duration{6 * time.Second, 18 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStack(t, customers, 4, plain)
				late := lateAnswers{Refresher: s.LWA, by: new(atomic.Int64)}
				for _, sweep := range s.sweeps {
					sweep.Tokens.(*access.Source).LWA = late
				}
				s.run(DefaultPeriod)
				late.by.Store(int64(by))
				s.run(2 * DefaultPeriod)
				late.by.Store(0)
				s.run(time.Hour)
				if states := s.census(); states[grant.Active] != customers || s.Sim.Counts().RotatedAway != 0 {
					t.Errorf("%v, and %d tokens that were ended were shown again", states, s.Sim.Counts().RotatedAway)
				}
			})
		})
	}
}

// TestLostAnswersCostFew: for ten minutes Login with Amazon ends the old token,
// and the answer never comes. Each costs a customer the link, whatever anybody
// does; so the sweeps of a process ask no more than a handful of times.
func TestLostAnswersCostFew(t *testing.T) {
	t.Parallel()
	const processes, periods, most = 4, 2, 8
	customers := crowd()
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, customers, processes, plain)
		s.run(DefaultPeriod)
		s.Sim.Always(simulator.Refresh, simulator.Fault{AnswerLost: true, Delay: 6 * time.Second})
		s.run(periods * DefaultPeriod)
		s.Sim.Clear()
		lost := 0
		for _, r := range s.Sim.LWARequests() {
			if r.Target == simulator.Refresh && r.Accepted && r.Scripted {
				lost++
			}
		}
		if lost == 0 || lost > processes*periods*most {
			t.Errorf("%d of %d customers lost the link, want at most %d for each process and sweep", lost, customers, most)
		}
		s.run(time.Hour)
		if states := s.census(); states[grant.Suspect] > lost || states[grant.Revoked] != 0 {
			t.Errorf("%v, with %d who lost the link", states, lost)
		}
	})
}

// TestStoreThatFailsLosesNobody: every seventh call to the store fails, in every
// way that Firestore knows, after a write that was made as well as before. What
// Login with Amazon gave is not lost.
func TestStoreThatFailsLosesNobody(t *testing.T) {
	t.Parallel()
	forSizes(t, func(t *testing.T, customers, processes int) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		var flaky []*granttest.FlakyStore
		s := newStack(t, customers, processes, func(store grant.Store) grant.Store {
			f := granttest.Flaky(store, seed+uint64(len(flaky)), 7)
			flaky = append(flaky, f)
			return f
		})
		s.run(90 * time.Minute)
		for _, f := range flaky {
			f.Calm()
		}
		s.run(time.Hour)
		if states := s.census(); states[grant.Active] != customers {
			t.Errorf("%v, want all %d active", states, customers)
		}
		if c := s.Sim.Counts(); c.RotatedAway != 0 {
			t.Errorf("a token that was ended was shown to Login with Amazon %d times", c.RotatedAway)
		}
	})
}

// TestSweepBeginsWhereTheLastEnded: the index entries of what was refreshed
// lately are not read over and over again, and nothing is missed all the same.
func TestSweepBeginsWhereTheLastEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, 60, 1, plain)
		asked := spyOn(s.Store)
		s.sweeps[0].Store = asked
		s.run(DefaultPeriod)
		began := asked.from
		asked.from = nil
		for range 11 {
			s.run(DefaultPeriod)
		}
		if from := asked.from; !began[0].IsZero() || from[0].IsZero() || s.Now().Sub(from[len(from)-1]) > 3*DefaultPeriod+markMargin {
			t.Errorf("the first sweep began at %v, the others at %v", began[0], from)
		}
		// A grant that is overdue when it is written, as of a token that lasts a few
		// minutes, is found by the next sweep. Once an hour everything is.
		s.run(2 * DefaultPeriod) // the hour is over
		for _, test := range []struct {
			userID  string
			mistake bool // the record is stored with the time of its grant
			within  time.Duration
		}{{"u-4", false, 2 * DefaultPeriod}, {"u-3", true, time.Hour}} {
			userID := test.userID
			s.Change(t, userID, func(r *grant.Record) {
				g := r.Grants[s.ids[userID]]
				g.RefreshDue = s.Now().Add(-3 * time.Hour)
				r.Grants[s.ids[userID]] = g
				r.Announced(nil, s.Now())
				if test.mistake {
					r.RefreshDue = g.RefreshDue
				}
			})
			s.run(test.within)
			if g := s.Read(t, userID).Grants[s.ids[userID]]; g.RefreshDue.Before(s.Now().Add(-test.within)) {
				t.Errorf("%s is due since %v, and was not found within %v", userID, g.RefreshDue, test.within)
			}
		}
	})
}

// TestWhatStaysDueIsFoundAgain: a grant that another process refreshes is
// skipped for as long as that takes.
func TestWhatStaysDueIsFoundAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, 1, 1, plain)
		busy := &refresher{fail: func(int) error { return access.ErrBusy }} // with another process
		s.sweeps[0].Tokens = busy
		for range 11 {
			if _, err := s.sweeps[0].Sweep(t.Context(), all()); err != nil {
				t.Fatal(err)
			}
			s.Forward(DefaultPeriod)
		}
		if busy.calls != 11 {
			t.Errorf("the grant was met %d times, want at each of 11 sweeps", busy.calls)
		}
	})
}

// TestMaxRate: all shards together keep to the rate.
func TestMaxRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, 600, 2, plain)
		for _, sweep := range s.sweeps {
			sweep.MaxRate = 8
		}
		s.Forward(31 * time.Minute) // all are due
		began, before := s.Now(), len(s.Sim.LWARequests())
		s.run(DefaultPeriod)
		perSecond := make(map[int]int)
		for _, r := range s.Sim.LWARequests()[before:] {
			perSecond[int(r.Time.Sub(began)/(10*time.Second))]++
		}
		for ten, n := range perSecond {
			if n > 80+shards {
				t.Errorf("%d refreshes in the ten seconds from %d s", n, ten*10)
			}
		}
		if total := len(s.Sim.LWARequests()) - before; total < 300 || total > 460 {
			t.Errorf("%d refreshes in a sweep's time, want some 350", total)
		}
	})
}

// lateAnswers is Login with Amazon with answers that take their time.
type lateAnswers struct {
	access.Refresher
	by *atomic.Int64
}

func (l lateAnswers) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error) {
	token, err := l.Refresher.Refresh(ctx, clientID, refreshToken)
	select {
	case <-time.After(time.Duration(l.by.Load())): // in a bubble
		return token, err
	case <-ctx.Done():
		return lwa.Token{}, ctx.Err()
	}
}
