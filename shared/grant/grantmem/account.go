package grantmem

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// ReadAccount implements [grant.Store].
func (s *Store) ReadAccount(ctx context.Context, id string) (grant.Account, error) {
	if err := ctx.Err(); err != nil {
		return grant.Account{}, fmt.Errorf("grantmem: read an account: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.account(id)
}

// WriteAccount implements [grant.Store].
func (s *Store) WriteAccount(ctx context.Context, was, now grant.Account) (grant.Account, error) {
	if was.ID != now.ID {
		return grant.Account{}, errors.New("grantmem: write an account: was and now have two ids")
	}
	if now.Customer == "" {
		return grant.Account{}, errors.New("grantmem: write an account: it has no Customer")
	}
	fields := now.Document()
	if reflect.DeepEqual(was.Document(), fields) {
		return was, nil
	}
	if err := ctx.Err(); err != nil {
		return grant.Account{}, fmt.Errorf("grantmem: write an account: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts[now.ID].revision != was.Revision {
		return grant.Account{}, grant.ErrConflict
	}
	s.accounts[now.ID] = document{fields: fields, revision: s.next()}
	return s.account(now.ID)
}

// account parses a stored account. The caller holds the lock.
func (s *Store) account(id string) (grant.Account, error) {
	doc, ok := s.accounts[id]
	if !ok {
		return grant.Account{}, grant.ErrNotFound
	}
	a, err := grant.ParseAccount(id, doc.fields)
	a.Revision = doc.revision
	return a, err
}
