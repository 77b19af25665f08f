package grantmem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// dueIndex has, for each bucket, the records that wait for the sweep, in the
// sweep's order. With 256 buckets these lists stay short (400 entries for 100,000
// records), so a change costs a binary search and a small move, and a page needs no
// sorting.
type dueIndex map[int64][]dueEntry

type dueEntry struct {
	due time.Time
	id  string
}

func (e dueEntry) compare(other dueEntry) int {
	return cmp.Or(e.due.Compare(other.due), strings.Compare(e.id, other.id))
}

// place returns a document's bucket and entry; false if it is not indexed.
func place(id string, doc map[string]any) (int64, dueEntry, bool) {
	bucket, inBucket := doc["bucket"].(int64)
	due, isDue := doc["refreshDue"].(time.Time)
	return bucket, dueEntry{due, id}, inBucket && isDue
}

func (x dueIndex) insert(id string, doc map[string]any) {
	if bucket, e, ok := place(id, doc); ok {
		i, _ := slices.BinarySearchFunc(x[bucket], e, dueEntry.compare)
		x[bucket] = slices.Insert(x[bucket], i, e)
	}
}

func (x dueIndex) remove(id string, doc map[string]any) {
	if bucket, e, ok := place(id, doc); ok {
		i, _ := slices.BinarySearchFunc(x[bucket], e, dueEntry.compare)
		x[bucket] = slices.Delete(x[bucket], i, i+1)
	}
}

// page returns the first entries that q selects, in order. It merges the buckets'
// lists: the earliest head comes next.
func (x dueIndex) page(q grant.DueQuery) []dueEntry {
	var lists [][]dueEntry
	for _, bucket := range slices.Compact(slices.Sorted(slices.Values(q.Buckets))) {
		lists = append(lists, x.after(bucket, q.From, q.After))
	}
	var page []dueEntry
	for len(page) < q.Limit {
		first := -1
		for i, l := range lists {
			if len(l) > 0 && (first < 0 || l[0].compare(lists[first][0]) < 0) {
				first = i
			}
		}
		if first < 0 || lists[first][0].due.After(q.Before) {
			break
		}
		page = append(page, lists[first][0])
		lists[first] = lists[first][1:]
	}
	return page
}

// after returns the part of a bucket's list that is due at from or later, and
// comes after the cursor.
func (x dueIndex) after(bucket int, from time.Time, cursor *grant.DueCursor) []dueEntry {
	entries := x[int64(bucket)]
	i, _ := slices.BinarySearchFunc(entries, dueEntry{due: from}, dueEntry.compare)
	if cursor == nil {
		return entries[i:]
	}
	at, found := slices.BinarySearchFunc(entries, dueEntry{cursor.RefreshDue, cursor.ID}, dueEntry.compare)
	if found {
		at++
	}
	return entries[max(i, at):]
}

// Due implements [grant.Store].
func (s *Store) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	if err := validate(ctx, q); err != nil {
		return grant.DuePage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	entries := s.due.page(q)
	var page grant.DuePage
	for _, e := range entries {
		r, err := s.record(e.id)
		if err != nil {
			return grant.DuePage{}, err
		}
		page.Records = append(page.Records, r)
	}
	if len(entries) == q.Limit {
		last := entries[len(entries)-1]
		page.Next = &grant.DueCursor{RefreshDue: last.due, ID: last.id}
	}
	return page, nil
}

// CountDue implements [grant.Store].
func (s *Store) CountDue(ctx context.Context, q grant.DueQuery) (int, error) {
	if err := validate(ctx, q); err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.due.page(q)), nil
}

// validate returns why a query cannot be run.
func validate(ctx context.Context, q grant.DueQuery) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("grantmem: find due records: %w", err)
	}
	if len(q.Buckets) < 1 || len(q.Buckets) > grant.MaxDueBuckets || q.Limit < 1 {
		return errors.New("grantmem: find due records: number of buckets or limit is out of range")
	}
	return nil
}
