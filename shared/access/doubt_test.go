package access_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestWaitersLeaveADoubtAlone: several processes wait for a refresh that makes the
// grant suspect. None may retry at once, because a second refusal would revoke the
// grant.
func TestWaitersLeaveADoubtAlone(t *testing.T) {
	for reason, prepare := range map[string]func(t *testing.T, w *accesstest.World, id string){
		grant.ReasonRefreshRefused: func(*testing.T, *accesstest.World, string) {},
		grant.ReasonRefreshUnknown: func(t *testing.T, w *accesstest.World, id string) {
			w.Change(t, customer, func(r *grant.Record) { r.Take(id, "dead", w.Now().Add(time.Second)) })
		},
	} {
		t.Run(reason, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
				prepare(t, w, id)
				w.Sim.Disable(alexa.EU, user)
				w.Sim.Always(simulator.Refresh, simulator.Fault{User: user, Delay: time.Second})

				record := w.Read(t, customer)
				var all sync.WaitGroup
				for i, process := range []*access.Source{w.Process("first"), w.Process("second")} {
					all.Go(func() {
						w.Forward(time.Duration(i) * 10 * time.Millisecond)
						if _, err := process.Refresh(t.Context(), record, id); !errors.Is(err, access.ErrSuspect) {
							t.Errorf("error of the %s process = %v, want ErrSuspect", process.Owner, err)
						}
					})
				}
				all.Wait()
				if g := w.Read(t, customer).Grants[id]; g.State != grant.Suspect || g.Reason != reason {
					t.Errorf("grant = %s %s, want suspect %s", g.State, g.Reason, reason)
				}
				if asked := w.Sim.Counts().LWARefused; asked != 1 {
					t.Errorf("refused refreshes = %d, want 1", asked)
				}
			})
		})
	}
}

// TestPostponedIsNoDoubt: the sweep has postponed a restored grant, because its
// refreshes failed. An event need not wait as long.
func TestPostponedIsNoDoubt(t *testing.T) {
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
		t.Errorf("version = %d, %v, want 2", token.Version, err)
	}
}

// TestOneRefusalIsADoubt: one refusal by Login with Amazon ends no grant. The
// access token is used until it expires, and nothing is announced.
func TestOneRefusalIsADoubt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		w.Sim.Disable(alexa.EU, user)
		w.Forward(40 * time.Minute)
		process := w.Process("p")
		refuse := func() grant.Grant {
			t.Helper()
			if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrSuspect) {
				t.Fatalf("error = %v, want ErrSuspect", err)
			}
			return w.Read(t, customer).Grants[id]
		}
		first := w.Now()
		g := refuse()
		if g.State != grant.Suspect || g.Reason != grant.ReasonRefreshRefused || !g.RefusedAt.Equal(first) || !g.ToldAt.IsZero() {
			t.Errorf("grant = %+v, want suspect and not announced", g)
		}
		if token, err := process.Token(t.Context(), w.Read(t, customer), id); err != nil || token.Version != 1 {
			t.Errorf("error with a valid access token = %v, want none", err)
		}
		asked := w.Sim.Counts().LWARefused
		w.Forward(5*time.Minute - time.Second)
		if refuse(); w.Sim.Counts().LWARefused != asked {
			t.Error("the refresh was retried within five minutes")
		}
		w.Forward(time.Second)
		if refuse(); w.Sim.Counts().LWARefused != asked+1 {
			t.Error("the refresh was not retried after five minutes")
		}
		w.Forward(55 * time.Minute)
		if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrRevoked) {
			t.Errorf("error of a refusal an hour after the first = %v, want ErrRevoked", err)
		}
	})
}

