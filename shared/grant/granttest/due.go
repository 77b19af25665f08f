package granttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var dueChecks = []Check{
	{"no record is due in an empty store", checkNoneDue},
	{"due records come the earliest first, then by id", checkDueOrder},
	{"pages of any size hold the same records", checkDuePages},
	{"only records due by then are due", checkDueBefore},
	{"only records due from then on are due", checkDueFrom},
	{"only buckets asked for are searched", checkDueBuckets},
	{"a change moves a record among the due", checkDueMoves},
	{"a change between pages does not move the place", checkChangeBetweenPages},
	{"a due record is whole and fit for Write", checkDueFit},
	{"an impossible query is refused", checkImpossibleQuery},
}

// sweep reads all pages and returns the userIds in order.
func sweep(ctx context.Context, s grant.Store, q grant.DueQuery) ([]string, error) {
	var ids []string
	for range 100 {
		page, err := s.Due(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("due: %w", err)
		}
		if len(page.Records) > q.Limit {
			return nil, fmt.Errorf("due: %d records in a page of %d", len(page.Records), q.Limit)
		}
		if len(page.Unreadable) > 0 {
			return nil, fmt.Errorf("due: %w", errors.Join(page.Unreadable...))
		}
		for _, r := range page.Records {
			ids = append(ids, r.UserID)
		}
		if q.After = page.Next; q.After == nil {
			return ids, nil
		}
	}
	return nil, errors.New("due: still no last page after 100 of them")
}

// wantSweep reads all pages and reports whether they hold want, in order.
func wantSweep(ctx context.Context, s grant.Store, q grant.DueQuery, want ...string) error {
	got, err := sweep(ctx, s, q)
	if err != nil {
		return err
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		return fmt.Errorf("due in buckets %v by %v, %d a page (-want +got):\n%s", q.Buckets, q.Before, q.Limit, diff)
	}
	return nil
}

func createAll(ctx context.Context, s grant.Store, records ...grant.Record) error {
	for _, r := range records {
		if _, err := create(ctx, s, r); err != nil {
			return err
		}
	}
	return nil
}

// someDue stores records in buckets 1 and 2, three of them due at each time,
// and returns their userIds in the order of the sweep.
func someDue(ctx context.Context, s grant.Store) ([]string, error) {
	var records []grant.Record
	for i := range 9 {
		records = append(records, dueRecord(fmt.Sprint("u-", i), 1+i%2, timeOf(9-i/3)))
	}
	if err := createAll(ctx, s, records...); err != nil {
		return nil, err
	}
	slices.SortFunc(records, func(a, b grant.Record) int {
		return cmp.Or(a.RefreshDue.Compare(b.RefreshDue), strings.Compare(a.Key().ID(), b.Key().ID()))
	})
	var ids []string
	for _, r := range records {
		ids = append(ids, r.UserID)
	}
	return ids, nil
}

func checkNoneDue(ctx context.Context, s grant.Admin) error {
	return wantSweep(ctx, s, grant.DueQuery{Buckets: []int{0, 1, 2}, Before: timeOf(1), Limit: 10})
}

func checkDueOrder(ctx context.Context, s grant.Admin) error {
	want, err := someDue(ctx, s)
	if err != nil {
		return err
	}
	return wantSweep(ctx, s, grant.DueQuery{Buckets: []int{2, 1}, Before: timeOf(30), Limit: 100}, want...)
}

func checkDuePages(ctx context.Context, s grant.Admin) error {
	want, err := someDue(ctx, s)
	if err != nil {
		return err
	}
	for limit := range len(want) + 1 {
		q := grant.DueQuery{Buckets: []int{1, 2}, Before: timeOf(30), Limit: limit + 1}
		if err := wantSweep(ctx, s, q, want...); err != nil {
			return err
		}
	}
	return nil
}

func checkDueBefore(ctx context.Context, s grant.Admin) error {
	err := createAll(ctx, s,
		dueRecord("never", 1, time.Time{}),
		dueRecord("long ago", 1, time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)),
		dueRecord("now", 1, timeOf(2)),
		dueRecord("soon", 1, timeOf(2).Add(time.Microsecond)))
	if err != nil {
		return err
	}
	for _, before := range []time.Time{timeOf(2), timeOf(2).Add(999), timeOf(2).In(time.FixedZone("far", 3600))} {
		q := grant.DueQuery{Buckets: []int{1}, Before: before, Limit: 10}
		if err := wantSweep(ctx, s, q, "long ago", "now"); err != nil {
			return err
		}
	}
	return nil
}

// dueFrom tells how many of someDue's records are due from a time on. They are
// due at 7, 8 and 9, three at each.
var dueFrom = []struct {
	from time.Time
	want int
}{
	{time.Time{}, 9}, {timeOf(7), 9}, {timeOf(7).Add(time.Microsecond), 6}, {timeOf(8).In(time.FixedZone("far", 3600)), 6},
	{timeOf(9), 3}, {timeOf(9).Add(time.Microsecond), 0},
}

func checkDueFrom(ctx context.Context, s grant.Admin) error {
	all, err := someDue(ctx, s)
	if err != nil {
		return err
	}
	for _, tt := range dueFrom {
		for _, limit := range []int{2, 100} {
			q := grant.DueQuery{Buckets: []int{1, 2}, From: tt.from, Before: timeOf(30), Limit: limit}
			if err := wantSweep(ctx, s, q, slices.Concat(all[len(all)-tt.want:])...); err != nil {
				return fmt.Errorf("from %v: %w", tt.from, err)
			}
		}
	}
	one := grant.DueQuery{Buckets: []int{1, 2}, From: timeOf(8), Before: timeOf(8), Limit: 2}
	return wantSweep(ctx, s, one, all[3:6]...)
}

