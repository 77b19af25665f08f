package access_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestWaitersLeaveADoubtAlone: several processes wait while another refreshes a
// grant, which becomes suspect by that. They must not ask again on the spot, or
// the first of them would revoke what was only doubted.
func TestWaitersLeaveADoubtAlone(t *testing.T) {
	t.Parallel()
	for reason, prepare := range map[string]func(t *testing.T, w *accesstest.World, id string){
		grant.ReasonRefreshRefused: func(*testing.T, *accesstest.World, string) {},
		grant.ReasonRefreshUnknown: func(t *testing.T, w *accesstest.World, id string) {
			w.Change(t, customer, func(r *grant.Record) { r.Take(id, "dead", w.Now().Add(time.Second)) })
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := accesstest.InBubble(t, simulator.Options{})
				id := w.Link(t, customer, alexa.EU, user)
				prepare(t, w, id)
				w.Sim.Disable(alexa.EU, user)
				w.Sim.Always(simulator.Refresh, simulator.Fault{User: user, Delay: time.Second})

				record := w.Read(t, customer)
				var all sync.WaitGroup
				for i, process := range []*access.Source{w.Process("first"), w.Process("second")} {
					all.Go(func() {
						w.Forward(time.Duration(i) * 10 * time.Millisecond)
						if _, err := process.Refresh(t.Context(), record, id); !errors.Is(err, access.ErrSuspect) {
							t.Errorf("the %s process got %v, want ErrSuspect", process.Owner, err)
						}
					})
				}
				all.Wait()
				if g := w.Read(t, customer).Grants[id]; g.State != grant.Suspect || g.Reason != reason {
					t.Errorf("the grant is %s %s, want suspect %s", g.State, g.Reason, reason)
				}
				if asked := w.Sim.Counts().LWARefused; asked != 1 {
					t.Errorf("Login with Amazon was asked %d times, want once", asked)
				}
			})
		})
	}
}

// TestPutOffIsNoDoubt: the sweep has put a restored grant off, because Login
// with Amazon failed it. An event need not wait as long.
func TestPutOffIsNoDoubt(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	w.Change(t, customer, func(r *grant.Record) {
		r.Revoke(id, grant.ReasonInvalidGrant, w.Now())
		r.Restore(id, w.Now())
		for range 8 {
			r.RefreshFailed(id, w.Now())
		}
	})
	w.Forward(time.Minute)
	if token, err := w.Process("p").Token(t.Context(), w.Read(t, customer), id); err != nil || token.Version != 2 {
		t.Errorf("version %d, %v", token.Version, err)
	}
}
