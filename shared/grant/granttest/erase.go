package granttest

import (
	"context"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
)

var eraseChecks = []Check{
	{"of an erased customer nothing is left", checkErase},
	{"deliveries are erased without a record", checkEraseDeliveries},
	{"accounts are erased without a record", checkEraseAccounts},
	{"an account that went to another customer is that one's", checkEraseFormerAccount},
	{"erasing nobody is no error", checkEraseNobody},
	{"an erased customer's neighbours stay", checkEraseNeighbours},
	{"an erased customer can come back", checkEraseAndCreate},
}

func wantErased(ctx context.Context, s grant.Admin, key grant.Key, want grant.Erased) error {
	got, err := s.Erase(ctx, key)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if got != want {
		return fmt.Errorf("erase: removed %+v, want %+v", got, want)
	}
	return nil
}

// deliveriesOf stores n deliveries of a customer, of whom no record is needed.
func deliveriesOf(ctx context.Context, s grant.Store, customer string, n int) ([]grant.Delivery, error) {
	var written []grant.Delivery
	for i := range n {
		d := fullDelivery(fmt.Sprint("e-", i), i+1)
		d.Key.Customer = customer
		stored, err := createDelivery(ctx, s, d)
		if err != nil {
			return nil, err
		}
		written = append(written, stored)
	}
	return written, nil
}

// accountsOf stores n accounts of a customer, of whom no record is needed. The
// name tells them from another customer's.
func accountsOf(ctx context.Context, s grant.Store, name, customer string, n int) ([]grant.Account, error) {
	var written []grant.Account
	for i := range n {
		a := fullAccount(fmt.Sprint(name, i), i+1)
		a.Customer = customer
		stored, err := createAccount(ctx, s, a)
		if err != nil {
			return nil, err
		}
		written = append(written, stored)
	}
	return written, nil
}

func wantNoAccounts(ctx context.Context, s grant.Store, accounts []grant.Account) error {
	for _, a := range accounts {
		_, err := s.ReadAccount(ctx, a.ID)
		if err := wantError("read account "+a.ID, err, grant.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

func wantNoDeliveries(ctx context.Context, s grant.Store, deliveries []grant.Delivery) error {
	for _, d := range deliveries {
		_, err := s.ReadDelivery(ctx, d.Key)
		if err := wantError("read the delivery of "+d.Key.EventID, err, grant.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

// checkErase erases a record that was changed since anybody could have read it:
// no revision is asked for.
func checkErase(ctx context.Context, s grant.Admin) error {
	first, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	second, err := s.Write(ctx, first, fullRecord(user("u-1"), 2))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	deliveries, err := deliveriesOf(ctx, s, user("u-1").ID(), 5)
	if err != nil {
		return err
	}
	accounts, err := accountsOf(ctx, s, "a-", user("u-1").ID(), 3)
	if err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Records: 1, Deliveries: 5, Accounts: 3}); err != nil {
		return err
	}
	if err := wantGone(ctx, s, second); err != nil {
		return err
	}
	if err := wantNoAccounts(ctx, s, accounts); err != nil {
		return err
	}
	return wantNoDeliveries(ctx, s, deliveries)
}

func checkEraseDeliveries(ctx context.Context, s grant.Admin) error {
	deliveries, err := deliveriesOf(ctx, s, user("u-1").ID(), 2)
	if err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Deliveries: 2}); err != nil {
		return err
	}
	return wantNoDeliveries(ctx, s, deliveries)
}

func checkEraseAccounts(ctx context.Context, s grant.Admin) error {
	accounts, err := accountsOf(ctx, s, "a-", user("u-1").ID(), 2)
	if err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Accounts: 2}); err != nil {
		return err
	}
	return wantNoAccounts(ctx, s, accounts)
}

