package access_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lifecycle"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// inWorld runs a test in a bubble, with one customer who is linked.
func inWorld(t *testing.T, test func(t *testing.T, w *accesstest.World, id string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		test(t, w, w.Link(t, customer, alexa.EU, user))
	})
}

// TestOneRefusalIsADoubt: a single answer of Login with Amazon's unlinks nobody.
// Meanwhile the access token is used, and nothing is announced.
func TestOneRefusalIsADoubt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		w.Sim.Disable(alexa.EU, user)
		w.Forward(40 * time.Minute)
		process := w.Process("p")
		refuse := func() grant.Grant {
			t.Helper()
			if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrSuspect) {
				t.Fatalf("%v, want ErrSuspect", err)
			}
			return w.Read(t, customer).Grants[id]
		}
		first := w.Now()
		g := refuse()
		if g.State != grant.Suspect || g.Reason != grant.ReasonRefreshRefused || !g.RefusedAt.Equal(first) || !g.ToldAt.IsZero() {
			t.Errorf("%+v", g)
		}
		if token, err := process.Token(t.Context(), w.Read(t, customer), id); err != nil || token.Version != 1 {
			t.Errorf("the access token is good, and was not given out: %v", err)
		}
		asked := w.Sim.Counts().LWARefused
		w.Forward(5*time.Minute - time.Second)
		if refuse(); w.Sim.Counts().LWARefused != asked {
			t.Error("Login with Amazon was asked again within five minutes")
		}
		var pauses []time.Duration
		for w.Now().Before(first.Add(time.Hour)) {
			due := w.Read(t, customer).Grants[id].RefreshDue
			pauses = append(pauses, due.Sub(first))
			w.Forward(due.Sub(w.Now()))
			if due.Before(first.Add(time.Hour)) {
				g = refuse()
			}
		}
		minutes := []time.Duration{5 * time.Minute, 15 * time.Minute, 35 * time.Minute, time.Hour}
		if diff := cmp.Diff(minutes, pauses); diff != "" {
			t.Errorf("refreshed after (-want +got):\n%s", diff)
		}
		if g.ToldAt.IsZero() {
			t.Error("the access token has ended, events are held back, and the maker was not told")
		}
		if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrRevoked) {
			t.Errorf("an hour after the first refusal another is the proof: %v", err)
		}
	})
}

// TestARefreshEndsTheDoubt: the refusals were Login with Amazon's mistake.
func TestARefreshEndsTheDoubt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		w.Sim.Script(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
		process := w.Process("p")
		if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrSuspect) {
			t.Fatal(err)
		}
		w.Forward(5 * time.Minute)
		if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); err != nil {
			t.Fatal(err)
		}
		if g := w.Read(t, customer).Grants[id]; g.State != grant.Active || !g.RefusedAt.IsZero() || g.TokenVersion != 2 {
			t.Errorf("%+v", g)
		}
	})
}

// TestTwoWitnessesRevoke: the first refusal is final when somebody else has said
// the same, unless Login with Amazon proves that wrong.
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
					t.Errorf("%v, want ErrRevoked", err)
				}
				if g := w.Read(t, customer).Grants[id]; g.State != grant.Revoked || g.Reason != grant.ReasonInvalidGrant {
					t.Errorf("%+v", g)
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
				t.Errorf("%v, want ErrSuspect: the witness was wrong, and has no say in this", err)
			}
		})
	})
}

// TestRelinkIsProvenBeforeUse: the customer linked again, and nobody knows
// whether it is the same Amazon account. A spouse's grant goes on at the cost of
// one refresh; while Login with Amazon is ill it says so.
func TestRelinkIsProvenBeforeUse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		newest := w.Link(t, customer, alexa.EU, "amzn-spouse")
		process, asked := w.Process("p"), len(w.Sim.LWARequests())
		w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
		token, err := process.Token(t.Context(), w.Read(t, customer), id)
		if err != nil || token.Version != 1 || !errors.Is(token.Unproven, lwa.ErrUnavailable) {
			t.Errorf("%v: version %d, unproven: %v", err, token.Version, token.Unproven)
		}
		w.Sim.Clear()
		w.Forward(time.Second)
		for range 3 {
			token, err = process.Token(t.Context(), w.Read(t, customer), id)
			if err != nil || token.Version != 2 || token.Unproven != nil {
				t.Errorf("%v: version %d, unproven: %v", err, token.Version, token.Unproven)
			}
		}
		if token, err := process.Token(t.Context(), w.Read(t, customer), newest); err != nil || token.Version != 1 {
			t.Errorf("the newest grant needs no proof: %v, version %d", err, token.Version)
		}
		if n := len(w.Sim.LWARequests()) - asked; n != 2 {
			t.Errorf("Login with Amazon was asked %d times, want twice", n)
		}
	})
}

// gate is Login with Amazon with a door before it, and one after it.
type gate struct {
	access.Refresher
	before, after chan struct{} // nil: open
	reached       chan struct{}
}

func (g gate) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error) {
	pass := func(door chan struct{}) {
		if door != nil {
			close(g.reached)
			<-door
		}
	}
	pass(g.before)
	token, err := g.Refresher.Refresh(context.WithoutCancel(ctx), clientID, refreshToken)
	pass(g.after)
	return token, err
}

// announced keeps the messages to the maker.
type announced struct {
	mu   sync.Mutex
	list []string
}

func (a *announced) Publish(_ context.Context, _ []byte, attributes map[string]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, attributes["type"])
	return nil
}

