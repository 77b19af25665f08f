package faults_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// TestExchange: the answers of Login with Amazon to an authorization code, for a
// new customer and for a linked one. The latter must have a working grant
// afterwards in every case.
func TestExchange(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	sender := w.Launch(t, "SendEvent")
	tests := []struct {
		name     string
		faults   []simulator.Fault
		want     string
		requests []int // statuses of the exchanges
	}{
		{"200", nil, world.Linked, []int{200}},
		{"200 without expires_in", times(1, simulator.Fault{OmitExpiresIn: true}), world.Linked, []int{200}},
		{"200 without refresh_token", times(1, simulator.Fault{OmitRefreshToken: true}), world.NotLinked, []int{200}},
		{"invalid_grant", coded(9, simulator.LWAInvalidGrant), world.NotLinked, []int{400}},
		{"invalid_client", coded(9, simulator.LWAInvalidClient), world.NotLinked, []int{401}},
		{"invalid_client as 500", times(1, simulator.Fault{Status: 500, Code: simulator.LWAInvalidClient}), world.NotLinked, []int{500}},
		{"unauthorized_client", coded(9, simulator.LWAUnauthorizedClient), world.NotLinked, []int{400}},
		{"invalid_request", coded(9, simulator.LWAInvalidRequest), world.NotLinked, []int{400}},
		{"200 with an error", times(9, simulator.Fault{Status: 200, Code: simulator.LWAInvalidRequest}), world.NotLinked, []int{200}},
		{"429", bare(9, 429), world.NotLinked, []int{429}},
		{"503", bare(1, 503), world.Linked, []int{503, 200}},
		{"503 twice", bare(9, 503), world.NotLinked, []int{503, 503}},
		{"500, a page", page(1, 500), world.Linked, []int{500, 200}},
		{"200, a page", times(9, simulator.Fault{Body: proxyPage}), world.NotLinked, []int{200}},
		{"200, cut", times(9, simulator.Fault{CutBody: true}), world.NotLinked, []int{200}},
		{"answer lost", times(9, simulator.Fault{AnswerLost: true}), world.NotLinked, []int{0}},
		{"hangs", times(9, simulator.Fault{Delay: 20 * time.Second}), world.NotLinked, []int{0}},
	}
	for _, test := range tests {
		for _, again := range []bool{false, true} {
			name := test.name
			if again {
				name += ", linked before"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := world.NewCustomer(t.Name())
				wantGrants := []string{}
				if again {
					c = w.link(t, t.Name(), alexa.EU)
					wantGrants = []string{c.GrantID}
				}
				before := len(w.requestsOf(c, simulator.Exchange))
				for _, fault := range test.faults {
					fault.User = c.AmazonUser
					w.Script(simulator.Exchange, fault)
				}
				code := w.Code(alexa.EU, c.AmazonUser)
				answer, err := w.accept(t, c, code)
				if err != nil || answer != test.want {
					t.Fatalf("answered %q (%v), want %q", answer, err, test.want)
				}
				if test.want == world.Linked { // the same Amazon account: the new grant replaces the old
					wantGrants = []string{world.GrantID(alexa.EU, code)}
				}
				exchanges := recorded(t, before+len(test.requests), func() []simulator.Request { return w.requestsOf(c, simulator.Exchange) })
				expect.Equal(t, "the exchanges", test.requests, statuses(exchanges[before:]))
				w.wantGrants(t, c, wantGrants)
				wanted := "200"
				if len(wantGrants) > 0 {
					wanted = "200 accepted"
				}
				wantAnswer(t, sender, message(c, report(c, "lamp-1", 1), c.UserID, 1), wanted)
			})
		}
	}
}

// wantGrants checks that a customer has exactly these grants, all active.
func (w *suite) wantGrants(t *testing.T, c customer, want []string) {
	t.Helper()
	record, err := w.Store.Read(testkit.Context(t), c.Key())
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(record.Grants))
	expect.Equal(t, "the grants", want, got, cmpopts.EquateEmpty())
	for _, g := range record.Grants {
		if lifetime := time.Until(g.ExpiresAt); g.State != grant.Active || lifetime < 59*time.Minute || lifetime > time.Hour {
			t.Errorf("grant = %s %s, expires in %v; want active for up to an hour", g.State, g.Reason, lifetime)
		}
	}
}

// expiring changes the stored expiry of a grant's access token. The token itself
// works for an hour.
func expiring(in time.Duration) func(*grant.Grant) {
	return func(g *grant.Grant) { g.ExpiresAt = time.Now().Add(in).UTC() }
}

func version(want int64) func(grant.Grant) error {
	return func(g grant.Grant) error {
		if g.TokenVersion != want {
			return fmt.Errorf("token version = %d, want %d", g.TokenVersion, want)
		}
		return nil
	}
}

