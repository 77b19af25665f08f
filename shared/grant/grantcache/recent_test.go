package grantcache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

// backend is the store behind the cache. It counts reads, and can delay or fail
// them.
type backend struct {
	grant.Store
	reads         atomic.Int64
	before, after func(context.Context) error // nil, or called around each read
}

func (b *backend) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	b.reads.Add(1)
	if b.before != nil {
		if err := b.before(ctx); err != nil {
			return grant.Record{}, err
		}
	}
	record, err := b.Store.Read(ctx, key)
	if b.after != nil {
		if err := b.after(ctx); err != nil {
			return grant.Record{}, err
		}
	}
	return record, err
}

// world is a store and two processes: one with a cache, and another that changes
// the store. It belongs in a bubble.
type world struct {
	t       *testing.T
	backend *backend
	cache   *grantcache.Store
	other   grant.Store
}

// inWorld runs a test in a bubble, with a cache of ten customers.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		backend := &backend{Store: grantmem.New()}
		test(t, &world{t: t, backend: backend, cache: grantcache.New(backend, 10, time.Now), other: backend.Store})
	})
}

func key(userID string) grant.Key { return grant.Key{Skill: "default", UserID: userID} }

// link sets a customer's grants to the given states.
func (w *world) link(s grant.Store, userID string, states ...grant.State) {
	w.t.Helper()
	var grants []grant.Grant
	for _, state := range states {
		grants = append(grants, grant.Grant{State: state})
	}
	w.store(s, userID, grants...)
}

// store replaces a customer's grants.
func (w *world) store(s grant.Store, userID string, grants ...grant.Grant) {
	w.t.Helper()
	_, err := grant.Change(w.t.Context(), s, key(userID), func(r *grant.Record) error {
		r.Grants = make(map[string]grant.Grant)
		for i, g := range grants {
			g.Region, g.TokenVersion = "EU", time.Now().UnixNano()
			r.Grants[fmt.Sprint("g-", i)] = g
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// recent reads a customer from the cache, and checks the number of store reads. It
// returns the first grant's state, "none" without a record.
func (w *world) recent(userID string, reads int64) grant.State {
	w.t.Helper()
	was := w.backend.reads.Load()
	record, asOf, err := w.cache.Recent(w.t.Context(), key(userID))
	if got := w.backend.reads.Load() - was; got != reads || asOf.IsZero() != (reads > 0) {
		w.t.Errorf("reads = %d, as of %v; want %d", got, asOf, reads)
	}
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return "none"
	case err != nil:
		w.t.Error(err)
	}
	return record.Grants["g-0"].State
}

func (w *world) want(got, want grant.State) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("grant = %q, want %q", got, want)
	}
}

// TestAgeCountsFromBeforeTheRead: the age of a slow read counts from its beginning.
func TestAgeCountsFromBeforeTheRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.link(w.other, "u-1", grant.Active)
		w.backend.after = func(context.Context) error { time.Sleep(20 * time.Second); return nil }
		w.recent("u-1", 1)
		time.Sleep(39 * time.Second)
		w.recent("u-1", 0)
		time.Sleep(time.Second)
		w.recent("u-1", 1)
	})
}

// bubbleBegins is the time at which the clock of a bubble begins.
var bubbleBegins = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// TestCacheTime: how long a record is cached depends on its grants.
func TestCacheTime(t *testing.T) {
	t.Parallel()
	active, revoked := grant.Grant{State: grant.Active}, grant.Grant{State: grant.Revoked}
	suspect := func(reason string, ends time.Duration) grant.Grant { // ends is when its token expires
		return grant.Grant{State: grant.Suspect, Reason: reason, ExpiresAt: bubbleBegins.Add(ends)}
	}
	refused := func(ends time.Duration) grant.Grant { return suspect(grant.ReasonRefreshRefused, ends) }
	tests := []struct {
		name   string
		grants []grant.Grant // nil: no record
		want   time.Duration
	}{
		{"active", []grant.Grant{active}, time.Minute},
		{"active and revoked", []grant.Grant{revoked, active}, time.Minute},
		{"active and suspect", []grant.Grant{active, suspect(grant.ReasonUnauthorized, time.Hour)}, 0},
		{"suspect", []grant.Grant{suspect(grant.ReasonUnauthorized, time.Hour)}, 0},
		{"suspect for what this version does not know", []grant.Grant{suspect("later", time.Hour)}, 0},
		{"doubted", []grant.Grant{refused(time.Hour)}, time.Minute},
		{"doubted and active", []grant.Grant{refused(time.Hour), active}, time.Minute},
		{"doubted and revoked", []grant.Grant{refused(time.Hour), revoked}, time.Minute},
		{"doubted and suspect", []grant.Grant{refused(time.Hour), suspect(grant.ReasonUnauthorized, time.Hour)}, 0},
		{"of another client", []grant.Grant{suspect(grant.ReasonOtherClient, time.Hour)}, time.Minute},
		{"unreadable", []grant.Grant{suspect(grant.ReasonUnreadable, time.Hour)}, 0},
		{"doubted, until its token ends", []grant.Grant{refused(grant.ExpiryMargin + 20*time.Second)}, 20 * time.Second},
		{"doubted, until the first token ends", []grant.Grant{
			refused(grant.ExpiryMargin + 40*time.Second), refused(grant.ExpiryMargin + 20*time.Second), active,
		}, 20 * time.Second},
		{"doubted, its token ended", []grant.Grant{refused(grant.ExpiryMargin)}, 0},
		{"doubted, its token ended, and active", []grant.Grant{active, refused(0)}, 0},
		{"restored", []grant.Grant{{State: grant.Suspect, Reason: grant.ReasonRestored}}, 0},
		{"revoked", []grant.Grant{revoked}, 3 * time.Second},
		{"no grants", []grant.Grant{}, 3 * time.Second},
		{"no record", nil, 3 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				if test.grants != nil {
					w.store(w.other, "u-1", test.grants...)
				}
				w.recent("u-1", 1)
				if test.want > 0 {
					time.Sleep(test.want - time.Nanosecond)
					w.recent("u-1", 0)
					time.Sleep(time.Nanosecond)
				}
				w.recent("u-1", 1)
			})
		})
	}
}

