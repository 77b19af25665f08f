package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// probing is the result of probe.
type probing struct {
	DryRun      bool   `json:"dryRun"`
	Interrupted bool   `json:"interrupted"`
	After       string `json:"after,omitempty"` // where to continue

	Customers  int `json:"customers"`  // visited
	Unreadable int `json:"unreadable"` // customers whose record cannot be read
	Due        int `json:"due"`        // suspect grants that are due now; in a dry run those that would be
	Failed     int `json:"failed"`     // customers whose change failed with conflicts
}

// prober makes suspect grants due.
type prober struct {
	program *program
	store   grant.Store
	options options

	mu    sync.Mutex
	tally probing
}

// probe implements the command probe.
func probe(ctx context.Context, p *program, store grant.Admin, o options) (result, error) {
	one := o.key.UserID != ""
	o.forReal = o.forReal || one
	r := &prober{program: p, store: store, options: o}
	if one {
		if err := r.one(ctx); err != nil {
			return nil, err
		}
		return &r.tally, nil
	}
	w := &walk{program: p, store: store, after: o.after}
	err := w.each(ctx, func(ctx context.Context, record grant.Record) error {
		if record.Skill != o.key.Skill {
			return nil
		}
		return r.probe(ctx, record)
	})
	t := &r.tally
	t.DryRun, t.Interrupted, t.After = !o.forReal, errors.Is(err, errInterrupted), w.after
	t.Customers, t.Unreadable = w.visited, w.unreadable
	if err == nil && t.Unreadable+t.Failed > 0 {
		err = errors.New("some customers could not be read or changed: see above")
	}
	return t, err
}

// one makes the suspect grants of the customer on the command line due.
func (r *prober) one(ctx context.Context) error {
	record, err := read(ctx, r.store, r.options.key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTime)
	defer cancel()
	if err := r.probe(ctx, record); err != nil {
		return err
	}
	r.tally.Customers = 1
	switch {
	case r.tally.Failed > 0:
		return errors.New("the record kept changing: try again")
	case r.tally.Due == 0:
		return errors.New("there is nothing to probe: no grant is suspect (show lists their states)")
	}
	return nil
}

// probe makes the suspect grants of one record due.
func (r *prober) probe(ctx context.Context, record grant.Record) error {
	var lines [][]string // edit may run several times
	err := change(ctx, r.store, record, func(record *grant.Record) error {
		lines = nil
		for _, id := range byAge(*record) {
			if g := record.Grants[id]; g.State == grant.Suspect {
				lines = append(lines, []string{
					r.options.done("probe", "due"), grant.CustomerHash(record.UserID), id, string(g.Region), g.Reason, "suspect " + moment(g.Since),
				})
			}
		}
		if len(lines) > 0 {
			record.ProbeNow(r.program.now())
		}
		return nil
	}, r.options.forReal)
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
	for _, line := range lines {
		r.program.line(r.options, line...)
	}
	r.tally.Due += len(lines)
	return nil
}

// probedSoon explains the effect of probe.
const probedSoon = `The next sweep refreshes these grants, in minutes, unless the customer is idle. The next event to each is
its probe: if the gateway accepts it, the grant is active again, and recovered is announced.
`

// write implements result.
func (r *probing) write(w io.Writer) {
	row(w, "customers", "%d", r.Customers)
	if r.DryRun {
		row(w, "would probe", "%d", r.Due)
	} else {
		row(w, "due", "%d", r.Due)
	}
	if r.Unreadable+r.Failed > 0 {
		row(w, "not readable", "%d", r.Unreadable)
		row(w, "not changed", "%d", r.Failed)
	}
	switch {
	case r.DryRun:
		fmt.Fprintln(w, "This was a dry run: nothing was made due. With -for-real it is.")
	case r.Due > 0:
		fmt.Fprint(w, probedSoon)
	}
}