// TestLateLoserWaitsForTheWinner: a process that was frozen asks with a refresh
// token that another has used up meanwhile, and is about to replace. Its refusal
// says nothing.
func TestLateLoserWaitsForTheWinner(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		topic := new(announced)
		announcer := &lifecycle.Announcer{Store: w.Store, Topic: topic, Log: slog.New(slog.DiscardHandler), Now: w.Now}
		frozen := gate{Refresher: w.LWA, before: make(chan struct{}), reached: make(chan struct{})}
		saving := gate{Refresher: w.LWA, after: make(chan struct{}), reached: make(chan struct{})}
		process := func(owner string, lwa access.Refresher) *access.Source {
			s := w.Process(owner)
			s.LWA, s.Announce = lwa, announcer
			return s
		}
		a, b := process("a", frozen), process("b", saving)
		refresh := func(s *access.Source) {
			if token, err := s.Renew(context.Background(), key, id, 1); err != nil || token.Version != 2 {
				t.Errorf("%s: version %d, %v", s.Owner, token.Version, err)
			}
		}
		var all sync.WaitGroup
		all.Go(func() { refresh(a) })
		<-frozen.reached
		w.Forward(40 * time.Second) // a's lease is over
		all.Go(func() { refresh(b) })
		<-saving.reached
		close(frozen.before)
		w.Forward(time.Second)
		if g := w.Read(t, customer).Grants[id]; g.State != grant.Active {
			t.Errorf("while the winner saves the grant is %s", g.State)
		}
		close(saving.after)
		all.Wait()
		if g := w.Read(t, customer).Grants[id]; g.State != grant.Active || g.TokenVersion != 2 || len(topic.list) != 0 {
			t.Errorf("%+v; announced %v", g, topic.list)
		}
	})
}

// TestOneGrantOfAnotherClient becomes suspect, so that it holds up nobody, where
// others show that the configuration is right; where none does it is our fault,
// and nobody becomes suspect.
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
					t.Errorf("its access token is good: %v", err)
				}
				w.Forward(time.Hour)
				for range 3 {
					if err := use(); err == nil || errors.Is(err, access.ErrSuspect) {
						t.Errorf("with nobody to compare it with: %v", err)
					}
					w.Forward(time.Minute)
				}
				if g := w.Read(t, customer).Grants[id]; g.State != grant.Active {
					t.Errorf("with nobody to compare it with it is %s", g.State)
				}
				if _, err := process.Token(t.Context(), w.Read(t, "u-well"), well); err != nil {
					t.Fatal(err)
				}
				if err := use(); !errors.Is(err, access.ErrSuspect) {
					t.Errorf("beside one that is well: %v", err)
				}
				g := w.Read(t, customer).Grants[id]
				if g.State != grant.Suspect || g.Reason != name || g.ToldAt.IsZero() || g.NextTry.Sub(w.Now()) > 15*time.Minute {
					t.Errorf("%+v", g)
				}
			})
		})
	}
}

// TestRetryAfterIsTheProcesss: one customer's refresh was told to come back in a
// minute, and another's does not ask meanwhile.
func TestRetryAfterIsTheProcesss(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		other := w.Link(t, "u-2", alexa.EU, "amzn-2")
		process := w.Process("p")
		w.Sim.Script(simulator.Refresh, simulator.Fault{Status: 429, RetryAfter: time.Minute})
		if _, err := process.Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, lwa.ErrThrottled) {
			t.Fatal(err)
		}
		asked := len(w.Sim.LWARequests())
		w.Forward(59 * time.Second)
		var refused *lwa.Error
		_, err := process.Renew(t.Context(), accesstest.Key("u-2"), other, 1)
		if !errors.As(err, &refused) || refused.RetryAfter != time.Second || len(w.Sim.LWARequests()) != asked {
			t.Errorf("%v after %d more requests", err, len(w.Sim.LWARequests())-asked)
		}
		w.Forward(time.Second)
		if _, err := process.Renew(t.Context(), accesstest.Key("u-2"), other, 1); err != nil {
			t.Error(err)
		}
	})
}

// TestBrake: Login with Amazon and the gateway refuse everybody. However many
// processes there are, no more than five customers, or one in a hundred, lose
// their grants.
func TestBrake(t *testing.T) {
	for _, size := range []struct{ customers, processes, most int }{{1, 1, 1}, {60, 1, 5}, {60, 20, 5}, {3000, 20, 30}} {
		t.Run(fmt.Sprint(size.customers, " customers, ", size.processes, " processes"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := accesstest.InBubble(t, simulator.Options{})
				users := names(size.customers)
				ids := crowd(t, w, users)
				if err := w.Brake().CountCustomers(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
				for range 3 { // an hour's trouble
					each := (len(users) + size.processes - 1) / size.processes
					var all sync.WaitGroup
					for p := range size.processes {
						process := w.Process(fmt.Sprint("p-", p))
						for _, userID := range users[min(p*each, len(users)):min((p+1)*each, len(users))] {
							all.Go(func() {
								_, err := process.Renew(context.Background(), accesstest.Key(userID), ids[userID], 1)
								if !errors.Is(err, access.ErrRevoked) && !errors.Is(err, access.ErrBraked) && !errors.Is(err, grant.ErrConflict) {
									t.Error(err)
								}
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
					t.Errorf("%d of %d customers were revoked, want at most %d", revoked, size.customers, size.most)
				}
			})
		})
	}
}
