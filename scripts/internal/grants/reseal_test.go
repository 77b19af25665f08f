package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

var ignored = cmpopts.IgnoreFields(Tally{}, "After")

// ids returns the ids of the keys of the stack's keyset, the old one first.
func (s *stack) ids() (old, primary uint32) {
	s.Helper()
	keys, err := seal.Keys(s.both)
	if err != nil || len(keys) != 2 || !keys[1].Primary {
		s.Fatalf("Keys() = %v, %v", keys, err)
	}
	return keys[0].ID, keys[1].ID
}

// checkTokens checks that all tokens of a customer open and tell the version,
// and are sealed with the primary key of the keyset or not.
func (s *stack) checkTokens(key grant.Key, version int, fresh bool) {
	s.Helper()
	sealer, err := seal.New(s.both)
	if err != nil {
		s.Fatal(err)
	}
	for id, g := range s.read(key).Grants {
		for field, sealed := range map[string][]byte{"accessToken": g.AccessToken, "refreshToken": g.RefreshToken} {
			token, err := sealer.Open(sealed, seal.Place{Customer: key.ID(), Grant: id, Field: field})
			if err != nil || !token.Empty() && !strings.HasSuffix(token.Reveal(), fmt.Sprintf("fake-canary-%s-%d", id, version)) {
				s.Errorf("customer %s, grant %s: the %s is another one (%v)", key.UserID, id, field, err)
			}
			if len(sealed) > 0 && sealer.Fresh(sealed) != fresh {
				s.Errorf("customer %s, grant %s: the %s is sealed with the primary key: %v, want %v", key.UserID, id, field, !fresh, fresh)
			}
		}
	}
}

// populate makes three customers, of whom one has a revoked grant, one two grants,
// and one is new, and one of another skill.
func (s *stack) populate() {
	s.Helper()
	s.link(key("u-1"), s.old, "a", "b")
	s.link(key("u-2"), s.old, "c")
	s.link(grant.Key{Skill: "other", UserID: "u-1"}, s.old, "d")
	s.link(key("u-3"), s.both, "e")
	s.revoke(key("u-2"), "c", start)
}

// want is the tally of a run that finds so many tokens sealed with the old key
// and with the primary key, of four customers.
func (s *stack) want(dryRun bool, old, primary int) resealing {
	oldID, primaryID := s.ids()
	keys := []*keyTally{
		{ID: oldID, InKeyset: true, Found: old, Moved: old},
		{ID: primaryID, InKeyset: true, Primary: true, Found: primary, Left: primary},
	}
	if primaryID < oldID {
		keys[0], keys[1] = keys[1], keys[0]
	}
	return resealing{Tally: Tally{DryRun: dryRun, Customers: 4}, Complete: true, Keys: keys}
}

func (s *stack) reseal(status int, args ...string) resealing {
	s.Helper()
	var got resealing
	s.json(status, &got, append([]string{"reseal", "--keyset", s.keyset}, args...)...)
	return got
}

func TestReseal(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		s.populate()
		before, command := s.read(key("u-1")), "reseal --keyset "+s.keyset
		shows(s, s.want(true, 7, 2), command, ignored)
		s.same(before)
		shows(s, s.want(false, 7, 2), command+" --for-real", ignored)
		for _, k := range []grant.Key{key("u-1"), key("u-2"), key("u-3"), {Skill: "other", UserID: "u-1"}} {
			s.checkTokens(k, 1, true)
		}
		tokens := cmpopts.IgnoreFields(grant.Grant{}, "AccessToken", "RefreshToken")
		if diff := cmp.Diff(before, s.read(key("u-1")), tokens, cmpopts.IgnoreFields(grant.Record{}, "Revision")); diff != "" {
			t.Errorf("more than the sealed tokens has changed (-was +now):\n%s", diff)
		}
		shows(s, s.want(false, 0, 9), command+" --for-real", ignored)
	})
}

// TestResealInWords says of the old key whether it may be removed.
func TestResealInWords(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.populate()
	old, primary := s.ids()
	for _, test := range []struct{ args, want, not string }{ // each finds what the one before it left
		{"", "found 7, would move 7, left 0\n", "may be removed"},
		{" --for-real --after " + strings.Repeat("0", 64), "must have left no tokens either", "must stay"},
		{" --for-real", fmt.Sprintf("Key %d may be removed", old), fmt.Sprintf("Key %d ", primary)},
	} {
		if stdout := s.says(cli.StatusDone, "reseal --keyset "+s.keyset+test.args, test.want); strings.Contains(stdout, test.not) {
			t.Errorf("reseal%s says %q:\n%s", test.args, test.not, stdout)
		}
	}
}

