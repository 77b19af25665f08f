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
	r.Refreshed("a", tokens(2), now)
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

func TestRestLeavesTheSweep(t *testing.T) {
	t.Parallel()
	r := one()
	r.Rest("a", start)
	if !r.RefreshDue.IsZero() || r.Grants["a"].State != grant.Active {
		t.Errorf("due %v, %+v", r.RefreshDue, r.Grants["a"])
	}
	r.Refreshed("a", tokens(2), start)
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
	r.Revoke("a", grant.ReasonInvalidGrant, start)
	r.Announced(r.Announce, start)
	later := start.Add(time.Hour)
	if !r.Restore("a", later) {
		t.Fatal("not restored")
	}
	g := r.Grants["a"]
	if g.State != grant.Suspect || g.Reason != grant.ReasonRestored || !g.EraseAt.IsZero() || !g.ExpiresAt.IsZero() || !g.RefreshDue.Equal(later) || g.NextTry.After(later) {
		t.Errorf("%+v", g)
	}
	r.Refreshed("a", tokens(2), later)
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
