package grant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/gatepostdev/gatepost/shared/wait"
)

// changeAttempts bounds the attempts of Change. A record has few writers (one
// sweep, a handful of event functions), so this many conflicts in a row mean
// something is wrong.
const changeAttempts = 10

// persistTime bounds each call to the store in Persist, so that one that hangs does
// not use up the time of all. A call gets at most half of the time left.
const persistTime = 5 * time.Second

func withinPersistTime(ctx context.Context) (context.Context, context.CancelFunc) {
	most := persistTime
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)/2)
	}
	return context.WithTimeout(ctx, most)
}

// Change reads a record, lets edit alter it, and writes it back. On a conflict it
// starts over from the stored record, so edit may run several times and must decide
// from its argument alone. If no record is stored, edit gets the one that [New]
// returns. An edit that changes nothing writes nothing.
//
// Change returns the record as it is stored afterwards. Errors are edit's,
// unwrapped, or the store's. ErrConflict is returned only after many conflicts.
func Change(ctx context.Context, s Store, key Key, edit func(*Record) error) (Record, error) {
	return ChangeFrom(ctx, s, Record{Skill: key.Skill, UserID: key.UserID}, edit)
}

// ChangeFrom is Change for a caller that has just read the record: the first
// attempt starts from was and saves a read.
func ChangeFrom(ctx context.Context, s Store, was Record, edit func(*Record) error) (Record, error) {
	return change(ctx, was, edit, calls{s.Read, s.Write}, func(attempt int, err error) bool {
		return errors.Is(err, ErrConflict) && attempt < changeAttempts
	})
}

// Persist is ChangeFrom for a change that must not be lost: it retries after any
// error of the store until ctx ends. A write whose response was lost may have
// happened, so edit must recognize its own change.
func Persist(ctx context.Context, s Store, was Record, edit func(*Record) error) (Record, error) {
	bounded := calls{
		read: func(ctx context.Context, key Key) (Record, error) {
			ctx, cancel := withinPersistTime(ctx)
			defer cancel()
			return s.Read(ctx, key)
		},
		write: func(ctx context.Context, was, now Record) (Record, error) {
			ctx, cancel := withinPersistTime(ctx)
			defer cancel()
			return s.Write(ctx, was, now)
		},
	}
	return change(ctx, was, edit, bounded, func(int, error) bool { return true })
}

// calls holds the calls to a store of one attempt to change a record.
type calls struct {
	read  func(context.Context, Key) (Record, error)
	write func(ctx context.Context, was, now Record) (Record, error)
}

// change attempts to change a record until it succeeds, edit fails, or retry
// returns false. It reads a record first that the caller has not read.
func change(ctx context.Context, was Record, edit func(*Record) error, s calls, retry func(attempt int, err error) bool) (Record, error) {
	known := was.Version != 0
	for attempt := 1; ; attempt++ {
		var err error
		if !known {
			if was, err = readOrNew(ctx, s, was.Key()); err != nil {
				err = fmt.Errorf("reading a record: %w", err)
			}
		}
		if err == nil {
			now := was.Clone()
			if err := edit(&now); err != nil {
				return Record{}, err
			}
			var written Record
			if written, err = s.write(ctx, was, now); err == nil {
				return written, nil
			}
			err = fmt.Errorf("changing a record: %w", err)
		}
		if !retry(attempt, err) {
			return Record{}, err
		}
		if ended := backOff(ctx, attempt); ended != nil {
			return Record{}, fmt.Errorf("%w: %w", err, ended)
		}
		known, was = false, Record{Skill: was.Skill, UserID: was.UserID}
	}
}

func readOrNew(ctx context.Context, s calls, key Key) (Record, error) {
	record, err := s.read(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return New(key), nil
	}
	if err != nil {
		return Record{Skill: key.Skill, UserID: key.UserID}, err
	}
	return record, nil
}

// ChangeControl is Change for a shared document. edit gets its content, nil if it
// is not stored, and returns the new content, or nil to leave it as it is.
func ChangeControl(ctx context.Context, s Store, name string, edit func(doc map[string]any) (map[string]any, error)) error {
	for attempt := 1; ; attempt++ {
		was, err := s.ReadControl(ctx, name)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("reading control/%s: %w", name, err)
		}
		now := Control{Name: name}
		if now.Document, err = edit(maps.Clone(was.Document)); err != nil || now.Document == nil {
			return err
		}
		was.Name = name
		if _, err = s.WriteControl(ctx, was, now); err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) || attempt >= changeAttempts {
			return fmt.Errorf("changing control/%s: %w", name, err)
		}
		if ended := backOff(ctx, attempt); ended != nil {
			return fmt.Errorf("changing control/%s: %w: %w", name, err, ended)
		}
	}
}

// backOff lets the writer that won finish: it waits a random time, at most 10 ms
// after the first attempt, doubling up to 640 ms.
func backOff(ctx context.Context, attempt int) error {
	most := 10 * time.Millisecond << min(attempt-1, 6)
	return wait.For(ctx, rand.N(most)+time.Millisecond)
}
