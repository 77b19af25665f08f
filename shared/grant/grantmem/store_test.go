package grantmem_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	granttest.Run(t, func(*testing.T) grant.Admin { return grantmem.New() })
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestDueAgainstSorting compares pages with a sorted list of all records, after
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
			t.Errorf("sweep of %d records from %v differs (-want +got):\n%s", len(want), from, diff)
		}
		// A cursor before From has no effect.
		q.After = &grant.DueCursor{RefreshDue: epoch, ID: ""}
		if got := sweep(t, store, q); from.After(epoch) && len(got) != len(want) {
			t.Errorf("records after an early cursor = %d, want %d", len(got), len(want))
		}
	}
}

func sweep(t *testing.T, store *grantmem.Store, q grant.DueQuery) []grant.Record {
	t.Helper()
	var all []grant.Record
	for {
		page, err := store.Due(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Records...)
		if q.After = page.Next; q.After == nil {
			return all
		}
	}
}

// Of two writers with one revision, the second gets a conflict.
func Example() {
	ctx := context.Background()
	store := grantmem.New()
	key := grant.Key{Skill: "default", UserID: "u-1"}

	was := grant.New(key)
	now := was
	now.Region = alexa.EU
	stored, err := store.Write(ctx, was, now)
	fmt.Println(stored.Region, stored.Stored(), err)

	now.Region = alexa.NA
	_, err = store.Write(ctx, was, now)
	fmt.Println(errors.Is(err, grant.ErrConflict))
	// Output:
	// EU true <nil>
	// true
}
