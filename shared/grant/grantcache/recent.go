package grantcache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// Recent returns the record of a customer as it was at most [Memory] ago, or
// grant.ErrNotFound. asOf is the time of the cached read, zero if the record was
// read for this call. The record is shared: neither it nor anything in it may be
// changed.
//
// Of concurrent calls for one customer, one reads with its own context. The others
// wait for it, each until its own context ends at most. If the context of the
// reader ends, another of them reads.
func (s *Store) Recent(ctx context.Context, key grant.Key) (record grant.Record, asOf time.Time, err error) {
	if known, ok := s.cached(key); ok {
		return known.record, known.asOf, known.err
	}
	for {
		record, led, err := s.flights.Do(ctx, flightKey(key), func() (grant.Record, error) { return s.read(ctx, key) })
		if errors.Is(err, flight.ErrLeft) {
			return grant.Record{}, time.Time{}, fmt.Errorf("grantcache: read a record: %w", err)
		}
		if !led && ctx.Err() == nil && isContextError(err) {
			continue
		}
		return record, time.Time{}, err
	}
}

func (s *Store) cached(key grant.Key) (customer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.customers.Get(key)
	return known, ok && s.now().Before(known.until)
}

// isContextError reports whether a read failed because its context ended.
func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func flightKey(key grant.Key) string { return key.Skill + "\x00" + key.UserID }

// cacheTime returns how long a record that was read at the time now may be cached,
// zero for not at all. A grant that is only doubted is used like an active one
// until its access token expires.
func cacheTime(record grant.Record, err error, now time.Time) time.Duration {
	if err != nil {
		if errors.Is(err, grant.ErrNotFound) {
			return noGrantMemory
		}
		return 0
	}
	memory, most := noGrantMemory, Memory
	for _, g := range record.Grants {
		switch {
		case g.State == grant.Active:
			memory = Memory
		case g.Doubted() && !g.TokenEnded(now):
			memory = Memory
			most = min(most, g.ExpiresAt.Add(-grant.ExpiryMargin).Sub(now))
		case g.State == grant.Suspect:
			return 0
		}
	}
	return min(memory, most)
}
