package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// expiring changes the time at which a grant's access token expires. The
// token itself works for an hour.
func expiring(in time.Duration) func(*grant.Grant) {
	return func(g *grant.Grant) { g.ExpiresAt = time.Now().Add(in).UTC() }
}

func version(want int64) func(grant.Grant) error {
	return func(g grant.Grant) error {
		if g.TokenVersion != want {
			return fmt.Errorf("the stored tokens are of version %d, want %d", g.TokenVersion, want)
		}
		return nil
	}
}

// TestRefresh is what Login with Amazon may answer when an event needs a new
// access token.
func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	taken := func(refreshes ...int) trace {
		return trace{Answers: []string{"200 accepted"}, Gateway: []int{202}, Refresh: refreshes, State: "active"}
	}
	rows := []row{
		{name: "200", before: expiring(0), want: taken(200), after: version(2)},
		{name: "200, expires soon", before: expiring(30 * time.Second), want: taken(200), after: version(2)},
		{name: "expires late", before: expiring(2 * time.Minute), want: taken(), after: version(1)},
		{
			name: "200 without refresh_token", before: expiring(0), between: expiring(0), others: true,
			refresh: times(1, simulator.Fault{OmitRefreshToken: true}),
			want:    trace{Answers: []string{"200 accepted", "200 accepted"}, Gateway: []int{202, 202}, Refresh: []int{200, 200}, State: "active"},
			after:   version(3),
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
			name: "200, and the event is refused", before: expiring(0), gateway: times(1, simulator.Fault{Status: 400}),
			want: trace{
				Answers: []string{"200 dead_letter " + simulator.InvalidRequest}, Gateway: []int{400}, Refresh: []int{200},
				State: "active", Dead: []string{simulator.InvalidRequest},
			},
			after: version(2),
		},
	}
	// What Login with Amazon says of us, or cannot say, costs nobody a grant.
	// A token that still works stays in use.
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
			row{name: f.name + ", expires soon", before: expiring(45 * time.Second), refresh: times(1, f.fault), want: taken(f.status), after: version(1)},
			row{
				name: f.name + ", expired", before: expiring(0), refresh: times(1, f.fault), after: version(2),
				want: trace{Answers: []string{"503 retry INTERNAL", "200 accepted"}, Gateway: []int{202}, Refresh: []int{f.status, 200}, State: "active"},
			})
	}
	// A process that saw all of them fail would leave Login with Amazon alone.
	processes := []*binary.Process{w.start(t, "SendEvent"), w.start(t, "SendEvent"), w.start(t, "SendEvent"), w.start(t, "SendEvent")}
	for i, r := range rows {
		w.runRows(t, processes[i%len(processes)], []row{r})
	}
}

// TestInvalidGrant is the one answer of Login with Amazon that can end a
// grant, and when it does not.
func TestInvalidGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	unknown := trace{
		Answers: []string{"503 retry SUSPECT", "200 suspended"}, Refresh: []int{400},
		State: "suspect refresh_outcome_unknown", Told: []string{"suspect refresh_outcome_unknown"}, Behind: "lamp-1",
	}
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
	w.runRows(t, w.start(t, "SendEvent"), []row{
		{
			name: "disabled", before: expiring(0), disabled: true, after: inFiveMinutes,
			want: trace{
				Answers: []string{"503 retry SUSPECT", "200 suspended"}, Refresh: []int{400},
				State: "suspect refresh_refused", Told: []string{"suspect refresh_refused"}, Behind: "lamp-1",
			},
		},
		{
			name: "disabled an hour ago", before: hourAgo, disabled: true,
			want: trace{Answers: []string{"200 revoked", "200 revoked"}, Refresh: []int{400}, State: "revoked invalid_grant", Told: []string{"revoked invalid_grant"}},
			after: func(g grant.Grant) error {
				if len(g.RefreshToken) == 0 || time.Until(g.EraseAt) < 6*24*time.Hour {
					return fmt.Errorf("of the refresh token %d bytes are kept until %v", len(g.RefreshToken), g.EraseAt)
				}
				return nil
			},
		},
		{
			// Login with Amazon is not even asked: its answer would prove nothing.
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
			want: unknown,
		},
		{
			name: "after an answer that was lost", before: expiring(0), after: inFiveMinutes,
			refresh: []simulator.Fault{{AnswerLost: true}, {}},
			want: trace{
				Answers: []string{"503 retry INTERNAL", "503 retry SUSPECT", "200 suspended"}, Refresh: []int{0, 400},
				State: unknown.State, Told: unknown.Told, Behind: unknown.Behind,
			},
		},
	})
}

// TestTwoRefreshes has two processes need a new token of one grant at once.
// Only one asks for it, or the other would burn the rotated refresh token.
func TestTwoRefreshes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	processes := []*binary.Process{w.start(t, "SendEvent"), w.start(t, "SendEvent")}
	c := w.link(t, "needs-a-token", alexa.EU)
	w.change(t, c, expiring(0))
	w.Script(simulator.Refresh, simulator.Fault{User: c.amazonUser, Delay: time.Second})
	var all errgroup.Group
	for i := range 6 {
		all.Go(func() error {
			id := fmt.Sprint("e-", i)
			answer, err := deliver(testkit.Context(t), processes[i%2], c.message(report(c, fmt.Sprint("lamp-", i), 1), id, 1))
			if err == nil && answer != "200 accepted" {
				err = fmt.Errorf("event %d was answered %q", i, answer)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]int{200}, statuses(w.refreshesOf(c))); diff != "" {
		t.Errorf("the refreshes differ (-want +got):\n%s", diff)
	}
	if n := len(w.eventsOf(c)); n != 6 {
		t.Errorf("%d requests at the gateway, want 6", n)
	}
}

// TestMassInvalidGrant has Login with Amazon refuse everybody, as for a skill
// that was suspended. Not everybody may be unlinked.
func TestMassInvalidGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	customers := w.linkMany(t, "mass", 40)
	for _, c := range customers {
		w.change(t, c, func(g *grant.Grant) { g.RefreshDue = ago(time.Minute) })
		// The record's own time follows from the grants' with any transition.
		_, err := grant.Change(testkit.Context(t), w.store, c.key(), func(r *grant.Record) error {
			r.RefreshDue = ago(time.Minute)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
	status, body, err := post(testkit.Context(t), w.office.URL()+"/RefreshTokens", nil, "")
	var counts struct{ Remaining bool }
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &counts) != nil || !counts.Remaining {
		t.Errorf("the sweep was answered %d %s (%v), want that there is a rest", status, body, err)
	}
	states := map[grant.State]int{}
	for _, c := range customers {
		states[w.grant(t, c).State]++
	}
	if states[grant.Revoked] >= 20 || states[grant.Revoked]+states[grant.Suspect]+states[grant.Active] != len(customers) || states[grant.Active] == 0 {
		t.Errorf("after the sweep the grants are %v; want fewer than 20 revoked, and some that were left alone", states)
	}
}
