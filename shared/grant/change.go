package grant

import (
	"context"
	"errors"
	"fmt"
	"github.com/gatepostdev/gatepost/shared/wait"
	"maps"
	"math/rand/v2"
	"time"
)

// changeAttempts bounds how often Change starts anew. A record has few writers
// (one sweep, a handful of event functions), so that this many lost races in a
// row mean something is wrong.
const changeAttempts = 10

// persistTime bounds one call of Persist, so that one that hangs does not use up
// the time of all. It is never more than half of what is left.
const persistTime = 5 * time.Second

func withinPersistTime(ctx context.Context) (context.Context, context.CancelFunc) {
	most := persistTime
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)/2)
	}
	return context.WithTimeout(ctx, most)
}

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
	return ChangeFrom(ctx, s, Record{Skill: key.Skill, UserID: key.UserID}, edit)
}

// ChangeFrom is Change for a caller who has just read the record: the first
// attempt starts from was and saves a read.
func ChangeFrom(ctx context.Context, s Store, was Record, edit func(*Record) error) (Record, error) {
	return change(ctx, was, edit, step{s.Read, s.Write}, func(attempt int, err error) bool {
		return errors.Is(err, ErrConflict) && attempt < changeAttempts
	})
}

// Persist is ChangeFrom for what would be lost if it were not saved: the store
// may answer what it likes, it is asked again until ctx ends. A write whose
// answer was lost may have happened, so edit must know its own work when it
// finds it.
func Persist(ctx context.Context, s Store, was Record, edit func(*Record) error) (Record, error) {
	bounded := step{
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

// step is what one attempt to change a record does.
type step struct {
	read  func(context.Context, Key) (Record, error)
	write func(ctx context.Context, was, now Record) (Record, error)
}

// change attempts to change a record for as long as again says. A record that
// was not read is read first.
func change(ctx context.Context, was Record, edit func(*Record) error, s step, again func(attempt int, err error) bool) (Record, error) {
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
		if !again(attempt, err) {
			return Record{}, err
		}
		if ended := pause(ctx, attempt); ended != nil {
			return Record{}, fmt.Errorf("%w: %w", err, ended)
		}
		known, was = false, Record{Skill: was.Skill, UserID: was.UserID}
	}
}

func readOrNew(ctx context.Context, s step, key Key) (Record, error) {
	record, err := s.read(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return New(key), nil
	}
	if err != nil {
		return Record{Skill: key.Skill, UserID: key.UserID}, err
	}
	return record, nil
}

// ChangeControl is Change for a shared document: edit is given its content, nil
// if it is not stored, and returns the new one, or nil to leave it as it is.
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
		if ended := pause(ctx, attempt); ended != nil {
			return fmt.Errorf("changing control/%s: %w: %w", name, err, ended)
		}
	}
}

// pause lets the writer that won finish what it is doing: at most 10 ms the
// first time, twice as long each time up to 640 ms, never the same twice.
func pause(ctx context.Context, attempt int) error {
	most := 10 * time.Millisecond << min(attempt-1, 6)
	return wait.For(ctx, rand.N(most)+time.Millisecond)
}
