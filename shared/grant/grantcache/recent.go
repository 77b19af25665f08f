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
// grant.ErrNotFound. asOf is when it was read, zero if that was for this call.
// The record is shared: it must not be changed, nor anything in it.
//
// Of those who ask for a customer at once one reads, with its own context, and
// the others wait for it, each no longer than its own context lasts. That the
// one who reads is cut off is no failure for the others: another of them reads.
func (s *Store) Recent(ctx context.Context, key grant.Key) (record grant.Record, asOf time.Time, err error) {
	if known, ok := s.remembered(key); ok {
		return known.record, known.asOf, known.err
	}
	for {
		record, led, err := s.flights.Do(ctx, flightKey(key), func() (grant.Record, error) { return s.read(ctx, key) })
		if errors.Is(err, flight.ErrLeft) {
			return grant.Record{}, time.Time{}, fmt.Errorf("grantcache: read a record: %w", err)
		}
		if !led && ctx.Err() == nil && isEnd(err) {
			continue
		}
		return record, time.Time{}, err
	}
}

func (s *Store) remembered(key grant.Key) (customer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.customers.Get(key)
	return known, ok && s.now().Before(known.until)
}

// isEnd reports whether a read failed because its context ended.
func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func flightKey(key grant.Key) string { return key.Skill + "\x00" + key.UserID }

// memoryOf is how long what was read at the time now may be remembered, zero for
// not at all. A grant that is only doubted is used like an active one until its
// access token ends.
func memoryOf(record grant.Record, err error, now time.Time) time.Duration {
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
