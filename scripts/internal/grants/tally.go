package grants

import (
	"fmt"
	"io"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/seal"
)

// resealing is the result of reseal.
type resealing struct {
	Tally
	Complete bool   `json:"complete"`       // the last customer was reached
	From     string `json:"from,omitempty"` // where the run began

	Unopened int         `json:"unopened"` // tokens
	Keys     []*keyTally `json:"keys"`
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

// add counts a token.
func (r *resealing) add(t token) {
	k := r.key(t.key)
	k.Found++
	switch t.fate {
	case moved:
		k.Moved++
	case unopened:
		r.Unopened++
	}
	k.Left = k.Found - k.Moved
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
	r.Tally.write(w)
	cli.Row(w, "not opened", "%d", r.Unopened)
	for _, k := range r.Keys {
		k.write(w, r.DryRun)
	}
	if r.Unopened > 0 {
		fmt.Fprintln(w, "Tokens that cannot be opened are lost unless their key is restored to the keyset: those customers have to link again.")
	}
	if r.DryRun {
		fmt.Fprintln(w, "This was a dry run: nothing was resealed. With --for-real it is.")
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
		cli.Row(w, name, "found %d (the primary key)", k.Found)
	case k.InKeyset:
		cli.Row(w, name, "found %d, %s %d, left %d", k.Found, verb, k.Moved, k.Left)
	default:
		cli.Row(w, name, "found %d, left %d (not in the keyset)", k.Found, k.Left)
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
	fmt.Fprintf(w, "Key %d may be removed (gatepost keyset remove), if this run began more than an hour after the rotation:\n"+
		"until then a function may seal with the old key. If in doubt, run it again.\n", k.ID)
	if r.From != "" {
		fmt.Fprintln(w, "The earlier runs, up to where this one began, must have left no tokens either.")
	}
}
