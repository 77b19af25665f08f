package grant_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
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
	if !r.RefreshDue.Equal(start.Add(40 * time.Minute)) {
		t.Errorf("due %v: not when the grant is", r.RefreshDue)
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
	if g := r.Grants["a"]; g.State != grant.Active || !g.RefreshDue.Equal(start.Add(2*time.Minute)) {
		t.Errorf("the older grant is %s and due %v; it must stay active and be due now", g.State, g.RefreshDue)
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
			r.Doubt("2", "x", start, start)
			r.Revoke("5", "x", start)
			r.Revoke("6", "x", start)
		}, []string{"relinked new EU 7"}},
		{"suspect before active", "4", func(r *grant.Record) { r.Doubt("4", "x", start, start) }, []string{"revoked 4 EU 8", "relinked new EU 8"}},
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

func TestRefreshedEndsLeaseAndDoubt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		before    func(*grant.Record)
		announced []string
	}{
		{"active", func(*grant.Record) {}, nil},
		{"unknown outcome", func(r *grant.Record) {
			r.Doubt("a", grant.ReasonRefreshUnknown, start, start.Add(2*time.Minute))
		}, []string{"suspect a EU 1", "recovered a EU 1"}},
		{"revoked from the same tokens", func(r *grant.Record) { r.Revoke("a", grant.ReasonInvalidGrant, start) }, []string{"revoked a EU 0", "recovered a EU 1"}},
	}
	for _, test := range tests {
		r := grant.New(key)
		r.Link("a", alexa.EU, "", tokens(1), start)
		r.Announced(r.Announce, start)
		r.Take("a", "me", start.Add(time.Minute))
		test.before(&r)
		r.Refreshed("a", tokens(2), start.Add(time.Second))
		g := r.Grants["a"]
		if g.State != grant.Active || g.TokenVersion != 2 || g.Lease != (grant.Lease{}) || string(g.AccessToken) != "sealed-access-2" || !g.EraseAt.IsZero() || !g.NextTry.IsZero() || g.Failures != 0 {
			t.Errorf("%s: %+v", test.name, g)
		}
		if diff := cmp.Diff(test.announced, kinds(r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestRevokeKeepsOnlyTheRefreshToken(t *testing.T) {
	t.Parallel()
	r := grant.New(key)
	r.Link("a", alexa.EU, "", tokens(1), start)
	r.Link("b", alexa.EU, "", tokens(2), start)
	r.Announced(r.Announce, start)
	r.Revoke("a", grant.ReasonInvalidGrant, start)
	g := r.Grants["a"]
	if g.State != grant.Revoked || g.AccessToken != nil || g.RefreshToken == nil || !g.RefreshDue.IsZero() || !g.EraseAt.Equal(start.Add(7*24*time.Hour)) {
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
	for _, k := range []grant.Key{{Skill: "a", UserID: "bc"}, {Skill: "ab", UserID: "c"}, {Skill: "", UserID: "abc"}, {Skill: "abc", UserID: ""}} {
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

func TestChangeLosesNoEdit(t *testing.T) {
	t.Parallel()
	store := grantmem.New()
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			_, err := grant.Change(context.Background(), store, key, func(r *grant.Record) error {
				r.Link(fmt.Sprint(i), alexa.EU, "", tokens(i), start)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	record, err := store.Read(context.Background(), key)
	if err != nil || len(record.Grants) != 5 || len(record.Announce) != 5 {
		t.Errorf("%d grants, %d announcements, %v", len(record.Grants), len(record.Announce), err)
	}
}

// contested is a store whose every write loses the race.
type contested struct {
	grant.Store
	writes int
}

func (c *contested) Write(context.Context, grant.Record, grant.Record) (grant.Record, error) {
	c.writes++
	return grant.Record{}, fmt.Errorf("wrapped: %w", grant.ErrConflict)
}

func TestChangeGivesUp(t *testing.T) {
	t.Parallel()
	edit := func(r *grant.Record) error { r.UsedAt = start; return nil }
	store := &contested{Store: grantmem.New()}
	if _, err := grant.Change(context.Background(), store, key, edit); !errors.Is(err, grant.ErrConflict) || store.writes != 10 {
		t.Errorf("%v after %d writes", err, store.writes)
	}
	ctx, cancel := context.WithCancel(context.Background())
	store = &contested{Store: grantmem.New()}
	_, err := grant.Change(ctx, store, key, func(r *grant.Record) error { cancel(); return edit(r) })
	if !errors.Is(err, context.Canceled) || store.writes != 1 {
		t.Errorf("cancelled: %v after %d writes", err, store.writes)
	}
	mine := errors.New("mine")
	if _, err := grant.Change(context.Background(), grantmem.New(), key, func(*grant.Record) error { return mine }); err != mine {
		t.Errorf("edit's error came back as %v", err)
	}
}
