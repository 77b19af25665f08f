package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/grant"
)

const (
	pageSize   = 300 // a record with all of its grants is some 20 KiB
	concurrent = 8   // records that are changed in parallel
	readTime   = 30 * time.Second
	changeTime = 10 * time.Second
	// remindTime is how often a walk shows its position, and so how much is repeated
	// after a crash.
	remindTime = 30 * time.Second
)

// errInterrupted is the error of a walk that an interrupt ended.
var errInterrupted = errors.New("interrupted")

// walk visits all records of a database in the order of their ids.
type walk struct {
	program *program
	store   grant.Admin
	after   string    // every record up to the one with this id has been visited
	shown   time.Time // when the position was last shown

	visited    int
	unreadable int
}

// each calls visit for every record, for several in parallel. When ctx ends it waits
// for the visits in flight. An error of one visit ends the walk.
func (w *walk) each(ctx context.Context, visit func(context.Context, grant.Record) error) error {
	w.shown = w.program.now()
	for {
		page, err := w.list(ctx)
		if err == nil {
			err = w.visit(ctx, page.Records, visit)
		}
		if ctx.Err() != nil && err != nil {
			err = errInterrupted
		}
		if err != nil && w.after != "" {
			return fmt.Errorf("%w; continue with -after %s", err, w.after)
		}
		if err != nil || page.Next == "" {
			return err
		}
		w.after = page.Next
		w.remind()
	}
}

func (w *walk) list(ctx context.Context) (grant.ListPage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	page, err := w.store.List(ctx, w.after, w.program.page)
	for _, fault := range page.Unreadable {
		w.program.say("cannot be read: %v", fault)
	}
	w.unreadable += len(page.Unreadable)
	return page, err
}

// visit visits the records of a page. After an interrupt w.after is the last record
// visited, and all before it were visited. After an error the whole page has to be
// visited again.
func (w *walk) visit(ctx context.Context, records []grant.Record, visit func(context.Context, grant.Record) error) error {
	before, all := w.after, true
	group, failing := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	for _, record := range records {
		if all = failing.Err() == nil; !all {
			break
		}
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTime)
			defer cancel()
			return visit(ctx, record)
		})
		w.visited++
		w.after = record.Key().ID()
	}
	if err := group.Wait(); err != nil {
		w.after = before
		return err
	}
	if !all {
		return ctx.Err()
	}
	return nil
}

// remind shows from time to time where to continue after a crash.
func (w *walk) remind() {
	if now := w.program.now(); now.Sub(w.shown) >= remindTime {
		w.shown = now
		w.program.say("%d customers so far; after a crash continue with -after %s", w.visited, w.after)
	}
}
