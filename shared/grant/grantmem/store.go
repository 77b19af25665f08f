package grantmem

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Store is a [grant.Store] in memory. Make one with [New].
type Store struct {
	mu         sync.RWMutex
	last       grant.Revision // revision of the latest write to any document
	customers  map[string]document
	deliveries map[string]document
	accounts   map[string]document
	controls   map[string]document
	due        dueIndex
}

var _ grant.Admin = (*Store)(nil)

// document is stored under one id. Its fields stay under the lock: parsing copies
// them.
type document struct {
	fields   map[string]any
	revision grant.Revision
}

// New returns an empty store.
func New() *Store {
	return &Store{
		customers:  make(map[string]document),
		deliveries: make(map[string]document),
		accounts:   make(map[string]document),
		controls:   make(map[string]document),
		due:        make(dueIndex),
	}
}

// Read implements [grant.Store].
func (s *Store) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	if err := ctx.Err(); err != nil {
		return grant.Record{}, fmt.Errorf("grantmem: read a record: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.record(key.ID())
}

// Write implements [grant.Store].
func (s *Store) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if was.Key() != now.Key() {
		return grant.Record{}, errors.New("grantmem: write a record: was and now have different keys")
	}
	changes := grant.Diff(was, now)
	if len(changes) == 0 {
		return was.Clone(), nil
	}
	if err := ctx.Err(); err != nil {
		return grant.Record{}, fmt.Errorf("grantmem: write a record: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := now.Key().ID()
	doc := s.customers[id]
	if doc.revision != was.Revision {
		return grant.Record{}, grant.ErrConflict
	}
	s.due.remove(id, doc.fields)
	if doc.fields == nil {
		doc.fields = now.Document()
	} else {
		apply(doc.fields, changes)
	}
	s.due.insert(id, doc.fields)
	doc.revision = s.next()
	s.customers[id] = doc
	return s.record(id)
}

// Delete implements [grant.Store].
func (s *Store) Delete(ctx context.Context, was grant.Record) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("grantmem: delete a record: %w", err)
	}
	if !was.Stored() {
		return errors.New("grantmem: delete a record: it is not stored")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := was.Key().ID()
	if s.customers[id].revision != was.Revision {
		return grant.ErrConflict
	}
	s.remove(id)
	return nil
}

// remove removes a stored record. The caller holds the lock.
func (s *Store) remove(id string) {
	s.due.remove(id, s.customers[id].fields)
	delete(s.customers, id)
}

// ReadDelivery implements [grant.Store]. It returns expired records too.
func (s *Store) ReadDelivery(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return grant.Delivery{}, fmt.Errorf("grantmem: read a delivery: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.delivery(key.ID())
}

// WriteDelivery implements [grant.Store].
func (s *Store) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	if was.Key != now.Key {
		return grant.Delivery{}, errors.New("grantmem: write a delivery: was and now have different keys")
	}
	if now.ExpireAt.IsZero() {
		return grant.Delivery{}, errors.New("grantmem: write a delivery: it has no ExpireAt")
	}
	fields := now.Document()
	if reflect.DeepEqual(was.Document(), fields) {
		return was, nil
	}
	if err := ctx.Err(); err != nil {
		return grant.Delivery{}, fmt.Errorf("grantmem: write a delivery: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := now.Key.ID()
	if s.deliveries[id].revision != was.Revision {
		return grant.Delivery{}, grant.ErrConflict
	}
	s.deliveries[id] = document{fields: fields, revision: s.next()}
	return s.delivery(id)
}

// record parses a stored record. The caller holds the lock.
func (s *Store) record(id string) (grant.Record, error) {
	doc, ok := s.customers[id]
	if !ok {
		return grant.Record{}, grant.ErrNotFound
	}
	r, err := grant.ParseRecord(doc.fields)
	r.Revision = doc.revision
	return r, err
}

// delivery parses a stored delivery. The caller holds the lock.
func (s *Store) delivery(id string) (grant.Delivery, error) {
	doc, ok := s.deliveries[id]
	if !ok {
		return grant.Delivery{}, grant.ErrNotFound
	}
	d, err := grant.ParseDelivery(doc.fields)
	d.Revision = doc.revision
	return d, err
}

// next returns a new revision: it counts all writes, so that no document has one
// revision twice.
func (s *Store) next() grant.Revision {
	s.last++
	return s.last
}

// apply writes changed fields into a document, and makes the maps on the way.
func apply(doc map[string]any, changes []grant.Field) {
	for _, c := range changes {
		into, last := doc, len(c.Path)-1
		for _, name := range c.Path[:last] {
			next, ok := into[name].(map[string]any)
			if !ok {
				next = make(map[string]any)
				into[name] = next
			}
			into = next
		}
		if c.Value == nil {
			delete(into, c.Path[last])
		} else {
			into[c.Path[last]] = c.Value
		}
	}
}

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
		return grant.Account{}, errors.New("grantmem: write an account: was and now have different ids")
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
		return grant.Control{}, errors.New("grantmem: write a control document: was and now have different names")
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
