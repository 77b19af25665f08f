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
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
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

func TestTokenIsRefreshedBeforeItExpires(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		forward   time.Duration
		refreshed int64
	}{{"fresh", 0, 0}, {"about to expire", 59*time.Minute + time.Second, 1}, {"expired", 2 * time.Hour, 1}} {
		t.Run(test.name, func(t *testing.T) {
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
	if _, err := w.Process("q").Token(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrBusy) && !errors.Is(err, lwa.ErrUnavailable) {
		t.Errorf("an expired token was given out: %v", err)
	}
	if g := w.Read(t, customer).Grants[id]; g.State != grant.Active {
		t.Errorf("the grant is %s because LWA was ill", g.State)
	}
}

func TestRenewOnlyWhatIsNotNewer(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	first, err := w.Process("p").Renew(t.Context(), key, id, 1)
	if err != nil || first.Version != 2 {
		t.Fatalf("version %d: %v", first.Version, err)
	}
	// A second process that was refused the same version takes the new token.
	second, err := w.Process("q").Renew(t.Context(), key, id, 1)
	if err != nil || !second.Access.Equal(first.Access) || w.Sim.Counts().Refreshes != 1 {
		t.Errorf("version %d after %d refreshes: %v", second.Version, w.Sim.Counts().Refreshes, err)
	}
}

// TestManyRefreshOneToken is the race that loses tokens elsewhere: Login with
// Amazon ends the old refresh token at once, and many want a new one.
func TestManyRefreshOneToken(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	w.Forward(2 * time.Hour)
	var wg sync.WaitGroup
	for p := range 4 {
		process := w.Process(fmt.Sprint("process-", p))
		for range 16 {
			wg.Go(func() {
				record, err := w.Store.Read(context.Background(), key)
				if err != nil {
					t.Error(err)
					return
				}
				if token, err := process.Token(context.Background(), record, id); err != nil || token.Version != 2 {
					t.Errorf("version %d: %v", token.Version, err)
				}
			})
		}
	}
	wg.Wait()
	if c := w.Sim.Counts(); c.Refreshes != 1 || c.RotatedAway != 0 {
		t.Errorf("%d refreshes, %d with a token that was rotated away; want 1 and 0", c.Refreshes, c.RotatedAway)
	}
}

func TestInvalidGrantRevokes(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	w.Sim.Disable(alexa.EU, user)
	if _, err := w.Process("p").Renew(t.Context(), key, id, 1); !errors.Is(err, access.ErrRevoked) {
		t.Fatal(err)
	}
	g := w.Read(t, customer).Grants[id]
	if g.State != grant.Revoked || g.Reason != grant.ReasonInvalidGrant || g.AccessToken != nil || g.RefreshToken == nil {
		t.Errorf("%+v", g)
	}
	asked := len(w.Sim.LWARequests())
	for _, err := range []error{
		func() error { _, err := w.Process("q").Token(t.Context(), w.Read(t, customer), id); return err }(),
		func() error { _, err := w.Process("q").Renew(t.Context(), key, id, 1); return err }(),
	} {
		if !errors.Is(err, access.ErrRevoked) {
			t.Error(err)
		}
	}
	if len(w.Sim.LWARequests()) != asked {
		t.Error("a revoked grant was refreshed")
	}
}

func TestOnlyInvalidGrantRevokes(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"invalid client":      {Code: simulator.LWAInvalidClient},
		"unauthorized client": {Code: simulator.LWAUnauthorizedClient},
		"invalid request":     {Code: simulator.LWAInvalidRequest},
		"400 page":            {Status: 400, Body: "<html>invalid_grant</html>"},
		"throttled":           {Status: 429},
		"server error":        {Status: 500, Body: "{}"},
		"cut":                 {CutBody: true},
		"reset":               {Reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id := linked(t, simulator.Options{})
			w.Sim.Script(simulator.Refresh, fault)
			if _, err := w.Process("p").Renew(t.Context(), key, id, 1); err == nil {
				t.Error("no error")
			}
			if g := w.Read(t, customer).Grants[id]; g.State != grant.Active || g.RefreshToken == nil || g.TokenVersion != 1 {
				t.Errorf("%+v", g)
			}
		})
	}
}

