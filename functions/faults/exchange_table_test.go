package faults_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// grantTime is how long AcceptGrant may take, whatever hangs.
const grantTime = 5 * time.Second

const (
	linked    = "AcceptGrant.Response"
	notLinked = "ErrorResponse ACCEPT_GRANT_FAILED"
)

// TestExchange is what Login with Amazon may answer to an authorization code,
// for a customer who links and for one who has been linked before. The latter
// must have a working grant afterwards, whatever the answer was.
func TestExchange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	sender := w.start(t, "SendEvent")
	tests := []struct {
		name     string
		faults   []simulator.Fault
		want     string
		requests []int // statuses of the exchanges
	}{
		{name: "200", want: linked, requests: []int{200}},
		{name: "200 without expires_in", faults: times(1, simulator.Fault{OmitExpiresIn: true}), want: linked, requests: []int{200}},
		{name: "200 without refresh_token", faults: times(1, simulator.Fault{OmitRefreshToken: true}), want: notLinked, requests: []int{200}},
		{name: "invalid_grant", faults: times(9, simulator.Fault{Code: simulator.LWAInvalidGrant}), want: notLinked, requests: []int{400}},
		{name: "invalid_client", faults: times(9, simulator.Fault{Code: simulator.LWAInvalidClient}), want: notLinked, requests: []int{401}},
		{name: "invalid_client as 500", faults: times(1, simulator.Fault{Status: 500, Code: simulator.LWAInvalidClient}), want: notLinked, requests: []int{500}},
		{name: "unauthorized_client", faults: times(9, simulator.Fault{Code: simulator.LWAUnauthorizedClient}), want: notLinked, requests: []int{400}},
		{name: "invalid_request", faults: times(9, simulator.Fault{Code: simulator.LWAInvalidRequest}), want: notLinked, requests: []int{400}},
		{name: "200 with an error", faults: times(9, simulator.Fault{Status: 200, Code: simulator.LWAInvalidRequest}), want: notLinked, requests: []int{200}},
		{name: "429", faults: times(9, simulator.Fault{Status: 429}), want: notLinked, requests: []int{429}},
		{name: "503", faults: times(1, simulator.Fault{Status: 503}), want: linked, requests: []int{503, 200}},
		{name: "503 twice", faults: times(9, simulator.Fault{Status: 503}), want: notLinked, requests: []int{503, 503}},
		{name: "500, a page", faults: times(1, simulator.Fault{Status: 500, Body: proxyPage}), want: linked, requests: []int{500, 200}},
		{name: "200, a page", faults: times(9, simulator.Fault{Body: proxyPage}), want: notLinked, requests: []int{200}},
		{name: "200, cut", faults: times(9, simulator.Fault{CutBody: true}), want: notLinked, requests: []int{200}},
		{name: "answer lost", faults: times(9, simulator.Fault{AnswerLost: true}), want: notLinked, requests: []int{0}},
		{name: "hangs", faults: times(9, simulator.Fault{Delay: 20 * time.Second}), want: notLinked, requests: []int{0}},
	}
	for _, test := range tests {
		for _, again := range []bool{false, true} {
			name := test.name
			if again {
				name += ", linked before"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := newCustomer(t.Name())
				wantGrants := []string{}
				if again {
					c = w.link(t, t.Name(), alexa.EU)
					wantGrants = []string{c.grantID}
				}
				before := len(w.exchangesOf(c))
				for _, fault := range test.faults {
					fault.User = c.amazonUser
					w.Script(simulator.Exchange, fault)
				}
				code := w.Code(alexa.EU, c.amazonUser)
				answer, err := w.acceptGrant(testkit.Within(t, grantTime), c, alexa.EU, code)
				if err != nil || answer != test.want {
					t.Fatalf("answered %q (%v), want %q", answer, err, test.want)
				}
				if test.want == linked { // the same Amazon account: the new grant replaces the old
					wantGrants = []string{grant.ID(alexa.EU, "default", code.Reveal())}
				}
				exchanges := recorded(t, before+len(test.requests), func() []simulator.Request { return w.exchangesOf(c) })
				if diff := cmp.Diff(test.requests, statuses(exchanges[before:])); diff != "" {
					t.Errorf("the exchanges differ (-want +got):\n%s", diff)
				}
				w.wantGrants(t, c, wantGrants)
				wantAnswer := "200"
				if len(wantGrants) > 0 {
					wantAnswer = "200 accepted"
				}
				answer, err = deliver(testkit.Context(t), sender, c.message(report(c, "lamp-1", 1), c.userID, 1))
				if err != nil || answer != wantAnswer {
					t.Errorf("an event was answered %q (%v), want %q", answer, err, wantAnswer)
				}
			})
		}
	}
}

func (w *world) exchangesOf(c customer) []simulator.Request {
	return arrivals(w.LWARequests(), func(r simulator.Request) bool {
		return r.Target == simulator.Exchange && r.User == c.amazonUser
	})
}

// wantGrants checks that a customer has these grants and that they are
// active.
func (w *world) wantGrants(t *testing.T, c customer, want []string) {
	t.Helper()
	record, err := w.store.Read(testkit.Context(t), c.key())
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(record.Grants))
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the grants differ (-want +got):\n%s", diff)
	}
	for _, g := range record.Grants {
		if lifetime := time.Until(g.ExpiresAt); g.State != grant.Active || lifetime < 59*time.Minute || lifetime > time.Hour {
			t.Errorf("a grant is %s %s and expires in %v", g.State, g.Reason, lifetime)
		}
	}
}

// TestDirectiveTwice delivers a directive twice, one after the other and side
// by side. The code works once; both deliveries succeed.
func TestDirectiveTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	t.Run("one after the other", func(t *testing.T) {
		t.Parallel()
		c := newCustomer("one-after-the-other")
		code := w.Code(alexa.EU, c.amazonUser)
		for range 2 {
			if answer, err := w.acceptGrant(testkit.Within(t, grantTime), c, alexa.EU, code); err != nil || answer != linked {
				t.Errorf("answered %q (%v)", answer, err)
			}
		}
		w.wantGrants(t, c, []string{grant.ID(alexa.EU, "default", code.Reveal())})
		// The second exchange is nobody's: the simulator has forgotten the code.
		if diff := cmp.Diff([]int{200}, statuses(w.exchangesOf(c))); diff != "" {
			t.Errorf("the exchanges differ (-want +got):\n%s", diff)
		}
	})
	t.Run("side by side", func(t *testing.T) {
		t.Parallel()
		c := newCustomer("side-by-side")
		code := w.Code(alexa.EU, c.amazonUser)
		// One is refused while the other is still at it.
		w.Script(simulator.Exchange,
			simulator.Fault{User: c.amazonUser, Code: simulator.LWAInvalidGrant},
			simulator.Fault{User: c.amazonUser, Delay: 300 * time.Millisecond})
		var both errgroup.Group
		for range 2 {
			both.Go(func() error {
				answer, err := w.acceptGrant(testkit.Within(t, grantTime), c, alexa.EU, code)
				if err == nil && answer != linked {
					err = fmt.Errorf("answered %q", answer)
				}
				return err
			})
		}
		if err := both.Wait(); err != nil {
			t.Error(err)
		}
		w.wantGrants(t, c, []string{grant.ID(alexa.EU, "default", code.Reveal())})
	})
}
