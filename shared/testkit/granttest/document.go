package granttest

import (
	"context"
	"reflect"
	"sync"
	"testing"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// kind is one of the four kinds of documents, which stores write under the same
// rules: documents D with keys K.
type kind[D any, K comparable] struct {
	name     string
	full     func(i, n int) D // the ith document, with the nth value of every field; 0 for zero values
	key      func(D) K
	blank    func(K) D // a document that is not stored
	revision func(*D) *grant.Revision
	read     func(s grant.Store, ctx context.Context, key K) (D, error)
	write    func(s grant.Store, ctx context.Context, was, now D) (D, error)
	edits    []edit[D]

	masked  bool     // Write keeps the fields that do not differ
	looks   bool     // Write calls the store even if nothing differs
	invalid func(*D) // makes a D that no store accepts; may be nil
}

var records = kind[grant.Record, grant.Key]{
	name: "record", full: fullRecord, edits: recordEdits(), masked: true,
	read: grant.Store.Read, write: grant.Store.Write,
	key: grant.Record.Key, blank: grant.New,
	revision: func(r *grant.Record) *grant.Revision { return &r.Revision },
}

var deliveries = kind[grant.Delivery, grant.DeliveryKey]{
	name: "delivery", full: fullDelivery, edits: editsOf[grant.Delivery](),
	read: grant.Store.ReadDelivery, write: grant.Store.WriteDelivery,
	key:      func(d grant.Delivery) grant.DeliveryKey { return d.Key },
	blank:    func(key grant.DeliveryKey) grant.Delivery { return grant.Delivery{Key: key} },
	revision: func(d *grant.Delivery) *grant.Revision { return &d.Revision },
	invalid:  func(d *grant.Delivery) { d.ExpireAt = timeOf(0) },
}

var accounts = kind[grant.Account, string]{
	name: "account", full: fullAccount, edits: editsOf[grant.Account](),
	read: grant.Store.ReadAccount, write: grant.Store.WriteAccount,
	key:      func(a grant.Account) string { return a.ID },
	blank:    func(id string) grant.Account { return grant.Account{ID: id} },
	revision: func(a *grant.Account) *grant.Revision { return &a.Revision },
	invalid:  func(a *grant.Account) { a.Customer = "" },
}

var controls = kind[grant.Control, string]{
	name: "control document", full: fullControl, edits: editsOf[grant.Control](), looks: true,
	read: grant.Store.ReadControl, write: grant.Store.WriteControl,
	key:      func(c grant.Control) string { return c.Name },
	blank:    func(name string) grant.Control { return grant.Control{Name: name} },
	revision: func(c *grant.Control) *grant.Revision { return &c.Revision },
}

func (k kind[D, K]) checks() []check {
	all := []check{
		{k.name + ": a missing one is not found, and its update conflicts", k.checkMissing},
		{k.name + ": a created one reads back, with any key; a second create conflicts", k.checkCreate},
		{k.name + ": an update reads back with a revision never seen", k.checkUpdate},
		{k.name + ": a stale revision conflicts, and nothing is written", k.checkStale},
		{k.name + ": an impossible one is refused", k.checkRefused},
		{k.name + ": nothing is shared with the caller", k.checkShared},
		{k.name + ": one of several writers from one revision wins", k.checkRace},
	}
	if k.looks {
		return all
	}
	mask := "an update replaces it whole"
	if k.masked {
		mask = "an update writes only what differs"
	}
	return append(all, check{k.name + ": " + mask, k.checkMask},
		check{k.name + ": nothing is written when nothing differs to the microsecond", k.checkNothingDiffers})
}

// at returns d with the revision of other.
func (k kind[D, K]) at(d, other D) D {
	*k.revision(&d) = *k.revision(&other)
	return d
}

// create stores d for the first time, and returns it as it is stored.
func (k kind[D, K]) create(t testing.TB, s grant.Store, d D) D {
	t.Helper()
	return k.update(t, s, k.blank(k.key(d)), d)
}

// update replaces was by now, and returns now as it is stored.
func (k kind[D, K]) update(t testing.TB, s grant.Store, was, now D) D {
	t.Helper()
	written := k.put(t, s, was, now)
	if *k.revision(&written) == 0 {
		t.Fatalf("write a %s: it has no revision", k.name)
	}
	wantSame(t, "write a "+k.name, written, k.at(now, written))
	return written
}

// put replaces was by now, and returns what the store answers.
func (k kind[D, K]) put(t testing.TB, s grant.Store, was, now D) D {
	t.Helper()
	written, err := k.write(s, t.Context(), was, now)
	wantError(t, "write a "+k.name, err, nil)
	return written
}

func (k kind[D, K]) get(t testing.TB, s grant.Store, d D) D {
	t.Helper()
	got, err := k.read(s, t.Context(), k.key(d))
	wantError(t, "read a "+k.name, err, nil)
	return got
}

func (k kind[D, K]) isStored(t testing.TB, s grant.Store, want D) {
	t.Helper()
	wantSame(t, "read a "+k.name, k.get(t, s, want), want)
}

func (k kind[D, K]) isMissing(t testing.TB, s grant.Store, d D) {
	t.Helper()
	_, err := k.read(s, t.Context(), k.key(d))
	wantError(t, "read a "+k.name, err, grant.ErrNotFound)
}

func (k kind[D, K]) fails(t testing.TB, s grant.Store, was, now D, want error) {
	t.Helper()
	_, err := k.write(s, t.Context(), was, now)
	wantError(t, "write a "+k.name, err, want)
}

func (k kind[D, K]) checkMissing(t testing.TB, s grant.Admin) {
	other := k.create(t, s, k.full(0, 1))
	k.isMissing(t, s, k.full(1, 1))
	k.fails(t, s, k.at(k.full(1, 1), other), k.full(1, 2), grant.ErrConflict)
	k.isMissing(t, s, k.full(1, 1))
}

func (k kind[D, K]) checkCreate(t testing.TB, s grant.Admin) {
	var created []D
	for i := range 2 * len(oddIDs) {
		created = append(created, k.create(t, s, k.full(i, i%4)))
	}
	for i, d := range created {
		k.fails(t, s, k.blank(k.key(d)), k.full(i, 5), grant.ErrConflict)
		k.isStored(t, s, d)
	}
}

func (k kind[D, K]) checkUpdate(t testing.TB, s grant.Admin) {
	d := k.create(t, s, k.full(0, 1))
	seen := map[grant.Revision]bool{*k.revision(&d): true}
	for _, n := range []int{2, 1, 0, 3, 0, 1, 2} {
		d = k.update(t, s, d, k.full(0, n))
		k.isStored(t, s, d)
		if seen[*k.revision(&d)] {
			t.Fatalf("revision %d repeats", *k.revision(&d))
		}
		seen[*k.revision(&d)] = true
	}
}

func (k kind[D, K]) checkStale(t testing.TB, s grant.Admin) {
	stale := k.create(t, s, k.full(0, 1))
	newest := k.update(t, s, stale, k.full(0, 2))
	k.fails(t, s, stale, k.full(0, 3), grant.ErrConflict)
	if k.looks {
		k.fails(t, s, stale, k.full(0, 1), grant.ErrConflict)
	}
	k.isStored(t, s, newest)
}

func (k kind[D, K]) checkRefused(t testing.TB, s grant.Admin) {
	stored := k.create(t, s, k.full(0, 1))
	k.fails(t, s, stored, k.full(1, 1), errRefused) // with another key
	k.isMissing(t, s, k.full(1, 1))
	if k.invalid != nil {
		invalid := k.full(0, 2)
		k.invalid(&invalid)
		k.fails(t, s, stored, invalid, errRefused)
	}
	k.isStored(t, s, stored)
}

func (k kind[D, K]) checkShared(t testing.TB, s grant.Admin) {
	was := k.blank(k.key(k.full(0, 1)))
	for n := 1; n <= 2; n++ { // a create and an update
		given := k.full(0, n)
		written := k.put(t, s, was, given)
		scribble(reflect.ValueOf(given))
		was = k.at(k.full(0, n), written)
		wantSame(t, "after a change of the argument", written, was)
		scribble(reflect.ValueOf(written))
		for range 2 { // the second round finds changes of the first
			read := k.get(t, s, was)
			wantSame(t, "after a change of the result", read, was)
			scribble(reflect.ValueOf(read))
		}
	}
}

func (k kind[D, K]) checkNothingDiffers(t testing.TB, s grant.Admin) {
	finer := k.full(0, 1)
	refine(&finer)
	asItWas := func(was D) {
		t.Helper()
		wantSame(t, "write it as it was", k.put(t, s, was, k.at(finer, was)), was)
	}
	asItWas(k.full(0, 1))
	k.isMissing(t, s, finer)
	stale := k.put(t, s, k.blank(k.key(finer)), finer)
	wantSame(t, "create it with finer times", stale, k.at(k.full(0, 1), stale))
	k.isStored(t, s, stale)
	newest := k.update(t, s, stale, k.full(0, 2))
	asItWas(stale)
	k.isStored(t, s, newest)
}

// checkMask writes from a value that differs from the stored one, as an older
// version of the code would. With a field mask the fields that the writer did not
// change are kept; without one all are replaced.
func (k kind[D, K]) checkMask(t testing.TB, s grant.Admin) {
	stored := k.create(t, s, k.full(0, 1))
	for _, change := range k.edits {
		for _, n := range []int{3, 0} {
			was := k.at(k.full(0, 2), stored)
			now, want := was, stored
			change(&now, n)
			if change(&want, n); !k.masked {
				want = now
			}
			if reflect.DeepEqual(was, now) || k.impossible(was, now) {
				continue
			}
			k.put(t, s, was, now)
			got := k.get(t, s, was)
			wantSame(t, "the stored value", got, k.at(want, got))
			stored = k.update(t, s, got, k.full(0, 1))
		}
	}
}

// impossible reports whether no store can replace was by now.
func (k kind[D, K]) impossible(was, now D) bool {
	invalid := now
	if k.invalid != nil {
		k.invalid(&invalid)
	}
	return k.key(was) != k.key(now) || k.invalid != nil && reflect.DeepEqual(invalid, now)
}

const (
	racers = 3 // more would only slow Firestore's emulator down
	rounds = 8
)

// race runs the racers concurrently, and returns the winner's result. Exactly one
// must succeed, and the others must get a conflict.
func race[D any](t testing.TB, act func(racer int) (D, error)) (won D) {
	t.Helper()
	var got [racers]D
	var errs [racers]error
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-start
			got[i], errs[i] = act(i)
		})
	}
	close(start)
	wg.Wait()
	wins := 0
	for i, err := range errs {
		if err == nil {
			won, wins = got[i], wins+1
		} else {
			wantError(t, "what does not win", err, grant.ErrConflict)
		}
	}
	if wins != 1 {
		t.Fatalf("%d of %d racers won, want 1", wins, racers)
	}
	return won
}

// checkRace races for a create, and then for an update of the result.
func (k kind[D, K]) checkRace(t testing.TB, s grant.Admin) {
	for i := range rounds {
		was := k.blank(k.key(k.full(i, 1)))
		for _, n := range []int{1, 5} {
			was = race(t, func(racer int) (D, error) { return k.write(s, t.Context(), was, k.full(i, n+racer)) })
			k.isStored(t, s, was)
		}
	}
}
