package wiring

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// customersKept is how many customers a process remembers. With their tokens
// they take some 4 KB each.
const customersKept = 10_000

// Store returns the store of grants.
func (p *Process) Store(ctx context.Context, c StoreConfig) grant.Store {
	return p.store.get(p, func() (grant.Store, error) {
		store, err := p.openStore(ctx, c)
		if err != nil || !p.Remember {
			return store, err
		}
		p.recent = grantcache.New(store, customersKept, p.Now)
		return p.recent, nil
	})
}

// Recent returns the cache of customers in front of the store, nil unless the
// process remembers them.
func (p *Process) Recent() *grantcache.Store { return p.recent }

func (p *Process) openStore(ctx context.Context, c StoreConfig) (grant.Store, error) {
	if p.Parts.Store != nil {
		return p.Parts.Store, nil
	}
	if c.Memory {
		p.Note("store", "memory")
		return grantmem.New(), nil
	}
	p.Note("store", "firestore "+c.Database)
	// Not ctx: the client lives as long as the process.
	store, err := grantfire.Open(context.WithoutCancel(ctx), p.Project, c.Database)
	if err != nil {
		return nil, fmt.Errorf("GRANT_STORE: %w", err)
	}
	return store, nil
}

// sealer returns the sealer of tokens, nil if the keyset is a fault already.
func (p *Process) sealer(ctx context.Context, c TokensConfig) (*seal.Sealer, error) {
	if c.Store.Memory {
		return seal.NewEphemeral()
	}
	if c.Keyset == (secret.Ref{}) {
		return nil, nil
	}
	keyset, err := p.newestKeyset(ctx, c.Keyset)
	if err != nil {
		return nil, err
	}
	sealer, err := seal.New(keyset)
	if err != nil {
		return nil, fmt.Errorf("TOKEN_KEYSET: %w", err)
	}
	sealer.ReloadFrom(func(ctx context.Context) (sensitive.String, error) {
		keyset, err := p.newestKeyset(ctx, c.Keyset)
		if err != nil { // the sealer goes on with the keyset it has, and does not log
			p.Log.WarnContext(ctx, "the keyset could not be loaded again: the old one is in use", logging.Error, err.Error())
		}
		return keyset, err
	}, p.Now)
	return sealer, nil
}

// newestKeyset reads the keyset. An old one will not do, not even at the start:
// what is sealed with a key that was rotated away is lost when that is removed.
func (p *Process) newestKeyset(ctx context.Context, ref secret.Ref) (sensitive.String, error) {
	keyset, _, err := p.secrets.Newest(ctx, ref)
	if err != nil {
		return sensitive.String{}, fmt.Errorf("TOKEN_KEYSET: the secret cannot be read: %w", errors.Unwrap(err))
	}
	return keyset, nil
}
