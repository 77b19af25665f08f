package granttest

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

// TestBrokenStores proves the suite: the named check fails with each of these
// stores. So do random walks, unless they cannot meet the fault.
func TestBrokenStores(t *testing.T) {
	t.Parallel()
	for _, broken := range []struct {
		fault  string
		store  func(grant.Admin) grant.Admin
		check  string // prefix of its name
		noWalk string // why a walk cannot find the fault
	}{
		{"a write without a precondition", onWrite(blindWrite), "record: a stale revision", ""},
		{"a look, then a write", onWrite(lookThenWrite), "record: one of several writers", "a walk has no concurrent calls"},
		{"a write of the whole record", onWrite(writeAll), "record: an update writes only what differs",
			"a walk writes from stored states alone"},
		{"a stale read", func(s grant.Admin) grant.Admin { return staleReads{s, map[grant.Key]grant.Record{}} },
			"record: an update reads back", ""},
		{"a second claim of an event", func(s grant.Admin) grant.Admin { return claims{s} }, "delivery: a created one", ""},
		{"a control document that is merged", func(s grant.Admin) grant.Admin { return merges{s} }, "control document: an update reads back", ""},
		{"a delete of any revision", func(s grant.Admin) grant.Admin { return deletes{s} }, "a delete from any other revision", ""},
		{"an index of the first state", func(s grant.Admin) grant.Admin { return staleIndex{s, map[string]grant.DuePage{}} },
			"a change moves", ""},
		{"due before, exclusive", onQuery(func(q *grant.DueQuery) { q.Before = q.Before.Add(-time.Microsecond) }), "due records", ""},
		{"due from, exclusive", onQuery(func(q *grant.DueQuery) { q.From = q.From.Add(time.Microsecond) }), "due records", ""},
		{"bucket 0 lost", onQuery(func(q *grant.DueQuery) {
			if i := slices.Index(q.Buckets, 0); i >= 0 && len(q.Buckets) > 1 {
				q.Buckets = slices.Delete(slices.Clone(q.Buckets), i, i+1)
			}
		}), "due records", ""},
		{"no order", onPage(func(page *grant.DuePage) { slices.Reverse(page.Records) }), "due records", ""},
		{"ties skipped between pages", onPage(func(page *grant.DuePage) {
			if page.Next != nil {
				page.Next.ID = "z"
			}
		}), "due records", ""},
		{"a context ignored", func(s grant.Admin) grant.Admin { return ignoresContext{s} }, "an ended context", "no context ends"},
	} {
		t.Run(broken.fault, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(checks(), func(c check) bool { return strings.HasPrefix(c.name, broken.check) })
			if failure(t, func(t testing.TB) { checks()[i].test(t, broken.store(grantmem.New())) }) == "" {
				t.Errorf("%q passes, want a failure", checks()[i].name)
			}
			if broken.noWalk != "" {
				return
			}
			var found string
			for seed := uint64(0); seed < 200 && found == ""; seed++ {
				found = failure(t, func(t testing.TB) { takeWalk(t, broken.store(grantmem.New()), seed) })
			}
			if !strings.Contains(found, "after these operations:\nSTORE_SEED=") {
				t.Errorf("the walks' failure = %q, want one with its operations", found)
			}
		})
	}
}

// recorder records a failure, and ends the goroutine as testing does.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure runs a test in a bubble, where a store that waits lets all others run: it
// loses every race.
func failure(t *testing.T, test func(t testing.TB)) (failure string) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			test(r)
		}()
		<-done
		failure = r.failure
	})
	return failure
}

type writeFunc func(ctx context.Context, s grant.Admin, stored, was, now grant.Record) (grant.Record, error)

type writes struct {
	grant.Admin
	write writeFunc
}

func onWrite(write writeFunc) func(grant.Admin) grant.Admin {
	return func(s grant.Admin) grant.Admin { return writes{s, write} }
}

func (s writes) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	stored, _ := s.Read(ctx, was.Key()) // zero, if there is none
	return s.write(ctx, s.Admin, stored, was, now)
}

func blindWrite(ctx context.Context, s grant.Admin, stored, was, now grant.Record) (grant.Record, error) {
	return s.Write(ctx, records.at(was, stored), now)
}

func lookThenWrite(ctx context.Context, s grant.Admin, stored, was, now grant.Record) (grant.Record, error) {
	if was.Key() != now.Key() || len(grant.Diff(was, now)) == 0 {
		return s.Write(ctx, was, now)
	}
	if stored.Revision != was.Revision {
		return grant.Record{}, grant.ErrConflict
	}
	time.Sleep(time.Millisecond) // for another writer
	stored, _ = s.Read(ctx, was.Key())
	return blindWrite(ctx, s, stored, was, now)
}

func writeAll(ctx context.Context, s grant.Admin, stored, was, now grant.Record) (grant.Record, error) {
	if stored.Stored() && stored.Revision == was.Revision {
		was = stored
	}
	return s.Write(ctx, was, now)
}

// staleReads caches its reads without expiry.
type staleReads struct {
	grant.Admin
	read map[grant.Key]grant.Record
}

func (s staleReads) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	if r, ok := s.read[key]; ok {
		return r, nil
	}
	r, err := s.Admin.Read(ctx, key)
	if err == nil {
		s.read[key] = r
	}
	return r, err
}

type claims struct{ grant.Admin }

func (s claims) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	if stored, err := s.ReadDelivery(ctx, was.Key); err == nil && was.Revision == 0 {
		was = stored
	}
	return s.Admin.WriteDelivery(ctx, was, now)
}

type merges struct{ grant.Admin }

func (s merges) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	merged := make(map[string]any)
	maps.Copy(merged, was.Document)
	maps.Copy(merged, now.Document)
	now.Document = merged
	return s.Admin.WriteControl(ctx, was, now)
}

// deletes ignores the revision.
type deletes struct{ grant.Admin }

func (s deletes) Delete(ctx context.Context, was grant.Record) error {
	stored, _ := s.Read(ctx, was.Key())
	return s.Admin.Delete(ctx, stored)
}

type staleIndex struct {
	grant.Admin
	pages map[string]grant.DuePage
}

func (s staleIndex) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	query := fmt.Sprint(q, q.After)
	if page, ok := s.pages[query]; ok {
		return page, nil
	}
	page, err := s.Admin.Due(ctx, q)
	s.pages[query] = page
	return page, err
}

type dues struct {
	grant.Admin
	query func(*grant.DueQuery)
	page  func(*grant.DuePage)
}

func onQuery(change func(*grant.DueQuery)) func(grant.Admin) grant.Admin {
	return func(s grant.Admin) grant.Admin { return dues{s, change, func(*grant.DuePage) {}} }
}

func onPage(change func(*grant.DuePage)) func(grant.Admin) grant.Admin {
	return func(s grant.Admin) grant.Admin { return dues{s, func(*grant.DueQuery) {}, change} }
}

func (s dues) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	s.query(&q)
	page, err := s.Admin.Due(ctx, q)
	s.page(&page)
	return page, err
}

type ignoresContext struct{ grant.Admin }

func (s ignoresContext) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	return s.Admin.Read(context.WithoutCancel(ctx), key)
}
