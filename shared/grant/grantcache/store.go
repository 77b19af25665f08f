package grantcache

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/gatepostdev/gatepost/shared/grant"
)

const (
	// Memory is how long a customer is remembered.
	Memory = time.Minute
	// noGrantMemory is how long a customer is who has no grant that is alive.
	noGrantMemory = 3 * time.Second
)

// Store is a [grant.Store] in front of another. Make one with [New].
type Store struct {
	grant.Store
	now     func() time.Time
	flights singleflight.Group // reads of Recent under way

	mu        sync.Mutex
	customers *simplelru.LRU[grant.Key, customer]
	writes    uint64 // that have returned
}

// customer is what is remembered of one.
type customer struct {
	record grant.Record
	err    error // nil or grant.ErrNotFound
	until  time.Time
}

// New returns a Store in front of store that remembers so many customers, at
// least one. now is the clock.
func New(store grant.Store, most int, now func() time.Time) *Store {
	customers, err := simplelru.NewLRU[grant.Key, customer](most, nil)
	if err != nil {
		panic(err) // a programming error: fewer than one
	}
	return &Store{Store: store, now: now, customers: customers}
}

// Read implements [grant.Store].
func (s *Store) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	record, err := s.read(ctx, key)
	return record.Clone(), err
}

// read reads the record and remembers it.
func (s *Store) read(ctx context.Context, key grant.Key) (grant.Record, error) {
	// What is read is as old as the moment before.
	began, writes := s.now(), s.written()
	record, err := s.Store.Read(ctx, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	memory := memoryOf(record, err)
	switch {
	case s.writes != writes:
		// The record may be from before a write of this process.
		s.customers.Remove(key)
	case memory > 0:
		s.customers.Add(key, customer{record: record, err: err, until: began.Add(memory)})
	case err == nil:
		s.customers.Remove(key)
	}
	return record, err
}

func (s *Store) written() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Write implements [grant.Store].
func (s *Store) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	defer s.forget(now.Key())
	return s.Store.Write(ctx, was, now)
}

// Delete implements [grant.Store].
func (s *Store) Delete(ctx context.Context, was grant.Record) error {
	defer s.forget(was.Key())
	return s.Store.Delete(ctx, was)
}

// forget is called when a write has returned, whatever it returned: one that
// failed may have happened all the same, and a conflict means that there is
// something new to read. Reads that are under way began before, so nobody who
// asks from now on may share them.
func (s *Store) forget(key grant.Key) {
	s.flights.Forget(flight(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	s.customers.Remove(key)
}
