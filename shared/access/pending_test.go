package access_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

// outage is a store whose writes fail from the second on, until over is set.
type outage struct {
	grant.Store
	writes atomic.Int32
	over   atomic.Bool
}

func (o *outage) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if o.writes.Add(1) > 1 && !o.over.Load() {
		return grant.Record{}, errStore
	}
	return o.Store.Write(ctx, was, now)
}

var errStore = errors.New("firestore: rpc error: code = Internal")

// TestPendingTokensAreSaved: Login with Amazon has answered, and the store
// fails for longer than the request. Only the process has the new refresh token: it
// saves it at the start of its next request, before any call of Login with Amazon.
// That also undoes a revocation by other processes, which were refused with the old
// token.
func TestPendingTokensAreSaved(t *testing.T) {
	for name, next := range map[string]func(ctx context.Context, w *accesstest.World, p *access.Source, id string) error{
		"the next request is about something else": func(ctx context.Context, _ *accesstest.World, p *access.Source, _ string) error {
			p.SavePending(ctx)
			return nil
		},
		"the next request is a refresh of the grant": func(ctx context.Context, w *accesstest.World, p *access.Source, id string) error {
			record, err := w.Store.Read(ctx, key)
			if err == nil {
				_, err = p.Refresh(ctx, record, id)
			}
			return err
		},
		"others have revoked the grant": func(ctx context.Context, w *accesstest.World, p *access.Source, id string) error {
			w.Change(t, customer, func(r *grant.Record) { r.Prove(grant.BySkillEvent, w.Now()) })
			if _, err := w.Process("q").Refresh(ctx, w.Read(t, customer), id); !errors.Is(err, access.ErrRevoked) {
				return fmt.Errorf("%w, want ErrRevoked", err)
			}
			p.SavePending(ctx)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
				p, store := w.Process("p"), &outage{Store: w.Store}
				p.Store = store
				request := func() context.Context { return testkit.Within(t, 25*time.Second) }
				began := w.Now()
				if _, err := p.Renew(request(), key, id, 1); !errors.Is(err, errStore) {
					t.Fatal(err)
				}
				if took := w.Now().Sub(began); took < 24*time.Second || took > 26*time.Second {
					t.Errorf("the save was retried for %v, want all of the request's time", took)
				}
				p.SavePending(request()) // the outage goes on
				w.Forward(time.Minute)
				if _, err := p.Refresh(request(), w.Read(t, customer), id); !errors.Is(err, errStore) {
					t.Errorf("error = %v, want the store's", err)
				}
				store.over.Store(true)
				if err := next(request(), w, p, id); err != nil {
					t.Error(err)
				}
				if g := w.Read(t, customer).Grants[id]; g.TokenVersion != 2 || g.State != grant.Active {
					t.Errorf("grant = %+v, want active with version 2", g)
				}
				ended := map[bool]int64{true: 1}[strings.HasPrefix(name, "others")]
				if c := w.Sim.Counts(); c.Refreshes != 1 || c.RotatedAway != ended {
					t.Errorf("refreshes = %d, %d with a replaced token; want 1 and %d", c.Refreshes, c.RotatedAway, ended)
				}
				if _, err := p.Refresh(request(), w.Read(t, customer), id); err != nil {
					t.Errorf("refresh with the saved token: %v", err)
				}
			})
		})
	}
}

// TestFailingStoreLosesNoGrant has many processes refresh on a store of which every
// fifth call fails, in every way that Firestore can.
func TestFailingStoreLosesNoGrant(t *testing.T) {
	t.Parallel()
	const processes, customers, rounds = 10, 40, 5
	seed := seeds(t, 1)[0]
	logSeed(t, seed)
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		users := names(customers)
		ids := linkAll(t, w, users)
		sources := make([]*access.Source, processes)
		var stores []*granttest.FlakyStore
		for i := range sources {
			sources[i] = w.Process(fmt.Sprint("process-", i))
			store := granttest.Flaky(w.Store, seed+uint64(i), 5)
			sources[i].Store, sources[i].Brake = store, access.NewBrake(store, w.Now)
			stores = append(stores, store)
		}
		for round := range rounds {
			w.Forward(2 * time.Hour)
			var all sync.WaitGroup
			for i, source := range sources {
				draw := rand.New(rand.NewPCG(seed, uint64(round*processes+i)))
				all.Go(func() {
					for _, n := range draw.Perm(customers) {
						ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
						source.SavePending(ctx)
						if record, err := source.Store.Read(ctx, accesstest.Key(users[n])); err == nil {
							_, _ = source.Token(ctx, record, ids[users[n]])
						}
						cancel()
					}
				})
			}
			all.Wait()
		}
		faults := 0
		for i, store := range stores {
			faults += store.Faults()
			store.Calm()
			sources[i].SavePending(t.Context())
		}
		if c := w.Sim.Counts(); c.RotatedAway != 0 || faults == 0 {
			t.Errorf("refreshes with a replaced token = %d after %d faults, want 0", c.RotatedAway, faults)
		}
		for _, userID := range users {
			record := w.Read(t, userID)
			if g := record.Grants[ids[userID]]; g.State != grant.Active {
				t.Errorf("%s = %s %s, want active", userID, g.State, g.Reason)
			}
			if _, err := w.Process("last").Refresh(t.Context(), record, ids[userID]); err != nil {
				t.Errorf("%s: refresh with the stored token: %v", userID, err)
			}
		}
	})
}