func checkDueBuckets(ctx context.Context, s grant.Admin) error {
	err := createAll(ctx, s,
		dueRecord("in 0", 0, timeOf(1)), dueRecord("in 7", 7, timeOf(2)), dueRecord("in 255", grant.Buckets-1, timeOf(3)))
	if err != nil {
		return err
	}
	var many []int // as many as a query may have
	for i := range grant.MaxDueBuckets {
		many = append(many, grant.Buckets-1-i)
	}
	for _, tt := range []struct {
		buckets []int
		want    []string
	}{
		{[]int{0}, []string{"in 0"}},
		{[]int{255, 0}, []string{"in 0", "in 255"}},
		{[]int{7, 7}, []string{"in 7"}},
		{[]int{1, 2}, nil},
		{many, []string{"in 255"}},
	} {
		q := grant.DueQuery{Buckets: tt.buckets, Before: timeOf(30), Limit: 10}
		if err := wantSweep(ctx, s, q, tt.want...); err != nil {
			return err
		}
	}
	return nil
}

func checkDueMoves(ctx context.Context, s grant.Admin) error {
	moving, err := create(ctx, s, dueRecord("moving", 1, timeOf(1)))
	if err != nil {
		return err
	}
	if err := createAll(ctx, s, dueRecord("fixed", 1, timeOf(5))); err != nil {
		return err
	}
	for _, step := range []struct {
		bucket int
		due    time.Time
		want   []string // then due in bucket 1 by 8
	}{
		{1, timeOf(2), []string{"moving", "fixed"}},
		{1, timeOf(6), []string{"fixed", "moving"}},
		{1, timeOf(9), []string{"fixed"}},
		{1, timeOf(5).Add(-time.Microsecond), []string{"moving", "fixed"}},
		{1, time.Time{}, []string{"fixed"}},
		{1, timeOf(3), []string{"moving", "fixed"}},
		{2, timeOf(3), []string{"fixed"}},
	} {
		now := moving.Clone()
		now.Bucket, now.RefreshDue = step.bucket, step.due
		if moving, err = s.Write(ctx, moving, now); err != nil {
			return fmt.Errorf("update: %w", err)
		}
		q := grant.DueQuery{Buckets: []int{1}, Before: timeOf(8), Limit: 10}
		if err := wantSweep(ctx, s, q, step.want...); err != nil {
			return fmt.Errorf("moved to bucket %d and %v: %w", step.bucket, step.due, err)
		}
	}
	return nil
}

// checkChangeBetweenPages does what a sweep does: it refreshes the records of
// a page, which moves them away, and reads the next page.
func checkChangeBetweenPages(ctx context.Context, s grant.Admin) error {
	for i := range 6 {
		if err := createAll(ctx, s, dueRecord(fmt.Sprint("u-", i), 1, timeOf(1+i/2))); err != nil {
			return err
		}
	}
	q := grant.DueQuery{Buckets: []int{1}, Before: timeOf(30), Limit: 6}
	all, err := sweep(ctx, s, q)
	if err != nil {
		return err
	}
	q.Limit = 3
	page, err := s.Due(ctx, q)
	if err != nil || len(page.Records) == 0 || page.Next == nil {
		return fmt.Errorf("due: got %d records, next %v and error %v, want a first page", len(page.Records), page.Next, err)
	}
	for _, was := range page.Records {
		now := was.Clone()
		now.RefreshDue = timeOf(40)
		if _, err := s.Write(ctx, was, now); err != nil {
			return fmt.Errorf("update: %w", err)
		}
	}
	if err := createAll(ctx, s, dueRecord("early", 1, timeOf(1))); err != nil {
		return err
	}
	q.After = page.Next
	return wantSweep(ctx, s, q, all[len(page.Records):]...)
}

func checkDueFit(ctx context.Context, s grant.Admin) error {
	want, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	page, err := s.Due(ctx, grant.DueQuery{Buckets: []int{1}, Before: timeOf(1), Limit: 10})
	if err != nil || len(page.Records) != 1 {
		return fmt.Errorf("due: got %d records and error %v, want 1", len(page.Records), err)
	}
	due := page.Records[0]
	if err := wantRecord("due", due, want); err != nil {
		return err
	}
	written, err := s.Write(ctx, due, withGrant(due, "g1", func(g *grant.Grant) { g.Failures = 9 }))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := wantStored(ctx, s, written); err != nil {
		return err
	}
	_, err = s.Write(ctx, due, withGrant(due, "g1", func(g *grant.Grant) { g.Failures = 10 }))
	return wantError("update from the page again", err, grant.ErrConflict)
}

// impossibleQueries returns queries outside the limits, by what is wrong.
func impossibleQueries() map[string]grant.DueQuery {
	queries := map[string]grant.DueQuery{
		"no bucket":        {Limit: 1},
		"too many buckets": {Limit: 1, Buckets: make([]int, grant.MaxDueBuckets+1)},
		"no limit":         {Buckets: []int{1}},
		"negative limit":   {Buckets: []int{1}, Limit: -1},
	}
	for name, q := range queries {
		q.Before = timeOf(1)
		queries[name] = q
	}
	return queries
}

func checkImpossibleQuery(ctx context.Context, s grant.Admin) error {
	for name, q := range impossibleQueries() {
		_, err := s.Due(ctx, q)
		if err := wantRefused(name, err); err != nil {
			return err
		}
	}
	return nil
}
