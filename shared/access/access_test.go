package access_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
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

// linked returns a world with one customer and one grant.
func linked(t *testing.T, options simulator.Options) (*accesstest.World, string) {
	t.Helper()
	w := accesstest.New(t, options)
	return w, w.Link(t, customer, alexa.EU, user)
}

// inWorld runs a test in a bubble, with one linked customer.
func inWorld(t *testing.T, test func(t *testing.T, w *accesstest.World, id string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		test(t, w, w.Link(t, customer, alexa.EU, user))
	})
}

// gate is Login with Amazon with a gate before the call, and one after it.
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

// renewLate has a process renew the grant, and hold Login with Amazon's answer
// until release is called.
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
			ctx, line := logging.Begin(t.Context())
			token, err := w.Process("p").Token(ctx, w.Read(t, customer), id)
			if err != nil {
				t.Fatal(err)
			}
			var written strings.Builder
			line.Write(ctx, logging.New(&written), "SendEvent")
			if timed := strings.Contains(written.String(), `"lwa_ms":`); timed != (test.refreshed > 0) {
				t.Errorf("line = %s, want lwa_ms for a refresh", &written)
			}
			if token.Version != 1+test.refreshed || token.Renewed != (test.refreshed > 0) || w.Sim.Counts().Refreshes != test.refreshed {
				t.Errorf("version = %d, renewed %v after %d refreshes, want %d", token.Version, token.Renewed, w.Sim.Counts().Refreshes, test.refreshed)
			}
			g := w.Read(t, customer).Grants[id]
			if g.TokenVersion != token.Version || g.Lease != (grant.Lease{}) || !w.Now().Before(g.ExpiresAt) {
				t.Errorf("stored grant = %+v, want the new token without a lease", g)
			}
		})
	}
}

func TestOldTokenIsUsedWhileValid(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
	w.Forward(59*time.Minute + 30*time.Second)
	token, err := w.Process("p").Token(t.Context(), w.Read(t, customer), id)
	if err != nil || token.Version != 1 || token.Access.Empty() {
		t.Errorf("version = %d, %v, want 1", token.Version, err)
	}
	w.Forward(time.Minute)
	_, err = w.Process("q").Token(t.Context(), w.Read(t, customer), id)
	if !errors.Is(err, access.ErrBusy) && !errors.Is(err, lwa.ErrUnavailable) {
		t.Errorf("error with an expired token = %v, want ErrBusy or ErrUnavailable", err)
	}
	if g := w.Read(t, customer).Grants[id]; g.State != grant.Active {
		t.Errorf("grant after an outage = %s, want active", g.State)
	}
}

// TestLostAnswerProvesNothing: Login with Amazon refreshed, but the answer was
// lost. The old refresh token is dead, the grant is not.
func TestLostAnswerProvesNothing(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	process := w.Process("p")
	w.Sim.Script(simulator.Refresh, simulator.Fault{AnswerLost: true})
	if _, err := process.Renew(t.Context(), key, id, 1); !errors.Is(err, lwa.ErrUnavailable) {
		t.Fatal(err)
	}
	w.Forward(time.Second) // failed refreshes back off
	for range 2 {          // the second time without a lease
		if _, err := process.Renew(t.Context(), key, id, 1); !errors.Is(err, access.ErrSuspect) {
			t.Errorf("error = %v, want ErrSuspect", err)
		}
	}
	if g := w.Read(t, customer).Grants[id]; g.State != grant.Suspect || g.RefreshToken == nil || !g.TokenEnded(w.Now()) {
		t.Errorf("grant = %+v, want suspect", g)
	}
}

// TestNoRefreshWithoutTime: a refresh that the platform might cut off could lose
// the token, so it is left to the next request.
func TestNoRefreshWithoutTime(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), access.RefreshTime-time.Second)
	defer cancel()
	if _, err := w.Process("p").Renew(ctx, key, id, 1); !errors.Is(err, access.ErrBusy) {
		t.Errorf("error = %v, want ErrBusy", err)
	}
	if g := w.Read(t, customer).Grants[id]; g.Lease != (grant.Lease{}) || w.Sim.Counts().Refreshes != 0 {
		t.Errorf("lease = %+v, want none", g.Lease)
	}
}

// slowStore delays the write that follows a refresh.
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

// lateLWA answers just before the timeout.
type lateLWA struct{ access.Refresher }

func (l lateLWA) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error) {
	time.Sleep(lwa.RefreshTimeout - time.Millisecond)
	return l.Refresher.Refresh(ctx, clientID, refreshToken)
}

// TestSaveHasTimeOfItsOwn: a slow Login with Amazon, or the end of the request,
// does not shorten the time of the save.
func TestSaveHasTimeOfItsOwn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *accesstest.World, id string) {
		process := w.Process("p")
		process.LWA, process.Store = lateLWA{w.LWA}, &slowStore{Store: w.Store}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if token, err := process.Renew(ctx, key, id, 1); err != nil || token.Version != 2 || w.Read(t, customer).Grants[id].TokenVersion != 2 {
			t.Errorf("version = %d, %v, want 2", token.Version, err)
		}
	})
}

