package wiring

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// storePart is where grants are kept and what seals their tokens.
type storePart struct {
	needed    bool
	memory    bool
	remembers bool
	seals     bool
	database  string
	keyset    secret.Ref

	store  grant.Store
	recent *grantcache.Store // in front of what is stored, for all functions of the process; nil if none needs it
	sealer *seal.Sealer
}

// customersKept is how many customers a process remembers. With their tokens
// they take some 4 KB each.
const customersKept = 10_000

// NeedStore reads where grants are kept.
func (p *Process) NeedStore() {
	if p.store.needed {
		return
	}
	p.store.needed = true
	p.store.memory = p.Source.OneOf("GRANT_STORE", "firestore", "memory") == "memory"
	if !p.store.memory {
		p.store.database = p.Source.Text("FIRESTORE_DATABASE", "(default)")
	}
}

// NeedSealer is NeedStore for a function that seals or opens tokens. The others
// do without the keyset.
func (p *Process) NeedSealer() {
	if p.store.seals {
		return
	}
	p.NeedStore()
	p.store.seals = true
	if !p.store.memory {
		p.store.keyset = p.needSecret("TOKEN_KEYSET", "with GRANT_STORE=firestore: reference to the keyset that seals tokens")
	}
}

// NeedRecent is NeedStore for a function that can live with what was stored a
// minute ago.
func (p *Process) NeedRecent() {
	p.NeedStore()
	p.store.remembers = true
}

func (p *Process) buildStore(ctx context.Context) error {
	if err := p.openStore(ctx); err != nil || !p.store.remembers || p.store.store == nil {
		return err
	}
	p.store.recent = grantcache.New(p.store.store, customersKept, p.Now)
	// In front of all: who remembers has to see what the process writes.
	p.store.store = p.store.recent
	return nil
}

func (p *Process) openStore(ctx context.Context) (err error) {
	s := &p.store
	if !s.needed {
		return nil
	}
	if s.seals {
		if err := p.openSealer(ctx); err != nil || s.sealer == nil {
			return err
		}
	}
	if s.memory {
		s.store = grantmem.New()
		return nil
	}
	// Not ctx: the client lives as long as the process.
	if s.store, err = grantfire.Open(context.WithoutCancel(ctx), p.Project, s.database); err != nil {
		return fmt.Errorf("GRANT_STORE: %w", err)
	}
	return nil
}

func (p *Process) openSealer(ctx context.Context) (err error) {
	switch s := &p.store; {
	case s.memory:
		s.sealer, err = seal.NewEphemeral()
		return err
	case s.keyset == (secret.Ref{}):
		return nil // a fault already
	default:
		keyset, err := p.newestKeyset(ctx)
		if err != nil {
			return err
		}
		if s.sealer, err = seal.New(keyset); err != nil {
			return fmt.Errorf("TOKEN_KEYSET: %w", err)
		}
		s.sealer.ReloadFrom(p.reloadKeyset, p.Now)
		return nil
	}
}

// newestKeyset reads the keyset. An old one will not do, not even at the start:
// what is sealed with a key that was rotated away is lost when that is removed.
func (p *Process) newestKeyset(ctx context.Context) (sensitive.String, error) {
	keyset, _, err := p.secrets.Newest(ctx, p.store.keyset)
	if err != nil {
		return sensitive.String{}, fmt.Errorf("TOKEN_KEYSET: the secret cannot be read: %w", errors.Unwrap(err))
	}
	return keyset, nil
}

// reloadKeyset is newestKeyset for a process that runs: nobody else tells that
// it failed, since the keyset at hand goes on to be used.
func (p *Process) reloadKeyset(ctx context.Context) (sensitive.String, error) {
	keyset, err := p.newestKeyset(ctx)
	if err != nil {
		p.Log.WarnContext(ctx, "the keyset could not be loaded again: the old one is in use", telemetry.Error, err.Error())
	}
	return keyset, err
}

// Store returns the store that NeedStore asked for.
func (p *Process) Store() grant.Store { return p.store.store }

// Recent returns what NeedRecent asked for.
func (p *Process) Recent() *grantcache.Store { return p.store.recent }

// Sealer returns the sealer that NeedSealer asked for.
func (p *Process) Sealer() *seal.Sealer { return p.store.sealer }
