package granttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var listChecks = []Check{
	{"nothing is listed of an empty store", checkListNothing},
	{"all records are listed in the order of their ids", checkListOrder},
	{"pages of a list of any size hold the same records", checkListPages},
	{"a change between pages of a list does not move the place", checkListChange},
	{"a listed record is whole and fit for Write", checkListFit},
	{"an impossible list is refused", checkImpossibleList},
}

// wantList reads all pages that come after an id, and reports whether they
// hold the customers want, in order.
func wantList(ctx context.Context, s grant.Admin, after string, limit int, want []string) error {
	var got []string
	for {
		page, err := s.List(ctx, after, limit)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if len(page.Unreadable) > 0 {
			return fmt.Errorf("list: %w", errors.Join(page.Unreadable...))
		}
		if n := len(page.Records); n > limit || n == 0 && page.Next != "" {
			return fmt.Errorf("list: %d records in a page of %d", n, limit)
		}
		for _, r := range page.Records {
			got = append(got, r.UserID)
		}
		if after = page.Next; after == "" {
			break
		}
		if len(got) > 100 {
			return fmt.Errorf("list: %d records and no last page", len(got))
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		return fmt.Errorf("listed, %d a page (-want +got):\n%s", limit, diff)
	}
	return nil
}

// someListed stores records of all kinds and returns their userIds in the order
// of the list.
func someListed(ctx context.Context, s grant.Store) ([]string, error) {
	records := []grant.Record{
		fullRecord(user("full"), 1),
		dueRecord("empty and never due", 0, time.Time{}),
		fullRecord(grant.Key{Skill: "another", UserID: "of another skill"}, 1),
	}
	for i := range 5 {
		records = append(records, dueRecord(fmt.Sprint("u-", i), i, timeOf(9-i)))
	}
	if err := createAll(ctx, s, records...); err != nil {
		return nil, err
	}
	slices.SortFunc(records, func(a, b grant.Record) int { return strings.Compare(a.Key().ID(), b.Key().ID()) })
	var ids []string
	for _, r := range records {
		ids = append(ids, r.UserID)
	}
	return ids, nil
}

func checkListNothing(ctx context.Context, s grant.Admin) error {
	if _, err := createDelivery(ctx, s, fullDelivery("e-1", 1)); err != nil {
		return err
	}
	return wantList(ctx, s, "", 10, nil)
}

func checkListOrder(ctx context.Context, s grant.Admin) error {
	want, err := someListed(ctx, s)
	if err != nil {
		return err
	}
	return wantList(ctx, s, "", 100, want)
}

func checkListPages(ctx context.Context, s grant.Admin) error {
	want, err := someListed(ctx, s)
	if err != nil {
		return err
	}
	for limit := range len(want) + 1 {
		if err := wantList(ctx, s, "", limit+1, want); err != nil {
			return err
		}
	}
	return nil
}

// checkListChange deletes what is on the first page, the place between the
// pages included, and adds records on both sides of it.
func checkListChange(ctx context.Context, s grant.Admin) error {
	if _, err := someListed(ctx, s); err != nil {
		return err
	}
	page, err := s.List(ctx, "", 3)
	if err != nil || len(page.Records) == 0 || page.Next == "" {
		return fmt.Errorf("list: got %d records, next %q and error %v, want a first page", len(page.Records), page.Next, err)
	}
	for _, r := range page.Records {
		if err := s.Delete(ctx, r); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	for i := range 8 {
		if err := createAll(ctx, s, dueRecord(fmt.Sprint("new-", i), 1, timeOf(1))); err != nil {
			return err
		}
	}
	all, err := s.List(ctx, "", 100)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	var want []string
	for _, r := range all.Records {
		if r.Key().ID() > page.Next {
			want = append(want, r.UserID)
		}
	}
	return wantList(ctx, s, page.Next, 3, want)
}

func checkListFit(ctx context.Context, s grant.Admin) error {
	want, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	page, err := s.List(ctx, "", 10)
	if err != nil || len(page.Records) != 1 {
		return fmt.Errorf("list: got %d records and error %v, want 1", len(page.Records), err)
	}
	listed := page.Records[0]
	if err := wantRecord("list", listed, want); err != nil {
		return err
	}
	now := withGrant(listed, "g1", func(g *grant.Grant) { g.Failures = 9 })
	scribble(listed)
	if err := wantStored(ctx, s, want); err != nil {
		return fmt.Errorf("after a change to what was listed: %w", err)
	}
	written, err := s.Write(ctx, want, now)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return wantStored(ctx, s, written)
}

func checkImpossibleList(ctx context.Context, s grant.Admin) error {
	for _, limit := range []int{0, -1} {
		_, err := s.List(ctx, "", limit)
		if err := wantRefused(fmt.Sprintf("list %d records", limit), err); err != nil {
			return err
		}
	}
	return nil
}
