package granttest

import (
	"context"
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var countChecks = []Check{
	{"as many are counted as are due by then", checkCountBefore},
	{"only those due from then on are counted", checkCountFrom},
	{"only buckets asked for are counted", checkCountBuckets},
	{"no more are counted than the limit", checkCountLimit},
	{"only those after the cursor are counted", checkCountAfter},
	{"an impossible count is refused", checkImpossibleCount},
	{"all customers are counted", checkCountCustomers},
}

func wantCount(ctx context.Context, s grant.Store, q grant.DueQuery, want int) error {
	got, err := s.CountDue(ctx, q)
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if got != want {
		return fmt.Errorf("got %d due in buckets %v from %v by %v, after %v and no more than %d; want %d",
			got, q.Buckets, q.From, q.Before, q.After, q.Limit, want)
	}
	return nil
}

func checkCountBefore(ctx context.Context, s grant.Admin) error {
	q := grant.DueQuery{Buckets: []int{1}, Before: timeOf(2), Limit: 10}
	if err := wantCount(ctx, s, q, 0); err != nil {
		return fmt.Errorf("in an empty store: %w", err)
	}
	err := createAll(ctx, s,
		dueRecord("never", 1, time.Time{}),
		dueRecord("long ago", 1, time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)),
		dueRecord("now", 1, timeOf(2)),
		dueRecord("soon", 1, timeOf(2).Add(time.Microsecond)))
	if err != nil {
		return err
	}
	if err := wantCount(ctx, s, q, 2); err != nil {
		return err
	}
	q.Before = q.Before.Add(time.Microsecond)
	return wantCount(ctx, s, q, 3)
}

func checkCountFrom(ctx context.Context, s grant.Admin) error {
	if _, err := someDue(ctx, s); err != nil {
		return err
	}
	for _, tt := range dueFrom {
		q := grant.DueQuery{Buckets: []int{1, 2}, From: tt.from, Before: timeOf(30), Limit: 100}
		if err := wantCount(ctx, s, q, tt.want); err != nil {
			return err
		}
	}
	return nil
}

// checkCountCustomers counts records, whether they are due or have grants, and
// nothing else that is kept.
func checkCountCustomers(ctx context.Context, s grant.Admin) error {
	wantCustomers := func(want int) error {
		if got, err := s.CountCustomers(ctx); got != want || err != nil {
			return fmt.Errorf("count customers: got %d and error %v, want %d", got, err, want)
		}
		return nil
	}
	if err := wantCustomers(0); err != nil {
		return err
	}
	if _, err := createDelivery(ctx, s, fullDelivery("e-1", 1)); err != nil {
		return err
	}
	if _, err := createAccount(ctx, s, fullAccount("a-1", 1)); err != nil {
		return err
	}
	if _, err := createControl(ctx, s, fullControl("c-1", 1)); err != nil {
		return err
	}
	all, err := someListed(ctx, s)
	if err != nil {
		return err
	}
	if err := wantCustomers(len(all)); err != nil {
		return err
	}
	gone, err := s.Read(ctx, user("full"))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := s.Delete(ctx, gone); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return wantCustomers(len(all) - 1)
}

func checkCountBuckets(ctx context.Context, s grant.Admin) error {
	err := createAll(ctx, s,
		dueRecord("in 0", 0, timeOf(1)), dueRecord("in 7", 7, timeOf(1)), dueRecord("in 7 too", 7, timeOf(1)))
	if err != nil {
		return err
	}
	for _, tt := range []struct {
		buckets []int
		want    int
	}{{[]int{0}, 1}, {[]int{7, 0}, 3}, {[]int{7, 7}, 2}, {[]int{1, 2}, 0}} {
		q := grant.DueQuery{Buckets: tt.buckets, Before: timeOf(1), Limit: 10}
		if err := wantCount(ctx, s, q, tt.want); err != nil {
			return err
		}
	}
	return nil
}

func checkCountLimit(ctx context.Context, s grant.Admin) error {
	all, err := someDue(ctx, s)
	if err != nil {
		return err
	}
	for limit := range len(all) + 2 {
		q := grant.DueQuery{Buckets: []int{1, 2}, Before: timeOf(30), Limit: limit + 1}
		if err := wantCount(ctx, s, q, min(q.Limit, len(all))); err != nil {
			return err
		}
	}
	return nil
}

func checkCountAfter(ctx context.Context, s grant.Admin) error {
	all, err := someDue(ctx, s)
	if err != nil {
		return err
	}
	q := grant.DueQuery{Buckets: []int{1, 2}, Before: timeOf(30), Limit: 2}
	for left := len(all); left > 0; left -= q.Limit {
		for _, limit := range []int{1, 2, 100} {
			counted := q
			counted.Limit = limit
			if err := wantCount(ctx, s, counted, min(limit, left)); err != nil {
				return err
			}
		}
		page, err := s.Due(ctx, q)
		if err != nil || len(page.Records) == 0 {
			return fmt.Errorf("due: got %d records and error %v, want more", len(page.Records), err)
		}
		last := page.Records[len(page.Records)-1]
		q.After = &grant.DueCursor{RefreshDue: last.RefreshDue, ID: last.Key().ID()}
	}
	return wantCount(ctx, s, q, 0)
}

func checkImpossibleCount(ctx context.Context, s grant.Admin) error {
	for name, q := range impossibleQueries() {
		_, err := s.CountDue(ctx, q)
		if err := wantRefused(name, err); err != nil {
			return err
		}
	}
	return nil
}
