package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// reseal implements the command reseal.
func reseal(ctx context.Context, p *program, store grant.Admin, o options) (result, error) {
	keyset, err := readKeyset(ctx, o.keyset)
	if err != nil {
		return nil, err
	}
	keys, err := seal.Keys(keyset)
	if err != nil {
		return nil, fmt.Errorf("-keyset: %w", err)
	}
	sealer, err := seal.New(keyset)
	if err != nil {
		return nil, fmt.Errorf("-keyset: %w", err)
	}
	r := &resealer{program: p, store: store, sealer: sealer, options: o, tally: newResealing(keys)}
	w := &walk{program: p, store: store, after: o.after}
	err = w.each(ctx, r.reseal)
	t := r.tally
	t.finish(w, o, err)
	if err == nil && t.Unreadable+t.Unopened+t.Failed > 0 {
		err = errors.New("some tokens could not be resealed: see above")
	}
	return t, err
}

// readKeyset reads the functions' keyset.
func readKeyset(ctx context.Context, ref secret.Ref) (sensitive.String, error) {
	reader := secret.NewReader(os.LookupEnv)
	defer func() { _ = reader.Close() }()
	// Newest, because the alias "latest" may lag: the run would reseal with the former
	// key.
	keyset, _, err := reader.Newest(ctx, ref)
	if err != nil {
		return sensitive.String{}, fmt.Errorf("-keyset: %w", err)
	}
	return keyset, nil
}

// resealer reseals records.
type resealer struct {
	program *program
	store   grant.Store
	sealer  *seal.Sealer
	options options

	mu    sync.Mutex
	tally *resealing
}

// reseal reseals all tokens of a record. Each try decides from the record that it has
// read, so that older tokens never replace those that a concurrent refresh has saved.
func (r *resealer) reseal(ctx context.Context, record grant.Record) error {
	var found tokens
	err := change(ctx, r.store, record, func(record *grant.Record) (err error) {
		found, err = resealAll(r.sealer, record)
		return err
	}, r.options.forReal)
	r.mu.Lock()
	defer r.mu.Unlock()
	customer := grant.CustomerHash(record.UserID)
	if errors.Is(err, grant.ErrConflict) {
		r.program.say("customer %s: %v", customer, err)
		r.tally.failed(found)
		return nil
	}
	if err != nil {
		return err
	}
	for _, t := range found {
		if t.fate == unopened {
			r.program.line(r.options, "cannot be opened", customer, t.grant, t.field, "key "+keyName(t.key))
		}
	}
	r.tally.add(found)
	return nil
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
