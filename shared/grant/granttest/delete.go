package granttest

import (
	"context"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var deleteChecks = []Check{
	{"a deleted record is gone", checkDelete},
	{"a delete leaves everything else", checkDeleteLeaves},
	{"a delete from a stale revision conflicts and removes nothing", checkDeleteStale},
	{"a delete of a record that is gone conflicts", checkDeleteGone},
	{"a record that is not stored cannot be deleted", checkDeleteUnstored},
	{"a deleted record can be created anew", checkDeleteAndCreate},
}

// wantGone reports whether nothing shows that there is a record.
func wantGone(ctx context.Context, s grant.Admin, was grant.Record) error {
	_, err := s.Read(ctx, was.Key())
	if err := wantError("read", err, grant.ErrNotFound); err != nil {
		return err
	}
	q := grant.DueQuery{Buckets: []int{was.Bucket}, Before: was.RefreshDue, Limit: 1000}
	page, err := s.Due(ctx, q)
	if err != nil {
		return fmt.Errorf("due: %w", err)
	}
	listed, err := s.List(ctx, "", 1000)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	for _, r := range append(page.Records, listed.Records...) {
		if r.Key() == was.Key() {
			return fmt.Errorf("%+v is still due or listed", r.Key())
		}
	}
	if got, err := s.CountDue(ctx, q); err != nil || got != len(page.Records) {
		return fmt.Errorf("count: got %d and error %v, want the %d that are due", got, err, len(page.Records))
	}
	return nil
}

func checkDelete(ctx context.Context, s grant.Admin) error {
	r, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	if err := createAll(ctx, s, fullRecord(user("u-2"), 1)); err != nil {
		return err
	}
	if err := s.Delete(ctx, r); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return wantGone(ctx, s, r)
}

// checkDeleteLeaves deletes from a value that tells something else than what is
// stored: only the key and the revision count.
func checkDeleteLeaves(ctx context.Context, s grant.Admin) error {
	deleted, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	other, err := create(ctx, s, fullRecord(user("u-2"), 1))
	if err != nil {
		return err
	}
	delivery, err := createDelivery(ctx, s, fullDelivery("e-1", 1)) // of the customer u-1
	if err != nil {
		return err
	}
	was := fullRecord(user("u-1"), 2)
	was.Revision = deleted.Revision
	if err := s.Delete(ctx, was); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if err := wantGone(ctx, s, deleted); err != nil {
		return err
	}
	if err := wantStored(ctx, s, other); err != nil {
		return err
	}
	return wantStoredDelivery(ctx, s, delivery)
}

func checkDeleteStale(ctx context.Context, s grant.Admin) error {
	first, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	second, err := s.Write(ctx, first, fullRecord(user("u-1"), 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := wantError("delete from the first revision", s.Delete(ctx, first), grant.ErrConflict); err != nil {
		return err
	}
	return wantStored(ctx, s, second)
}

func checkDeleteGone(ctx context.Context, s grant.Admin) error {
	r, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	if err := s.Delete(ctx, r); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if err := wantError("delete again", s.Delete(ctx, r), grant.ErrConflict); err != nil {
		return err
	}
	_, err = s.Write(ctx, r, fullRecord(user("u-1"), 2))
	if err := wantError("update what is deleted", err, grant.ErrConflict); err != nil {
		return err
	}
	never := fullRecord(user("u-2"), 1)
	never.Revision = r.Revision
	if err := wantError("delete what never was", s.Delete(ctx, never), grant.ErrConflict); err != nil {
		return err
	}
	return wantGone(ctx, s, r)
}

func checkDeleteUnstored(ctx context.Context, s grant.Admin) error {
	stored, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	for _, key := range []grant.Key{user("u-1"), user("u-2")} {
		if err := wantRefused("delete without a revision", s.Delete(ctx, grant.New(key))); err != nil {
			return err
		}
	}
	return wantStored(ctx, s, stored)
}

func checkDeleteAndCreate(ctx context.Context, s grant.Admin) error {
	seen := make(map[grant.Revision]bool)
	for n := range 4 {
		was, err := create(ctx, s, fullRecord(user("u-1"), 1))
		if err != nil {
			return fmt.Errorf("after %d deletions: %w", n, err)
		}
		if seen[was.Revision] {
			return fmt.Errorf("after %d deletions revision %d is back", n, was.Revision)
		}
		seen[was.Revision] = true
		if err := s.Delete(ctx, was); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	want := dueRecord("u-1", 1, timeOf(1)) // and nothing of what was deleted
	written, err := create(ctx, s, want)
	if err != nil {
		return err
	}
	if err := wantFields("create anew", written, want); err != nil {
		return err
	}
	if err := wantStored(ctx, s, written); err != nil {
		return err
	}
	return wantSweep(ctx, s, grant.DueQuery{Buckets: []int{1}, Before: timeOf(1), Limit: 10}, "u-1")
}
