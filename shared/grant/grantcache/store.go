package grantcache

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/gatepostdev/gatepost/shared/flight"
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
	flights flight.Group[grant.Record] // reads of Recent under way

	mu        sync.Mutex
	customers *simplelru.LRU[grant.Key, customer]
	steps     uint64 // reads that have begun, and writes that have returned
}

// customer is what is remembered of one: a record, or only that what was known
// before a certain step is no longer.
type customer struct {
	record grant.Record
	err    error // nil or grant.ErrNotFound
	asOf   time.Time
	until  time.Time // zero if there is no record
	step   uint64
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

// read reads the record and remembers it, unless a read that began later, or a
// write that returned meanwhile, knows better.
func (s *Store) read(ctx context.Context, key grant.Key) (grant.Record, error) {
	// What is read is as old as the moment before.
	began, step := s.now(), s.next()
	record, err := s.Store.Read(ctx, key)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return record, err
	}
	read := customer{record: record, err: err, asOf: began, step: step}
	if memory := memoryOf(record, err, began); memory > 0 {
		read.until = began.Add(memory)
	} else {
		read.record = grant.Record{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(key, read)
	return record, err
}

// note remembers what is known of a customer, and forgets some of what is not
// good any more: nobody else would, of customers who are not asked for. The
// caller holds the lock.
func (s *Store) note(key grant.Key, known customer) {
	if last, ok := s.customers.Peek(key); ok && last.step > known.step {
		return
	}
	s.customers.Add(key, known)
	for range 2 {
		if oldest, last, ok := s.customers.GetOldest(); ok && oldest != key && !s.now().Before(last.asOf.Add(Memory)) {
			s.customers.Remove(oldest)
		}
	}
}

func (s *Store) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps++
	return s.steps
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
	s.flights.Forget(flightKey(key))
	step := s.next()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(key, customer{asOf: s.now(), step: step})
}
