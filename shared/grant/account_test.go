package grant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
)

const amazonUser = "amzn1.ask.account.fake"

// TestAccountDocument has the names that deployed stacks hold, and no id of
// Amazon's.
func TestAccountDocument(t *testing.T) {
	t.Parallel()
	account := grant.NewAccount(grant.AccountKey{Skill: "default", AmazonUser: amazonUser}, key, start)
	want := map[string]any{"customer": key.ID(), "userId": "u-1", "skill": "default", "linkedAt": start, "expireAt": start.Add(time.Hour)}
	account.ExpireAt = start.Add(time.Hour)
	if diff := cmp.Diff(want, account.Document()); diff != "" {
		t.Errorf("Document() (-want +got):\n%s", diff)
	}
	if id := account.ID; len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		t.Errorf("the id is %q, want 32 hex digits", id)
	}
	if account.Key() != key {
		t.Errorf("the customer is %+v, want %+v", account.Key(), key)
	}
}

// TestAccountIDs are fixed for ever: they are computed anew from each event.
func TestAccountIDs(t *testing.T) {
	t.Parallel()
	seen := make(map[string]grant.AccountKey)
	for _, k := range []grant.AccountKey{
		{Skill: "a", AmazonUser: "bc"}, {Skill: "ab", AmazonUser: "c"}, {Skill: "", AmazonUser: "abc"}, {Skill: "abc"}, {Skill: "a", AmazonUser: "BC"},
	} {
		if other, ok := seen[k.ID()]; ok {
			t.Errorf("%+v and %+v have one id", k, other)
		}
		seen[k.ID()] = k
	}
	if got, want := (grant.AccountKey{Skill: "default", AmazonUser: amazonUser}).ID(), "b5aa8da8d90efc3c953ba86053fb0cd9"; got != want {
		t.Errorf("the id is %s, want %s", got, want)
	}
	if (grant.AccountKey{Skill: "default", AmazonUser: amazonUser}).ID() == grant.AmazonUserHash(amazonUser) {
		t.Error("an account has the id that a grant has for its Amazon account, which is of another kind")
	}
}

func TestAccountLives(t *testing.T) {
	t.Parallel()
	account := grant.NewAccount(grant.AccountKey{Skill: "default", AmazonUser: amazonUser}, key, start)
	if account.Live(start) {
		t.Error("what is not stored means nothing")
	}
	account.Revision = 1
	if !account.Live(start.AddDate(10, 0, 0)) {
		t.Error("an account that is linked expires")
	}
	account.ExpireAt = start.Add(time.Hour)
	if !account.Live(start.Add(time.Hour-time.Nanosecond)) || account.Live(start.Add(time.Hour)) {
		t.Error("an account that was unlinked does not expire at its time")
	}
}
