package grants

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
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

// Tally is what the results of walks have in common.
type Tally struct {
	DryRun      bool   `json:"dryRun"`
	Interrupted bool   `json:"interrupted"`
	After       string `json:"after,omitempty"` // where to continue

	Customers  int `json:"customers"`  // visited
	Unreadable int `json:"unreadable"` // customers whose record cannot be read
	Failed     int `json:"failed"`     // customers whose change failed with conflicts
}

func (t *Tally) write(w io.Writer) {
	cli.Row(w, "customers", "%d", t.Customers)
	if t.Unreadable+t.Failed > 0 {
		cli.Row(w, "not readable", "%d", t.Unreadable)
		cli.Row(w, "not changed", "%d", t.Failed)
	}
}

// walk visits the record of one customer, or all records of a database in the order of
// their ids.
type walk struct {
	*session
	*Tally
	began    float64   // where in the order, between 0 and 1
	shown    time.Time // when the position was last shown
	complete bool      // the last record was reached
	skill    string    // whose records are visited, if not all
	others   []string  // other skills that have records

	mu sync.Mutex // of what changes count
}

// visitor changes one record, usually with [walk.change].
type visitor func(ctx context.Context, record grant.Record) error

// of visits the record of a customer, or without a user all those of the skill after
// some id.
func (w *walk) of(ctx context.Context, key grant.Key, after recordID, visit visitor) error {
	if key.UserID == "" {
		w.skill = key.Skill
		err := w.each(ctx, after, visit)
		if err == nil && w.Customers == 0 && after == "" && len(w.others) > 0 {
			slices.Sort(w.others)
			err = fmt.Errorf("no customer of skill %s: there are %s", key.Skill, strings.Join(w.others, ", "))
		}
		return err
	}
	record, err := w.read(ctx, key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTime)
	defer cancel()
	w.Customers = 1
	if err = visit(ctx, record); err == nil && w.Failed > 0 {
		err = errors.New("the record kept changing: try again")
	}
	return err
}

// each calls visit for every record after an id, for several in parallel. When ctx ends
// it waits for the visits in flight. An error of one visit ends the walk.
func (w *walk) each(ctx context.Context, after recordID, visit visitor) error {
	w.After, w.began, w.shown = string(after), position(string(after)), w.Now()
	progress := w.Progress("customers")
	for {
		page, err := w.list(ctx)
		if err == nil {
			err = w.visit(ctx, page.Records, progress, visit)
		}
		if ctx.Err() != nil && err != nil {
			err, w.Interrupted = errInterrupted, true
		}
		w.complete = err == nil && page.Next == ""
		switch {
		case err != nil && w.After != "":
			return fmt.Errorf("%w; continue with --after %s", err, w.After)
		case err != nil:
			return err
		case w.complete && w.Unreadable+w.Failed > 0:
			return errors.New("some customers could not be read or changed: see above")
		case w.complete:
			return nil
		}
		w.After = page.Next
		w.remind()
	}
}

func (w *walk) list(ctx context.Context) (grant.ListPage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	page, err := w.store.List(ctx, w.After, cmp.Or(w.pageSize, pageSize))
	for _, fault := range page.Unreadable {
		w.Say("cannot be read: %v", fault)
	}
	w.Unreadable += len(page.Unreadable)
	return page, err
}

// visit visits the records of a page. After an interrupt w.After is the last record
// visited, and all before it were visited. After an error the whole page has to be
// visited again.
func (w *walk) visit(ctx context.Context, records []grant.Record, progress *cli.Progress, visit visitor) error {
	before, all := w.After, true
	group, failing := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	for _, record := range records {
		if all = failing.Err() == nil; !all {
			break
		}
		w.After = record.Key().ID()
		if w.skill != "" && record.Skill != w.skill {
			if !slices.Contains(w.others, record.Skill) {
				w.others = append(w.others, record.Skill)
			}
			continue
		}
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTime)
			defer cancel()
			return visit(ctx, record)
		})
		w.Customers++
		progress.Show(w.Customers, (position(w.After)-w.began)/(1-w.began))
	}
	if err := group.Wait(); err != nil {
		w.After = before
		return err
	}
	if !all {
		return ctx.Err()
	}
	return nil
}

// position returns where an id is among all ids, between 0 and 1: they are hashes.
func position(id string) float64 {
	n, _ := strconv.ParseUint(id[:min(8, len(id))], 16, 32)
	return float64(n) / (1 << 32)
}

// remind shows from time to time where to continue after a crash.
func (w *walk) remind() {
	if now := w.Now(); now.Sub(w.shown) >= remindTime {
		w.shown = now
		w.Say("%d customers so far; after a crash continue with --after %s", w.Customers, w.After)
	}
}

// change changes a record that was just read, or in a dry run a copy. Then it calls done
// with whether that succeeded, for one record at a time. edit may run several times.
func (w *walk) change(ctx context.Context, record grant.Record, edit func(*grant.Record) error, done func(changed bool)) error {
	var err error
	if w.DryRun {
		copied := record.Clone()
		err = edit(&copied)
	} else {
		_, err = grant.ChangeFrom(ctx, w.store, record, edit)
	}
	conflict := errors.Is(err, grant.ErrConflict)
	if err != nil && !conflict {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if conflict {
		w.Failed++
		w.Say("customer %s: %v", grant.CustomerHash(record.UserID), err)
	}
	done(!conflict)
	return nil
}

// verb returns the verb of a line: past, or "would verb" in a dry run. The receiver is a
// pointer, because a copy would race with the counts.
func (t *Tally) verb(verb, past string) string {
	if t.DryRun {
		return "would " + verb
	}
	return past
}
