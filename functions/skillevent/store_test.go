package skillevent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// faulty is a store some of whose methods fail.
type faulty struct {
	grant.Store
	readAccount, writeAccount, read, write func() error // nil: it works
}

func (f faulty) ReadAccount(ctx context.Context, id string) (grant.Account, error) {
	if f.readAccount != nil {
		return grant.Account{}, f.readAccount()
	}
	return f.Store.ReadAccount(ctx, id)
}

func (f faulty) WriteAccount(ctx context.Context, was, now grant.Account) (grant.Account, error) {
	if f.writeAccount != nil {
		if err := f.writeAccount(); err != nil {
			return grant.Account{}, err
		}
	}
	return f.Store.WriteAccount(ctx, was, now)
}

func (f faulty) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	if f.read != nil {
		return grant.Record{}, f.read()
	}
	return f.Store.Read(ctx, key)
}

func (f faulty) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if f.write != nil {
		if err := f.write(); err != nil {
			return grant.Record{}, err
		}
	}
	return f.Store.Write(ctx, was, now)
}

// TestStoreDown has each call to the store fail, of an event that Alexa may
// send again.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	down := func() error { return errors.New("disk on fire") }
	tests := []struct {
		name, body string
		store      faulty
		says       string
	}{
		{"linked, read", linked("a", "grantee-u-1", time.Time{}), faulty{readAccount: down}, "reading the account: disk on fire"},
		{"linked, write", linked("a", "grantee-u-1", time.Time{}), faulty{writeAccount: down}, "saving the account: disk on fire"},
		{"disabled, read the account", disabled("a", time.Time{}), faulty{readAccount: down}, "reading the account: disk on fire"},
		{"disabled, read the record", disabled("a", time.Time{}), faulty{read: down}, "reading a record: disk on fire"},
		{"disabled, write", disabled("a", time.Time{}), faulty{write: down}, "changing a record: disk on fire"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.link(t, "u-1", "a")
			w.Forward(time.Minute)
			test.store.Store = w.Store
			w.function.Store = test.store
			got := w.handle(t, test.body)
			if got.Status != 503 || got.Body != `{"error":"the skill event could not be handled"}` || got.Severity != "WARNING" || got.Error != test.says || got.Outcome != "" {
				t.Errorf("got %+v, want 503 and %q in the log", got, test.says)
			}
		})
	}
}

// TestConflicts has others write at the same time.
func TestConflicts(t *testing.T) {
	t.Parallel()
	// times fails with a conflict that often, and has a rival write before the
	// first of them.
	times := func(n int, rival func()) func() error {
		return func() error {
			if n--; n < 0 {
				return nil
			}
			if rival != nil {
				rival()
				rival = nil
			}
			return grant.ErrConflict
		}
	}
	t.Run("linked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.function.Store = faulty{Store: w.Store, writeAccount: times(2, nil)}
		w.want(t, "learned", linked("a", "grantee-u-1", w.Now()))
		if got := w.account(t, "a").UserID; got != "u-1" {
			t.Errorf("the account is %q's", got)
		}
	})
	t.Run("linked, a newer event was first", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		other := &world{w.World, w.function}
		store := w.Store
		mine := *w.function
		mine.Store = faulty{Store: store, writeAccount: times(1, func() {
			other.want(t, "learned", linked("a", "grantee-u-2", w.Now()))
		})}
		(&world{w.World, &mine}).want(t, "learned", linked("a", "grantee-u-1", w.Now().Add(-time.Minute)))
		if got := w.account(t, "a").UserID; got != "u-2" {
			t.Errorf("the account is %q's, says the older event", got)
		}
	})
	t.Run("linked, again and again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.function.Store = faulty{Store: w.Store, writeAccount: times(1000, nil)}
		if got := w.handle(t, linked("a", "grantee-u-1", w.Now())); got.Status != 503 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("disabled, the grant was just revoked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id := w.link(t, "u-1", "a")
		w.function.Store = faulty{Store: w.Store, write: times(1, func() {
			w.Change(t, "u-1", func(r *grant.Record) { r.Revoke(id, grant.ReasonInvalidGrant, w.Now()) })
		})}
		w.want(t, "nothing", disabled("a", w.Now()))
	})
}

// TestDoubledAtOnce has both copies of an event come at the same moment.
func TestDoubledAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var grants []string
	for i := range 20 {
		account := fmt.Sprint("a-", i)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if got := w.handle(t, linked(account, "grantee-u-1", w.Now())); got.Outcome != "learned" {
					t.Errorf("%+v", got)
				}
			})
		}
		both.Wait()
	}
	for i := range 3 {
		grants = append(grants, w.Link(t, "u-1", alexa.EU, fmt.Sprint("a-", i)))
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if got := w.handle(t, disabled(fmt.Sprint("a-", i), w.Now())); got.Outcome != "proving" {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(slices.Sorted(slices.Values(grants)), w.due(t, "u-1")); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	if ids := slices.Sorted(maps.Keys(w.Read(t, "u-1").Grants)); len(ids) != 3 {
		t.Errorf("%v", ids)
	}
}
