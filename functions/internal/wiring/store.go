package wiring

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// storePart is where grants are kept and what seals their tokens.
type storePart struct {
	needed   bool
	memory   bool
	database string
	keyset   secret.Ref

	store  grant.Store
	sealer *seal.Sealer
}

// NeedStore reads where grants are kept.
func (p *Process) NeedStore() {
	if p.store.needed {
		return
	}
	p.store.needed = true
	p.store.memory = p.Source.OneOf("GRANT_STORE", "firestore", "memory") == "memory"
	if !p.store.memory {
		p.store.database = p.Source.Text("FIRESTORE_DATABASE", "(default)")
		p.store.keyset = p.needSecret("TOKEN_KEYSET", "with GRANT_STORE=firestore: reference to the keyset that seals tokens")
	}
}

func (p *Process) buildStore(ctx context.Context) (err error) {
	switch s := &p.store; {
	case !s.needed:
		return nil
	case s.memory:
		s.store = grantmem.New()
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
		// Not ctx: the client lives as long as the process.
		if s.store, err = grantfire.Open(context.WithoutCancel(ctx), p.Project, s.database); err != nil {
			return fmt.Errorf("GRANT_STORE: %w", err)
		}
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

// Sealer returns what seals the tokens in Store.
func (p *Process) Sealer() *seal.Sealer { return p.store.sealer }
