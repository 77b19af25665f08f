package granttest_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Mistakes that a store may make when it counts and deletes.

func countsAll(s grant.Admin) grant.Admin {
	return onCounts(s, func(q *grant.DueQuery) { q.Limit *= 1000 })
}

func countsFromTheBeginning(s grant.Admin) grant.Admin {
	return onCounts(s, func(q *grant.DueQuery) { q.After = nil })
}

func countsTheFuture(s grant.Admin) grant.Admin {
	return onCounts(s, func(q *grant.DueQuery) { q.Before = q.Before.AddDate(100, 0, 0) })
}

// countsUntil leaves out what is due at that very moment.
func countsUntil(s grant.Admin) grant.Admin {
	return onCounts(s, func(q *grant.DueQuery) { q.Before = q.Before.Add(-time.Microsecond) })
}

func countsAllBuckets(s grant.Admin) grant.Admin {
	return onCounts(s, func(q *grant.DueQuery) {
		if len(q.Buckets) > 1 {
			q.Buckets = []int{0, 1, 2, 3, 7}
		}
	})
}

// countsEachBucket adds up the buckets, of which one may be named twice.
func countsEachBucket(s grant.Admin) grant.Admin {
	return broken{Admin: s, countDue: func(ctx context.Context, q grant.DueQuery) (int, error) {
		if _, err := s.CountDue(ctx, q); err != nil {
			return 0, err
		}
		sum := 0
		for _, bucket := range q.Buckets {
			one := q
			one.Buckets = []int{bucket}
			n, _ := s.CountDue(ctx, one)
			sum += n
		}
		return min(sum, q.Limit), nil
	}}
}

func countsImpossibleQueries(s grant.Admin) grant.Admin {
	return broken{Admin: s, countDue: func(ctx context.Context, q grant.DueQuery) (int, error) {
		if len(q.Buckets) > grant.MaxDueBuckets {
			return 0, nil
		}
		return s.CountDue(ctx, q)
	}}
}

func deletesNothing(s grant.Admin) grant.Admin {
	return broken{Admin: s, delete: func(context.Context, grant.Record) error { return nil }}
}

func deletesAnyRevision(s grant.Admin) grant.Admin {
	return broken{Admin: s, delete: func(ctx context.Context, was grant.Record) error {
		if r, err := s.Read(ctx, was.Key()); err == nil && was.Stored() {
			was = r
		}
		return s.Delete(ctx, was)
	}}
}

func deletesWhatIsGone(s grant.Admin) grant.Admin {
	return broken{Admin: s, delete: func(ctx context.Context, was grant.Record) error {
		if _, err := s.Read(ctx, was.Key()); errors.Is(err, grant.ErrNotFound) && was.Stored() {
			return nil
		}
		return s.Delete(ctx, was)
	}}
}

// deletesWithoutRevision has no condition when there is no revision.
func deletesWithoutRevision(s grant.Admin) grant.Admin {
	return broken{Admin: s, delete: func(ctx context.Context, was grant.Record) error {
		if was.Stored() {
			return s.Delete(ctx, was)
		}
		_, err := s.Erase(ctx, was.Key())
		return err
	}}
}

// conflictsWithoutRevision has a caller read again, for ever.
func conflictsWithoutRevision(s grant.Admin) grant.Admin {
	return broken{Admin: s, delete: func(ctx context.Context, was grant.Record) error {
		if !was.Stored() {
			return grant.ErrConflict
		}
		return s.Delete(ctx, was)
	}}
}

// looksThenDeletes has the right idea, in two steps, between which it lets
// others write.
func looksThenDeletes(s grant.Admin) grant.Admin {
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			time.Sleep(time.Millisecond)
			return s.Write(ctx, was, now)
		},
		delete: func(ctx context.Context, was grant.Record) error {
			if current(ctx, s, was.Key()).Revision != was.Revision {
				return grant.ErrConflict
			}
			time.Sleep(2 * time.Millisecond)
			return s.Delete(ctx, current(ctx, s, was.Key()))
		},
	}
}

func deletesDeliveriesToo(s grant.Admin) grant.Admin {
	return broken{Admin: s, delete: func(ctx context.Context, was grant.Record) error {
		if err := s.Delete(ctx, was); err != nil {
			return err
		}
		_, err := s.Erase(ctx, was.Key())
		return err
	}}
}

// emptiesRecords leaves a record without grants where there is to be none.
func emptiesRecords(s grant.Admin) grant.Admin {
	return broken{Admin: s, delete: func(ctx context.Context, was grant.Record) error {
		if err := s.Delete(ctx, was); err != nil {
			return err
		}
		now := grant.New(was.Key())
		now.UsedAt = was.UsedAt.Add(time.Second)
		_, err := s.Write(ctx, grant.New(was.Key()), now)
		return err
	}}
}

// sweepsDeleted has an index that does not hear of deletions.
func sweepsDeleted(s grant.Admin) grant.Admin {
	deleted := make(map[grant.Key]grant.Record)
	return broken{
		Admin: s,
		delete: func(ctx context.Context, was grant.Record) error {
			r := current(ctx, s, was.Key())
			err := s.Delete(ctx, was)
			if err == nil {
				deleted[was.Key()] = r
			}
			return err
		},
		due: func(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
			page, err := s.Due(ctx, q)
			for _, r := range deleted {
				due := !r.RefreshDue.IsZero() && !r.RefreshDue.After(q.Before) && slices.Contains(q.Buckets, r.Bucket)
				if due && err == nil && page.Next == nil && q.After == nil && len(page.Records) < q.Limit {
					page.Records = append(page.Records, r)
				}
			}
			return page, err
		},
	}
}

// keepsTombstones knows that there was a record, and has nobody in its place.
func keepsTombstones(s grant.Admin) grant.Admin {
	buried := make(map[grant.Key]bool)
	return broken{
		Admin: s,
		delete: func(ctx context.Context, was grant.Record) error {
			err := s.Delete(ctx, was)
			buried[was.Key()] = buried[was.Key()] || err == nil
			return err
		},
		erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
			erased, err := s.Erase(ctx, key)
			buried[key] = buried[key] || erased.Records > 0
			return erased, err
		},
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			if buried[now.Key()] && !was.Stored() {
				return grant.Record{}, grant.ErrConflict
			}
			return s.Write(ctx, was, now)
		},
	}
}

// countsEachLife counts the writes of a record from its creation on, so that a
// writer who knew the one before takes this one for it.
func countsEachLife(s grant.Admin) grant.Admin {
	written := make(map[grant.Key]grant.Revision)
	return broken{
		Admin: s,
		write: func(ctx context.Context, was, now grant.Record) (grant.Record, error) {
			if was.Revision != 0 && was.Revision == written[was.Key()] {
				was.Revision = current(ctx, s, was.Key()).Revision
			}
			r, err := s.Write(ctx, was, now)
			if err == nil && r.Revision != was.Revision {
				written[now.Key()]++
				r.Revision = written[now.Key()]
			}
			return r, err
		},
		delete: func(ctx context.Context, was grant.Record) error {
			if was.Revision != 0 && was.Revision == written[was.Key()] {
				was.Revision = current(ctx, s, was.Key()).Revision
			}
			err := s.Delete(ctx, was)
			if err == nil {
				delete(written, was.Key())
			}
			return err
		},
	}
}