// TestRefresh: the answers of Login with Amazon to the refresh of an event's access
// token.
func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	taken := func(refreshes ...int) trace { return accepted(202).refreshed(refreshes...) }
	rows := []row{
		{name: "200", before: expiring(0), want: taken(200), after: version(2)},
		{name: "200, expires soon", before: expiring(30 * time.Second), want: taken(200), after: version(2)},
		{name: "expires late", before: expiring(2 * time.Minute), want: taken(), after: version(1)},
		{
			// The refresh token that was sent is kept, and used at the redelivery.
			name: "200 without refresh_token", before: expiring(0), between: expiring(0), gateway: bare(1, 504),
			refresh: times(1, simulator.Fault{OmitRefreshToken: true}), want: retried("INTERNAL", 504).refreshed(200, 200), after: version(3),
		},
		{
			name: "200 without expires_in", before: expiring(0), refresh: times(1, simulator.Fault{OmitExpiresIn: true}), want: taken(200),
			after: func(g grant.Grant) error {
				if lifetime := time.Until(g.ExpiresAt); lifetime < 59*time.Minute || lifetime > time.Hour {
					return fmt.Errorf("the new token expires in %v", lifetime)
				}
				return nil
			},
		},
		{
			name: "200, and the event is refused", before: expiring(0), gateway: bare(1, 400),
			want: dead(simulator.InvalidRequest, 400).refreshed(200), after: version(2),
		},
	}
	// Errors about our client, and outages, end no grant. A token that still works
	// stays in use.
	for _, f := range []struct {
		name   string
		status int
		fault  simulator.Fault
	}{
		{"invalid_client", 401, simulator.Fault{Code: simulator.LWAInvalidClient}},
		{"unauthorized_client", 400, simulator.Fault{Code: simulator.LWAUnauthorizedClient}},
		{"invalid_request", 400, simulator.Fault{Code: simulator.LWAInvalidRequest}},
		{"400, unknown error", 400, simulator.Fault{Status: 400, Code: "new_error"}},
		{"400, bare", 400, simulator.Fault{Status: 400}},
		{"403, a page", 403, simulator.Fault{Status: 403, Body: proxyPage}},
		{"429", 429, simulator.Fault{Status: 429}},
		{"500", 500, simulator.Fault{Status: 500, Body: "{}"}},
		{"503", 503, simulator.Fault{Status: 503}},
		{"200, a page", 200, simulator.Fault{Body: proxyPage}},
		{"connection closed", 0, simulator.Fault{Reset: true}},
		{"hangs", 0, simulator.Fault{Delay: 20 * time.Second}},
	} {
		rows = append(rows,
			row{
				name: f.name + ", expires soon", before: expiring(45 * time.Second), refresh: times(1, f.fault),
				want: taken(f.status), after: version(1),
			},
			row{
				name: f.name + ", expired", before: expiring(0), refresh: times(1, f.fault),
				want: retried("INTERNAL").refreshed(f.status, 200), after: version(2),
			})
	}
	// A process that saw all of them fail would back off from Login with Amazon.
	processes := []*binary.Process{w.Launch(t, "SendEvent"), w.Launch(t, "SendEvent"), w.Launch(t, "SendEvent"), w.Launch(t, "SendEvent")}
	for i, r := range rows {
		w.runRows(t, processes[i%len(processes)], []row{r})
	}
}

// TestInvalidGrant: the one answer of Login with Amazon that can end a grant, and
// the cases in which it does not.
func TestInvalidGrant(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	const unknown = "refresh_outcome_unknown"
	invalid := simulator.Fault{Code: simulator.LWAInvalidGrant}
	inFiveMinutes := func(g grant.Grant) error {
		if wait := time.Until(g.NextTry); wait < 4*time.Minute || wait > 5*time.Minute {
			return fmt.Errorf("the next refresh is in %v, want 5 min", wait)
		}
		return nil
	}
	hourAgo := func(g *grant.Grant) {
		g.State, g.Reason, g.RefusedAt = grant.Suspect, grant.ReasonRefreshRefused, ago(time.Hour)
		expiring(0)(g)
	}
	w.runRows(t, w.Launch(t, "SendEvent"), []row{
		{
			name: "disabled", before: expiring(0), disabled: true, after: inFiveMinutes,
			want: suspected("refresh_refused", "SUSPECT").refreshed(400),
		},
		{
			name: "disabled an hour ago", before: hourAgo, disabled: true,
			want: revoked(),
			after: func(g grant.Grant) error {
				if len(g.RefreshToken) == 0 || time.Until(g.EraseAt) < 6*24*time.Hour {
					return fmt.Errorf("the refresh token has %d bytes, erased at %v; want none", len(g.RefreshToken), g.EraseAt)
				}
				return nil
			},
		},
		{
			// Login with Amazon is not called: its answer would prove nothing.
			name: "grant of another client", refresh: times(1, invalid),
			before: func(g *grant.Grant) { g.ClientID = "amzn1.application-oa2-client.fake-old"; expiring(0)(g) },
			want:   trace{Answers: []string{"503 retry OTHER_CLIENT"}, State: "active"},
		},
		{
			name: "after a process that died", refresh: times(1, invalid), after: inFiveMinutes,
			before: func(g *grant.Grant) {
				g.Lease = grant.Lease{Owner: "dead", Until: ago(time.Second)}
				expiring(0)(g)
			},
			want: suspected(unknown, "SUSPECT").refreshed(400),
		},
		{
			name: "after an answer that was lost", before: expiring(0), after: inFiveMinutes,
			refresh: []simulator.Fault{{AnswerLost: true}, {}},
			want:    suspected(unknown, "INTERNAL", "SUSPECT").refreshed(0, 400),
		},
	})
}
