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
	// Memory is how long a record is cached.
	Memory = time.Minute
	// noGrantMemory is how long a record without a live grant is cached.
	noGrantMemory = 3 * time.Second
)

// Store is a [grant.Store] in front of another. Make one with [New].
type Store struct {
	grant.Store
	now     func() time.Time
	flights flight.Group[grant.Record] // reads of Recent in flight

	mu        sync.Mutex
	customers *simplelru.LRU[grant.Key, customer]
	steps     uint64 // counts reads that began, and writes that returned
}

// customer is a cache entry: a record, or a mark that what was read before a step
// is stale.
type customer struct {
	record grant.Record
	err    error // nil or grant.ErrNotFound
	asOf   time.Time
	until  time.Time // zero if there is no record
	step   uint64
}

// New returns a Store in front of store that caches the records of up to size
// customers, at least one. now is the clock.
func New(store grant.Store, size int, now func() time.Time) *Store {
	customers, err := simplelru.NewLRU[grant.Key, customer](size, nil)
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

// read reads the record and caches it, unless a read that began later, or a write
// that has returned since, has the newer entry.
func (s *Store) read(ctx context.Context, key grant.Key) (grant.Record, error) {
	// The record is at least as new as the moment before the read.
	began, step := s.now(), s.next()
	record, err := s.Store.Read(ctx, key)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return record, err
	}
	read := customer{record: record, err: err, asOf: began, step: step}
	if memory := cacheTime(record, err, began); memory > 0 {
		read.until = began.Add(memory)
	} else {
		read.record = grant.Record{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(key, read)
	return record, err
}

// note caches an entry, unless there is a newer one, and evicts up to two expired
// ones: those of customers without events would stay otherwise. The caller holds
// the lock.
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

// forget marks the entry of a customer as stale. It is called when a write has
// returned, whatever its result: a failed write may still have happened, and
// a conflict means that the stored record is newer. Reads in flight began before
// the write returned, and later calls must not share them.
func (s *Store) forget(key grant.Key) {
	s.flights.Forget(flightKey(key))
	step := s.next()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(key, customer{asOf: s.now(), step: step})
}