// TestOwnChangesAreSeenAtOnce: the process's own writes, attempts, deletions and
// reads update or drop the cached record.
func TestOwnChangesAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(w *world, known grant.Record)
		reads  int64
		want   grant.State
	}{
		{"a write", func(w *world, _ grant.Record) { w.link(w.cache, "u-1", grant.Revoked) }, 1, grant.Revoked},
		{"a conflict", func(w *world, known grant.Record) {
			w.link(w.other, "u-1", grant.Revoked)
			if _, err := w.cache.Write(w.t.Context(), known, grant.New(known.Key())); !errors.Is(err, grant.ErrConflict) {
				w.t.Errorf("error = %v, want a conflict", err)
			}
		}, 1, grant.Revoked},
		{"a deletion", func(w *world, known grant.Record) {
			if err := w.cache.Delete(w.t.Context(), known); err != nil {
				w.t.Error(err)
			}
		}, 1, "none"},
		{"a read", func(w *world, _ grant.Record) {
			w.link(w.other, "u-1", grant.Revoked)
			if _, err := w.cache.Read(w.t.Context(), key("u-1")); err != nil {
				w.t.Error(err)
			}
		}, 0, grant.Revoked},
		{"a read that failed", func(w *world, _ grant.Record) {
			w.backend.before = func(context.Context) error { return errors.New("out of order") }
			if _, err := w.cache.Read(w.t.Context(), key("u-1")); err == nil {
				w.t.Error("Read succeeded, want an error")
			}
		}, 0, grant.Active},
		{"another customer's write", func(w *world, _ grant.Record) { w.link(w.cache, "u-2", grant.Active) }, 0, grant.Active},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.link(w.other, "u-1", grant.Active)
				w.recent("u-1", 1)
				known, _, err := w.cache.Recent(t.Context(), key("u-1"))
				if err != nil {
					t.Fatal(err)
				}
				test.change(w, known)
				w.want(w.recent("u-1", test.reads), test.want)
			})
		})
	}
}

// TestReadOvertakenByAWrite: a read that saw the record before a write of this
// process is not cached, nor shared with calls after the write.
func TestReadOvertakenByAWrite(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.link(w.other, "u-1", grant.Active)
		written := make(chan struct{})
		w.backend.after = func(context.Context) error { <-written; return nil }
		var slow sync.WaitGroup
		slow.Go(func() { _, _, _ = w.cache.Recent(t.Context(), key("u-1")) })
		synctest.Wait()
		w.backend.after = nil
		w.link(w.cache, "u-1", grant.Revoked)
		w.want(w.recent("u-1", 1), grant.Revoked)
		close(written)
		slow.Wait()
		w.want(w.recent("u-1", 0), grant.Revoked) // the later read is kept
	})
}

// TestErrorsAreNotCached: an error is not cached, and does not extend the life of a
// cached record.
func TestErrorsAreNotCached(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.link(w.other, "u-1", grant.Active)
		w.recent("u-1", 1)
		time.Sleep(time.Minute)
		outOfOrder := errors.New("out of order")
		w.backend.before = func(context.Context) error { return outOfOrder }
		for range 2 {
			if _, _, err := w.cache.Recent(t.Context(), key("u-1")); !errors.Is(err, outOfOrder) {
				t.Errorf("error = %v, want the store's", err)
			}
		}
		w.backend.before = nil
		w.recent("u-1", 1)
	})
}

func TestMemoryIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cache = grantcache.New(w.backend, 3, time.Now)
		for i := range 4 {
			w.link(w.other, fmt.Sprint("u-", i), grant.Active)
			w.recent(fmt.Sprint("u-", i), 1)
			w.recent("u-0", 0) // is used all the time, and stays
		}
		w.recent("u-3", 0)
		w.recent("u-2", 0)
		w.recent("u-1", 1)
	})
}

// TestStore: the cache keeps the contract of the store behind it.
func TestStore(t *testing.T) {
	t.Parallel()
	granttest.Run(t, func(*testing.T) grant.Admin {
		backend := grantmem.New()
		return admin{grantcache.New(backend, 2, time.Now), backend}
	})
}

// admin adds the operations of the operators' tools, which bypass the cache.
type admin struct {
	*grantcache.Store
	backend grant.Admin
}

func (a admin) List(ctx context.Context, after string, limit int) (grant.ListPage, error) {
	return a.backend.List(ctx, after, limit)
}

func (a admin) Erase(ctx context.Context, key grant.Key) (grant.Erased, error) {
	return a.backend.Erase(ctx, key)
}
