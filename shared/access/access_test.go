package access_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

const (
	customer = "u-1"
	user     = "amzn-1"
)

var key = accesstest.Key(customer)

// linked is a world with one customer and one grant.
func linked(t *testing.T, options simulator.Options) (*accesstest.World, string) {
	t.Helper()
	w := accesstest.New(t, options)
	return w, w.Link(t, customer, alexa.EU, user)
}

// inWorld runs a test in a bubble, with one customer who is linked.
func inWorld(t *testing.T, test func(t *testing.T, w *accesstest.World, id string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		test(t, w, w.Link(t, customer, alexa.EU, user))
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

// renewLate has a process renew the grant, and stand still when Login with Amazon
// has answered, until it is released.
func renewLate(t *testing.T, w *accesstest.World, id string) (process *access.Source, release func()) {
	t.Helper()
	process = w.Process("late")
	late := gate{Refresher: w.LWA, after: make(chan struct{}), reached: make(chan struct{})}
	process.LWA = late
	done := make(chan error, 1)
	go func() {
		_, err := process.Renew(context.Background(), key, id, 1)
		done <- err
	}()
	<-late.reached
	return process, func() {
		t.Helper()
		close(late.after)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestTokenIsRefreshedBeforeItExpires(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		forward   time.Duration
		refreshed int64
	}{"fresh": {0, 0}, "about to expire": {59*time.Minute + time.Second, 1}, "expired": {2 * time.Hour, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id := linked(t, simulator.Options{})
			w.Forward(test.forward)
			token, err := w.Process("p").Token(t.Context(), w.Read(t, customer), id)
			if err != nil {
				t.Fatal(err)
			}
			if token.Version != 1+test.refreshed || token.Renewed != (test.refreshed > 0) || w.Sim.Counts().Refreshes != test.refreshed {
				t.Errorf("version %d, renewed %v after %d refreshes", token.Version, token.Renewed, w.Sim.Counts().Refreshes)
			}
			g := w.Read(t, customer).Grants[id]
			if g.TokenVersion != token.Version || g.Lease != (grant.Lease{}) || !w.Now().Before(g.ExpiresAt) {
				t.Errorf("stored: %+v", g)
			}
		})
	}
}

func TestOldTokenServesWhileItIsValid(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
	w.Forward(59*time.Minute + 30*time.Second)
	token, err := w.Process("p").Token(t.Context(), w.Read(t, customer), id)
	if err != nil || token.Version != 1 || token.Access.Empty() {
		t.Errorf("version %d: %v", token.Version, err)
	}
	w.Forward(time.Minute)
	_, err = w.Process("q").Token(t.Context(), w.Read(t, customer), id)
	if !errors.Is(err, access.ErrBusy) && !errors.Is(err, lwa.ErrUnavailable) {
		t.Errorf("an expired token was given out: %v", err)
	}
	if g := w.Read(t, customer).Grants[id]; g.State != grant.Active {
		t.Errorf("the grant is %s because LWA was ill", g.State)
	}
}

// TestLostAnswerProvesNothing: Login with Amazon refreshed, and this very
// process never got the answer. The old refresh token is dead, the grant is not.
func TestLostAnswerProvesNothing(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	process := w.Process("p")
	w.Sim.Script(simulator.Refresh, simulator.Fault{AnswerLost: true})
	if _, err := process.Renew(t.Context(), key, id, 1); !errors.Is(err, lwa.ErrUnavailable) {
		t.Fatal(err)
	}
	w.Forward(time.Second) // failed ones back off
	for range 2 {          // the second time the lease is gone
		if _, err := process.Renew(t.Context(), key, id, 1); !errors.Is(err, access.ErrSuspect) {
			t.Errorf("%v, want ErrSuspect", err)
		}
	}
	if g := w.Read(t, customer).Grants[id]; g.State != grant.Suspect || g.RefreshToken == nil || !g.TokenEnded(w.Now()) {
		t.Errorf("%+v", g)
	}
}

// TestNoRefreshIsBegunInVain: a refresh that the platform might cut off could
// lose the token, so it waits for the next request.
func TestNoRefreshIsBegunInVain(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), access.RefreshTime-time.Second)
	defer cancel()
	if _, err := w.Process("p").Renew(ctx, key, id, 1); !errors.Is(err, access.ErrBusy) {
		t.Errorf("%v, want ErrBusy", err)
	}
	if g := w.Read(t, customer).Grants[id]; g.Lease != (grant.Lease{}) || w.Sim.Counts().Refreshes != 0 {
		t.Errorf("begun: %+v", g.Lease)
	}
}

// slowStore takes a while for the write that follows a refresh.
type slowStore struct {
	grant.Store
	writes int
}

func (s *slowStore) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if s.writes++; s.writes == 2 {
		select {
		case <-time.After(4 * time.Second):
		case <-ctx.Done():
			return grant.Record{}, ctx.Err()
		}
	}
	return s.Store.Write(ctx, was, now)
}

