package grant

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// changeAttempts bounds how often Change starts anew. A record has few writers
// (one sweep, a handful of event functions), so that this many lost races in a
// row mean something is wrong.
const changeAttempts = 10

// Change reads a record, lets edit alter it, and writes it back. If the record
// was changed by somebody else meanwhile it starts anew with what is stored
// then, so edit may run several times and must decide from the record it is
// given alone. A customer who has no record yet is handed to edit as
// [New] makes one. An edit that changes nothing writes nothing.
//
// It returns the record as it is stored afterwards; errors are edit's own,
// unwrapped, or the store's. ErrConflict is returned only after many lost
// races.
func Change(ctx context.Context, s Store, key Key, edit func(*Record) error) (Record, error) {
	record, err := readOrNew(ctx, s, key)
	if err != nil {
		return Record{}, err
	}
	return ChangeFrom(ctx, s, record, edit)
}

// ChangeFrom is Change for a caller who has just read the record: the first
// attempt starts from was and saves a read.
func ChangeFrom(ctx context.Context, s Store, was Record, edit func(*Record) error) (Record, error) {
	for attempt := range changeAttempts {
		now := was.Clone()
		if err := edit(&now); err != nil {
			return Record{}, err
		}
		written, err := s.Write(ctx, was, now)
		if err == nil {
			return written, nil
		}
		if !errors.Is(err, ErrConflict) {
			return Record{}, fmt.Errorf("changing a record: %w", err)
		}
		if err := pause(ctx, attempt); err != nil {
			return Record{}, err
		}
		if was, err = readOrNew(ctx, s, was.Key()); err != nil {
			return Record{}, err
		}
	}
	return Record{}, fmt.Errorf("changing a record: gave up after %d attempts: %w", changeAttempts, ErrConflict)
}

func readOrNew(ctx context.Context, s Store, key Key) (Record, error) {
	record, err := s.Read(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return New(key), nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("reading a record: %w", err)
	}
	return record, nil
}

// pause lets the writer that won finish what it is doing: at most 10 ms the
// first time, twice as long each time, never the same twice.
func pause(ctx context.Context, attempt int) error {
	most := 10 * time.Millisecond << min(attempt, 5)
	timer := time.NewTimer(rand.N(most) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("changing a record: %w", context.Cause(ctx))
	}
}
