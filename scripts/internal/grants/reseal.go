package grants

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Run runs the command.
func (c resealCommand) Run(ctx context.Context, env *cli.Env, in *Commands) error {
	keyset, err := c.read(ctx, env)
	if err != nil {
		return fmt.Errorf("--keyset: %w", err)
	}
	keys, err := seal.Keys(keyset)
	if err != nil {
		return fmt.Errorf("--keyset: %w", err)
	}
	sealer, err := seal.New(keyset)
	if err != nil {
		return fmt.Errorf("--keyset: %w", err)
	}
	return in.run(ctx, env, func(s *session) (result, error) {
		r := newResealing(keys)
		r.DryRun, r.From = !c.ForReal, string(c.After)
		w := &walk{session: s, Tally: &r.Tally}
		err := w.each(ctx, c.After, func(ctx context.Context, record grant.Record) error { return r.reseal(ctx, w, sealer, record) })
		slices.SortFunc(r.Keys, func(a, b *keyTally) int { return cmp.Compare(a.ID, b.ID) })
		if r.Complete = w.complete; err == nil && r.Unopened > 0 {
			err = errors.New("some tokens could not be opened: see above")
		}
		return r, err
	})
}

// read reads the functions' keyset.
func (c resealCommand) read(ctx context.Context, env *cli.Env) (sensitive.String, error) {
	reader := secret.NewReader(os.LookupEnv, env.Google...)
	defer func() { _ = reader.Close() }()
	// Newest, because the alias "latest" may lag: the run would reseal with the former
	// key.
	keyset, _, err := reader.Newest(ctx, c.Keyset)
	return keyset, err
}

// reseal reseals all tokens of a record. Each try decides from the record that it has
// read, so that older tokens never replace those that a concurrent refresh has saved.
func (r *resealing) reseal(ctx context.Context, w *walk, sealer *seal.Sealer, record grant.Record) error {
	var found tokens
	return w.change(ctx, record, func(record *grant.Record) (err error) {
		found, err = resealAll(sealer, record)
		return err
	}, func(changed bool) {
		for _, t := range found {
			if !changed {
				t.fate = fresh // neither moved nor unopened
			}
			r.add(t)
			if t.fate == unopened {
				w.line("cannot be opened", grant.CustomerHash(record.UserID), t.grant, t.field, "key "+keyName(t.key))
			}
		}
	})
}

// tokens are the sealed tokens of a record.
type tokens []token

// token is a sealed token and its fate.
type token struct {
	grant, field string
	key          uint32 // that it was found sealed with; 0 for none
	fate         fate
}

type fate int

const (
	fresh    fate = iota // sealed with the primary key already
	moved                // resealed
	unopened             // left as it is
)

// resealAll reseals the grants of a record.
func resealAll(sealer *seal.Sealer, record *grant.Record) (tokens, error) {
	var all tokens
	for _, id := range byAge(*record) {
		was := record.Grants[id]
		if _, err := access.Reseal(sealer, record, id); err != nil && !errors.Is(err, seal.ErrOpen) {
			return nil, err
		}
		now := record.Grants[id]
		all = append(all, judge(sealer, id, "access token", was.AccessToken, now.AccessToken)...)
		all = append(all, judge(sealer, id, "refresh token", was.RefreshToken, now.RefreshToken)...)
	}
	return all, nil
}

// judge returns the fate of a token, or nothing if there is no token.
func judge(sealer *seal.Sealer, id, field string, was, now []byte) tokens {
	if len(was) == 0 {
		return nil
	}
	key, _ := seal.KeyID(was)
	t := token{grant: id, field: field, key: key}
	switch {
	case sealer.Fresh(was):
	case sealer.Fresh(now):
		t.fate = moved
	default:
		t.fate = unopened
	}
	return tokens{t}
}

// keyName names a key. 0 is the key of values that no keyset sealed.
func keyName(id uint32) string {
	if id == 0 {
		return "none"
	}
	return strconv.FormatUint(uint64(id), 10)
}

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
		fmt.Fprintln(w, "This was a dry run: nothing was resealed. Add --for-real to reseal.")
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