func TestOtherClientProvesNothing(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	w.Change(t, customer, func(r *grant.Record) {
		g := r.Grants[id]
		g.ClientID = "amzn1.application-oa2-client.former"
		r.Grants[id] = g
	})
	w.Sim.Disable(alexa.EU, user)
	for _, process := range []*access.Source{w.Process("p"), w.Process("q")} {
		if _, err := process.Renew(t.Context(), key, id, 1); !errors.Is(err, access.ErrOtherClient) || errors.Is(err, access.ErrSuspect) {
			t.Error(err)
		}
	}
	if g := w.Read(t, customer).Grants[id]; g.State != grant.Active {
		t.Errorf("%+v", g)
	}
}

// TestHolderThatDied: a process took the lease and was never heard of again,
// before or after it asked Login with Amazon.
func TestHolderThatDied(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		t.Run(fmt.Sprint("asked ", asked), func(t *testing.T) {
			t.Parallel()
			w, id := linked(t, simulator.Options{})
			w.Change(t, customer, func(r *grant.Record) { r.Take(id, "dead", w.Now().Add(15*time.Second)) })
			if asked {
				// Its answer was lost, and the refresh token with it.
				refreshToken, err := w.Sealer.Open(w.Read(t, customer).Grants[id].RefreshToken, seal.Place{Customer: key.ID(), Grant: id, Field: "refreshToken"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.LWA.Refresh(t.Context(), simulator.DefaultClient().ID, refreshToken); err != nil {
					t.Fatal(err)
				}
			}
			w.Forward(16 * time.Second)
			token, err := w.Process("p").Renew(t.Context(), key, id, 1)
			g := w.Read(t, customer).Grants[id]
			if !asked {
				if err != nil || token.Version != 2 || g.Lease != (grant.Lease{}) {
					t.Errorf("version %d, %v, %+v", token.Version, err, g)
				}
				return
			}
			if !errors.Is(err, access.ErrSuspect) || g.State != grant.Suspect || g.Reason != grant.ReasonRefreshUnknown || !g.RefreshDue.Equal(w.Now().Add(5*time.Minute)) {
				t.Errorf("%v, %+v", err, g)
			}
			w.Forward(time.Hour)
			if _, err := w.Process("p").Refresh(t.Context(), w.Read(t, customer), id); !errors.Is(err, access.ErrRevoked) {
				t.Error(err)
			}
		})
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

// TestSaveOutlivesTheRequest: the request ends while Login with Amazon
// answers. The answer must be saved, or the customer is lost.
func TestSaveOutlivesTheRequest(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	w.Sim.Script(simulator.Refresh, simulator.Fault{OmitExpiresIn: true, Match: func(simulator.Request) bool { cancel(); return true }})
	token, err := w.Process("p").Renew(ctx, key, id, 1)
	if err != nil || token.Version != 2 {
		t.Errorf("version %d: %v", token.Version, err)
	}
	g := w.Read(t, customer).Grants[id]
	if g.TokenVersion != 2 || !g.ExpiresAt.Equal(w.Now().Add(time.Hour)) {
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

func (lateLWA) Knows(string) bool { return true }

func (lateLWA) Refresh(ctx context.Context, _ string, _ sensitive.String) (lwa.Token, error) {
	time.Sleep(lwa.RefreshTimeout - time.Millisecond) // in a bubble
	return lwa.Token{AccessToken: sensitive.New("new"), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// TestSaveHasTimeOfItsOwn: neither a slow Login with Amazon nor a request that
// ends uses up the time of the save.
func TestSaveHasTimeOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sealer, err := seal.NewEphemeral()
		if err != nil {
			t.Fatal(err)
		}
		w := &accesstest.World{Clock: accesstest.NewClock(), Store: grantmem.New(), Sealer: sealer}
		w.Change(t, customer, func(r *grant.Record) {
			r.Link("g", alexa.EU, "", grant.Tokens{ExpiresAt: time.Now()}, w.Now())
		})
		process := w.Process("p")
		process.LWA, process.Store = lateLWA{}, &slowStore{Store: w.Store}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if token, err := process.Renew(ctx, key, "g", 1); err != nil || token.Version != 2 {
			t.Errorf("version %d: %v", token.Version, err)
		}
	})
}

// slowLWA holds a refresh until it is released.
type slowLWA struct {
	access.Refresher
	asked, release chan struct{}
}

func (s slowLWA) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error) {
	token, err := s.Refresher.Refresh(ctx, clientID, refreshToken)
	close(s.asked)
	<-s.release
	return token, err
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
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id := linked(t, simulator.Options{})
			process := w.Process("late")
			slow := slowLWA{Refresher: w.LWA, asked: make(chan struct{}), release: make(chan struct{})}
			process.LWA = slow
			done := make(chan error, 1)
			go func() {
				_, err := process.Renew(context.Background(), key, id, 1)
				done <- err
			}()
			<-slow.asked
			w.Forward(31 * time.Second)
			w.Change(t, customer, func(r *grant.Record) { meanwhile(r, id, w.Now()) })
			close(slow.release)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if g := w.Read(t, customer).Grants[id]; g.State != grant.Active || g.TokenVersion != 2 {
				t.Errorf("%+v", g)
			}
		})
	}
	t.Run("wanted again", func(t *testing.T) {
		// A skill event says that the link is gone, after Login with Amazon has
		// looked. The refresh that it asks for must not be forgotten.
		t.Parallel()
		w, id := linked(t, simulator.Options{})
		process := w.Process("late")
		slow := slowLWA{Refresher: w.LWA, asked: make(chan struct{}), release: make(chan struct{})}
		process.LWA = slow
		done := make(chan error, 1)
		go func() {
			_, err := process.Renew(context.Background(), key, id, 1)
			done <- err
		}()
		<-slow.asked
		w.Change(t, customer, func(r *grant.Record) { r.Prove(grant.BySkillEvent, w.Now()) })
		close(slow.release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if g := w.Read(t, customer).Grants[id]; g.TokenVersion != 2 || !g.RefreshDue.Equal(w.Now()) || g.Witness.By != grant.BySkillEvent {
			t.Errorf("version %d, due in %v, want now, with the witness %+v", g.TokenVersion, g.RefreshDue.Sub(w.Now()), g.Witness)
		}
	})
	t.Run("newer tokens stay", func(t *testing.T) {
		t.Parallel()
		w, id := linked(t, simulator.Options{OldRefreshTokenGrace: time.Hour})
		process := w.Process("late")
		slow := slowLWA{Refresher: w.LWA, asked: make(chan struct{}), release: make(chan struct{})}
		process.LWA = slow
		done := make(chan error, 1)
		go func() {
			_, err := process.Renew(context.Background(), key, id, 1)
			done <- err
		}()
		<-slow.asked
		w.Forward(31 * time.Second)
		newer, err := w.Process("quick").Renew(t.Context(), key, id, 1)
		if err != nil {
			t.Fatal(err)
		}
		close(slow.release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		kept, err := w.Process("p").Token(t.Context(), w.Read(t, customer), id)
		if err != nil || kept.Version != 2 || !kept.Access.Equal(newer.Access) {
			t.Errorf("the late holder's tokens replaced newer ones: version %d, %v", kept.Version, err)
		}
	})
}

// noLWA fails the test when it is asked.
type noLWA struct {
	access.Refresher
	t *testing.T
}

func (noLWA) Knows(string) bool { return true }

func (n noLWA) Refresh(context.Context, string, sensitive.String) (lwa.Token, error) {
	n.t.Error("refreshed under another's lease")
	return lwa.Token{}, errors.New("refused")
}

func TestWaitingForAnotherProcess(t *testing.T) {
	t.Parallel()
	for _, done := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			const id = "grant-1"
			sealer, err := seal.NewEphemeral()
			if err != nil {
				t.Fatal(err)
			}
			tokens := func(text string) grant.Tokens {
				sealed, err := access.Seal(sealer, key, id, lwa.Token{AccessToken: sensitive.New(text), ExpiresAt: time.Now().Add(time.Hour)}, 0)
				if err != nil {
					t.Fatal(err)
				}
				return sealed
			}
			w := &accesstest.World{Clock: accesstest.NewClock(), Store: grantmem.New(), Sealer: sealer}
			// This clock stands still: the other's lease does not run out.
			w.Change(t, customer, func(r *grant.Record) {
				r.Link(id, alexa.EU, "", tokens("old"), w.Now())
				r.Take(id, "other", w.Now().Add(15*time.Second))
			})
			process := w.Process("p")
			process.LWA = noLWA{t: t}
			if done {
				time.AfterFunc(3*time.Second, func() {
					w.Change(t, customer, func(r *grant.Record) { r.Refreshed(id, r.Grants[id], tokens("new"), w.Now()) })
				})
			}
			token, err := process.Renew(t.Context(), key, id, 1)
			if done && (err != nil || token.Access.Reveal() != "new" || !token.Renewed) {
				t.Errorf("the other process's token was not taken: %v", err)
			}
			if !done && !errors.Is(err, access.ErrBusy) {
				t.Errorf("%v, want ErrBusy", err)
			}
		})
	}
}
