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
	concurrent = 8   // records that are changed at once
	readTime   = 30 * time.Second
	changeTime = 10 * time.Second
	// remindTime is how often a walk says how far it is, and so how much is done
	// again after a crash.
	remindTime = 30 * time.Second
)

// errInterrupted is what an interrupt ends a walk with.
var errInterrupted = errors.New("interrupted")

// walk visits all records of a database in the order of their ids.
type walk struct {
	program *program
	store   grant.Admin
	after   string // every record up to the one with this id has been visited
	said    time.Time

	// What it has met.
	visited    int
	unreadable int
}

// each calls visit for every record, for several at once, and lets those end
// that have begun when ctx ends. The error of one visit ends the walk.
func (w *walk) each(ctx context.Context, visit func(context.Context, grant.Record) error) error {
	w.said = w.program.now()
	for {
		page, err := w.list(ctx)
		if err == nil {
			err = w.visit(ctx, page.Records, visit)
		}
		if ctx.Err() != nil && err != nil {
			err = errInterrupted
		}
		if err != nil && w.after != "" {
			return fmt.Errorf("%w; go on with -after %s", err, w.after)
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

// visit visits the records of a page. When it is interrupted those it has begun
// with are a beginning of the page, and w.after the last of them. After an
// error the page has to be visited again.
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

// remind says now and then where to go on if the program crashes.
func (w *walk) remind() {
	if now := w.program.now(); now.Sub(w.said) >= remindTime {
		w.said = now
		w.program.say("%d customers so far; after a crash go on with -after %s", w.visited, w.after)
	}
}
