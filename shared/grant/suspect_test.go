package grant_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// TestRefusalsComeSeldomer has what sweeps and events find who ask again as
// soon as they may: the sweep at the due time, events at the next try. One
// refusal is always asked for an hour after the first.
func TestRefusalsComeSeldomer(t *testing.T) {
	t.Parallel()
	r := one()
	for i, step := range []struct{ at, due, next int }{ // minutes since the first
		{0, 5, 5}, {5, 15, 15}, {15, 35, 35}, {35, 60, 60}, {60, 140, 120}, {140, 300, 200}, {300, 620, 360},
		{620, 1260, 680}, {1260, 2540, 1320}, {2540, 3980, 2600}, {3980, 5420, 4040},
	} {
		now := start.Add(time.Duration(step.at) * time.Minute)
		r.Take("a", "me", now.Add(time.Minute))
		r.RefreshRefused("a", grant.ReasonRefreshRefused, now)
		r.Announced(r.Announce, now)
		g := r.Grants["a"]
		due, next := g.RefreshDue.Sub(start), g.NextTry.Sub(start)
		if due.Minutes() != float64(step.due) || next.Minutes() != float64(step.next) || !r.RefreshDue.Equal(g.RefreshDue) {
			t.Errorf("after refusal %d: due at %v and tried at %v, want minutes %d and %d", i+1, due, next, step.due, step.next)
		}
		if g.State != grant.Suspect || g.Reason != grant.ReasonRefreshRefused || g.Lease != (grant.Lease{}) {
			t.Errorf("after refusal %d: %+v", i+1, g)
		}
		if !g.Since.Equal(start) || !g.RefusedAt.Equal(start) {
			t.Errorf("after refusal %d: suspect since %v, refused at %v", i+1, g.Since, g.RefusedAt)
		}
	}
}

// TestRefusedGrantIsToldOfOnce when its access token has ended, and not before.
func TestRefusedGrantIsToldOfOnce(t *testing.T) {
	t.Parallel()
	r := one() // its access token lasts for an hour
	for _, step := range []struct {
		minute int
		reason string
		want   []string // announced
	}{
		{0, grant.ReasonRefreshUnknown, nil},
		{58, grant.ReasonRefreshRefused, nil},
		{59, grant.ReasonRefreshRefused, []string{"suspect a EU 1"}}, // it has to arrive while it is valid
		{70, grant.ReasonRefreshRefused, nil},
	} {
		now := start.Add(time.Duration(step.minute) * time.Minute)
		r.RefreshRefused("a", step.reason, now)
		if diff := cmp.Diff(step.want, kinds(r)); diff != "" {
			t.Errorf("minute %d, announced (-want +got):\n%s", step.minute, diff)
		}
		if len(r.Announce) > 0 && (r.Announce[0].Reason != step.reason || !r.Grants["a"].ToldAt.Equal(now) || !r.RefreshDue.Equal(now)) {
			t.Errorf("minute %d: announced %+v of %+v, the record due at %v", step.minute, r.Announce[0], r.Grants["a"], r.RefreshDue)
		}
		r.Announced(r.Announce, now)
	}
}

// TestRefusedSuspectKeepsTheGatewaysReason, its probes and what the maker was
// told; only the refresh that confirms the refusal is due at once.
func TestRefusedSuspectKeepsTheGatewaysReason(t *testing.T) {
	t.Parallel()
	r := one()
	r.Suspect("a", grant.ReasonSkillDisabled, start)
	r.ProbeFailed("a", grant.ReasonSkillDisabled, start)
	r.Announced(r.Announce, start)
	want := r.Grants["a"]
	for minute, due := range map[int]int{0: 60, 59: 60, 60: 60 + 24*60, 600: 600 + 24*60} {
		r := r.Clone()
		now := start.Add(time.Duration(minute) * time.Minute)
		r.Take("a", "me", now.Add(time.Minute))
		r.RefreshRefused("a", grant.ReasonRefreshRefused, start)
		r.RefreshRefused("a", grant.ReasonRefreshRefused, now)
		want.RefusedAt, want.RefreshDue = start, start.Add(time.Duration(due)*time.Minute)
		if diff := cmp.Diff(want, r.Grants["a"]); diff != "" || !r.RefreshDue.Equal(want.RefreshDue) || r.Announce != nil {
			t.Errorf("minute %d: announced %v, due at %v (-want +got):\n%s", minute, kinds(r), r.RefreshDue, diff)
		}
	}
}

