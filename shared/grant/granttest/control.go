package granttest

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var controlChecks = []Check{
	{"a control document never written is not found", checkControlMissing},
	{"a created control document reads back", checkControlCreate},
	{"a second create of a control document conflicts", checkControlCreateTwice},
	{"an update of a control document replaces it whole", checkControlReplace},
	{"a stale revision of a control document conflicts", checkControlStale},
	{"an update of a control document that is not stored conflicts", checkControlUpdateOfMissing},
	{"a control document does not move to another name", checkControlMove},
	{"a control document is not shared with the caller", checkControlShared},
}

func checkControlMissing(ctx context.Context, s grant.Admin) error {
	_, err := s.ReadControl(ctx, "c-1")
	return wantError("read a control document", err, grant.ErrNotFound)
}

func checkControlCreate(ctx context.Context, s grant.Admin) error {
	for _, want := range []grant.Control{fullControl("c-1", 1), fullControl("c-2", 2), {Name: "bare", Document: map[string]any{}}} {
		written, err := createControl(ctx, s, want)
		if err != nil {
			return err
		}
		if written.Revision == 0 {
			return errors.New("create a control document: it has no revision")
		}
		want.Revision = written.Revision
		if err := wantControl("create a control document", written, want); err != nil {
			return err
		}
		if err := wantStoredControl(ctx, s, want); err != nil {
			return err
		}
	}
	return nil
}

func checkControlCreateTwice(ctx context.Context, s grant.Admin) error {
	first, err := createControl(ctx, s, fullControl("c-1", 1))
	if err != nil {
		return err
	}
	_, err = createControl(ctx, s, fullControl("c-1", 2))
	if err := wantError("create again", err, grant.ErrConflict); err != nil {
		return err
	}
	return wantStoredControl(ctx, s, first)
}

// checkControlReplace has fields go, come and change their kind.
func checkControlReplace(ctx context.Context, s grant.Admin) error {
	stored, err := createControl(ctx, s, fullControl("c-1", 1))
	if err != nil {
		return err
	}
	for _, doc := range []map[string]any{
		fullControl("c-1", 2).Document, {"text": int64(5)}, {}, {}, {"at": timeOf(3), "b": true}, {"at": timeOf(3), "b": false},
	} {
		want := grant.Control{Name: "c-1", Document: doc}
		written, err := s.WriteControl(ctx, stored, want)
		if err != nil {
			return fmt.Errorf("update to %v: %w", doc, err)
		}
		want.Revision = written.Revision
		if err := wantControl("update", written, want); err != nil {
			return err
		}
		if err := wantStoredControl(ctx, s, want); err != nil {
			return err
		}
		stored = written
	}
	return nil
}

func checkControlStale(ctx context.Context, s grant.Admin) error {
	first, err := createControl(ctx, s, fullControl("c-1", 1))
	if err != nil {
		return err
	}
	second, err := s.WriteControl(ctx, first, fullControl("c-1", 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	// The first document, too: a store asks even if nothing differs.
	for _, n := range []int{3, 1} {
		_, err = s.WriteControl(ctx, first, fullControl("c-1", n))
		if err := wantError("update from the first revision", err, grant.ErrConflict); err != nil {
			return err
		}
	}
	return wantStoredControl(ctx, s, second)
}

func checkControlUpdateOfMissing(ctx context.Context, s grant.Admin) error {
	was, err := createControl(ctx, s, fullControl("c-1", 1))
	if err != nil {
		return err
	}
	was.Name = "c-2"
	_, err = s.WriteControl(ctx, was, fullControl("c-2", 2))
	if err := wantError("update", err, grant.ErrConflict); err != nil {
		return err
	}
	_, err = s.ReadControl(ctx, "c-2")
	return wantError("read", err, grant.ErrNotFound)
}

func checkControlMove(ctx context.Context, s grant.Admin) error {
	first, err := createControl(ctx, s, fullControl("c-1", 1))
	if err != nil {
		return err
	}
	_, err = s.WriteControl(ctx, first, fullControl("c-2", 1))
	if err := wantRefused("write under another name", err); err != nil {
		return err
	}
	_, err = s.ReadControl(ctx, "c-2")
	return wantError("read the other name", err, grant.ErrNotFound)
}

func checkControlShared(ctx context.Context, s grant.Admin) error {
	want, given := fullControl("c-1", 1), fullControl("c-1", 1)
	written, err := createControl(ctx, s, given)
	if err != nil {
		return err
	}
	want.Revision = written.Revision
	given.Document["text"] = "scribbled"
	if err := wantControl("after a change to what was created", written, want); err != nil {
		return err
	}
	written.Document["text"] = "scribbled"
	for range 2 { // the second round sees what the first one left
		read, err := s.ReadControl(ctx, "c-1")
		if err != nil {
			return fmt.Errorf("read a control document: %w", err)
		}
		if err := wantControl("after a change to what was returned", read, want); err != nil {
			return err
		}
		read.Document["text"] = "scribbled"
	}
	return nil
}
