package grant_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key   = grant.Key{Skill: "default", UserID: "u-1"}
)

func tokens(n int) grant.Tokens {
	return grant.Tokens{
		AccessToken: fmt.Appendf(nil, "sealed-access-%d", n), RefreshToken: fmt.Appendf(nil, "sealed-refresh-%d", n), ClientID: "client",
		ExpiresAt: start.Add(time.Hour), RefreshDue: start.Add(40 * time.Minute),
	}
}

// do makes changes one after the other.
func do(r *grant.Record, changes []func(*grant.Record)) {
	for _, change := range changes {
		change(r)
	}
}

// kinds are the types of the pending announcements, with what is left.
func kinds(r grant.Record) []string {
	var list []string
	for _, a := range r.Announce {
		list = append(list, fmt.Sprintf("%s %s %s %d", a.Type, a.GrantID, a.Region, a.ActiveGrants))
	}
	return list
}

func TestLink(t *testing.T) {
	t.Parallel()
	r := grant.New(key)
	r.Link("a", alexa.EU, "", tokens(1), start)
	if diff := cmp.Diff([]string{"linked a EU 1"}, kinds(r)); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	r.Announced(r.Announce, start)
	if !r.RefreshDue.Equal(start.Add(40*time.Minute)) || !r.UsedAt.IsZero() {
		t.Errorf("due %v, not when the grant is; used at %v", r.RefreshDue, r.UsedAt)
	}

	r.Link("a", alexa.EU, "", tokens(9), start.Add(time.Minute))
	if string(r.Grants["a"].AccessToken) != "sealed-access-1" || len(r.Announce) != 0 {
		t.Error("the same code again changed the grant")
	}

	r.Link("b", alexa.EU, "", tokens(2), start.Add(time.Minute))
	r.Link("c", alexa.NA, "", tokens(3), start.Add(2*time.Minute))
	if diff := cmp.Diff([]string{"relinked b EU 2", "linked c NA 1"}, kinds(r)); diff != "" {
		t.Errorf("more (-want +got):\n%s", diff)
	}
	if g := r.Grants["a"]; g.State != grant.Active || !g.RefreshDue.Equal(start.Add(time.Minute)) {
		t.Errorf("the older grant is %s and due %v; want it active, and due when its region was linked again", g.State, g.RefreshDue)
	}
	r.Used(start) // only then it is noted
	if r.Link("d", alexa.NA, "", tokens(4), start.Add(time.Hour)); !r.UsedAt.Equal(start.Add(time.Hour)) {
		t.Errorf("used at %v: a link is use", r.UsedAt)
	}
	if r.Region != alexa.NA || r.Grants["a"].Region != alexa.EU {
		t.Error("regions: the record has the newest grant's, each grant its own")
	}
}