// TestWhatTimeMakesOfAGrant has what a grant says of itself at the start.
func TestWhatTimeMakesOfAGrant(t *testing.T) {
	t.Parallel()
	past, future := start.Add(-time.Nanosecond), start.Add(time.Nanosecond)
	refusedFor := func(d time.Duration) grant.Grant { return grant.Grant{RefusedAt: start.Add(-d)} }
	endsIn := func(d time.Duration) grant.Grant { return grant.Grant{ExpiresAt: start.Add(d)} }
	suspect := func(reason string, due, next time.Time) grant.Grant {
		return grant.Grant{State: grant.Suspect, Reason: reason, RefreshDue: due, NextTry: next, ExpiresAt: start.Add(time.Hour)}
	}
	const doubt, refusal = grant.ReasonRefreshRefused, grant.ReasonUnauthorized
	witnessed := grant.Grant{Witness: grant.Witness{By: grant.BySkillEvent, At: start}}
	relinked := grant.Grant{RefusedAt: start, Witness: grant.Witness{By: grant.ByRelink, At: start}}
	for _, test := range []struct {
		name string
		ask  func(grant.Grant, time.Time) bool
		g    grant.Grant
		want bool
	}{
		{"never refused", grant.Grant.Confirms, grant.Grant{}, false},
		{"refused just now", grant.Grant.Confirms, refusedFor(0), false},
		{"refused almost an hour ago", grant.Grant.Confirms, refusedFor(time.Hour - 1), false},
		{"refused an hour ago", grant.Grant.Confirms, refusedFor(time.Hour), true},
		{"refused in the future, by another clock", grant.Grant.Confirms, refusedFor(-time.Hour), false},
		{"a skill event", grant.Grant.Confirms, witnessed, true},
		{"a relink, and refused just now", grant.Grant.Confirms, relinked, true},
		{"not proven, but by whom", grant.Grant.Confirms, grant.Grant{UnprovenSince: start}, false},
		{"refused by the gateway", grant.Grant.Confirms, suspect(refusal, past, past), false},

		{"too early", grant.Grant.Waits, suspect(doubt, future, future), true},
		{"due", grant.Grant.Waits, suspect(doubt, start, future), false},
		{"to be tried", grant.Grant.Waits, suspect(doubt, future, start), false},
		{"refused by the gateway", grant.Grant.Waits, suspect(refusal, future, future), false},
		{"active", grant.Grant.Waits, grant.Grant{State: grant.Active, RefreshDue: future, NextTry: future}, false},

		{"a minute and more is left", grant.Grant.TokenEnded, endsIn(time.Minute + 1), false},
		{"a minute is left", grant.Grant.TokenEnded, endsIn(time.Minute), true},
		{"no token", grant.Grant.TokenEnded, grant.Grant{}, true},
		{"unreadable", grant.Grant.TokenEnded, suspect(grant.ReasonUnreadable, past, past), true},
	} {
		if got := test.ask(test.g, start); got != test.want {
			t.Errorf("%s: got %t, want %t of %+v", test.name, got, test.want, test.g)
		}
	}
}

func TestDoubted(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]bool{
		grant.ReasonRefreshRefused: true, grant.ReasonRefreshUnknown: true, grant.ReasonRestored: true,
		grant.ReasonOtherClient: true, grant.ReasonUnreadable: true, "mass_invalid_grant": true,
		grant.ReasonUnauthorized: false, grant.ReasonSkillDisabled: false, grant.ReasonSkillNeverEnabled: false,
		grant.ReasonInsufficientPermission: false, grant.ReasonSkillNotFound: false, grant.ReasonInvalidGrant: false, "": false,
	} {
		for state, want := range map[grant.State]bool{grant.Suspect: want, grant.Active: false, grant.Revoked: false} {
			if got := (grant.Grant{State: state, Reason: reason}).Doubted(); got != want {
				t.Errorf("%s %q: got %t", state, reason, got)
			}
		}
	}
}

