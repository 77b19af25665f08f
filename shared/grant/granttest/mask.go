package granttest

import (
	"context"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// A field mask cannot be seen from the fields that a write changes. These
// checks look at the others: they write from a value that tells something else
// than what is stored, as an older reader's or an older version's would, and
// see that a field that the writer did not touch is not touched.

var maskChecks = []Check{
	{"only differing fields of the record are written", checkRecordMask},
	{"only differing fields of a grant are written", checkGrantMask},
	{"a new grant leaves the others alone", checkNewGrant},
	{"a removed grant goes whole", checkRemovedGrant},
}

// The numbers of fullRecord that the mask checks use.
const (
	storedN  = 1 // what the store has
	writersN = 2 // what the writer believes
	changedN = 3 // what the writer changes one field to
)

func checkRecordMask(ctx context.Context, s grant.Admin) error {
	for name, set := range recordEdits {
		for _, n := range []int{changedN, 0} {
			key := user(fmt.Sprint(name, n))
			change := func(r grant.Record) grant.Record { r = r.Clone(); set(&r, n); return r }
			if err := writeMasked(ctx, s, key, change); err != nil {
				return fmt.Errorf("%s set to %d: %w", name, n, err)
			}
		}
	}
	return nil
}

func checkGrantMask(ctx context.Context, s grant.Admin) error {
	for name, set := range grantEdits {
		for _, n := range []int{changedN, 0} {
			key := user(fmt.Sprint(name, n))
			change := func(r grant.Record) grant.Record {
				return withGrant(r, "g1", func(g *grant.Grant) { set(g, n) })
			}
			if err := writeMasked(ctx, s, key, change); err != nil {
				return fmt.Errorf("%s of a grant set to %d: %w", name, n, err)
			}
		}
	}
	return nil
}

func checkNewGrant(ctx context.Context, s grant.Admin) error {
	return writeMasked(ctx, s, user("u-1"), func(r grant.Record) grant.Record {
		r = r.Clone()
		r.Grants["g3"] = fullGrant(changedN)
		return r
	})
}

func checkRemovedGrant(ctx context.Context, s grant.Admin) error {
	err := writeMasked(ctx, s, user("u-1"), func(r grant.Record) grant.Record {
		r = r.Clone()
		delete(r.Grants, "g1")
		return r
	})
	if err != nil {
		return err
	}
	without, err := s.Read(ctx, user("u-1"))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	again := without.Clone()
	again.Grants["g1"] = grant.Grant{Failures: 1}
	again, err = s.Write(ctx, without, again)
	if err != nil {
		return fmt.Errorf("give the grant again: %w", err)
	}
	if err := wantRecord("give the grant again", again, withGrantOnly(again, "g1", grant.Grant{Failures: 1})); err != nil {
		return err
	}
	return wantStored(ctx, s, again)
}

func withGrantOnly(r grant.Record, id string, g grant.Grant) grant.Record {
	return withGrant(r, id, func(old *grant.Grant) { *old = g })
}

// writeMasked stores one record, makes a change to quite another one and
// writes that. What is stored must then have the change and nothing else of
// what the writer believed.
func writeMasked(ctx context.Context, s grant.Store, key grant.Key, change func(grant.Record) grant.Record) error {
	stored, err := create(ctx, s, fullRecord(key, storedN))
	if err != nil {
		return err
	}
	was := fullRecord(key, writersN)
	was.Revision = stored.Revision
	if _, err := s.Write(ctx, was, change(was)); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	got, err := s.Read(ctx, key)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return wantFields("what is stored after the change", got, change(stored))
}
