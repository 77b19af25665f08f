package granttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var customerChecks = []check{
	{"a deleted or erased record is gone, and nothing else is", checkGone},
	{"a delete from any other revision conflicts", checkDeleteConflicts},
	{"one of a delete and updates from one revision wins", checkDeleteRace},
	{"an erased customer leaves nothing, and can come back", checkErase},
	{"an account is erased with its current customer", checkEraseFormerAccount},
	{"an erased customer's neighbours stay", checkEraseNeighbours},
	{"an expired delivery can be replaced", checkExpired},
	{"an ended context is the error", checkContext},
}

func erase(t testing.TB, s grant.Admin, key grant.Key, want grant.Erased) {
	t.Helper()
	got, err := s.Erase(t.Context(), key)
	if err != nil || got != want {
		t.Fatalf("Erase() = %+v, %v, want %+v", got, err, want)
	}
}

func remove(t testing.TB, s grant.Admin, was grant.Record) {
	t.Helper()
	wantError(t, "delete", s.Delete(t.Context(), was), nil)
}

// checkGone deletes a record whose other fields differ from the stored ones: only
// the key and the revision count. Erase needs no revision.
func checkGone(t testing.TB, s grant.Admin) {
	deleted, erased := records.create(t, s, dueRecord("deleted", 1, timeOf(1))), records.create(t, s, dueRecord("erased", 1, timeOf(2)))
	records.create(t, s, dueRecord("other", 1, timeOf(3)))
	delivery := fullDelivery(0, 1)
	delivery.Key.Customer = deleted.Key().ID()
	delivery = deliveries.create(t, s, delivery)

	remove(t, s, records.at(dueRecord("deleted", 2, timeOf(5)), deleted))
	erase(t, s, erased.Key(), grant.Erased{Records: 1})
	records.isMissing(t, s, deleted)
	records.isMissing(t, s, erased)
	wantDue(t, s, grant.DueQuery{Buckets: []int{1}, Before: timeOf(9), Limit: 10}, "other")
	wantList(t, s, "", 10, "other")
	deliveries.isStored(t, s, delivery)
}

func checkDeleteConflicts(t testing.TB, s grant.Admin) {
	stale := records.create(t, s, fullRecord(0, 1))
	newest := records.update(t, s, stale, fullRecord(0, 2))
	wantError(t, "delete from a stale revision", s.Delete(t.Context(), stale), grant.ErrConflict)
	wantError(t, "delete a missing record", s.Delete(t.Context(), records.at(fullRecord(1, 1), newest)), grant.ErrConflict)
	wantError(t, "delete without a revision", s.Delete(t.Context(), fullRecord(0, 2)), errRefused)
	wantError(t, "delete a missing record without a revision", s.Delete(t.Context(), fullRecord(1, 1)), errRefused)
	records.isStored(t, s, newest)
	remove(t, s, newest)
	records.isMissing(t, s, newest)
	wantError(t, "delete again", s.Delete(t.Context(), newest), grant.ErrConflict)
	records.fails(t, s, newest, fullRecord(0, 3), grant.ErrConflict)
	anew := records.create(t, s, fullRecord(0, 2))
	wantError(t, "delete a new record", s.Delete(t.Context(), newest), grant.ErrConflict)
	records.isStored(t, s, anew)
}

func checkDeleteRace(t testing.TB, s grant.Admin) {
	for i := range rounds {
		was := records.create(t, s, fullRecord(i, 1))
		won := race(t, func(racer int) (grant.Record, error) {
			if racer == 0 {
				return grant.Record{}, s.Delete(t.Context(), was)
			}
			return s.Write(t.Context(), was, fullRecord(i, 1+racer))
		})
		if won.Stored() {
			records.isStored(t, s, won)
		} else {
			records.isMissing(t, s, was)
		}
	}
}

// checkErase erases a record that changed since it was read, then a customer's
// other documents without a record, then nothing. When the customer comes back, no
// revision repeats.
func checkErase(t testing.TB, s grant.Admin) {
	seen := make(map[grant.Revision]bool)
	for _, want := range []grant.Erased{{Records: 1, Deliveries: 3, Accounts: 3}, {Records: 1}, {Deliveries: 3, Accounts: 3}, {}} {
		for range want.Records {
			r := records.update(t, s, records.create(t, s, fullRecord(0, 1)), fullRecord(0, 2))
			if seen[r.Revision] {
				t.Fatalf("revision %d repeats", r.Revision)
			}
			seen[r.Revision] = true
		}
		for i := range want.Deliveries {
			deliveries.create(t, s, fullDelivery(2*i, 1))
			accounts.create(t, s, fullAccount(i, 4)) // of the customer 0
		}
		erase(t, s, keyOf(0), want)
		records.isMissing(t, s, fullRecord(0, 1))
		for i := range want.Deliveries {
			deliveries.isMissing(t, s, fullDelivery(2*i, 1))
			accounts.isMissing(t, s, fullAccount(i, 4))
		}
	}
}

