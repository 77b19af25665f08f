package granttest

import (
	"context"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// This file is what a walk does with accounts.

// walkAccounts returns the ids of a walk's accounts.
func walkAccounts() []string {
	var ids []string
	for _, skill := range []string{"a", "ab"} {
		for _, amazonUser := range walkAmazonUsers {
			ids = append(ids, grant.AccountKey{Skill: skill, AmazonUser: amazonUser}.ID())
		}
	}
	return ids
}

func (w *walk) readAccount(ctx context.Context, id string) error {
	w.note("ReadAccount %.8s", id)
	got, err := w.store.ReadAccount(ctx, id)
	want, wantErr := w.reference.readAccount(id)
	return w.same(got, err, want, wantErr)
}

func (w *walk) writeAccount(ctx context.Context) error {
	was, from := w.accountState(w.accountID())
	now := w.editedAccount(was)
	w.note("WriteAccount %.8s, from %s: %.8s is %.8s's, %q of %q since %v", was.ID, from, now.ID, now.Customer, now.UserID, now.Skill, now.LinkedAt)
	got, err := w.store.WriteAccount(ctx, was, now)
	want, wantErr := w.reference.writeAccount(was, now, got.Revision)
	if wantErr == nil && want.Revision != was.Revision {
		w.pastAccounts[want.ID] = append(w.pastAccounts[want.ID], want)
	}
	return w.same(got, err, want, wantErr)
}

func (w *walk) accountID() string { return pick(w, walkAccounts()) }

func (w *walk) accountState(id string) (grant.Account, string) {
	stored, err := w.reference.readAccount(id)
	switch n := w.IntN(8); {
	case n == 0 && len(w.pastAccounts[id]) > 0:
		return pick(w, w.pastAccounts[id]), late
	case n == 1 || err != nil:
		return grant.Account{ID: id}, nothing
	case n == 2:
		stored.UserID = textOf(w.IntN(3))
		return stored, disguised
	}
	return stored, current
}

// editedAccount gives every change a time of its own, so that there is
// something to write.
func (w *walk) editedAccount(was grant.Account) grant.Account {
	now := was
	switch w.IntN(20) {
	case 0:
		now.Customer = ""
	case 1:
		now.ID, now.Customer = "elsewhere", w.key().ID()
	case 2, 3, 4: // the same
	default:
		if customer := w.key(); was.Customer == "" || w.oneIn(2) {
			now.Customer, now.UserID, now.Skill = customer.ID(), customer.UserID, pick(w, []string{customer.Skill, ""})
		}
		now.LinkedAt = timeOf(1).Add(time.Duration(len(w.history)) * time.Microsecond)
	}
	return now
}