// lateLWA answers at the last moment.
type lateLWA struct{ access.Refresher }

func (l lateLWA) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error) {
	time.Sleep(lwa.RefreshTimeout - time.Millisecond) // in a bubble
	return l.Refresher.Refresh(ctx, clientID, refreshToken)
}

// TestSaveHasTimeOfItsOwn: neither a slow Login with Amazon nor a request that
// ends uses up the time of the save.
func TestSaveHasTimeOfItsOwn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		process := w.Process("p")
		process.LWA, process.Store = lateLWA{w.LWA}, &slowStore{Store: w.Store}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if token, err := process.Renew(ctx, key, id, 1); err != nil || token.Version != 2 || w.Read(t, customer).Grants[id].TokenVersion != 2 {
			t.Errorf("version %d: %v", token.Version, err)
		}
	})
}

// TestLateHolderStillSaves: the lease ran out while Login with Amazon
// answered, and another process revoked the grant because of it.
func TestLateHolderStillSaves(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(r *grant.Record, id string, now time.Time){
		"lease taken over":    func(r *grant.Record, id string, now time.Time) { r.Take(id, "other", now.Add(15*time.Second)) },
		"revoked":             func(r *grant.Record, id string, now time.Time) { r.Revoke(id, grant.ReasonInvalidGrant, now) },
		"doubted":             func(r *grant.Record, id string, now time.Time) { r.RefreshRefused(id, grant.ReasonRefreshUnknown, now) },
		"other field changed": func(r *grant.Record, id string, now time.Time) { r.UsedAt = now },
		// A skill event says that the link is gone, after Login with Amazon has
		// looked. The refresh that it asks for must not be forgotten.
		"wanted again": func(r *grant.Record, _ string, now time.Time) { r.Prove(grant.BySkillEvent, now) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id := linked(t, simulator.Options{})
			_, release := renewLate(t, w, id)
			w.Forward(31 * time.Second)
			w.Change(t, customer, func(r *grant.Record) { meanwhile(r, id, w.Now()) })
			release()
			g := w.Read(t, customer).Grants[id]
			if g.State != grant.Active || g.TokenVersion != 2 {
				t.Errorf("%+v", g)
			}
			wanted := name == "wanted again"
			if g.RefreshDue.Equal(w.Now()) != wanted || (g.Witness.By == grant.BySkillEvent) != wanted {
				t.Errorf("due in %v, with the witness %+v", g.RefreshDue.Sub(w.Now()), g.Witness)
			}
		})
	}
	t.Run("newer tokens stay", func(t *testing.T) {
		t.Parallel()
		w, id := linked(t, simulator.Options{OldRefreshTokenGrace: time.Hour})
		_, release := renewLate(t, w, id)
		w.Forward(31 * time.Second)
		newer, err := w.Process("quick").Renew(t.Context(), key, id, 1)
		if err != nil {
			t.Fatal(err)
		}
		release()
		kept, err := w.Process("p").Token(t.Context(), w.Read(t, customer), id)
		if err != nil || kept.Version != 2 || !kept.Access.Equal(newer.Access) {
			t.Errorf("the late holder's tokens replaced newer ones: version %d, %v", kept.Version, err)
		}
	})
}

// TestImpatientWaiter: a caller with little time leaves a flight that goes on
// in another's request.
func TestImpatientWaiter(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	process, release := renewLate(t, w, id)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := process.Renew(ctx, key, id, 1); !errors.Is(err, access.ErrBusy) {
		t.Errorf("the waiter got %v, want ErrBusy", err)
	}
	release()
}

// TestWaitingForAnotherProcess: its token is taken, if it comes in time.
func TestWaitingForAnotherProcess(t *testing.T) {
	for name, want := range map[string]error{"done": nil, "not done": access.ErrBusy} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
				w.Change(t, customer, func(r *grant.Record) { r.Take(id, "other", w.Now().Add(time.Hour)) })
				g := w.Read(t, customer).Grants[id]
				if want == nil {
					time.AfterFunc(3*time.Second, func() {
						tokens := grant.Tokens{AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, ExpiresAt: w.Now().Add(time.Hour)}
						w.Change(t, customer, func(r *grant.Record) { r.Refreshed(id, g, tokens, w.Now()) })
					})
				}
				token, err := w.Process("p").Renew(t.Context(), key, id, 1)
				if !errors.Is(err, want) || token.Renewed != (want == nil) || w.Sim.Counts().Refreshes != 0 {
					t.Errorf("%v, want %v; renewed %t, %d refreshes", err, want, token.Renewed, w.Sim.Counts().Refreshes)
				}
			})
		})
	}
}

