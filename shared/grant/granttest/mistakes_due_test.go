package granttest_test

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Mistakes that a store may make with due records and with deliveries.

func forgetsOrder(s grant.Admin) grant.Admin {
	return onPages(s, func(_ grant.DueQuery, page *grant.DuePage) { slices.Reverse(page.Records) })
}

// forgetsTies orders records of one time by userId, which is not their id.
func forgetsTies(s grant.Admin) grant.Admin {
	return onPages(s, func(_ grant.DueQuery, page *grant.DuePage) {
		slices.SortStableFunc(page.Records, func(a, b grant.Record) int {
			if c := a.RefreshDue.Compare(b.RefreshDue); c != 0 {
				return c
			}
			return strings.Compare(a.UserID, b.UserID)
		})
	})
}

func forgetsNextPage(s grant.Admin) grant.Admin {
	return onPages(s, func(_ grant.DueQuery, page *grant.DuePage) { page.Next = nil })
}

func ignoresCursor(s grant.Admin) grant.Admin {
	return onQueries(s, func(q *grant.DueQuery) { q.After = nil })
}

// skipsTies goes on behind the time of the last record, not behind the record.
func skipsTies(s grant.Admin) grant.Admin {
	return onPages(s, func(_ grant.DueQuery, page *grant.DuePage) {
		if page.Next != nil {
			page.Next.ID = "z"
		}
	})
}

func ignoresLimit(s grant.Admin) grant.Admin {
	return onQueries(s, func(q *grant.DueQuery) { q.Limit *= 2 })
}

// pagesByNumber counts records instead of keeping a place among them.
func pagesByNumber(s grant.Admin) grant.Admin {
	return broken{Admin: s, due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
		limit, skip := q.Limit, 0
		if q.After != nil {
			skip = q.After.RefreshDue.Nanosecond()
		}
		q.After, q.Limit = nil, skip+limit
		page, err := s.Due(ctx, q)
		page.Records = page.Records[min(skip, len(page.Records)):]
		if page.Next != nil {
			page.Next.RefreshDue = time.Unix(0, int64(skip+limit))
		}
		return page, err
	}}
}

func findsAllBuckets(s grant.Admin) grant.Admin {
	return onQueries(s, func(q *grant.DueQuery) {
		if len(q.Buckets) == 2 {
			q.Buckets = []int{0, 1, 2, 7, grant.Buckets - 1}
		}
	})
}

// losesBucket0 does not store what is zero.
func losesBucket0(s grant.Admin) grant.Admin {
	return onQueries(s, func(q *grant.DueQuery) {
		if len(q.Buckets) > 1 {
			q.Buckets = slices.DeleteFunc(slices.Clone(q.Buckets), func(b int) bool { return b == 0 })
		}
	})
}

func findsTwice(s grant.Admin) grant.Admin {
	return onPages(s, func(q grant.DueQuery, page *grant.DuePage) {
		if len(q.Buckets) == 2 && q.Buckets[0] == q.Buckets[1] {
			page.Records = append(page.Records, page.Records...)
		}
	})
}

func findsEarlier(s grant.Admin) grant.Admin {
	return onQueries(s, func(q *grant.DueQuery) { q.Before = q.Before.Add(-time.Microsecond) })
}

func findsLater(s grant.Admin) grant.Admin {
	return onQueries(s, func(q *grant.DueQuery) { q.Before = q.Before.Add(time.Microsecond) })
}

func findsFromTheBeginning(s grant.Admin) grant.Admin {
	return onQueries(s, func(q *grant.DueQuery) { q.From = time.Time{} })
}

// findsAfterFrom leaves out what is due at that time.
func findsAfterFrom(s grant.Admin) grant.Admin {
	return onQueries(s, func(q *grant.DueQuery) {
		if !q.From.IsZero() {
			q.From = q.From.Add(time.Microsecond)
		}
	})
}

func countsPastFrom(s grant.Admin) grant.Admin {
	return onCounts(s, func(q *grant.DueQuery) { q.From = time.Time{} })
}

func findsSomethingInNothing(s grant.Admin) grant.Admin {
	return onPages(s, func(_ grant.DueQuery, page *grant.DuePage) {
		if len(page.Records) == 0 {
			page.Records = append(page.Records, grant.Record{})
		}
	})
}

// indexesOnce does not move a record among the due ones.
func indexesOnce(s grant.Admin) grant.Admin {
	pages := make(map[string]grant.DuePage)
	return broken{Admin: s, due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
		query := q.Before.String()
		if page, ok := pages[query]; ok && q.After == nil {
			return page, nil
		}
		page, err := s.Due(ctx, q)
		pages[query] = page
		return page, err
	}}
}

func findsWithoutRevision(s grant.Admin) grant.Admin {
	return onPages(s, func(_ grant.DueQuery, page *grant.DuePage) {
		for i := range page.Records {
			page.Records[i].Revision = 0
		}
	})
}

func answersImpossibleQueries(s grant.Admin) grant.Admin {
	return broken{Admin: s, due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
		if len(q.Buckets) == 0 {
			return grant.DuePage{}, nil
		}
		return s.Due(ctx, q)
	}}
}

// masksDeliveries writes only the differing fields of a delivery.
func masksDeliveries(s grant.Admin) grant.Admin {
	return broken{Admin: s, writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
		if stored := currentDelivery(ctx, s, now.Key); was.State == now.State {
			now.State = stored.State
		}
		return s.WriteDelivery(ctx, was, now)
	}}
}

// hidesExpired does not return what is expired, and keeps its place taken.
func hidesExpired(s grant.Admin) grant.Admin {
	return broken{Admin: s, readDelivery: func(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
		d, err := s.ReadDelivery(ctx, key)
		if err == nil && d.ExpireAt.Year() < 2026 {
			return grant.Delivery{}, grant.ErrNotFound
		}
		return d, err
	}}
}

func keepsDeliveriesForEver(s grant.Admin) grant.Admin {
	return broken{Admin: s, writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
		if now.ExpireAt.IsZero() {
			now.ExpireAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		return s.WriteDelivery(ctx, was, now)
	}}
}

func remembersDeliveries(s grant.Admin) grant.Admin {
	given := make(map[grant.DeliveryKey][]string)
	return broken{
		Admin: s,
		writeDelivery: func(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
			d, err := s.WriteDelivery(ctx, was, now)
			if err == nil {
				given[now.Key] = now.Accepted
			}
			return d, err
		},
		readDelivery: func(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
			d, err := s.ReadDelivery(ctx, key)
			d.Accepted = given[key]
			return d, err
		},
	}
}
