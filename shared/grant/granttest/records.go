package granttest

import (
	"context"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var recordChecks = []Check{
	{"a record never written is not found", checkMissing},
	{"a created record reads back", checkCreate},
	{"a second create conflicts", checkCreateTwice},
	{"an update reads back with a new revision", checkUpdate},
	{"a stale revision conflicts and writes nothing", checkStale},
	{"an update of a record that is not stored conflicts", checkUpdateOfMissing},
	{"a revision never returns", checkRevisions},
	{"nothing is written when nothing differs", checkNothingDiffers},
	{"a record does not move to another key", checkMove},
	{"skill and userId together are the key", checkKeys},
}

func checkMissing(ctx context.Context, s grant.Admin) error {
	_, err := s.Read(ctx, user("u-1"))
	return wantError("read", err, grant.ErrNotFound)
}

func checkCreate(ctx context.Context, s grant.Admin) error {
	want := fullRecord(user("u-1"), 1)
	written, err := create(ctx, s, want)
	if err != nil {
		return err
	}
	if err := wantFields("what Write returned", written, want); err != nil {
		return err
	}
	return wantStored(ctx, s, written)
}

func checkCreateTwice(ctx context.Context, s grant.Admin) error {
	first, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	_, err = create(ctx, s, fullRecord(user("u-1"), 2))
	if err := wantError("create again", err, grant.ErrConflict); err != nil {
		return err
	}
	return wantStored(ctx, s, first)
}

func checkUpdate(ctx context.Context, s grant.Admin) error {
	first, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	want := fullRecord(user("u-1"), 2)
	second, err := s.Write(ctx, first, want)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if second.Revision == first.Revision {
		return fmt.Errorf("update: the revision is still %d", first.Revision)
	}
	if err := wantFields("what Write returned", second, want); err != nil {
		return err
	}
	return wantStored(ctx, s, second)
}

func checkStale(ctx context.Context, s grant.Admin) error {
	first, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	second, err := s.Write(ctx, first, fullRecord(user("u-1"), 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	_, err = s.Write(ctx, first, fullRecord(user("u-1"), 3))
	if err := wantError("update from the first revision", err, grant.ErrConflict); err != nil {
		return err
	}
	return wantStored(ctx, s, second)
}

func checkUpdateOfMissing(ctx context.Context, s grant.Admin) error {
	other, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	was := fullRecord(user("u-2"), 1)
	was.Revision = other.Revision
	_, err = s.Write(ctx, was, fullRecord(user("u-2"), 2))
	if err := wantError("update", err, grant.ErrConflict); err != nil {
		return err
	}
	_, err = s.Read(ctx, user("u-2"))
	return wantError("read", err, grant.ErrNotFound)
}

func checkRevisions(ctx context.Context, s grant.Admin) error {
	r, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	seen := map[grant.Revision]bool{r.Revision: true}
	for i := range 6 { // the same two states again and again
		if r, err = s.Write(ctx, r, fullRecord(user("u-1"), 2-i%2)); err != nil {
			return fmt.Errorf("update: %w", err)
		}
		if seen[r.Revision] {
			return fmt.Errorf("after %d updates revision %d is back", i+1, r.Revision)
		}
		seen[r.Revision] = true
	}
	return nil
}

func checkNothingDiffers(ctx context.Context, s grant.Admin) error {
	unwritten, err := s.Write(ctx, grant.New(user("u-1")), grant.New(user("u-1")))
	if err != nil {
		return fmt.Errorf("write a new record as it was: %w", err)
	}
	if err := wantRecord("write a new record as it was", unwritten, grant.New(user("u-1"))); err != nil {
		return err
	}
	_, err = s.Read(ctx, user("u-1"))
	if err := wantError("read", err, grant.ErrNotFound); err != nil {
		return err
	}

	stale, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	newest, err := s.Write(ctx, stale, fullRecord(user("u-1"), 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	got, err := s.Write(ctx, stale, stale.Clone())
	if err != nil {
		return fmt.Errorf("write a stale record as it was: %w", err)
	}
	if err := wantRecord("write a stale record as it was", got, stale); err != nil {
		return err
	}
	return wantStored(ctx, s, newest)
}

func checkMove(ctx context.Context, s grant.Admin) error {
	first, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	_, err = s.Write(ctx, first, fullRecord(user("u-2"), 1))
	if err := wantRefused("write under another key", err); err != nil {
		return err
	}
	_, err = s.Read(ctx, user("u-2"))
	if err := wantError("read the other key", err, grant.ErrNotFound); err != nil {
		return err
	}
	return wantStored(ctx, s, first)
}

func checkKeys(ctx context.Context, s grant.Admin) error {
	keys := []grant.Key{
		{Skill: "a", UserID: "u-1"}, {Skill: "b", UserID: "u-1"}, {Skill: "a", UserID: "u-2"},
		{Skill: "ab", UserID: "c"}, {Skill: "a", UserID: "bc"}, // not told apart by joining
	}
	var written []grant.Record
	for i, key := range keys {
		r, err := create(ctx, s, fullRecord(key, i+1))
		if err != nil {
			return fmt.Errorf("%+v: %w", key, err)
		}
		written = append(written, r)
	}
	for _, r := range written {
		if err := wantStored(ctx, s, r); err != nil {
			return fmt.Errorf("%+v: %w", r.Key(), err)
		}
	}
	return nil
}
