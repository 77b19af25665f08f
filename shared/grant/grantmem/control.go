package grantmem

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// ReadControl implements [grant.Store].
func (s *Store) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	if err := ctx.Err(); err != nil {
		return grant.Control{}, fmt.Errorf("grantmem: read a control document: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	doc, ok := s.controls[name]
	if !ok {
		return grant.Control{}, grant.ErrNotFound
	}
	return grant.Control{Name: name, Document: maps.Clone(doc.fields), Revision: doc.revision}, nil
}

// WriteControl implements [grant.Store].
func (s *Store) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	if was.Name != now.Name {
		return grant.Control{}, errors.New("grantmem: write a control document: was and now have two names")
	}
	if err := ctx.Err(); err != nil {
		return grant.Control{}, fmt.Errorf("grantmem: write a control document: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.controls[now.Name].revision != was.Revision {
		return grant.Control{}, grant.ErrConflict
	}
	now.Document, now.Revision = maps.Clone(now.Document), s.next()
	s.controls[now.Name] = document{fields: now.Document, revision: now.Revision}
	now.Document = maps.Clone(now.Document)
	return now, nil
}

// CountCustomers implements [grant.Store].
func (s *Store) CountCustomers(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("grantmem: count customers: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.customers), nil
}
