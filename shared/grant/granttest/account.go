package granttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var accountChecks = []Check{
	{"an account never written is not found", checkAccountMissing},
	{"a created account reads back", checkAccountCreate},
	{"a second create of an account conflicts", checkAccountCreateTwice},
	{"an update of an account replaces it whole", checkAccountReplace},
	{"a stale revision of an account conflicts", checkAccountStale},
	{"an update of an account that is not stored conflicts", checkAccountUpdateOfMissing},
	{"an account is not written when nothing differs", checkAccountNothingDiffers},
	{"an account does not move to another id", checkAccountMove},
	{"skill and Amazon's id together are an account's key", checkAccountKeys},
	{"an account without a customer is refused", checkAccountCustomer},
	{"an account's time is cut to microseconds in UTC", checkAccountTime},
}

func checkAccountMissing(ctx context.Context, s grant.Admin) error {
	_, err := s.ReadAccount(ctx, fullAccount("a-1", 1).ID)
	return wantError("read an account", err, grant.ErrNotFound)
}

func checkAccountCreate(ctx context.Context, s grant.Admin) error {
	bare := grant.Account{ID: "bare", Customer: user("u-1").ID()}
	for _, want := range []grant.Account{fullAccount("a-1", 1), bare} {
		written, err := createAccount(ctx, s, want)
		if err != nil {
			return err
		}
		if written.Revision == 0 {
			return errors.New("create an account: it has no revision")
		}
		want.Revision = written.Revision
		if err := wantAccount("create an account", written, want); err != nil {
			return err
		}
		if err := wantStoredAccount(ctx, s, want); err != nil {
			return err
		}
	}
	return nil
}

func checkAccountCreateTwice(ctx context.Context, s grant.Admin) error {
	first, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	_, err = createAccount(ctx, s, fullAccount("a-1", 2))
	if err := wantError("create again", err, grant.ErrConflict); err != nil {
		return err
	}
	return wantStoredAccount(ctx, s, first)
}

// checkAccountReplace writes from a value that tells something else than what
// is stored: without a field mask that makes no difference.
func checkAccountReplace(ctx context.Context, s grant.Admin) error {
	stored, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	another := grant.NewAccount(grant.AccountKey{Skill: "default", AmazonUser: "a-1"}, user("u-2"), timeOf(2))
	bare := grant.Account{ID: another.ID, Customer: another.Customer}
	for _, want := range []grant.Account{another, bare, fullAccount("a-1", 3)} {
		was := want
		was.Customer, was.Revision = user("u-9").ID(), stored.Revision
		written, err := s.WriteAccount(ctx, was, want)
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		if written.Revision == stored.Revision {
			return fmt.Errorf("update: the revision is still %d", stored.Revision)
		}
		want.Revision = written.Revision
		if err := wantAccount("update", written, want); err != nil {
			return err
		}
		if err := wantStoredAccount(ctx, s, want); err != nil {
			return err
		}
		stored = written
	}
	return nil
}

func checkAccountStale(ctx context.Context, s grant.Admin) error {
	first, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	second, err := s.WriteAccount(ctx, first, fullAccount("a-1", 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	_, err = s.WriteAccount(ctx, first, fullAccount("a-1", 3))
	if err := wantError("update from the first revision", err, grant.ErrConflict); err != nil {
		return err
	}
	return wantStoredAccount(ctx, s, second)
}

func checkAccountUpdateOfMissing(ctx context.Context, s grant.Admin) error {
	other, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	was := fullAccount("a-2", 1)
	was.Revision = other.Revision
	_, err = s.WriteAccount(ctx, was, fullAccount("a-2", 2))
	if err := wantError("update", err, grant.ErrConflict); err != nil {
		return err
	}
	_, err = s.ReadAccount(ctx, was.ID)
	return wantError("read", err, grant.ErrNotFound)
}

func checkAccountNothingDiffers(ctx context.Context, s grant.Admin) error {
	stale, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	newest, err := s.WriteAccount(ctx, stale, fullAccount("a-1", 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	same := fullAccount("a-1", 1)
	same.LinkedAt = same.LinkedAt.Add(999).In(time.FixedZone("far", 3600))
	got, err := s.WriteAccount(ctx, stale, same)
	if err != nil {
		return fmt.Errorf("write a stale account as it was: %w", err)
	}
	if err := wantAccount("write a stale account as it was", got, stale); err != nil {
		return err
	}
	return wantStoredAccount(ctx, s, newest)
}

func checkAccountMove(ctx context.Context, s grant.Admin) error {
	first, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	_, err = s.WriteAccount(ctx, first, fullAccount("a-2", 1))
	if err := wantRefused("write under another id", err); err != nil {
		return err
	}
	_, err = s.ReadAccount(ctx, fullAccount("a-2", 1).ID)
	return wantError("read the other id", err, grant.ErrNotFound)
}

// checkAccountKeys has all accounts be one customer's. Those of another skill
// are of another customer, whatever the Amazon account.
func checkAccountKeys(ctx context.Context, s grant.Admin) error {
	var written []grant.Account
	for _, skill := range []string{"default", "a", "ab"} {
		for i, amazonUser := range []string{"1", "bc", "c", "BC", "a/b", "..", "__a__", "amzn1.ask.account." + strings.Repeat("A", 200)} {
			stored, err := createAccount(ctx, s, accountOf(grant.Key{Skill: skill, UserID: "u-1"}, amazonUser, i+1))
			if err != nil {
				return fmt.Errorf("%s %q: %w", skill, amazonUser, err)
			}
			written = append(written, stored)
		}
	}
	for _, a := range written {
		if err := wantStoredAccount(ctx, s, a); err != nil {
			return err
		}
	}
	return nil
}

func checkAccountCustomer(ctx context.Context, s grant.Admin) error {
	stored, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	nobodys := fullAccount("a-1", 2)
	nobodys.Customer = ""
	_, err = s.WriteAccount(ctx, stored, nobodys)
	if err := wantRefused("write an account without a customer", err); err != nil {
		return err
	}
	return wantStoredAccount(ctx, s, stored)
}

func checkAccountTime(ctx context.Context, s grant.Admin) error {
	want := fullAccount("a-1", 1)
	given := want
	given.LinkedAt = want.LinkedAt.Add(999).In(time.FixedZone("far", 3600))
	written, err := createAccount(ctx, s, given)
	if err != nil {
		return err
	}
	want.Revision = written.Revision
	if err := wantAccount("create an account", written, want); err != nil {
		return err
	}
	read, err := s.ReadAccount(ctx, want.ID)
	if err != nil {
		return fmt.Errorf("read an account: %w", err)
	}
	for _, at := range []time.Time{written.LinkedAt, read.LinkedAt} {
		if at.Location() != time.UTC {
			return fmt.Errorf("a time came back as %v, want UTC", at)
		}
	}
	return wantAccount("read an account", read, want)
}
