package sweep

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

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

// run sweeps for some time, each period with all shards at once.
func (w *world) run(during time.Duration) {
	for end := w.Now().Add(during); w.Now().Before(end); {
		next := w.Now().Add(DefaultPeriod)
		var all sync.WaitGroup
		for i := range shards {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), Timeout)
				defer cancel()
				sweeper := w.sweepers[i%len(w.sweepers)]
				sweeper.Tokens.(*access.Source).SavePending(ctx)
				_, _ = sweeper.Sweep(ctx, Buckets(i, shards)) // what is left the census shows
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

// crowd is how many customers the larger tests have: one in a hundred is more
// than the least limit of the brake. The race detector, which gets -short, needs
// fewer.
func crowd() int {
	if testing.Short() {
		return 300
	}
	return 1000
}

func forSizes(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, size := range []struct{ customers, processes int }{{1, 1}, {60, 3}, {crowd(), 20}} {
		t.Run(fmt.Sprint(size.customers, " customers in ", size.processes, " processes"), func(t *testing.T) {
			t.Parallel()
			inWorld(t, size.customers, size.processes, func(t *testing.T, w *world) { w.spread(); test(t, w) })
		})
	}
}

// TestRefusedByLoginWithAmazonAlone: for an hour it refuses everybody, and the
// gateway nobody. All are there afterwards, and the brake releases itself.
func TestRefusedByLoginWithAmazonAlone(t *testing.T) {
	t.Parallel()
	forSizes(t, func(t *testing.T, w *world) {
		customers := len(w.ids)
		w.run(20 * time.Minute)
		w.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
		w.run(time.Hour)
		most := max(5, customers/100)
		if states := w.census(); states[grant.Revoked] != 0 || states[grant.Suspect] > most {
			t.Errorf("after an hour: %v, want nobody revoked and at most %d suspect", states, most)
		}
		if latched, err := w.Brake().Latched(t.Context()); err != nil || latched != (customers > most) {
			t.Errorf("latched: %t, %v", latched, err)
		}
		w.Sim.Clear()
		w.run(5 * time.Hour)
		if states := w.census(); states[grant.Active] != customers {
			t.Errorf("when it is over: %v, want %d active", states, customers)
		}
		if latched, err := w.Brake().Latched(t.Context()); err != nil || latched {
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
			forSizes(t, func(t *testing.T, w *world) {
				w.run(40 * time.Minute) // the customer's token is new
				w.Sim.Disable(alexa.EU, "amzn-0")
				if test.witness {
					w.Change(t, user(0), func(r *grant.Record) { r.Prove(grant.BySkillEvent, w.Now()) })
				}
				for left := w.Now(); w.Read(t, user(0)).Grants[w.ids[0]].State != grant.Revoked; w.run(DefaultPeriod) {
					if w.Now().Sub(left) > test.within {
						t.Fatalf("still %+v", w.Read(t, user(0)).Grants[w.ids[0]])
					}
				}
				if states := w.census(); states[grant.Active] != len(w.ids)-1 {
					t.Errorf("%v", states)
				}
			})
		})
	}
}

// TestLostAnswersCostFew: for ten minutes Login with Amazon ends the old token,
// and the answer never comes. Each costs a customer the link, whatever is done
// later; so the sweeps of a process begin no more than a handful of refreshes.
func TestLostAnswersCostFew(t *testing.T) {
	t.Parallel()
	const processes, periods, most = 4, 2, 8
	inWorld(t, crowd(), processes, func(t *testing.T, w *world) {
		w.spread()
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
			t.Errorf("%d of %d customers lost the link, want at most %d for each process and sweep", lost, len(w.ids), most)
		}
		w.run(time.Hour)
		if states := w.census(); states[grant.Suspect] > lost || states[grant.Revoked] != 0 {
			t.Errorf("%v, with %d who lost the link", states, lost)
		}
	})
}