func TestForcedRefreshProvesForTenMinutes(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	renew := func(process string, refused, version int64, want error) {
		t.Helper()
		token, err := w.Process(process).Renew(t.Context(), key, id, refused)
		if !errors.Is(err, want) || token.Version != version || w.Sim.Counts().Refreshes != w.Read(t, customer).Grants[id].TokenVersion-1 {
			t.Errorf("version %d, %v after %d refreshes; want %d, %v", token.Version, err, w.Sim.Counts().Refreshes, version, want)
		}
	}
	// The sweep's refresh is no proof: the gateway refuses even that token.
	if _, err := w.Process("sweep").Refresh(t.Context(), w.Read(t, customer), id); err != nil {
		t.Fatal(err)
	}
	renew("p", 2, 3, nil)
	w.Forward(10*time.Minute - time.Second)
	renew("q", 3, 0, access.ErrProven)
	renew("q", 2, 3, nil) // that of an older token gets the newer
	w.Forward(2 * time.Second)
	renew("q", 3, 4, nil)
}

func TestFailedForcedRefreshBacksOff(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{OldRefreshTokenGrace: 24 * time.Hour})
	process := w.Process("p")
	w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
	pause := time.Second
	for try := range 12 {
		before := len(w.Sim.LWARequests())
		_, err := process.Renew(t.Context(), key, id, 1)
		if early, ok := errors.AsType[*access.BackingOffError](err); ok || len(w.Sim.LWARequests()) != before+1 {
			t.Fatalf("try %d: %v", try, early)
		}
		wantPause(t, process, id, 1, pause)
		w.Forward(pause)
		pause = min(2*pause, 5*time.Minute)
	}
	w.Sim.Clear()
	if _, err := process.Renew(t.Context(), key, id, 1); err != nil {
		t.Error(err)
	}
	w.Forward(11 * time.Minute)
	w.Sim.Script(simulator.Refresh, simulator.Fault{Status: 503})
	_, _ = process.Renew(t.Context(), key, id, 2)
	wantPause(t, process, id, 2, time.Second) // a success forgets the failures
}

// wantPause checks for how long a process lets nobody ask Login with Amazon.
func wantPause(t *testing.T, process *access.Source, id string, version int64, pause time.Duration) {
	t.Helper()
	_, err := process.Renew(t.Context(), key, id, version)
	if early, ok := errors.AsType[*access.BackingOffError](err); !ok || early.For != pause {
		t.Fatalf("%v, want a pause of %v", err, pause)
	}
}

// TestWaitersDoNotRaiseTheBackOff: ten events of one grant met one failure.
func TestWaitersDoNotRaiseTheBackOff(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		process := w.Process("p")
		w.Sim.Script(simulator.Refresh, simulator.Fault{Status: 503, Delay: time.Second})
		var wg sync.WaitGroup
		for range 11 {
			wg.Go(func() { _, _ = process.Renew(context.Background(), key, id, 1) })
		}
		wg.Wait()
		wantPause(t, process, id, 1, time.Second)
	})
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

// TestBreakerBeforeLoginWithAmazon: it fails everybody. After ten grants no event
// waits for it any more, and a token that is good is used. The sweep has a pace
// of its own, and goes on.
func TestBreakerBeforeLoginWithAmazon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		users := names(14)
		ids := crowd(t, w, users)
		p := w.Process("p")
		p.Breaker = breaker.New(breaker.Config{Now: w.Now})
		w.Forward(59*time.Minute + 30*time.Second) // about to expire
		w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
		asked := func() int { return len(w.Sim.LWARequests()) - len(users) } // each was linked with one
		for _, userID := range users {
			if token, err := p.Token(t.Context(), w.Read(t, userID), ids[userID]); err != nil || token.Version != 1 {
				t.Errorf("%s: version %d, %v; want the token that is still good", userID, token.Version, err)
			}
		}
		if n := asked(); n != 10 {
			t.Errorf("Login with Amazon was asked %d times, want 10", n)
		}
		last := users[len(users)-1]
		if _, err := p.Refresh(t.Context(), w.Read(t, last), ids[last]); err == nil || errors.Is(err, breaker.ErrOpen) || asked() != 11 {
			t.Errorf("the sweep asked %d times: %v", asked(), err)
		}
		w.Sim.Clear()
		w.Sim.Always(simulator.Refresh, simulator.Fault{OmitRefreshToken: true})
		for range 10 { // the tokens have ended, and the breaker lets one trial through
			w.Forward(time.Minute)
			for _, userID := range users {
				if record := w.Read(t, userID); record.Grants[ids[userID]].TokenVersion == 1 {
					_, _ = p.Token(t.Context(), record, ids[userID])
				}
			}
		}
		for _, userID := range users {
			if g := w.Read(t, userID).Grants[ids[userID]]; g.TokenVersion != 2 {
				t.Errorf("%s has version %d, want 2: it is well again", userID, g.TokenVersion)
			}
		}
	})
}
