package granttest_test

import (
	"context"
	"errors"
	"strings"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Mistakes that a store may make with Amazon accounts.

func readsMissingAccountAsNew(s grant.Admin) grant.Admin {
	return broken{Admin: s, readAccount: func(ctx context.Context, id string) (grant.Account, error) {
		return currentAccount(ctx, s, id), ctx.Err()
	}}
}

// masksAccounts writes only the differing fields of an account.
func masksAccounts(s grant.Admin) grant.Admin {
	return broken{Admin: s, writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
		if stored := currentAccount(ctx, s, now.ID); was.UserID == now.UserID {
			now.UserID = stored.UserID
		}
		return s.WriteAccount(ctx, was, now)
	}}
}

// keepsOneAccount cuts an account's id, so that all of a skill's are one.
func keepsOneAccount(s grant.Admin) grant.Admin {
	cut := func(a grant.Account) grant.Account { a.ID = "amzn1"; return a }
	named := func(id string, a grant.Account, err error) (grant.Account, error) {
		if err == nil {
			a.ID = id
		}
		return a, err
	}
	return broken{
		Admin: s,
		readAccount: func(ctx context.Context, id string) (grant.Account, error) {
			a, err := s.ReadAccount(ctx, "amzn1")
			return named(id, a, err)
		},
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			a, err := s.WriteAccount(ctx, cut(was), cut(now))
			return named(now.ID, a, err)
		},
	}
}

func keepsNobodysAccounts(s grant.Admin) grant.Admin {
	return broken{Admin: s, writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
		if now.Customer == "" {
			now.Customer = was.Customer
		}
		return s.WriteAccount(ctx, was, now)
	}}
}

// forgetsAccounts erases everything else.
func forgetsAccounts(s grant.Admin) grant.Admin {
	known := make(map[string]bool)
	return broken{
		Admin: s,
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			known[now.ID] = true
			return s.WriteAccount(ctx, was, now)
		},
		erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
			var kept []grant.Account
			for id := range known {
				if a := currentAccount(ctx, s, id); a.Customer == key.ID() {
					kept = append(kept, a)
				}
			}
			erased, err := s.Erase(ctx, key)
			for _, a := range kept {
				_, writeErr := s.WriteAccount(ctx, grant.Account{ID: a.ID}, a)
				err = errors.Join(err, writeErr)
			}
			erased.Accounts = 0
			return erased, err
		},
	}
}

// hidesAccounts has accounts vanish when a customer is erased: those of which
// vanishes says so, given the customer's id and the one that the account has.
func hidesAccounts(s grant.Admin, vanishes func(customer, has string) bool) grant.Admin {
	var erased []string
	return broken{
		Admin: s,
		erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
			erased = append(erased, key.ID())
			return s.Erase(ctx, key)
		},
		readAccount: func(ctx context.Context, id string) (grant.Account, error) {
			a, err := s.ReadAccount(ctx, id)
			for _, customer := range erased {
				if err == nil && vanishes(customer, a.Customer) {
					return grant.Account{}, grant.ErrNotFound
				}
			}
			return a, err
		},
	}
}

// erasesAccountsByPrefix forgets that a longer id may begin alike.
func erasesAccountsByPrefix(s grant.Admin) grant.Admin {
	return hidesAccounts(s, func(customer, has string) bool { return strings.HasPrefix(has, customer) })
}

// erasesAccountsFrom has a range with a beginning and no end.
func erasesAccountsFrom(s grant.Admin) grant.Admin {
	return hidesAccounts(s, func(customer, has string) bool { return has >= customer })
}

// erasesAccountsForEver has a customer's accounts vanish, the later ones too.
func erasesAccountsForEver(s grant.Admin) grant.Admin {
	return hidesAccounts(s, func(customer, has string) bool { return has == customer })
}

// erasesFormerAccounts remembers whose an account was first.
func erasesFormerAccounts(s grant.Admin) grant.Admin {
	first := make(map[string]string)
	erased := make(map[string]bool)
	return broken{
		Admin: s,
		writeAccount: func(ctx context.Context, was, now grant.Account) (grant.Account, error) {
			a, err := s.WriteAccount(ctx, was, now)
			if _, known := first[now.ID]; err == nil && !known {
				first[now.ID] = now.Customer
			}
			return a, err
		},
		erase: func(ctx context.Context, key grant.Key) (grant.Erased, error) {
			erased[key.ID()] = true
			return s.Erase(ctx, key)
		},
		readAccount: func(ctx context.Context, id string) (grant.Account, error) {
			a, err := s.ReadAccount(ctx, id)
			if err == nil && erased[first[id]] && a.Customer != first[id] {
				return grant.Account{}, grant.ErrNotFound
			}
			return a, err
		},
	}
}