// TestResealWhatDoesNotOpen has a customer whose tokens nobody can open.
func TestResealWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		s.populate()
		lost := newKeyset(t)
		s.link(key("u-4"), lost, "f")
		s.change(key("u-3"), func(r *grant.Record) {
			g := r.Grants["e"]
			g.AccessToken = []byte("Atza|fake-canary")
			r.Grants["e"] = g
		})
		got := s.reseal(cli.StatusFailed, "--for-real")
		keys, err := seal.Keys(lost)
		if err != nil {
			t.Fatal(err)
		}
		foreign := make(map[uint32]keyTally)
		for _, k := range got.Keys {
			if !k.InKeyset {
				foreign[k.ID] = *k
			}
		}
		want := map[uint32]keyTally{0: {Found: 1, Left: 1}, keys[0].ID: {ID: keys[0].ID, Found: 2, Left: 2}}
		if diff := cmp.Diff(want, foreign); diff != "" || got.Unopened != 3 {
			t.Errorf("%d were not opened, want 3; keys (-want +got):\n%s", got.Unopened, diff)
		}
		s.checkTokens(key("u-1"), 1, true)
		line := fmt.Sprintf("cannot be opened\t%s\tf\trefresh token\tkey %d\n", grant.CustomerHash("u-4"), keys[0].ID)
		s.says(cli.StatusFailed, "reseal --keyset "+s.keyset, line, "have to link again")
	})
}

func TestResealWithoutKeyset(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.populate()
	for _, ref := range []string{"file:" + t.TempDir() + "/none", s.keep("text", sensitive.New("fake-canary"))} {
		if stdout := s.says(cli.StatusFailed, "reseal --for-real --keyset "+ref, "--keyset"); stdout != "" {
			t.Errorf("%s: it shows %q", ref, stdout)
		}
	}
}

// TestResealBesideRefresh has a function save refreshed tokens between the
// reading of a record and its writing: they stay, whichever key sealed them.
func TestResealBesideRefresh(t *testing.T) {
	t.Parallel()
	for _, newKey := range []bool{true, false} {
		s := newStack(t)
		s.link(key("u-1"), s.old, "a")
		keyset := map[bool]sensitive.String{true: s.both, false: s.old}[newKey]
		s.meddleOnce(func(r *grant.Record) {
			r.Refreshed("a", r.Grants["a"], s.tokens(keyset, key("u-1"), "a", 2), start)
		})
		if got := s.reseal(cli.StatusDone, "--for-real"); got.Customers != 1 || got.Unopened+got.Failed != 0 {
			t.Errorf("by the new key %v: %+v", newKey, got)
		}
		s.checkTokens(key("u-1"), 2, true)
		if g := s.read(key("u-1")).Grants["a"]; g.TokenVersion != 2 {
			t.Errorf("by the new key %v: the token version is %d, want that of the refresh", newKey, g.TokenVersion)
		}
	}
}

// TestResealErased erases a customer between reading and writing.
func TestResealErased(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.link(key("u-1"), s.old, "a")
	inner := s.store
	s.meddle(func(_ int, key grant.Key) error {
		_, err := inner.Erase(t.Context(), key)
		return err
	})
	s.reseal(cli.StatusDone, "--for-real")
	if s.read(key("u-1")).Stored() {
		t.Error("the record came back")
	}
}

// TestResealCannotChange has one record change all the time: the others are
// resealed, and no key may be removed.
func TestResealCannotChange(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.populate()
	s.meddle(func(_ int, k grant.Key) error {
		if k == key("u-2") {
			return grant.ErrConflict
		}
		return nil
	})
	s.says(cli.StatusFailed, "reseal --for-real --keyset "+s.keyset, grant.CustomerHash("u-2"), "must stay", "found 7, moved 6, left 1")
	s.checkTokens(key("u-1"), 1, true)
	s.checkTokens(key("u-2"), 1, false)
}

// TestUnreadable has one record that cannot be read: the others are resealed,
// and no key may be removed, since nobody knows what its tokens are sealed with.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.populate()
	said := errors.New("document x: field v: unreadable")
	s.store = &meddling{Admin: s.store, afterList: func(page *grant.ListPage) {
		if page.Next == "" {
			page.Unreadable = []error{said}
		}
	}}
	s.says(cli.StatusFailed, "reseal --for-real --keyset "+s.keyset, said.Error(), "must stay", "found 7, moved 7, left 0")
	s.says(cli.StatusFailed, "restore --revoked-since 2h", said.Error())
}

