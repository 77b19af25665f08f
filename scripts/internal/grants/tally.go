package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gatepostdev/gatepost/shared/seal"
)

// resealing is the result of reseal.
type resealing struct {
	DryRun      bool   `json:"dryRun"`
	Interrupted bool   `json:"interrupted"`
	Complete    bool   `json:"complete"`        // the last customer was reached
	From        string `json:"from,omitempty"`  // where the run began
	After       string `json:"after,omitempty"` // where to continue

	Customers  int         `json:"customers"`
	Unreadable int         `json:"unreadable"` // customers whose record cannot be read
	Unopened   int         `json:"unopened"`   // tokens
	Failed     int         `json:"failed"`     // customers whose change failed with conflicts
	Keys       []*keyTally `json:"keys"`
}

// keyTally counts the tokens that were found sealed with one key. Left is Found minus
// Moved.
type keyTally struct {
	ID       uint32 `json:"id"` // 0 for values that no keyset sealed
	Primary  bool   `json:"primary"`
	InKeyset bool   `json:"inKeyset"`
	Found    int    `json:"found"`
	Moved    int    `json:"moved"` // in a dry run, those that would be
	Left     int    `json:"left"`
}

// newResealing returns an empty tally of all keys of the keyset.
func newResealing(keys []seal.Key) *resealing {
	r := new(resealing)
	for _, k := range keys {
		r.Keys = append(r.Keys, &keyTally{ID: k.ID, Primary: k.Primary, InKeyset: true})
	}
	return r
}

// add counts the tokens of a customer.
func (r *resealing) add(found tokens) {
	for _, t := range found {
		k := r.key(t.key)
		k.Found++
		if t.fate == moved {
			k.Moved++
		}
		if t.fate == unopened {
			r.Unopened++
		}
		k.Left = k.Found - k.Moved
	}
}

// failed counts the tokens of a customer whose record could not be changed.
func (r *resealing) failed(found tokens) {
	for i := range found {
		found[i].fate = fresh // neither moved nor unopened
	}
	r.add(found)
	r.Failed++
}

// finish records how the walk ended.
func (r *resealing) finish(w *walk, o options, err error) {
	r.DryRun, r.Interrupted, r.Complete = !o.forReal, errors.Is(err, errInterrupted), err == nil
	r.From, r.After = o.after, w.after
	r.Customers, r.Unreadable = w.visited, w.unreadable
	slices.SortFunc(r.Keys, func(a, b *keyTally) int { return cmp.Compare(a.ID, b.ID) })
}

func (r *resealing) key(id uint32) *keyTally {
	for _, k := range r.Keys {
		if k.ID == id {
			return k
		}
	}
	k := &keyTally{ID: id}
	r.Keys = append(r.Keys, k)
	return k
}

// write implements result.
func (r *resealing) write(w io.Writer) {
	row(w, "customers", "%d", r.Customers)
	if r.Unreadable+r.Failed > 0 {
		row(w, "not readable", "%d", r.Unreadable)
		row(w, "not changed", "%d", r.Failed)
	}
	row(w, "not opened", "%d", r.Unopened)
	for _, k := range r.Keys {
		k.write(w, r.DryRun)
	}
	if r.Unopened > 0 {
		fmt.Fprintln(w, "Tokens that cannot be opened are lost unless their key is restored to the keyset: those customers have to link again.")
	}
	if r.DryRun {
		fmt.Fprintln(w, "This was a dry run: nothing was resealed. With -for-real it is.")
		return
	}
	for _, k := range r.Keys {
		r.advise(w, k)
	}
}

func (k *keyTally) write(w io.Writer, dryRun bool) {
	name, verb := "key "+keyName(k.ID), "moved"
	if dryRun {
		verb = "would move"
	}
	switch {
	case k.Primary:
		row(w, name, "found %d (the primary key)", k.Found)
	case k.InKeyset:
		row(w, name, "found %d, %s %d, left %d", k.Found, verb, k.Moved, k.Left)
	default:
		row(w, name, "found %d, left %d (not in the keyset)", k.Found, k.Left)
	}
}

// advise tells whether a key of the keyset may be removed.
func (r *resealing) advise(w io.Writer, k *keyTally) {
	if k.Primary || !k.InKeyset {
		return
	}
	if !r.Complete || r.Unreadable > 0 || k.Left > 0 {
		fmt.Fprintf(w, "Key %d must stay in the keyset: tokens may still be sealed with it.\n", k.ID)
		return
	}
	fmt.Fprintf(w, "Key %d may be removed (scripts/keyset remove), if this run began more than an hour after the rotation:\n"+
		"until then a function may seal with the old key. If in doubt, run it again.\n", k.ID)
	if r.From != "" {
		fmt.Fprintln(w, "The earlier runs, up to where this one began, must have left no tokens either.")
	}
}