// TestLateHolderSaves: the lease expired while Login with Amazon answered, and
// so another process revoked the grant.
func TestLateHolderSaves(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(r *grant.Record, id string, now time.Time){
		"lease taken over":    func(r *grant.Record, id string, now time.Time) { r.Take(id, "other", now.Add(15*time.Second)) },
		"revoked":             func(r *grant.Record, id string, now time.Time) { r.Revoke(id, grant.ReasonInvalidGrant, now) },
		"doubted":             func(r *grant.Record, id string, now time.Time) { r.RefreshRefused(id, grant.ReasonRefreshUnknown, now) },
		"other field changed": func(r *grant.Record, id string, now time.Time) { r.UsedAt = now },
		// A skill event reports the link gone after the answer. The refresh that it
		// asks for must not be lost.
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
				t.Errorf("grant = %+v", g)
			}
			wanted := name == "wanted again"
			if g.RefreshDue.Equal(w.Now()) != wanted || (g.Witness.By == grant.BySkillEvent) != wanted {
				t.Errorf("due in %v with the witness %+v, want due now with the skill event", g.RefreshDue.Sub(w.Now()), g.Witness)
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
			t.Errorf("version after the late save = %d, %v, want the newer tokens kept", kept.Version, err)
		}
	})
}

// TestImpatientWaiter: a caller with little time leaves a flight that another
// request continues.
func TestImpatientWaiter(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	process, release := renewLate(t, w, id)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := process.Renew(ctx, key, id, 1); !errors.Is(err, access.ErrBusy) {
		t.Errorf("error of the waiter = %v, want ErrBusy", err)
	}
	release()
}

// TestWaitingForAnotherProcess: another process's token is used if it is saved in
// time.
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
					t.Errorf("error = %v, want %v; renewed = %t, refreshes = %d", err, want, token.Renewed, w.Sim.Counts().Refreshes)
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
			t.Errorf("version = %d, %v after %d refreshes; want %d, %v", token.Version, err, w.Sim.Counts().Refreshes, version, want)
		}
	}
	// The sweep's refresh is no proof: the gateway refuses even its token.
	if _, err := w.Process("sweep").Refresh(t.Context(), w.Read(t, customer), id); err != nil {
		t.Fatal(err)
	}
	renew("p", 2, 3, nil)
	w.Forward(10*time.Minute - time.Second)
	renew("q", 3, 0, access.ErrProven)
	renew("q", 2, 3, nil) // an older token is replaced by the newer
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
			t.Fatalf("try %d: error = %v, want one request", try, early)
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
	wantPause(t, process, id, 2, time.Second) // a success resets the backoff
}

// wantPause checks for how long a process backs off from Login with Amazon.
func wantPause(t *testing.T, process *access.Source, id string, version int64, pause time.Duration) {
	t.Helper()
	_, err := process.Renew(t.Context(), key, id, version)
	if early, ok := errors.AsType[*access.BackingOffError](err); !ok || early.For != pause {
		t.Fatalf("error = %v, want a pause of %v", err, pause)
	}
}

// TestWaitersDoNotRaiseTheBackoff: ten events of one grant share one failure.
func TestWaitersDoNotRaiseTheBackoff(t *testing.T) {
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

// TestRetryAfterAppliesToProcess: the Retry-After of one customer's refresh applies to
// the other customers of the process.
func TestRetryAfterAppliesToProcess(t *testing.T) {
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
			t.Errorf("error = %v after %d more requests, want ErrThrottled after none", err, len(w.Sim.LWARequests())-asked)
		}
		w.Forward(time.Second)
		if _, err := process.Renew(t.Context(), accesstest.Key("u-2"), other, 1); err != nil {
			t.Error(err)
		}
	})
}

// TestBreakerBeforeLoginWithAmazon: every refresh fails. After ten grants no event
// waits for one, and valid tokens are used. The sweep has its own pacing, and goes
// on.
func TestBreakerBeforeLoginWithAmazon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		users := names(14)
		ids := linkAll(t, w, users)
		p := w.Process("p")
		p.Breaker = breaker.New(breaker.Config{Now: w.Now})
		w.Forward(59*time.Minute + 30*time.Second) // about to expire
		w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
		asked := func() int { return len(w.Sim.LWARequests()) - len(users) } // without one for each link
		for _, userID := range users {
			if token, err := p.Token(t.Context(), w.Read(t, userID), ids[userID]); err != nil || token.Version != 1 {
				t.Errorf("%s: version = %d, %v, want 1, which is still valid", userID, token.Version, err)
			}
		}
		if n := asked(); n != 10 {
			t.Errorf("requests to Login with Amazon = %d, want 10", n)
		}
		last := users[len(users)-1]
		if _, err := p.Refresh(t.Context(), w.Read(t, last), ids[last]); err == nil || errors.Is(err, breaker.ErrOpen) || asked() != 11 {
			t.Errorf("requests after the sweep = %d, %v, want 11", asked(), err)
		}
		w.Sim.Clear()
		w.Sim.Always(simulator.Refresh, simulator.Fault{OmitRefreshToken: true})
		for range 10 { // the tokens have expired, and the breaker admits one trial
			w.Forward(time.Minute)
			for _, userID := range users {
				if record := w.Read(t, userID); record.Grants[ids[userID]].TokenVersion == 1 {
					_, _ = p.Token(t.Context(), record, ids[userID])
				}
			}
		}
		for _, userID := range users {
			if g := w.Read(t, userID).Grants[ids[userID]]; g.TokenVersion != 2 {
				t.Errorf("version of %s = %d, want 2 after the recovery", userID, g.TokenVersion)
			}
		}
	})
}
