package skillevent_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// TestSpouseSurvives: two Amazon accounts of one customer, one of which
// disables the skill. Both grants have to prove themselves; one can.
func TestSpouseSurvives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone, stays := w.link(t, "u-1", "a"), w.link(t, "u-1", "b")
	neighbour := w.link(t, "u-2", "c")
	w.sweep(t) // the second link has made the first grant due
	if due := slices.Concat(w.due(t, "u-1"), w.due(t, "u-2")); len(due) > 0 {
		t.Fatalf("%v are due before anything happens", due)
	}
	w.Forward(time.Minute)

	w.Sim.Disable(alexa.EU, "a")
	w.want(t, "proving", disabled("a", w.Now()))
	if diff := cmp.Diff(slices.Sorted(slices.Values([]string{gone, stays})), w.due(t, "u-1")); diff != "" {
		t.Errorf("due of the customer (-want +got):\n%s", diff)
	}
	for id, g := range w.Read(t, "u-1").Grants {
		if g.State != grant.Active {
			t.Errorf("the event alone has made grant %s %s", id, g.State)
		}
	}
	if due := w.due(t, "u-2"); len(due) > 0 {
		t.Errorf("%v of another customer is due", due)
	}

	counts := w.sweep(t)
	if counts.Refreshed != 1 || counts.Revoked != 1 {
		t.Errorf("the sweep made %+v", counts)
	}
	record := w.Read(t, "u-1")
	if g := record.Grants[gone]; g.State != grant.Revoked || g.Reason != grant.ReasonInvalidGrant {
		t.Errorf("the grant that is gone is %s %s", g.State, g.Reason)
	}
	if g := record.Grants[stays]; g.State != grant.Active || !g.RefreshDue.After(w.Now()) {
		t.Errorf("the spouse's grant is %s, due %v", g.State, g.RefreshDue)
	}
	if g := w.Read(t, "u-2").Grants[neighbour]; g.State != grant.Active || g.TokenVersion != 1 {
		t.Errorf("the neighbour's grant is %s, version %d", g.State, g.TokenVersion)
	}
}

// TestDisabledInEveryState has a grant in each state it can be in when the
// event comes, with the account still linked and with the account gone.
func TestDisabledInEveryState(t *testing.T) {
	t.Parallel()
	refreshed, revoked := refreshtokens.Counts{Refreshed: 1}, refreshtokens.Counts{Revoked: 1}
	tests := []struct {
		name        string
		prepare     func(r *grant.Record, id string, now time.Time)
		alive, gone refreshtokens.Counts // the next sweep
	}{
		{"active", nil, refreshed, revoked},
		{"at rest, the customer idle", func(r *grant.Record, id string, now time.Time) {
			r.Used(now.AddDate(0, -1, 0))
			r.Rest(id, now)
		}, refreshed, revoked},
		{"due, the customer idle", func(r *grant.Record, id string, now time.Time) {
			r.Used(now.AddDate(0, -1, 0))
			r.RefreshFailed(id, now.Add(-time.Hour))
		}, refreshed, revoked},
		{"a refresh has failed", func(r *grant.Record, id string, now time.Time) { r.RefreshFailed(id, now) }, refreshed, revoked},
		{"suspect", func(r *grant.Record, id string, now time.Time) { r.Suspect(id, grant.ReasonSkillDisabled, now) }, refreshed, revoked},
		{"in doubt", func(r *grant.Record, id string, now time.Time) {
			r.RefreshRefused(id, grant.ReasonRefreshUnknown, now)
		}, refreshed, revoked}, // the event is the second witness
		{"revoked", func(r *grant.Record, id string, now time.Time) { r.Revoke(id, grant.ReasonInvalidGrant, now) }, refreshtokens.Counts{}, refreshtokens.Counts{}},
	}
	for _, test := range tests {
		for name, want := range map[string]refreshtokens.Counts{"alive": test.alive, "gone": test.gone} {
			t.Run(test.name+", "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				id := w.link(t, "u-1", "a")
				if test.prepare != nil {
					w.Change(t, "u-1", func(r *grant.Record) {
						test.prepare(r, id, w.Now())
						r.Announced(r.Announce, w.Now())
					})
				}
				if name == "gone" {
					w.Sim.Disable(alexa.EU, "a")
				}
				w.handle(t, disabled("a", w.Now()))
				want.Failed = map[string]int{}
				if diff := cmp.Diff(want, w.sweep(t)); diff != "" {
					t.Errorf("the sweep (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestEventsThatDoNoHarm are doubled, late and out of order. Whatever comes,
// the grant that works stays, and each end is announced once.
func TestEventsThatDoNoHarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.link(t, "u-1", "a")
	w.Forward(time.Minute)
	left := w.Now()
	w.Sim.Disable(alexa.EU, "a")
	for range 3 {
		w.want(t, "proving", disabled("a", left))
	}
	if counts := w.sweep(t); counts.Revoked != 1 || counts.Refreshed != 0 {
		t.Errorf("the first sweep: %+v", counts)
	}
	w.want(t, "nothing", disabled("a", left))

	w.Forward(time.Minute)
	again := w.link(t, "u-1", "a")
	for range 2 {
		w.want(t, "proving", disabled("a", left)) // late: the customer has come back
	}
	w.want(t, "learned", linked("a", "grantee-u-1", left.Add(-time.Minute)))
	if counts := w.sweep(t); counts.Revoked != 0 || counts.Refreshed != 1 {
		t.Errorf("the second sweep: %+v", counts)
	}
	record := w.Read(t, "u-1")
	if record.Grants[old].State != grant.Revoked || record.Grants[again].State != grant.Active || len(record.Grants) != 2 {
		t.Errorf("%+v", record.Grants)
	}
	if at := w.account(t, "a").LinkedAt; !at.Equal(w.Now()) {
		t.Errorf("the account was linked at %v, says an event that came late", at)
	}
}

// TestDisabledFollowsTheAccount: it is the customer who has the account now
// whose grants have to prove themselves.
func TestDisabledFollowsTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.link(t, "u-1", "a")
	w.Forward(time.Minute)
	second := w.link(t, "u-2", "a")
	w.want(t, "proving", disabled("a", w.Now()))
	if due := w.due(t, "u-1"); len(due) > 0 {
		t.Errorf("%v of the former customer is due", due)
	}
	if diff := cmp.Diff([]string{second}, w.due(t, "u-2")); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
}

// TestUnlinkedAccountExpires: Amazon makes another id for the next enablement,
// so this one means nothing after a while; until then events come late and
// doubled.
func TestUnlinkedAccountExpires(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	w := newWorld(t)
	w.link(t, "u-1", "a")
	if account := w.account(t, "a"); !account.ExpireAt.IsZero() {
		t.Errorf("expires at %v although it is linked", account.ExpireAt)
	}
	w.want(t, "proving", disabled("a", w.Now()))
	expires := w.Now().Add(week)
	w.Forward(time.Hour)
	w.want(t, "proving", disabled("a", w.Now())) // doubled
	if account := w.account(t, "a"); !account.ExpireAt.Equal(expires) {
		t.Errorf("expires at %v, want %v", account.ExpireAt, expires)
	}
	w.Forward(week)
	w.want(t, "unknown", disabled("a", w.Now()))

	// The token of an event that comes after all, or of the same account again.
	w.want(t, "learned", linked("a", "grantee-u-1", w.Now()))
	if account := w.account(t, "a"); !account.ExpireAt.IsZero() {
		t.Errorf("expires at %v although it is linked again", account.ExpireAt)
	}
	w.want(t, "proving", disabled("a", w.Now()))
}
