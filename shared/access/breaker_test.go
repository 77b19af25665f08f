package access_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

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
		w.Forward(40 * time.Second) // the tokens have ended, and the breaker lets one trial through
		w.Sim.Clear()
		w.Sim.Always(simulator.Refresh, simulator.Fault{OmitRefreshToken: true})
		for round := range 10 {
			for _, userID := range users {
				if w.Read(t, userID).Grants[ids[userID]].TokenVersion > 1 {
					continue
				}
				_, err := p.Token(t.Context(), w.Read(t, userID), ids[userID])
				if err != nil && !errors.Is(err, breaker.ErrOpen) && round > 8 {
					t.Errorf("%s: %v", userID, err)
				}
			}
			w.Forward(time.Minute)
		}
		for _, userID := range users {
			if g := w.Read(t, userID).Grants[ids[userID]]; g.TokenVersion != 2 {
				t.Errorf("%s has version %d, want 2: it is well again", userID, g.TokenVersion)
			}
		}
	})
}