func TestNinthGrantReplacesTheLeastUseful(t *testing.T) {
	t.Parallel()
	full := func(change func(*grant.Record)) grant.Record {
		r := grant.New(key)
		for i := range grant.MaxGrants {
			r.Link(fmt.Sprint(i), alexa.EU, "", tokens(i), start.Add(time.Duration(i)*time.Minute))
		}
		change(&r)
		r.Announced(r.Announce, start)
		r.Link("new", alexa.EU, "", tokens(99), start.Add(time.Hour))
		return r
	}
	tests := []struct {
		name, gone string
		change     func(*grant.Record)
		announced  []string
	}{
		{"revoked before suspect", "5", func(r *grant.Record) {
			r.Suspect("2", "x", start)
			r.Revoke("5", "x", start)
			r.Revoke("6", "x", start)
		}, []string{"relinked new EU 7"}},
		{"suspect before active", "4", func(r *grant.Record) { r.Suspect("4", "x", start) }, []string{"revoked 4 EU 8", "relinked new EU 8"}},
		{"oldest", "0", func(*grant.Record) {}, []string{"revoked 0 EU 8", "relinked new EU 8"}},
	}
	for _, test := range tests {
		r := full(test.change)
		if _, ok := r.Grants[test.gone]; ok || len(r.Grants) != grant.MaxGrants {
			t.Errorf("%s: %d grants are left, and %s among them: %v", test.name, len(r.Grants), test.gone, ok)
		}
		if diff := cmp.Diff(test.announced, kinds(r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestRelink has what becomes of the older grant when a customer links again.
func TestRelink(t *testing.T) {
	t.Parallel()
	now := start.Add(10 * time.Minute)
	tests := []struct {
		name       string
		older, new string // Amazon accounts
		region     alexa.Region
		before     func(*grant.Record)
		want       string // replaced, untouched, or in doubt
	}{
		{"both unknown", "", "", alexa.EU, nil, "in doubt"},
		{"the older unknown", "", "x", alexa.EU, nil, "in doubt"},
		{"the new one unknown", "x", "", alexa.EU, nil, "in doubt"},
		{"the same account", "x", "x", alexa.EU, nil, "replaced"},
		{"another account", "x", "y", alexa.EU, nil, "untouched"},
		{"both unknown in another region", "", "", alexa.NA, nil, "untouched"},
		{"the same account in another region", "x", "x", alexa.NA, nil, "untouched"},
		{"suspect", "", "", alexa.EU, func(r *grant.Record) { r.Suspect("a", grant.ReasonUnauthorized, start) }, "in doubt"},
		{"at rest", "", "", alexa.EU, func(r *grant.Record) { r.Rest("a", start) }, "in doubt"},
		{"revoked", "", "", alexa.EU, func(r *grant.Record) { r.Revoke("a", grant.ReasonInvalidGrant, start) }, "untouched"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := grant.New(key)
			r.Link("a", alexa.EU, test.older, tokens(1), start)
			if test.before != nil {
				test.before(&r)
			}
			r.Announced(r.Announce, start)
			want, stays := r.Grants["a"], test.want != "replaced"
			if test.want == "in doubt" {
				want.RefreshDue, want.UnprovenSince, want.Witness = now, now, grant.Witness{By: grant.ByRelink, At: now}
			}
			r.Link("b", test.region, test.new, tokens(2), now)
			got, ok := r.Grants["a"]
			if diff := cmp.Diff(want, got); ok != stays || ok && diff != "" {
				t.Errorf("the older grant stays: %t, want %t (-want +got):\n%s", ok, stays, diff)
			}
			if g := r.Grants["b"]; g.State != grant.Active || g.Witness != (grant.Witness{}) || !g.UnprovenSince.IsZero() {
				t.Errorf("the new grant is %+v", g)
			}
			r.Announced(r.Announce, now)
			if test.want == "in doubt" && !r.RefreshDue.Equal(now) {
				t.Errorf("the sweep looks at the record at %v, want now", r.RefreshDue)
			}
		})
	}
}

// TestRefreshed has what a saved refresh makes of a grant: what was known when
// Login with Amazon was asked is settled, what was noted since is not.
func TestRefreshed(t *testing.T) {
	t.Parallel()
	asked := start.Add(10 * time.Minute)
	between, now := asked.Add(time.Second), asked.Add(5*time.Second)
	due := start.Add(50 * time.Minute) // of the new tokens
	refused := func(r *grant.Record) { r.RefreshRefused("a", grant.ReasonRefreshRefused, asked) }
	disabled := func(at time.Time) func(*grant.Record) {
		return func(r *grant.Record) { r.Prove(grant.BySkillEvent, at) }
	}
	relink := func(at time.Time) func(*grant.Record) {
		return func(r *grant.Record) { r.Link("b", alexa.EU, "", tokens(3), at); r.Announced(r.Announce, at) }
	}
	type outcome struct {
		State     grant.State
		Reason    string
		Due       time.Time
		Witness   grant.Witness
		Unproven  time.Time
		Told      bool
		Announced []string
	}
	active := outcome{State: grant.Active, Due: due}
	with := func(change func(*outcome)) outcome { o := active; change(&o); return o }
	tests := []struct {
		name              string
		before, meanwhile []func(*grant.Record) // before Login with Amazon was asked, and since
		want              outcome
	}{
		{"active", nil, nil, active},
		{"at rest", []func(*grant.Record){func(r *grant.Record) { r.Rest("a", start) }}, nil, active},
		{"refused", []func(*grant.Record){refused}, nil, active},
		{"refused and told", []func(*grant.Record){refused, func(r *grant.Record) { r.Tell("a", start) }}, nil,
			with(func(o *outcome) { o.Announced = []string{"suspect a EU 1", "recovered a EU 1"} })},
		{"of another client", []func(*grant.Record){func(r *grant.Record) { r.CannotRefresh("a", grant.ReasonOtherClient, start) }}, nil, active},
		{"unreadable", []func(*grant.Record){func(r *grant.Record) { r.CannotRefresh("a", grant.ReasonUnreadable, start) }}, nil,
			with(func(o *outcome) { o.Announced = []string{"suspect a EU 1", "recovered a EU 1"} })},
		{"refused meanwhile", nil, []func(*grant.Record){refused}, active},
		{"failed meanwhile", nil, []func(*grant.Record){func(r *grant.Record) { r.RefreshFailed("a", asked) }}, active},
		{"revoked meanwhile", nil, []func(*grant.Record){func(r *grant.Record) { r.Revoke("a", "x", between) }},
			with(func(o *outcome) { o.Announced = []string{"revoked a EU 0", "recovered a EU 1"} })},

		{"a skill event before", []func(*grant.Record){disabled(asked)}, nil, active},
		{"a skill event meanwhile", nil, []func(*grant.Record){disabled(between)},
			with(func(o *outcome) { o.Due, o.Witness = between, grant.Witness{By: grant.BySkillEvent, At: between} })},
		{"a skill event before and another meanwhile", []func(*grant.Record){disabled(asked)}, []func(*grant.Record){disabled(between)},
			with(func(o *outcome) { o.Due, o.Witness = asked, grant.Witness{By: grant.BySkillEvent, At: between} })},
		{"a relink before", []func(*grant.Record){relink(asked)}, nil, active},
		{"a relink meanwhile", nil, []func(*grant.Record){relink(between)}, with(func(o *outcome) {
			o.Due, o.Unproven, o.Witness = between, between, grant.Witness{By: grant.ByRelink, At: between}
		})},
		{"a relink before and a skill event meanwhile", []func(*grant.Record){relink(asked)}, []func(*grant.Record){disabled(between)},
			with(func(o *outcome) { o.Due, o.Witness = asked, grant.Witness{By: grant.BySkillEvent, At: between} })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			do(&r, test.before)
			r.Take("a", "me", asked.Add(time.Minute))
			was := r.Grants["a"]
			do(&r, test.meanwhile)
			fresh := tokens(2)
			fresh.RefreshDue = due
			r.Refreshed("a", was, fresh, now)
			g := r.Grants["a"]
			got := outcome{g.State, g.Reason, g.RefreshDue, g.Witness, g.UnprovenSince, !g.ToldAt.IsZero(), kinds(r)}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if g.TokenVersion != 2 || g.Lease != (grant.Lease{}) || string(g.AccessToken) != "sealed-access-2" ||
				!g.EraseAt.IsZero() || !g.RefusedAt.IsZero() || !g.NextTry.IsZero() || g.Failures != 0 {
				t.Errorf("%+v", g)
			}
		})
	}
}

// TestRefreshedDoesNotMendTheGateway has grants that the gateway refuses, which
// a refresh leaves suspect, with the time of their probe, for about a day.
func TestRefreshedDoesNotMendTheGateway(t *testing.T) {
	t.Parallel()
	now := start.Add(time.Hour)
	day := func(due time.Time) bool {
		return !due.Before(now.Add(24*time.Hour)) && !due.After(now.Add(30*time.Hour))
	}
	suspect := func(r *grant.Record) {
		r.Suspect("a", grant.ReasonUnauthorized, start)
		r.ProbeFailed("a", grant.ReasonUnauthorized, start)
	}
	refused := func(r *grant.Record) { r.RefreshRefused("a", grant.ReasonRefreshRefused, start) }
	disabled := func(r *grant.Record) { r.Prove(grant.BySkillEvent, now.Add(-time.Second)) }
	tests := []struct {
		name              string
		before, meanwhile []func(*grant.Record)
		due               func(time.Time) bool
		witness           bool
	}{
		{"suspect", []func(*grant.Record){suspect}, nil, day, false},
		{"and refused", []func(*grant.Record){suspect, refused}, nil, day, false},
		{"proven", []func(*grant.Record){suspect, disabled}, nil, day, false},
		{"suspect meanwhile", nil, []func(*grant.Record){suspect}, day, false},
		{"a skill event meanwhile", []func(*grant.Record){suspect}, []func(*grant.Record){disabled}, now.Add(-time.Second).Equal, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			do(&r, test.before)
			was := r.Grants["a"]
			do(&r, test.meanwhile)
			before := r.Clone()
			r.Refreshed("a", was, tokens(2), now)
			g := r.Grants["a"]
			if !test.due(g.RefreshDue) || !g.RefusedAt.IsZero() || g.Witness != (grant.Witness{}) != test.witness || g.TokenVersion != 2 {
				t.Errorf("due in %v: %+v", g.RefreshDue.Sub(now), g)
			}
			refreshed := cmpopts.IgnoreFields(grant.Grant{}, "AccessToken", "RefreshToken", "ExpiresAt", "TokenVersion", "RefreshDue",
				"RefusedAt", "Witness")
			if diff := cmp.Diff(before.Grants["a"], g, refreshed); diff != "" {
				t.Errorf("the suspicion changed (-was +now):\n%s", diff)
			}
			if diff := cmp.Diff(kinds(before), kinds(r)); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRevokeKeepsOnlyTheRefreshToken(t *testing.T) {
	t.Parallel()
	r := grant.New(key)
	r.Link("a", alexa.EU, "", tokens(1), start)
	r.Link("b", alexa.EU, "", tokens(2), start)
	r.Suspect("a", grant.ReasonUnauthorized, start)
	r.Announced(r.Announce, start)
	r.Revoke("a", grant.ReasonInvalidGrant, start)
	g := r.Grants["a"]
	if g.State != grant.Revoked || !g.UnprovenSince.IsZero() || !g.ToldAt.IsZero() {
		t.Errorf("a revoked grant is neither unproven nor suspect: %+v", g)
	}
	if g.AccessToken != nil || g.RefreshToken == nil || !g.RefreshDue.IsZero() || !g.EraseAt.Equal(start.Add(7*24*time.Hour)) {
		t.Errorf("%+v", g)
	}
	r.Revoke("b", grant.ReasonInvalidGrant, start)
	if diff := cmp.Diff([]string{"revoked a EU 1", "revoked b EU 0"}, kinds(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !r.RefreshDue.Equal(start) {
		t.Error("a record whose messages wait must be due, so that the sweep publishes them")
	}
	r.Announced(r.Announce, start)
	if !r.RefreshDue.Equal(start.Add(7*24*time.Hour)) || r.Announce != nil {
		t.Errorf("the sweep has to remove what is left of them: due %v, announces %v", r.RefreshDue, r.Announce)
	}
}

func TestRefreshDueIsSpread(t *testing.T) {
	t.Parallel()
	expires := start.Add(time.Hour)
	for draw, want := range map[float64]time.Duration{0: 50 * time.Minute, 0.5: 40 * time.Minute, 1: 30 * time.Minute} {
		if got := grant.RefreshDue(expires, draw).Sub(start); got != want {
			t.Errorf("draw %v: due after %v, want %v", draw, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	ids := map[string]string{}
	for _, k := range []grant.Key{{Skill: "a", UserID: "bc"}, {Skill: "ab", UserID: "c"}, {UserID: "abc"}, {Skill: "abc"}} {
		id := k.ID()
		if other, taken := ids[id]; taken || len(id) != 64 {
			t.Errorf("%+v has the id of %s: %s", k, other, id)
		}
		ids[id] = fmt.Sprint(k)
		if b := k.Bucket(); b < 0 || b >= grant.Buckets || fmt.Sprintf("%02x", b) != id[62:] {
			t.Errorf("bucket %d of id %s", b, id)
		}
	}
	if grant.ID(alexa.EU, "s", "c") == grant.ID(alexa.NA, "s", "c") || grant.ID(alexa.EU, "s", "c") == grant.ID(alexa.EU, "s", "d") {
		t.Error("grant ids collide")
	}
	// echo -n u-1 | sha256sum
	if got := grant.CustomerHash("u-1"); got != "a24a7f55f278dd49" {
		t.Errorf("CustomerHash = %s", got)
	}
}

// one is a record with one grant, whose announcement has been made.
func one() grant.Record {
	r := grant.New(key)
	r.Link("a", alexa.EU, "", tokens(1), start)
	r.Announced(r.Announce, start)
	return r
}

// TestFailedRefreshesComeSeldomer: those of a doubted grant like any other's. What
// failed together must not come back together.
func TestFailedRefreshesComeSeldomer(t *testing.T) {
	t.Parallel()
	for name, doubt := range map[string]bool{"active": false, "doubted": true} {
		r, now := one(), start
		pauses := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
		if doubt {
			r.RefreshRefused("a", grant.ReasonRefreshRefused, start)
			pauses = pauses[1:] // it has failed once
		}
		before := r.Grants["a"]
		for try, want := range pauses {
			r.RefreshFailed("a", now)
			g := r.Grants["a"]
			if got := r.RefreshDue.Sub(now); got < want*time.Minute || got > want*time.Minute*5/4 || !g.RefreshDue.Equal(r.RefreshDue) {
				t.Errorf("%s, after failure %d: due in %v, want %v", name, try+1, got, want*time.Minute)
			}
			if g.Failures != before.Failures+try+1 || g.NextTry != before.NextTry || g.RefusedAt != before.RefusedAt {
				t.Errorf("%s: %+v, was %+v", name, g, before)
			}
			now = r.RefreshDue
		}
	}
	times := make(map[time.Time]bool)
	for i := range 64 {
		id := grant.ID(alexa.EU, "s", fmt.Sprint(i))
		r := grant.New(key)
		r.Link(id, alexa.EU, "", tokens(1), start)
		r.RefreshFailed(id, start)
		times[r.Grants[id].RefreshDue] = true
	}
	if len(times) < 32 {
		t.Errorf("64 failures come back at %d times", len(times))
	}
}

// TestFailedRefreshIsNoProbe: a grant that the gateway refuses, and that could
// not be refreshed, keeps the times of its probes.
func TestFailedRefreshIsNoProbe(t *testing.T) {
	t.Parallel()
	r := one()
	r.Suspect("a", grant.ReasonUnauthorized, start)
	r.Announced(r.Announce, start)
	want := r.Grants["a"]
	for range 3 {
		r.RefreshFailed("a", start)
		if pause := r.RefreshDue.Sub(start); pause < time.Hour || pause > 75*time.Minute {
			t.Errorf("due in %v, want about an hour", pause)
		}
		want.RefreshDue = r.RefreshDue
		if diff := cmp.Diff(want, r.Grants["a"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestRestoreWaitsForProof(t *testing.T) {
	t.Parallel()
	r := one()
	if r.Restore("a", start) || r.Restore("b", start) {
		t.Error("restored what was not revoked")
	}
	r.RefreshRefused("a", grant.ReasonRefreshRefused, start)
	r.Prove(grant.BySkillEvent, start)
	r.Revoke("a", grant.ReasonInvalidGrant, start)
	r.Announced(r.Announce, start)
	erased := r.Clone()
	edit(&erased, "a", func(g *grant.Grant) { g.RefreshToken = nil })
	later := start.Add(time.Hour)
	if erased.Restore("a", later) {
		t.Error("restored without a refresh token")
	}
	if !r.Restore("a", later) {
		t.Fatal("not restored")
	}
	g := r.Grants["a"]
	if g.Confirms(later.Add(time.Hour)) || !g.RefusedAt.IsZero() || g.Failures != 0 || !g.Since.Equal(later) || !g.ToldAt.Equal(later) {
		t.Errorf("the next refusal must be the first: %+v", g)
	}
	if g.State != grant.Suspect || g.Reason != grant.ReasonRestored || !g.EraseAt.IsZero() || !g.ExpiresAt.IsZero() {
		t.Errorf("%+v", g)
	}
	if !g.RefreshDue.Equal(later) || g.NextTry.After(later) {
		t.Errorf("due at %v, tried at %v", g.RefreshDue, g.NextTry)
	}
	r.Refreshed("a", r.Grants["a"], tokens(2), later)
	if g := r.Grants["a"]; g.State != grant.Active || g.RefreshDue.IsZero() {
		t.Errorf("after a refresh: %+v", g)
	}
	if diff := cmp.Diff([]string{"suspect a EU 1", "recovered a EU 1"}, kinds(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRemoveLeavesTheOthers(t *testing.T) {
	t.Parallel()
	r := one()
	r.Link("b", alexa.EU, "", tokens(2), start)
	r.Announced(r.Announce, start)
	r.Remove("a", start)
	if len(r.Grants) != 1 || !r.RefreshDue.Equal(r.Grants["b"].RefreshDue) || len(r.Announce) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestProve makes due whatever may be alive, and the next refusal of it final.
func TestProve(t *testing.T) {
	t.Parallel()
	const ago = -time.Minute
	now := start.Add(10 * time.Minute)
	tests := []struct {
		name  string
		edit  func(*grant.Record)
		found bool
		want  time.Duration // from now to when the sweep looks at the record
	}{
		{"active", func(*grant.Record) {}, true, 0},
		{"at rest", func(r *grant.Record) { r.Rest("a", start) }, true, 0},
		{"overdue", func(r *grant.Record) { edit(r, "a", func(g *grant.Grant) { g.RefreshDue = now.Add(ago) }) }, true, 0},
		{"refused by the gateway", func(r *grant.Record) { r.Suspect("a", grant.ReasonUnauthorized, start) }, true, 0},
		{"refused by Login with Amazon", func(r *grant.Record) { r.RefreshRefused("a", grant.ReasonRefreshRefused, now) }, true, 0},
		{"proven before", func(r *grant.Record) { r.Prove(grant.ByRelink, now.Add(ago)) }, true, 0},
		{"one revoked and one not", func(r *grant.Record) {
			r.Link("b", alexa.EU, "", tokens(2), start)
			r.Revoke("a", grant.ReasonInvalidGrant, start)
		}, true, 0},
		{"revoked", func(r *grant.Record) { r.Revoke("a", grant.ReasonInvalidGrant, now) }, false, grant.KeepRevoked},
		{"no grants", func(r *grant.Record) { r.Remove("a", start) }, false, time.Time{}.Sub(now)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			r.Used(start)
			test.edit(&r)
			r.Announced(r.Announce, now)
			before := r.Clone()
			if got := r.Prove(grant.BySkillEvent, now); got != test.found {
				t.Errorf("found one: %t, want %t", got, test.found)
			}
			if got := r.RefreshDue.Sub(now); got != test.want {
				t.Errorf("due in %v, want %v", got, test.want)
			}
			if !test.found {
				if diff := cmp.Diff(before, r); diff != "" {
					t.Errorf("it changed (-was +now):\n%s", diff)
				}
				return
			}
			if !r.UsedAt.Equal(now) {
				t.Errorf("used at %v, want now, or the sweep puts the grant to rest", r.UsedAt)
			}
			again := r.Clone()
			again.Prove(grant.BySkillEvent, now)
			if diff := cmp.Diff(r, again); diff != "" {
				t.Errorf("a second time makes a difference (-once +twice):\n%s", diff)
			}
			for id, got := range r.Grants {
				want := before.Grants[id]
				if want.State != grant.Revoked {
					want.RefreshDue, want.Witness = got.RefreshDue, grant.Witness{By: grant.BySkillEvent, At: now}
					if got.RefreshDue.IsZero() || got.RefreshDue.After(now) || got.Waits(now) || !got.Confirms(now) {
						t.Errorf("%s is not proven now: %+v", id, got)
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("more than that changed of %s (-want +got):\n%s", id, diff)
				}
			}
			if len(r.Announce) > 0 {
				t.Errorf("it announces %v: nothing is known yet", kinds(r))
			}
		})
	}
}
