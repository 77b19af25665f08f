package grant_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// one is a record with one grant, whose announcement has been made.
func one() grant.Record {
	r := grant.New(key)
	r.Link("a", alexa.EU, "", tokens(1), start)
	r.Announced(r.Announce, start)
	return r
}

func TestFailedRefreshesComeSeldomer(t *testing.T) {
	t.Parallel()
	r, now := one(), start
	for try, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		r.RefreshFailed("a", now)
		if got := r.RefreshDue.Sub(now); got < want*time.Minute || got > want*time.Minute*5/4 || !r.Grants["a"].RefreshDue.Equal(r.RefreshDue) {
			t.Errorf("after failure %d: due in %v, want %v", try+1, got, want*time.Minute)
		}
		now = r.RefreshDue
	}
	r.Refreshed("a", r.Grants["a"], tokens(2), now)
	if r.Grants["a"].Failures != 0 {
		t.Error("a success forgets the failures")
	}
}

// TestFailuresSpread: what failed together must not come back together.
func TestFailuresSpread(t *testing.T) {
	t.Parallel()
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
	r.ProbeFailed("a", grant.ReasonUnauthorized, start)
	r.Announced(r.Announce, start)
	want := r.Grants["a"]
	for i := range 3 {
		now := start.Add(time.Duration(i) * 24 * time.Hour)
		r.RefreshFailed("a", now)
		if pause := r.RefreshDue.Sub(now); pause < time.Hour || pause > 75*time.Minute {
			t.Errorf("due in %v, want about an hour", pause)
		}
		want.RefreshDue = r.RefreshDue
		if diff := cmp.Diff(want, r.Grants["a"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestFailedRefreshOfADoubted is like any other's.
func TestFailedRefreshOfADoubted(t *testing.T) {
	t.Parallel()
	r := one()
	r.RefreshRefused("a", grant.ReasonRefreshRefused, start)
	before := r.Grants["a"]
	r.RefreshFailed("a", start)
	g := r.Grants["a"]
	if pause := g.RefreshDue.Sub(start); pause < 2*time.Minute || pause > 150*time.Second || g.Failures != 2 || g.NextTry != before.NextTry || g.RefusedAt != start {
		t.Errorf("due in %v: %+v", pause, g)
	}
}

func TestRestLeavesTheSweep(t *testing.T) {
	t.Parallel()
	r := one()
	r.Rest("a", start)
	if !r.RefreshDue.IsZero() || r.Grants["a"].State != grant.Active {
		t.Errorf("due %v, %+v", r.RefreshDue, r.Grants["a"])
	}
	r.Refreshed("a", r.Grants["a"], tokens(2), start)
	if r.RefreshDue.IsZero() {
		t.Error("whoever is used again is in the sweep again")
	}
}

func TestLinkIsUse(t *testing.T) {
	t.Parallel()
	r := one()
	if !r.UsedAt.IsZero() {
		t.Errorf("use is noted although nobody asked for it: %v", r.UsedAt)
	}
	r.Used(start)
	r.Link("b", alexa.EU, "", tokens(2), start.Add(time.Hour))
	if !r.UsedAt.Equal(start.Add(time.Hour)) {
		t.Errorf("used at %v", r.UsedAt)
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
	later := start.Add(time.Hour)
	if !r.Restore("a", later) {
		t.Fatal("not restored")
	}
	g := r.Grants["a"]
	if g.Confirms(later.Add(time.Hour)) || !g.RefusedAt.IsZero() || g.Failures != 0 || !g.Since.Equal(later) || !g.ToldAt.Equal(later) {
		t.Errorf("the next refusal must be the first: %+v", g)
	}
	if g.State != grant.Suspect || g.Reason != grant.ReasonRestored || !g.EraseAt.IsZero() || !g.ExpiresAt.IsZero() || !g.RefreshDue.Equal(later) || g.NextTry.After(later) {
		t.Errorf("%+v", g)
	}
	r.Refreshed("a", r.Grants["a"], tokens(2), later)
	if g := r.Grants["a"]; g.State != grant.Active || g.RefreshDue.IsZero() {
		t.Errorf("after a refresh: %+v", g)
	}
	if diff := cmp.Diff([]string{"suspect a EU 1", "recovered a EU 1"}, kinds(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRestoreNeedsTheRefreshToken(t *testing.T) {
	t.Parallel()
	r := one()
	r.Revoke("a", grant.ReasonInvalidGrant, start)
	g := r.Grants["a"]
	g.RefreshToken = nil
	r.Grants["a"] = g
	if r.Restore("a", start) {
		t.Error("restored without a refresh token")
	}
}

func TestRemoveLeavesTheOthers(t *testing.T) {
	t.Parallel()
	r := one()
	r.Link("b", alexa.EU, "", tokens(2), start)
	r.Announced(r.Announce, start)
	due := r.Grants["b"].RefreshDue
	r.Remove("a", start)
	if len(r.Grants) != 1 || !r.RefreshDue.Equal(due) || len(r.Announce) != 0 {
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
		{"a refresh failed just now", func(r *grant.Record) { r.RefreshFailed("a", now) }, true, 0},
		{"refused by the gateway", func(r *grant.Record) { r.Suspect("a", grant.ReasonUnauthorized, start) }, true, 0},
		{"refused by Login with Amazon", func(r *grant.Record) { r.RefreshRefused("a", grant.ReasonRefreshRefused, now) }, true, 0},
		{"proven before", func(r *grant.Record) { r.Prove(grant.ByRelink, now.Add(ago)) }, true, 0},
		{"one suspect and one not", func(r *grant.Record) {
			r.Link("b", alexa.NA, "", tokens(2), start)
			r.Suspect("a", grant.ReasonUnauthorized, start)
		}, true, 0},
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