// checkEraseFormerAccount has an account go from one customer to another, and
// erases the first one: who has it now keeps it.
func checkEraseFormerAccount(ctx context.Context, s grant.Admin) error {
	first, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	moved, err := s.WriteAccount(ctx, first, grant.NewAccount(grant.AccountKey{Skill: "default", AmazonUser: "a-1"}, user("u-2"), timeOf(2)))
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{}); err != nil {
		return err
	}
	if err := wantStoredAccount(ctx, s, moved); err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-2"), grant.Erased{Accounts: 1}); err != nil {
		return err
	}
	return wantNoAccounts(ctx, s, []grant.Account{moved})
}

func checkEraseNobody(ctx context.Context, s grant.Admin) error {
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{}); err != nil {
		return err
	}
	if err := createAll(ctx, s, fullRecord(user("u-1"), 1)); err != nil {
		return err
	}
	for _, want := range []grant.Erased{{Records: 1}, {}} {
		if err := wantErased(ctx, s, user("u-1"), want); err != nil {
			return err
		}
	}
	return nil
}

// checkEraseNeighbours has customers whose ids begin or end like the one that
// is erased, or lie right before or behind it. No hash gives such ids.
func checkEraseNeighbours(ctx context.Context, s grant.Admin) error {
	id := user("u-1").ID()
	last := len(id) - 1
	var deliveries []grant.Delivery
	var accounts []grant.Account
	for _, customer := range []string{
		id[:last], id + "0", id[1:], "0" + id, id[:last] + string(id[last]-1), id[:last] + string(id[last]+1), id[:last] + "~",
		user("u-2").ID(), grant.Key{Skill: "another", UserID: "u-1"}.ID(),
	} {
		written, err := deliveriesOf(ctx, s, customer, 1)
		if err != nil {
			return err
		}
		linked, err := accountsOf(ctx, s, customer, customer, 1)
		if err != nil {
			return err
		}
		deliveries, accounts = append(deliveries, written...), append(accounts, linked...)
	}
	other, err := create(ctx, s, fullRecord(user("u-2"), 1))
	if err != nil {
		return err
	}
	sameUser, err := create(ctx, s, fullRecord(grant.Key{Skill: "another", UserID: "u-1"}, 1))
	if err != nil {
		return err
	}
	if err := createAll(ctx, s, fullRecord(user("u-1"), 1)); err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Records: 1}); err != nil {
		return err
	}
	for _, d := range deliveries {
		if err := wantStoredDelivery(ctx, s, d); err != nil {
			return fmt.Errorf("delivery of customer %s, when %s was erased: %w", d.Key.Customer, id, err)
		}
	}
	for _, a := range accounts {
		if err := wantStoredAccount(ctx, s, a); err != nil {
			return fmt.Errorf("account of customer %s, when %s was erased: %w", a.Customer, id, err)
		}
	}
	if err := wantStored(ctx, s, sameUser); err != nil {
		return err
	}
	return wantStored(ctx, s, other)
}

func checkEraseAndCreate(ctx context.Context, s grant.Admin) error {
	was, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	gone, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	unlinked, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	if err := wantErased(ctx, s, user("u-1"), grant.Erased{Records: 1, Deliveries: 1, Accounts: 1}); err != nil {
		return err
	}
	again, err := create(ctx, s, fullRecord(user("u-1"), 1))
	if err != nil {
		return err
	}
	delivery, err := createDelivery(ctx, s, fullDelivery("e-1", 1))
	if err != nil {
		return err
	}
	account, err := createAccount(ctx, s, fullAccount("a-1", 1))
	if err != nil {
		return err
	}
	if again.Revision == was.Revision || delivery.Revision == gone.Revision || account.Revision == unlinked.Revision {
		return fmt.Errorf("revision %d of the record, %d of the delivery or %d of the account is back", was.Revision, gone.Revision, unlinked.Revision)
	}
	if err := wantStored(ctx, s, again); err != nil {
		return err
	}
	if err := wantStoredAccount(ctx, s, account); err != nil {
		return err
	}
	return wantStoredDelivery(ctx, s, delivery)
}
