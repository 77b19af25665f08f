package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// restoration is the result of restore.
type restoration struct {
	DryRun      bool   `json:"dryRun"`
	Interrupted bool   `json:"interrupted"`
	After       string `json:"after,omitempty"` // where to continue

	Customers  int `json:"customers"`  // visited
	Unreadable int `json:"unreadable"` // customers whose record cannot be read
	Restored   int `json:"restored"`   // grants; in a dry run those that would be
	Tokenless  int `json:"tokenless"`  // grants whose refresh token is gone
	Failed     int `json:"failed"`     // customers whose change failed with conflicts
}

// restorer restores grants.
type restorer struct {
	program *program
	store   grant.Store
	options options

	mu    sync.Mutex
	tally restoration
}

// restore implements the command restore.
func restore(ctx context.Context, p *program, store grant.Admin, o options) (result, error) {
	one := o.key.UserID != ""
	o.forReal = o.forReal || one
	r := &restorer{program: p, store: store, options: o}
	if one {
		if err := r.one(ctx); err != nil {
			return nil, err
		}
		return &r.tally, nil
	}
	w := &walk{program: p, store: store, after: o.after}
	err := w.each(ctx, r.ofSkill)
	t := &r.tally
	t.DryRun, t.Interrupted, t.After = !o.forReal, errors.Is(err, errInterrupted), w.after
	t.Customers, t.Unreadable = w.visited, w.unreadable
	if err == nil && t.Unreadable+t.Failed > 0 {
		err = errors.New("some customers could not be read or changed: see above")
	}
	return t, err
}

// ofSkill restores the grants of a record if it belongs to the skill.
func (r *restorer) ofSkill(ctx context.Context, record grant.Record) error {
	if record.Skill != r.options.key.Skill {
		return nil
	}
	return r.restore(ctx, record)
}

// one restores grants of the customer on the command line.
func (r *restorer) one(ctx context.Context) error {
	record, err := read(ctx, r.store, r.options.key)
	if err != nil {
		return err
	}
	if id := r.options.grantID; id != "" && record.Grants[id].State == "" {
		return fmt.Errorf("the customer has no grant %q: show lists them", id)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTime)
	defer cancel()
	if err := r.restore(ctx, record); err != nil {
		return err
	}
	r.tally.Customers = 1
	switch {
	case r.tally.Failed > 0:
		return errors.New("the record kept changing: try again")
	case r.tally.Restored > 0:
		return nil
	case r.tally.Tokenless > 0:
		return errors.New("nothing was restored: no refresh token is left, so the customer has to link again (disable and enable the skill)")
	}
	return errors.New("nothing was restored: no such grant is revoked (show lists their states)")
}

// restore restores the grants of one record.
func (r *restorer) restore(ctx context.Context, record grant.Record) error {
	var done, tokenless [][]string // lines; edit may run several times
	edit := func(record *grant.Record) error {
		done, tokenless = nil, nil
		for _, id := range byAge(*record) {
			g := record.Grants[id]
			line := []string{grant.CustomerHash(record.UserID), id, string(g.Region), g.Reason, "revoked " + moment(g.Since)}
			switch {
			case !r.options.selects(id, g):
			case record.Restore(id, r.program.now()):
				done = append(done, append([]string{r.options.done("restore", "restored")}, line...))
			default:
				tokenless = append(tokenless, append([]string{"no token left"}, line...))
			}
		}
		return nil
	}
	err := change(ctx, r.store, record, edit, r.options.forReal)
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, grant.ErrConflict) {
		r.tally.Failed++
		r.program.say("customer %s: %v", grant.CustomerHash(record.UserID), err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, line := range append(done, tokenless...) {
		r.program.line(r.options, line...)
	}
	r.tally.Restored += len(done)
	r.tally.Tokenless += len(tokenless)
	return nil
}

// selects reports whether the options select the grant.
func (o options) selects(id string, g grant.Grant) bool {
	return g.State == grant.Revoked && (o.grantID == "" || id == o.grantID) &&
		!g.Since.Before(o.revokedSince) && (o.revokedUntil.IsZero() || g.Since.Before(o.revokedUntil))
}

// change changes a record that was just read. In a dry run it changes only a copy.
func change(ctx context.Context, store grant.Store, record grant.Record, edit func(*grant.Record) error, forReal bool) error {
	if !forReal {
		copied := record.Clone()
		return edit(&copied)
	}
	_, err := grant.ChangeFrom(ctx, store, record, edit)
	return err
}

// provenLater explains the effect of restore.
const provenLater = `A restored grant is suspect until a refresh has proved it. The customer's next event refreshes it, or the
next sweep, in minutes, unless the customer is idle. If Login with Amazon refuses that refresh and another one an hour
later, the grant is revoked again, and the customer has to link again. The sweep announces the outcome.
`

// write implements result.
func (r *restoration) write(w io.Writer) {
	row(w, "customers", "%d", r.Customers)
	if r.DryRun {
		row(w, "would restore", "%d", r.Restored)
	} else {
		row(w, "restored", "%d", r.Restored)
	}
	if r.Tokenless > 0 {
		row(w, "no token left", "%d", r.Tokenless)
	}
	if r.Unreadable+r.Failed > 0 {
		row(w, "not readable", "%d", r.Unreadable)
		row(w, "not changed", "%d", r.Failed)
	}
	switch {
	case r.DryRun:
		fmt.Fprintln(w, "This was a dry run: nothing was restored. With -for-real it is.")
	case r.Restored > 0:
		fmt.Fprint(w, provenLater)
	}
}