func checkEraseFormerAccount(t testing.TB, s grant.Admin) {
	first := accounts.create(t, s, fullAccount(0, 1))
	moved := accounts.update(t, s, first, fullAccount(0, 2))
	erase(t, s, keyOf(1), grant.Erased{})
	accounts.isStored(t, s, moved)
	erase(t, s, keyOf(2), grant.Erased{Accounts: 1})
	accounts.isMissing(t, s, moved)
}

// checkEraseNeighbours keeps customers whose ids begin or end like the erased
// one's, or sort next to it. No hash has such ids.
func checkEraseNeighbours(t testing.TB, s grant.Admin) {
	id := keyOf(0).ID()
	last := len(id) - 1
	neighbours := []string{
		id[:last], id + "0", id[1:], "0" + id, id[:last] + string(id[last]-1), id[:last] + string(id[last]+1), id[:last] + "~", keyOf(1).ID(),
	}
	var keptDeliveries []grant.Delivery
	var keptAccounts []grant.Account
	for i, customer := range neighbours {
		d, a := fullDelivery(0, 1), fullAccount(i, 1)
		d.Key.Customer, a.Customer = customer, customer
		keptDeliveries = append(keptDeliveries, deliveries.create(t, s, d))
		keptAccounts = append(keptAccounts, accounts.create(t, s, a))
	}
	sameUser := fullRecord(0, 1)
	sameUser.Skill = "another"
	sameUser = records.create(t, s, sameUser)
	records.create(t, s, fullRecord(0, 1))
	erase(t, s, keyOf(0), grant.Erased{Records: 1})
	for i := range neighbours {
		deliveries.isStored(t, s, keptDeliveries[i])
		accounts.isStored(t, s, keptAccounts[i])
	}
	records.isStored(t, s, sameUser)
}

// checkExpired accepts stores that return expired deliveries, and stores that do
// not. Both allow a new one.
func checkExpired(t testing.TB, s grant.Admin) {
	expired := fullDelivery(0, 1)
	expired.ExpireAt = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	deliveries.create(t, s, expired)
	was, err := s.ReadDelivery(t.Context(), expired.Key)
	if errors.Is(err, grant.ErrNotFound) {
		was, err = grant.Delivery{Key: expired.Key}, nil
	}
	wantError(t, "read an expired delivery", err, nil)
	deliveries.isStored(t, s, deliveries.update(t, s, was, fullDelivery(0, 2)))
}

// calls calls each method of a store; those that write change something.
var calls = map[string]func(ctx context.Context, s grant.Store) error{
	"Read":           records.callRead,
	"ReadDelivery":   deliveries.callRead,
	"ReadAccount":    accounts.callRead,
	"ReadControl":    controls.callRead,
	"Write":          records.callWrite,
	"WriteDelivery":  deliveries.callWrite,
	"WriteAccount":   accounts.callWrite,
	"WriteControl":   controls.callWrite,
	"Delete":         func(ctx context.Context, s grant.Store) error { return s.Delete(ctx, grant.Record{Revision: 1000}) },
	"Due":            func(ctx context.Context, s grant.Store) error { _, err := s.Due(ctx, anyQuery); return err },
	"CountDue":       func(ctx context.Context, s grant.Store) error { _, err := s.CountDue(ctx, anyQuery); return err },
	"CountCustomers": func(ctx context.Context, s grant.Store) error { _, err := s.CountCustomers(ctx); return err },
}

var anyQuery = grant.DueQuery{Buckets: []int{1}, Before: timeOf(1), Limit: 1}

func (k kind[D, K]) callRead(ctx context.Context, s grant.Store) error {
	_, err := k.read(s, ctx, k.key(k.full(0, 1)))
	return err
}

func (k kind[D, K]) callWrite(ctx context.Context, s grant.Store) error {
	_, err := k.write(s, ctx, k.blank(k.key(k.full(0, 1))), k.full(0, 1))
	return err
}

func checkContext(t testing.TB, s grant.Admin) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: late} {
		errs := make(map[string]error)
		for method, call := range calls {
			errs[method] = call(ctx, s)
		}
		_, errs["List"] = s.List(ctx, "", 1)
		_, errs["Erase"] = s.Erase(ctx, keyOf(0))
		for method, err := range errs {
			if !errors.Is(err, want) {
				t.Fatalf("%s() error = %v, want %v", method, err, want)
			}
		}
	}
}
