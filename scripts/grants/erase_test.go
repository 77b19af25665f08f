package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// keeping is an announcer that leaves what is to be announced in the record.
type keeping struct{}

func (keeping) Announce(context.Context, grant.Record) error { return errors.New("not now") }

// deliver leaves delivery records of a customer.
func (s *stack) deliver(key grant.Key, n int) {
	s.Helper()
	for i := range n {
		k := grant.DeliveryKey{Customer: key.ID(), EventID: fmt.Sprint("e-", i)}
		if _, err := s.store.WriteDelivery(s.Context(), grant.Delivery{Key: k}, grant.Delivery{Key: k, ExpireAt: start}); err != nil {
			s.Fatal(err)
		}
	}
}

// deliveries counts them.
func (s *stack) deliveries(key grant.Key, most int) (n int) {
	s.Helper()
	for i := range most {
		_, err := s.store.ReadDelivery(s.Context(), grant.DeliveryKey{Customer: key.ID(), EventID: fmt.Sprint("e-", i)})
		if err == nil {
			n++
		} else if !errors.Is(err, grant.ErrNotFound) {
			s.Fatal(err)
		}
	}
	return n
}

// accounts returns n ids of Amazon accounts of a customer.
func accounts(key grant.Key, n int) (ids []grant.AccountKey) {
	for i := range n {
		ids = append(ids, grant.AccountKey{Skill: key.Skill, AmazonUser: fmt.Sprint("amzn-of-", key.UserID, "-", i)})
	}
	return ids
}

// learn notes Amazon accounts of a customer.
func (s *stack) learn(key grant.Key, n int) {
	s.Helper()
	for _, id := range accounts(key, n) {
		account := grant.NewAccount(id, key, start)
		if _, err := s.store.WriteAccount(s.Context(), grant.Account{ID: account.ID}, account); err != nil {
			s.Fatal(err)
		}
	}
}

// known counts them.
func (s *stack) known(key grant.Key, most int) (n int) {
	s.Helper()
	for _, id := range accounts(key, most) {
		_, err := s.store.ReadAccount(s.Context(), id.ID())
		if err == nil {
			n++
		} else if !errors.Is(err, grant.ErrNotFound) {
			s.Fatal(err)
		}
	}
	return n
}

func TestErase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		others := []grant.Key{key("u-2"), {Skill: "other", UserID: "u-1"}}
		before := make(map[grant.Key]grant.Record)
		for _, k := range append(others, key("u-1")) {
			s.link(k, s.both, "a", "b")
			s.deliver(k, 3)
			s.learn(k, 2)
			before[k] = s.read(k)
		}
		hash, two, three, none := grant.CustomerHash("u-1"), 2, 3, 0
		var got erasure
		s.json(exitOK, &got, "erase", "u-1")
		if diff := cmp.Diff(erasure{DryRun: true, Customer: hash, Records: 1, Grants: &two}, got); diff != "" {
			t.Errorf("dry run (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before[key("u-1")], s.read(key("u-1"))); diff != "" || s.deliveries(key("u-1"), 3) != 3 || s.known(key("u-1"), 2) != 2 {
			t.Errorf("the dry run left %d deliveries and %d accounts, and changed the record (-was +now):\n%s", s.deliveries(key("u-1"), 3), s.known(key("u-1"), 2), diff)
		}
		for i, want := range []erasure{
			{Customer: hash, Records: 1, Deliveries: &three, Accounts: &two}, {Customer: hash, Deliveries: &none, Accounts: &none},
		} {
			got = erasure{}
			s.json(exitOK, &got, "erase", "-for-real", "u-1")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("real run %d (-want +got):\n%s", i+1, diff)
			}
		}
		if s.read(key("u-1")).Stored() || s.deliveries(key("u-1"), 3) > 0 || s.known(key("u-1"), 2) > 0 {
			t.Error("something is left")
		}
		for _, k := range others {
			if diff := cmp.Diff(before[k], s.read(k)); diff != "" || s.deliveries(k, 3) != 3 || s.known(k, 2) != 2 {
				t.Errorf("%v has %d deliveries and %d accounts left, and another record (-was +now):\n%s", k, s.deliveries(k, 3), s.known(k, 2), diff)
			}
		}
		if status, _, stderr := s.run("show", "u-1"); status != exitFailed || !strings.Contains(stderr, errNoRecord.Error()) {
			t.Errorf("show = %d and said %q", status, stderr)
		}
	})
}

func TestEraseInWords(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.link(key("u-1"), s.both, "a")
	s.learn(key("u-1"), 1)
	hash := "customer in logs     " + grant.CustomerHash("u-1") + "\n"
	for _, test := range []struct{ name, args, want string }{
		{"dry run", "u-1", hash + "would erase          its record with 1 grants, the delivery records of its events, and its Amazon accounts\n" +
			"This was a dry run: nothing was erased. With -for-real it is.\n"},
		{"for real", "-for-real u-1", hash + "records erased       1\ndeliveries erased    0\naccounts erased      1\n" + remains},
		{"again", "-for-real u-1", hash + "records erased       0\ndeliveries erased    0\naccounts erased      0\n" + remains},
		{"dry run of nobody", "u-1", hash + "would erase          no record, and what is left of delivery records and Amazon accounts\n" +
			"This was a dry run: nothing was erased. With -for-real it is.\n"},
	} {
		// One after the other: each finds what the one before it left.
		status, stdout, stderr := s.run(append([]string{"erase"}, strings.Fields(test.args)...)...)
		if diff := cmp.Diff(test.want, stdout); diff != "" || status != exitOK {
			t.Errorf("%s: status %d, %q (-want +got):\n%s", test.name, status, stderr, diff)
		}
	}
}

// unwilling is a store that erases half.
type unwilling struct{ grant.Admin }

func (unwilling) Erase(context.Context, grant.Key) (grant.Erased, error) {
	return grant.Erased{Records: 1}, errors.New("out of order")
}

func TestEraseFails(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.store = unwilling{s.store}
	status, stdout, stderr := s.run("erase", "-for-real", "u-1")
	if status != exitFailed || !strings.Contains(stderr, "run it again") || !strings.Contains(stdout, "records erased       1") {
		t.Errorf("status %d, %q and %q", status, stderr, stdout)
	}
}
