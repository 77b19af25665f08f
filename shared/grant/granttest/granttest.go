package granttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Check is one sentence of the contract.
type Check struct {
	Name string
	// Test returns what the store does wrong. The store must be empty.
	Test func(ctx context.Context, store grant.Admin) error
}

// Checks returns the whole contract.
func Checks() []Check {
	return slices.Concat(recordChecks, maskChecks, valueChecks, raceChecks, deleteChecks,
		dueChecks, countChecks, deliveryChecks, accountChecks, controlChecks, listChecks, eraseChecks)
}

// Run runs every check and then some walks, side by side, each with an empty
// store of its own. newStore registers with t what has to be cleaned up.
func Run(t *testing.T, newStore func(t *testing.T) grant.Admin) {
	for _, check := range Checks() {
		t.Run(check.Name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := check.Test(ctx, newStore(t)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("random operations", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		walks(ctx, t, newStore)
	})
}

// create stores a record for the first time.
func create(ctx context.Context, s grant.Store, r grant.Record) (grant.Record, error) {
	stored, err := s.Write(ctx, grant.New(r.Key()), r)
	if err != nil {
		return stored, fmt.Errorf("create: %w", err)
	}
	return stored, nil
}

// createDelivery stores a delivery for the first time.
func createDelivery(ctx context.Context, s grant.Store, d grant.Delivery) (grant.Delivery, error) {
	stored, err := s.WriteDelivery(ctx, grant.Delivery{Key: d.Key}, d)
	if err != nil {
		return stored, fmt.Errorf("create a delivery: %w", err)
	}
	return stored, nil
}

// createAccount stores an account for the first time.
func createAccount(ctx context.Context, s grant.Store, a grant.Account) (grant.Account, error) {
	stored, err := s.WriteAccount(ctx, grant.Account{ID: a.ID}, a)
	if err != nil {
		return stored, fmt.Errorf("create an account: %w", err)
	}
	return stored, nil
}

// createControl stores a shared document for the first time.
func createControl(ctx context.Context, s grant.Store, c grant.Control) (grant.Control, error) {
	stored, err := s.WriteControl(ctx, grant.Control{Name: c.Name}, c)
	if err != nil {
		return stored, fmt.Errorf("create a control document: %w", err)
	}
	return stored, nil
}

// wantStored reports whether the store holds want, and at which revision.
func wantStored(ctx context.Context, s grant.Store, want grant.Record) error {
	got, err := s.Read(ctx, want.Key())
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return wantRecord("read", got, want)
}

func wantRecord(doing string, got, want grant.Record) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", doing, diff)
	}
	return nil
}

// wantFields is wantRecord for a value whose revision nobody can foretell.
func wantFields(doing string, got, want grant.Record) error {
	if got.Revision == 0 {
		return fmt.Errorf("%s: the record has no revision", doing)
	}
	want.Revision = got.Revision
	return wantRecord(doing, got, want)
}

func wantStoredDelivery(ctx context.Context, s grant.Store, want grant.Delivery) error {
	got, err := s.ReadDelivery(ctx, want.Key)
	if err != nil {
		return fmt.Errorf("read a delivery: %w", err)
	}
	return wantDelivery("read a delivery", got, want)
}

func wantDelivery(doing string, got, want grant.Delivery) error {
	anyOrder := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if diff := cmp.Diff(want, got, anyOrder); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", doing, diff)
	}
	return nil
}

func wantStoredAccount(ctx context.Context, s grant.Store, want grant.Account) error {
	got, err := s.ReadAccount(ctx, want.ID)
	if err != nil {
		return fmt.Errorf("read an account: %w", err)
	}
	return wantAccount("read an account", got, want)
}

func wantAccount(doing string, got, want grant.Account) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", doing, diff)
	}
	return nil
}

func wantStoredControl(ctx context.Context, s grant.Store, want grant.Control) error {
	got, err := s.ReadControl(ctx, want.Name)
	if err != nil {
		return fmt.Errorf("read a control document: %w", err)
	}
	return wantControl("read a control document", got, want)
}

// wantControl takes no document for an empty one: the contract does not tell
// them apart.
func wantControl(doing string, got, want grant.Control) error {
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", doing, diff)
	}
	for name, v := range got.Document {
		if at, ok := v.(time.Time); ok && at.Location() != time.UTC {
			return fmt.Errorf("%s: %s came back as %v, want UTC", doing, name, at)
		}
	}
	return nil
}

func wantError(doing string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: got error %v, want %v", doing, err, want)
	}
	return nil
}

// wantRefused is for what no store can do: an error, and none that a caller
// would answer by reading again.
func wantRefused(doing string, err error) error {
	if err == nil || errors.Is(err, grant.ErrConflict) || errors.Is(err, grant.ErrNotFound) {
		return fmt.Errorf("%s: got error %v, want it refused as impossible", doing, err)
	}
	return nil
}
