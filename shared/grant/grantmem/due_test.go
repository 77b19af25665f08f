package grantmem_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestDueAgainstSorting compares pages with a plain sort of all records after
// many random changes of bucket and time.
func TestDueAgainstSorting(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	store := grantmem.New()
	records := make(map[string]grant.Record)
	for range 3000 {
		key := grant.Key{Skill: "default", UserID: fmt.Sprint("u-", r.IntN(500))}
		was, known := records[key.UserID]
		if !known {
			was = grant.New(key)
		}
		now := was
		now.Bucket = r.IntN(8)
		now.RefreshDue = epoch.Add(time.Duration(r.IntN(100)) * time.Second)
		if r.IntN(4) == 0 {
			now.RefreshDue = time.Time{}
		}
		written, err := store.Write(t.Context(), was, now)
		if err != nil {
			t.Fatal(err)
		}
		records[key.UserID] = written
	}
	for _, from := range []time.Time{{}, epoch.Add(30 * time.Second)} {
		q := grant.DueQuery{Buckets: []int{6, 1, 3}, From: from, Before: epoch.Add(70 * time.Second), Limit: 7}
		var want []grant.Record
		for _, record := range records {
			if slices.Contains(q.Buckets, record.Bucket) && !record.RefreshDue.IsZero() &&
				!record.RefreshDue.Before(q.From) && !record.RefreshDue.After(q.Before) {
				want = append(want, record)
			}
		}
		slices.SortFunc(want, func(a, b grant.Record) int {
			return cmp.Or(a.RefreshDue.Compare(b.RefreshDue), strings.Compare(a.Key().ID(), b.Key().ID()))
		})
		if diff := gocmp.Diff(want, sweep(t, store, q)); diff != "" || len(want) < 50 {
			t.Errorf("a sweep of %d records from %v (-want +got):\n%s", len(want), from, diff)
		}
		// A cursor before From does not lead there.
		q.After = &grant.DueCursor{RefreshDue: epoch, ID: ""}
		if got := sweep(t, store, q); from.After(epoch) && len(got) != len(want) {
			t.Errorf("%d records after an early cursor, want %d", len(got), len(want))
		}
	}
}

func sweep(tb testing.TB, store *grantmem.Store, q grant.DueQuery) []grant.Record {
	tb.Helper()
	var all []grant.Record
	for {
		page, err := store.Due(context.Background(), q)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, page.Records...)
		if q.After = page.Next; q.After == nil {
			return all
		}
	}
}

// BenchmarkDue reads a page of 100 from the middle of 100,000 records.
func BenchmarkDue(b *testing.B) {
	store := grantmem.New()
	for i := range 100_000 {
		r := grant.New(grant.Key{Skill: "default", UserID: fmt.Sprint("u-", i)})
		now := r
		now.RefreshDue = epoch.Add(time.Duration(i*7919%100_000) * time.Millisecond)
		if _, err := store.Write(b.Context(), r, now); err != nil {
			b.Fatal(err)
		}
	}
	q := grant.DueQuery{Before: epoch.Add(time.Hour), Limit: 100, After: &grant.DueCursor{RefreshDue: epoch.Add(50 * time.Second)}}
	for i := range grant.MaxDueBuckets {
		q.Buckets = append(q.Buckets, i)
	}
	for b.Loop() {
		if page, err := store.Due(b.Context(), q); err != nil || len(page.Records) != q.Limit {
			b.Fatalf("got %d records and error %v, want %d", len(page.Records), err, q.Limit)
		}
	}
}
