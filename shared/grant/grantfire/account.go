package grantfire

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// ReadAccount implements [grant.Store].
func (s *Store) ReadAccount(ctx context.Context, id string) (grant.Account, error) {
	doc, err := read(ctx, s.client.Collection(Accounts).Doc(id))
	if err != nil {
		return grant.Account{}, failed(ctx, "read an account", err)
	}
	a, err := grant.ParseAccount(id, doc.Data())
	if err != nil {
		return grant.Account{}, fmt.Errorf("grantfire: account %s: %w", id, err)
	}
	a.Revision = revisionOf(doc.UpdateTime)
	return a, nil
}

// WriteAccount implements [grant.Store].
func (s *Store) WriteAccount(ctx context.Context, was, now grant.Account) (grant.Account, error) {
	if was.ID != now.ID {
		return grant.Account{}, errors.New("grantfire: write an account: was and now have two ids")
	}
	if now.Customer == "" {
		return grant.Account{}, errors.New("grantfire: write an account: it has no Customer")
	}
	doc := now.Document()
	if reflect.DeepEqual(was.Document(), doc) {
		return was, nil
	}
	var all []grant.Field
	for name, value := range doc {
		all = append(all, grant.Field{Path: []string{name}, Value: value})
	}
	revision, err := write(ctx, s.client.Collection(Accounts).Doc(now.ID), was.Revision, doc, all)
	if err != nil {
		return grant.Account{}, failed(ctx, "write an account", err)
	}
	stored, err := grant.ParseAccount(now.ID, doc)
	stored.Revision = revision
	return stored, err
}
