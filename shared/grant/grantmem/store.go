package grantmem

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Store is a [grant.Store] in memory. Make one with [New].
type Store struct {
	mu         sync.RWMutex
	last       grant.Revision // of the latest write to any document
	customers  map[string]document
	deliveries map[string]document
	accounts   map[string]document
	controls   map[string]document
	due        dueIndex
}

var _ grant.Admin = (*Store)(nil)

// document is what is stored under one id. Its fields never leave the lock:
// parsing them copies.
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
		return grant.Record{}, errors.New("grantmem: write a record: was and now have two keys")
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

// remove removes a record that is stored. The caller holds the lock.
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
		return grant.Delivery{}, errors.New("grantmem: write a delivery: was and now have two keys")
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

// next counts the store's writes, so no document has one revision twice.
func (s *Store) next() grant.Revision {
	s.last++
	return s.last
}

// apply writes changed fields into a document, and the maps that lead there.
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