// TestTwoWitnessesRevoke: the first refusal is final if the gateway or a skill
// event has reported the same, unless Login with Amazon proves that wrong.
func TestTwoWitnessesRevoke(t *testing.T) {
	for name, by := range map[string]func(t *testing.T, w *accesstest.World, id string) error{
		"the gateway refused this very event": func(t *testing.T, w *accesstest.World, id string) error {
			_, err := w.Process("p").Renew(t.Context(), key, id, 1)
			return err
		},
		"the gateway, while in doubt": func(t *testing.T, w *accesstest.World, id string) error {
			process := w.Process("p")
			if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrSuspect) {
				return err
			}
			_, err := process.Renew(t.Context(), key, id, 1)
			return err
		},
		"a skill event": func(t *testing.T, w *accesstest.World, id string) error {
			w.Change(t, customer, func(r *grant.Record) { r.Prove(grant.BySkillEvent, w.Now()) })
			_, err := w.Process("p").Refresh(t.Context(), w.Read(t, customer), id)
			return err
		},
		"a relink": func(t *testing.T, w *accesstest.World, id string) error {
			w.Link(t, customer, alexa.EU, user)
			_, err := w.Process("p").Token(t.Context(), w.Read(t, customer), id)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
				w.Sim.Disable(alexa.EU, user)
				if err := by(t, w, id); !errors.Is(err, access.ErrRevoked) {
					t.Errorf("error = %v, want ErrRevoked", err)
				}
				g, asked := w.Read(t, customer).Grants[id], len(w.Sim.LWARequests())
				if g.State != grant.Revoked || g.Reason != grant.ReasonInvalidGrant || g.AccessToken != nil || g.RefreshToken == nil {
					t.Errorf("grant = %+v, want revoked", g)
				}
				if _, err := w.Process("q").Renew(t.Context(), key, id, 1); !errors.Is(err, access.ErrRevoked) || len(w.Sim.LWARequests()) != asked {
					t.Errorf("error of a refresh of a revoked grant = %v", err)
				}
			})
		})
	}
	t.Run("a refresh refutes the skill event", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
			w.Change(t, customer, func(r *grant.Record) { r.Prove(grant.BySkillEvent, w.Now()) })
			process := w.Process("p")
			if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); err != nil {
				t.Fatal(err)
			}
			w.Sim.Disable(alexa.EU, user)
			if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrSuspect) {
				t.Errorf("error = %v, want ErrSuspect: the witness was proven wrong", err)
			}
		})
	})
}

// TestRelinkIsProvenBeforeUse: the customer linked again, perhaps with the same
// Amazon account. A spouse's grant is kept at the cost of one refresh; its token is
// unproven while Login with Amazon is unavailable.
func TestRelinkIsProvenBeforeUse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		newest := w.Link(t, customer, alexa.EU, "amzn-spouse")
		process, asked := w.Process("p"), len(w.Sim.LWARequests())
		w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
		token, err := process.Token(t.Context(), w.Read(t, customer), id)
		if err != nil || token.Version != 1 || !errors.Is(token.Unproven, lwa.ErrUnavailable) {
			t.Errorf("version and proof = %v, %d, %v; want 1, unproven", err, token.Version, token.Unproven)
		}
		w.Sim.Clear()
		w.Forward(time.Second)
		for range 3 {
			token, err = process.Token(t.Context(), w.Read(t, customer), id)
			if err != nil || token.Version != 2 || token.Unproven != nil {
				t.Errorf("version and proof = %v, %d, %v; want 2, proven", err, token.Version, token.Unproven)
			}
		}
		if token, err := process.Token(t.Context(), w.Read(t, customer), newest); err != nil || token.Version != 1 {
			t.Errorf("newest grant: %v, version %d, want 1 without a refresh", err, token.Version)
		}
		if n := len(w.Sim.LWARequests()) - asked; n != 2 {
			t.Errorf("requests to Login with Amazon = %d, want 2", n)
		}
	})
}

// TestLatchedBrakeKeepsUnprovenGrants: after a relink the first refusal of the
// older grant revokes it, but not while the brake is latched.
func TestLatchedBrakeKeepsUnprovenGrants(t *testing.T) {
	for latched, want := range map[bool]error{true: access.ErrBraked, false: access.ErrRevoked} {
		t.Run(fmt.Sprint(latched), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
				w.Link(t, customer, alexa.EU, "amzn-spouse")
				if latched {
					if err := w.Brake().On(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				w.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
				token, err := w.Process("p").Token(t.Context(), w.Read(t, customer), id)
				if got := errors.Join(err, token.Unproven); !errors.Is(got, want) {
					t.Errorf("error = %v, want %v", got, want)
				}
				if revoked := w.Read(t, customer).Grants[id].State == grant.Revoked; revoked == latched {
					t.Errorf("revoked = %v, want %v", revoked, !latched)
				}
			})
		})
	}
}

// TestLateLoserWaitsForTheWinner: a process that was frozen sends a refresh token
// that another has used meanwhile, and is about to replace. The refusal proves
// nothing.
func TestLateLoserWaitsForTheWinner(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		frozen := gate{Refresher: w.LWA, before: make(chan struct{}), reached: make(chan struct{})}
		saving := gate{Refresher: w.LWA, after: make(chan struct{}), reached: make(chan struct{})}
		process := func(owner string, lwa access.Refresher) *access.Source {
			s := w.Process(owner)
			s.LWA = lwa
			return s
		}
		a, b := process("a", frozen), process("b", saving)
		refresh := func(s *access.Source) {
			if token, err := s.Renew(context.Background(), key, id, 1); err != nil || token.Version != 2 {
				t.Errorf("%s: version = %d, %v, want 2", s.Owner, token.Version, err)
			}
		}
		var all sync.WaitGroup
		all.Go(func() { refresh(a) })
		<-frozen.reached
		w.Forward(40 * time.Second) // a's lease has expired
		all.Go(func() { refresh(b) })
		<-saving.reached
		close(frozen.before)
		w.Forward(time.Second)
		if g := w.Read(t, customer).Grants[id]; g.State != grant.Active {
			t.Errorf("grant while the winner saves = %s, want active", g.State)
		}
		close(saving.after)
		all.Wait()
		if g := w.Read(t, customer).Grants[id]; g.State != grant.Active || g.TokenVersion != 2 {
			t.Errorf("grant = %+v, want active with version 2", g)
		}
	})
}

