package granttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var queryChecks = []check{
	{"due records are listed earliest first, in pages of any size, and counted", checkDue},
	{"a change moves a due record", checkDueMoves},
	{"records are listed by id, in pages of any size, and counted", checkList},
	{"a listed record is complete, not shared, and valid for Write", checkFound},
	{"an impossible query is refused", checkImpossibleQuery},
}

// allDue returns the records of all pages.
func allDue(ctx context.Context, s grant.Store, q grant.DueQuery) (all []grant.Record, err error) {
	for range 1000 {
		page, err := s.Due(ctx, q)
		if err = errors.Join(append(page.Unreadable, err)...); err != nil {
			return nil, err
		}
		if len(page.Records) > q.Limit {
			return nil, fmt.Errorf("%d records in a page of %d", len(page.Records), q.Limit)
		}
		all = append(all, page.Records...)
		if q.After = page.Next; q.After == nil {
			return all, nil
		}
	}
	return nil, errors.New("there is no last page")
}

// allListed returns the records of all pages.
func allListed(ctx context.Context, s grant.Admin, after string, limit int) (all []grant.Record, err error) {
	for range 1000 {
		page, err := s.List(ctx, after, limit)
		if err = errors.Join(append(page.Unreadable, err)...); err != nil {
			return nil, err
		}
		if n := len(page.Records); n > limit || page.Next != "" && (n == 0 || page.Next != page.Records[n-1].Key().ID()) {
			return nil, fmt.Errorf("%d records in a page of %d, the next after %q", n, limit, page.Next)
		}
		all = append(all, page.Records...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
	return nil, errors.New("there is no last page")
}

func userIDs(records []grant.Record) []string {
	var ids []string
	for _, r := range records {
		ids = append(ids, r.UserID)
	}
	return ids
}

// wantDue reads all pages, checks that they contain the customers want in order,
// and checks the count at each of them.
func wantDue(t testing.TB, s grant.Store, q grant.DueQuery, want ...string) {
	t.Helper()
	got, err := allDue(t.Context(), s, q)
	wantError(t, "due", err, nil)
	wantSame(t, fmt.Sprintf("due with %+v", q), userIDs(got), want)
	for left := len(got); left >= 0; left-- {
		if n, err := s.CountDue(t.Context(), q); err != nil || n != min(left, q.Limit) {
			t.Fatalf("CountDue() = %d, %v, want %d: %+v", n, err, min(left, q.Limit), q)
		}
		if left > 0 {
			r := got[len(got)-left]
			q.After = &grant.DueCursor{RefreshDue: r.RefreshDue, ID: r.Key().ID()}
		}
	}
}

func wantList(t testing.TB, s grant.Admin, after string, limit int, want ...string) {
	t.Helper()
	got, err := allListed(t.Context(), s, after, limit)
	wantError(t, "list", err, nil)
	wantSame(t, fmt.Sprintf("listed, %d a page", limit), userIDs(got), want)
	if n, err := s.CountCustomers(t.Context()); after == "" && (n != len(want) || err != nil) {
		t.Fatalf("CountCustomers() = %d, %v, want %d", n, err, len(want))
	}
}

func checkDue(t testing.TB, s grant.Admin) {
	const µs = time.Microsecond
	far := time.FixedZone("far", 3600)
	order := []grant.Record{
		dueRecord("long ago", 1, time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)),
		dueRecord("at 2 a", 1, timeOf(2)), dueRecord("at 2 b", 2, timeOf(2)),
		dueRecord("at 2 c", 1, timeOf(2)), dueRecord("at 2 d", 2, timeOf(2)),
		dueRecord("at 2+", 1, timeOf(2).Add(µs)), dueRecord("in 0", 0, timeOf(3)), dueRecord("in 255", grant.Buckets-1, timeOf(4)),
		dueRecord("at 5", 1, timeOf(5)), dueRecord("never", 1, time.Time{}),
	}
	slices.SortStableFunc(order, func(a, b grant.Record) int {
		return cmp.Or(a.RefreshDue.Compare(b.RefreshDue), strings.Compare(a.Key().ID(), b.Key().ID()))
	})
	wantDue(t, s, grant.DueQuery{Buckets: []int{0, 1, 2}, Before: timeOf(9), Limit: 10})
	for _, r := range order {
		records.create(t, s, r)
	}
	var most []int // the most that a query may have
	for i := range grant.MaxDueBuckets {
		most = append(most, grant.Buckets-1-i)
	}
	for _, tt := range []struct {
		buckets      []int
		from, before time.Time
		after        *grant.DueCursor
		want         string // in any order
	}{
		{buckets: []int{2, 0, 1}, before: timeOf(9), want: "long ago, at 2 a, at 2 b, at 2 c, at 2 d, at 2+, in 0, at 5"},
		{buckets: []int{3, 4}, before: timeOf(9)},
		{buckets: []int{0}, before: timeOf(9), want: "in 0"},
		{buckets: []int{2, 2}, before: timeOf(9), want: "at 2 b, at 2 d"},
		{buckets: most, before: timeOf(9), want: "in 255"},

		{buckets: []int{1}, before: timeOf(2).Add(-µs), want: "long ago"},
		{buckets: []int{1}, before: timeOf(2), want: "long ago, at 2 a, at 2 c"},
		{buckets: []int{1}, before: timeOf(2).Add(999).In(far), want: "long ago, at 2 a, at 2 c"},
		{buckets: []int{1}, before: timeOf(2).Add(µs), want: "long ago, at 2 a, at 2 c, at 2+"},

		{buckets: []int{1}, from: timeOf(2).In(far), before: timeOf(9), want: "at 2 a, at 2 c, at 2+, at 5"},
		{buckets: []int{1}, from: timeOf(2).Add(µs), before: timeOf(9), want: "at 2+, at 5"},
		{buckets: []int{1}, from: timeOf(2), before: timeOf(2), want: "at 2 a, at 2 c"},
		{buckets: []int{1}, from: timeOf(6), before: timeOf(9)},
		// A cursor need not be at a record, and none goes back before From.
		{buckets: []int{1}, before: timeOf(9), after: &grant.DueCursor{RefreshDue: timeOf(2), ID: "z"}, want: "at 2+, at 5"},
		{buckets: []int{1}, from: timeOf(3), before: timeOf(9), after: &grant.DueCursor{RefreshDue: timeOf(1), ID: "z"}, want: "at 5"},
	} {
		var want []string
		for _, r := range order {
			if slices.Contains(strings.Split(tt.want, ", "), r.UserID) {
				want = append(want, r.UserID)
			}
		}
		for _, limit := range []int{1, 3, 100} {
			wantDue(t, s, grant.DueQuery{Buckets: tt.buckets, From: tt.from, Before: tt.before, Limit: limit, After: tt.after}, want...)
		}
	}
}

func checkDueMoves(t testing.TB, s grant.Admin) {
	moving := records.create(t, s, dueRecord("moving", 1, timeOf(1)))
	records.create(t, s, dueRecord("fixed", 1, timeOf(5)))
	for _, step := range []struct {
		bucket int
		due    time.Time
		want   string // then due in bucket 1 by 8
	}{
		{1, timeOf(2), "moving, fixed"},
		{1, timeOf(6), "fixed, moving"},
		{1, timeOf(9), "fixed"},
		{1, timeOf(4), "moving, fixed"},
		{1, time.Time{}, "fixed"},
		{1, timeOf(3), "moving, fixed"},
		{2, timeOf(3), "fixed"},
	} {
		moving = records.update(t, s, moving, dueRecord("moving", step.bucket, step.due))
		wantDue(t, s, grant.DueQuery{Buckets: []int{1}, Before: timeOf(8), Limit: 10}, strings.Split(step.want, ", ")...)
	}
}

func checkList(t testing.TB, s grant.Admin) {
	deliveries.create(t, s, fullDelivery(0, 1))
	accounts.create(t, s, fullAccount(0, 1))
	controls.create(t, s, fullControl(0, 1))
	wantList(t, s, "", 10)
	var all []grant.Record
	for i := range 8 {
		all = append(all, records.create(t, s, fullRecord(i, i))) // the first is not due
	}
	slices.SortFunc(all, func(a, b grant.Record) int { return strings.Compare(a.Key().ID(), b.Key().ID()) })
	for limit := range len(all) + 1 {
		wantList(t, s, "", limit+1, userIDs(all)...)
	}
	for i, r := range all {
		wantList(t, s, r.Key().ID(), 3, userIDs(all[i+1:])...)
	}
}

func checkFound(t testing.TB, s grant.Admin) {
	want := records.create(t, s, fullRecord(0, 1))
	for n := range 2 {
		listed, err := allListed(t.Context(), s, "", 10)
		wantError(t, "list", err, nil)
		due, err := allDue(t.Context(), s, grant.DueQuery{Buckets: []int{want.Bucket}, Before: want.RefreshDue, Limit: 10})
		wantError(t, "due", err, nil)
		found := append(listed, due...)
		wantSame(t, "listed and due", found, []grant.Record{want, want})
		scribble(reflect.ValueOf(found[n]))
		records.isStored(t, s, want)
		want = records.update(t, s, found[1-n], fullRecord(0, 2+n))
	}
}

func checkImpossibleQuery(t testing.TB, s grant.Admin) {
	for _, q := range []grant.DueQuery{
		{Limit: 1}, {Limit: 1, Buckets: make([]int, grant.MaxDueBuckets+1)}, {Buckets: []int{1}}, {Buckets: []int{1}, Limit: -1},
	} {
		_, err := s.Due(t.Context(), q)
		wantError(t, fmt.Sprintf("due with %+v", q), err, errRefused)
		_, err = s.CountDue(t.Context(), q)
		wantError(t, fmt.Sprintf("count with %+v", q), err, errRefused)
	}
	for _, limit := range []int{0, -1} {
		_, err := s.List(t.Context(), "", limit)
		wantError(t, fmt.Sprintf("list %d records", limit), err, errRefused)
	}
}