// TestInterrupt interrupts a run at each of its writes. What it says is what it
// did, and the next run goes on from where it says.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	const customers = 25
	for at := 1; at <= customers; at++ {
		s := newStack(t)
		for i := range customers {
			s.link(key(fmt.Sprint("u-", i)), s.old, "a")
		}
		ctx, interrupt := context.WithCancel(t.Context())
		s.meddle(func(n int, _ grant.Key) error {
			if n == at {
				interrupt()
			}
			return nil
		})
		first := s.resealUntil(ctx, at)
		interrupt()
		old, _ := s.ids()
		moved := 0
		for i := range customers {
			sealed := s.read(key(fmt.Sprint("u-", i))).Grants["a"].RefreshToken
			if id, _ := seal.KeyID(sealed); id != old {
				moved++
			}
		}
		if got := movedBy(first); got != 2*moved || first.Customers != moved {
			t.Errorf("interrupted at write %d: %d tokens of %d customers were moved, it said; they were %d customers",
				at, got, first.Customers, moved)
		}
		if first.Complete {
			continue // it came with the last customer
		}
		args := []string{"--for-real"}
		if first.After != "" {
			args = append(args, "--after", first.After)
		}
		second := s.reseal(cli.StatusDone, args...)
		if first.Customers+second.Customers != customers || movedBy(first)+movedBy(second) != 2*customers {
			t.Errorf("interrupted at write %d: %d and %d customers, %d and %d tokens",
				at, first.Customers, second.Customers, movedBy(first), movedBy(second))
		}
	}
}

// TestInterruptWhileListing has no store that answers any more: the run continues where
// it began.
func TestInterruptWhileListing(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.populate()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	status, stdout, stderr := s.runUntil(ctx, "reseal", "--for-real", "--json", "--keyset", s.keyset, "--after", someID)
	var got resealing
	decode(s, stdout, &got)
	if !got.Interrupted || got.Complete || got.Customers != 0 || status != cli.StatusFailed ||
		!strings.Contains(stderr, "interrupted; continue with --after "+someID) {
		t.Errorf("status %d, %q and %+v", status, stderr, got)
	}
}

func movedBy(r resealing) (n int) {
	for _, k := range r.Keys {
		n += k.Moved
	}
	return n
}

// resealUntil runs reseal until ctx ends.
func (s *stack) resealUntil(ctx context.Context, at int) (got resealing) {
	s.Helper()
	status, stdout, stderr := s.runUntil(ctx, "reseal", "--json", "--for-real", "--keyset", s.keyset)
	decode(s, stdout, &got)
	interrupted := got.Interrupted && status == cli.StatusFailed && strings.Contains(stderr, errInterrupted.Error())
	complete := got.Complete && status == cli.StatusDone && stderr == ""
	if interrupted == complete || interrupted && got.After != "" && !strings.Contains(stderr, "--after "+got.After) {
		s.Errorf("interrupted at write %d: status %d, %q and %s", at, status, stderr, stdout)
	}
	return got
}

// TestStoreFails ends a run where the store is out of order, and says where to
// go on.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for i := range 10 {
		s.link(key(fmt.Sprint("u-", i)), s.old, "a")
	}
	broken, healthy := errors.New("out of order"), s.store
	breakAfter := func(writes int) {
		s.store = healthy
		s.meddle(func(n int, _ grant.Key) error {
			if n > writes {
				return broken
			}
			return nil
		})
	}
	breakAfter(0)
	s.says(cli.StatusFailed, "reseal --for-real --keyset "+s.keyset, "left 0\n", "must stay")
	breakAfter(6)
	status, stdout, stderr := s.run("reseal", "--json", "--for-real", "--keyset", s.keyset)
	var first resealing
	decode(s, stdout, &first)
	goOn := broken.Error() + "; continue with --after " + first.After
	if status != cli.StatusFailed || first.Complete || first.Interrupted || movedBy(first) != 12 || !strings.Contains(stderr, goOn) {
		t.Fatalf("status %d, %q and %s", status, stderr, stdout)
	}
	s.store = healthy
	if second := s.reseal(cli.StatusDone, "--for-real", "--after", first.After); movedBy(second) != 8 {
		t.Errorf("the second run moved %d tokens, want 8", movedBy(second))
	}
}

// TestReminder says now and then how far a long run is, and on a terminal how long it
// takes. The share that is done follows from the first 32 bits of an id.
func TestReminder(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.populate()
	s.terminal = true
	clock := start
	s.now = func() time.Time {
		clock = clock.Add(remindTime)
		return clock
	}
	_, _, stderr := s.run("reseal", "--keyset", s.keyset)
	if !strings.Contains(stderr, "2 customers so far; after a crash continue with --after ") {
		t.Errorf("it said %q", stderr)
	}
	for after, want := range map[string]string{"0": "2 customers, 0/s, 44%, 1m54s left", "8": "1 customers, 0/s, 86%, 5s left"} {
		if _, _, stderr := s.run("probe", "--after", after+strings.Repeat("0", 63)); !strings.Contains(stderr, want) {
			t.Errorf("after %s… it said %q, want %q", after, stderr, want)
		}
	}
}