// TestOneGrantOfAnotherClient: a grant that matches neither the client nor the
// keyset becomes suspect if other grants do match. If none does, the configuration
// is at fault, and no grant becomes suspect.
func TestOneGrantOfAnotherClient(t *testing.T) {
	for name, spoil := range map[string]func(g *grant.Grant){
		grant.ReasonOtherClient: func(g *grant.Grant) { g.ClientID = "amzn1.application-oa2-client.former" },
		grant.ReasonUnreadable: func(g *grant.Grant) {
			g.AccessToken, g.RefreshToken = []byte("sealed by another keyset"), []byte("sealed by another keyset")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
				well := w.Link(t, "u-well", alexa.EU, "amzn-well")
				w.Change(t, customer, func(r *grant.Record) {
					g := r.Grants[id]
					spoil(&g)
					r.Grants[id] = g
				})
				process := w.Process("p")
				use := func() error {
					_, err := process.Token(t.Context(), w.Read(t, customer), id)
					return err
				}
				if err := use(); name == grant.ReasonOtherClient && err != nil {
					t.Errorf("error with a valid access token = %v, want none", err)
				}
				w.Forward(time.Hour)
				for range 3 {
					_, forced := process.Renew(t.Context(), key, id, 1)
					if err := use(); err == nil || forced == nil || errors.Is(errors.Join(err, forced), access.ErrSuspect) {
						t.Errorf("errors without another grant = %v, %v, want none of them ErrSuspect", err, forced)
					}
					w.Forward(time.Minute)
				}
				if g := w.Read(t, customer).Grants[id]; g.State != grant.Active {
					t.Errorf("grant without another = %s, want active", g.State)
				}
				if _, err := process.Token(t.Context(), w.Read(t, "u-well"), well); err != nil {
					t.Fatal(err)
				}
				if err := use(); !errors.Is(err, access.ErrSuspect) {
					t.Errorf("error beside a healthy grant = %v, want ErrSuspect", err)
				}
				g := w.Read(t, customer).Grants[id]
				if g.State != grant.Suspect || g.Reason != name || g.ToldAt.IsZero() || g.NextTry.Sub(w.Now()) > 15*time.Minute {
					t.Errorf("grant = %+v, want suspect and announced", g)
				}
			})
		})
	}
}

// TestBrake: Login with Amazon and the gateway refuse every grant. In any number of
// processes, no more than five customers, or one in a hundred, lose their grants.
func TestBrake(t *testing.T) {
	for _, size := range []struct{ customers, processes, most int }{{1, 1, 1}, {60, 1, 5}, {60, 20, 5}, {3000, 20, 30}} {
		t.Run(fmt.Sprint(size.customers, " customers, ", size.processes, " processes"), func(t *testing.T) {
			t.Parallel()
			if testing.Short() && size.customers > 1000 {
				t.Skip("takes long under the race detector")
			}
			synctest.Test(t, func(t *testing.T) {
				w := accesstest.InBubble(t, simulator.Options{})
				users := names(size.customers)
				ids := linkAll(t, w, users)
				if err := w.Brake().CountCustomers(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
				for range 3 { // for an hour
					each := (len(users) + size.processes - 1) / size.processes
					var all sync.WaitGroup
					for p := range size.processes {
						process := w.Process(fmt.Sprint("p-", p))
						for _, userID := range users[min(p*each, len(users)):min((p+1)*each, len(users))] {
							all.Go(func() {
								_, err := process.Renew(context.Background(), accesstest.Key(userID), ids[userID], 1)
								for _, expected := range []error{access.ErrRevoked, access.ErrBraked, grant.ErrConflict} {
									if errors.Is(err, expected) {
										return
									}
								}
								t.Error(err)
							})
						}
					}
					all.Wait()
					w.Forward(20 * time.Minute)
				}
				revoked := 0
				for _, userID := range users {
					if w.Read(t, userID).Grants[ids[userID]].State == grant.Revoked {
						revoked++
					}
				}
				if revoked > size.most || revoked == 0 {
					t.Errorf("revoked customers = %d of %d, want 1 to %d", revoked, size.customers, size.most)
				}
			})
		})
	}
}