func TestCannotRefresh(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, reason string
		before       func(*grant.Record)
		ends         time.Duration // of the access token
		want         []string      // announced
	}{
		{"of another client", grant.ReasonOtherClient, nil, time.Hour, nil},
		{"of another client, its token ended", grant.ReasonOtherClient, nil, time.Minute, []string{"suspect a EU 1"}},
		{"unreadable", grant.ReasonUnreadable, nil, time.Hour, []string{"suspect a EU 1"}},
		{"refused by the gateway, which was told", grant.ReasonOtherClient, func(r *grant.Record) {
			r.Suspect("a", grant.ReasonUnauthorized, start.Add(-time.Hour))
			r.ProbeFailed("a", grant.ReasonUnauthorized, start.Add(-time.Hour))
			r.Announced(r.Announce, start)
		}, time.Minute, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			edit(&r, "a", func(g *grant.Grant) { g.ExpiresAt = start.Add(test.ends) })
			if test.before != nil {
				test.before(&r)
			}
			for i, minutes := range []struct{ due, next float64 }{{1, 1}, {2, 2}, {4, 4}, {8, 8}, {16, 15}, {32, 15}, {60, 15}} {
				r.CannotRefresh("a", test.reason, start)
				g := r.Grants["a"]
				if g.State != grant.Suspect || g.Reason != test.reason || !g.Since.Equal(start) || !g.RefusedAt.IsZero() {
					t.Errorf("%+v", g)
				}
				if due, next := g.RefreshDue.Sub(start), g.NextTry.Sub(start); due.Minutes() != minutes.due || next.Minutes() != minutes.next {
					t.Errorf("time %d: due in %v and tried in %v, want minutes %v and %v", i+1, due, next, minutes.due, minutes.next)
				}
			}
			if diff := cmp.Diff(test.want, kinds(r)); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTell(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before func(*grant.Record)
		want   []string // announced
	}{
		{"doubted", func(r *grant.Record) { r.RefreshRefused("a", grant.ReasonRefreshRefused, start) }, []string{"suspect a EU 1"}},
		{"told", func(r *grant.Record) { r.Suspect("a", grant.ReasonUnauthorized, start); r.Announced(r.Announce, start) }, nil},
		{"active", func(*grant.Record) {}, nil},
		{"revoked", func(r *grant.Record) { r.Revoke("a", grant.ReasonInvalidGrant, start); r.Announced(r.Announce, start) }, nil},
		{"none", func(r *grant.Record) { r.Remove("a", start) }, nil},
	}
	for _, test := range tests {
		r := one()
		test.before(&r)
		before := r.Clone()
		for range 2 {
			r.Tell("a", start.Add(time.Minute))
		}
		if diff := cmp.Diff(test.want, kinds(r)); diff != "" {
			t.Errorf("%s: announced (-want +got):\n%s", test.name, diff)
		}
		if test.want == nil && !cmp.Equal(before, r) {
			t.Errorf("%s: changed (-was +now):\n%s", test.name, cmp.Diff(before, r))
		}
	}
}

// TestSuspect has grants that the gateway refuses.
func TestSuspect(t *testing.T) {
	t.Parallel()
	now := start.Add(20 * time.Minute)
	day := func(due time.Time) bool {
		return !due.Before(now.Add(24*time.Hour)) && !due.After(now.Add(30*time.Hour))
	}
	told := []string{"suspect a EU 1"}
	tests := []struct {
		name   string
		before func(*grant.Record)
		due    func(time.Time) bool
		want   []string // announced
		since  time.Time
		probe  time.Duration
	}{
		{"active", func(*grant.Record) {}, day, told, now, time.Minute},
		{"failures of refreshes do not count", func(r *grant.Record) { r.RefreshFailed("a", start) }, day, told, now, time.Minute},
		{"at rest", func(r *grant.Record) { r.Rest("a", start) }, day, told, now, time.Minute},
		{"suspect for another reason", func(r *grant.Record) {
			r.Suspect("a", grant.ReasonSkillDisabled, start)
			r.ProbeFailed("a", grant.ReasonSkillDisabled, start)
			r.Announced(r.Announce, start)
		}, day, nil, start, 2 * time.Minute},
		{"unreadable, which was told", func(r *grant.Record) {
			r.CannotRefresh("a", grant.ReasonUnreadable, start)
			r.Announced(r.Announce, start)
		}, day, nil, now, time.Minute},
		{"refused", func(r *grant.Record) {
			r.RefreshRefused("a", grant.ReasonRefreshRefused, start)
			r.RefreshRefused("a", grant.ReasonRefreshRefused, start.Add(15*time.Minute))
		}, start.Add(25 * time.Minute).Equal, told, now, time.Minute},
		{"a skill event", func(r *grant.Record) { r.Prove(grant.BySkillEvent, start) }, start.Equal, told, now, time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			test.before(&r)
			was := r.Grants["a"]
			r.Suspect("a", grant.ReasonInsufficientPermission, now)
			g := r.Grants["a"]
			if g.State != grant.Suspect || g.Reason != grant.ReasonInsufficientPermission || !g.Since.Equal(test.since) || g.ToldAt.IsZero() {
				t.Errorf("%+v", g)
			}
			if !test.due(g.RefreshDue) || !g.NextTry.Equal(now.Add(test.probe)) {
				t.Errorf("due in %v and probed in %v", g.RefreshDue.Sub(now), g.NextTry.Sub(now))
			}
			if g.RefusedAt != was.RefusedAt || g.Witness != was.Witness {
				t.Errorf("refused at %v, witness %+v: was %+v", g.RefusedAt, g.Witness, was)
			}
			if diff := cmp.Diff(test.want, kinds(r)); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProbesComeSeldomer: at least every quarter of an hour where the skill is at
// fault, which somebody mends for all customers at once.
func TestProbesComeSeldomer(t *testing.T) {
	t.Parallel()
	for reason, pauses := range map[string][]time.Duration{
		grant.ReasonUnauthorized:           {1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360},
		grant.ReasonSkillNotFound:          {1, 2, 4, 8, 15, 15},
		grant.ReasonInsufficientPermission: {1, 2, 4, 8, 15, 15},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			r := one()
			r.Suspect("a", grant.ReasonSkillNeverEnabled, start)
			r.Announced(r.Announce, start)
			due, now := r.RefreshDue, start
			for i, want := range pauses {
				for range 2 { // one that came to nothing makes no difference
					r.Probe("a", now)
					if got := r.Grants["a"].NextTry.Sub(now); got != want*time.Minute {
						t.Errorf("probe %d: the next in %v, want %v", i+1, got, want*time.Minute)
					}
				}
				now = r.Grants["a"].NextTry
				r.ProbeFailed("a", reason, now)
			}
			if g := r.Grants["a"]; g.Reason != reason || !r.RefreshDue.Equal(due) || r.Announce != nil {
				t.Errorf("%+v, due %v, announced %v", g, r.RefreshDue, kinds(r))
			}
		})
	}
}

// TestRecover has what an event that the gateway took says of a grant.
func TestRecover(t *testing.T) {
	t.Parallel()
	now, due := start.Add(2*time.Hour), start.Add(150*time.Minute)
	refusedAt := func(minute time.Duration) func(*grant.Record) {
		return func(r *grant.Record) {
			r.RefreshRefused("a", grant.ReasonRefreshUnknown, start.Add(minute*time.Minute))
		}
	}
	suspect := func(r *grant.Record) { r.Suspect("a", grant.ReasonUnauthorized, start) }
	active := grant.Grant{State: grant.Active, Since: now, RefreshDue: due}
	tests := []struct {
		name   string
		before []func(*grant.Record)
		want   *grant.Grant // state, reason, since and times; nil: nothing changes
		told   []string     // announced
	}{
		{"active", nil, nil, nil},
		{"revoked", []func(*grant.Record){func(r *grant.Record) { r.Revoke("a", grant.ReasonInvalidGrant, start) }}, nil, nil},
		{"refused by Login with Amazon", []func(*grant.Record){refusedAt(90)}, nil, nil},
		{"of another client", []func(*grant.Record){func(r *grant.Record) { r.CannotRefresh("a", grant.ReasonOtherClient, start) }},
			&active, nil},
		{"unreadable", []func(*grant.Record){func(r *grant.Record) { r.CannotRefresh("a", grant.ReasonUnreadable, start) }},
			&active, []string{"recovered a EU 1"}},
		{"of another client and refused", []func(*grant.Record){
			refusedAt(90), func(r *grant.Record) { r.CannotRefresh("a", grant.ReasonOtherClient, start) },
		}, nil, nil},
		{"refused by the gateway", []func(*grant.Record){suspect}, &active, []string{"recovered a EU 1"}},
		{"refused by both", []func(*grant.Record){suspect, refusedAt(90)}, &grant.Grant{
			State: grant.Suspect, Reason: grant.ReasonRefreshRefused, Since: now, RefusedAt: start.Add(90 * time.Minute),
			RefreshDue: start.Add(150 * time.Minute), NextTry: start.Add(150 * time.Minute),
		}, []string{"recovered a EU 1"}},
		{"refused by both, by Login with Amazon for long", []func(*grant.Record){suspect, refusedAt(0), refusedAt(60)}, &grant.Grant{
			State: grant.Suspect, Reason: grant.ReasonRefreshRefused, Since: now, RefusedAt: start,
			RefreshDue: start.Add(25 * time.Hour), NextTry: now.Add(time.Hour), // events are not held back for a day
		}, []string{"recovered a EU 1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			do(&r, test.before)
			r.Announced(r.Announce, start)
			before := r.Clone()
			r.Recover("a", now, due)
			if test.want == nil {
				if diff := cmp.Diff(before, r); diff != "" {
					t.Errorf("it changed (-was +now):\n%s", diff)
				}
				return
			}
			want := before.Grants["a"]
			want.State, want.Reason, want.Since, want.RefusedAt = test.want.State, test.want.Reason, test.want.Since, test.want.RefusedAt
			want.RefreshDue, want.NextTry, want.Failures, want.ToldAt = test.want.RefreshDue, test.want.NextTry, 0, time.Time{}
			if diff := cmp.Diff(want, r.Grants["a"]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.told, kinds(r)); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
			r.Announced(r.Announce, now)
			if !r.RefreshDue.Equal(want.RefreshDue) {
				t.Errorf("the sweep looks at the record at %v, want %v", r.RefreshDue, want.RefreshDue)
			}
		})
	}
}
