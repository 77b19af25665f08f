package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// ErrOpen means that no key of the keyset opens the value at that place: its key is
// unknown, or it was damaged or moved.
var ErrOpen = errors.New("seal: does not open")

// Place is where a sealed value is kept.
type Place struct {
	Customer string // id of the customer's record
	Grant    string // id of the grant
	Field    string // name of the field in the record
}

func (p Place) associatedData() []byte {
	return []byte(strings.Join([]string{"gatepost", p.Customer, p.Grant, p.Field}, "\x00"))
}

// Sealer seals and opens values. It is safe for concurrent use.
type Sealer struct{ ring ring }

// New returns a Sealer for a Tink keyset in unencrypted JSON, which is protected by
// the secret store that holds it.
func New(keysetJSON sensitive.String) (*Sealer, error) {
	keys, err := parse(keysetJSON)
	if err != nil {
		return nil, err
	}
	return newSealer(keys), nil
}

// NewEphemeral returns a Sealer with a new key that is not stored. It is for stores
// that do not outlive the process.
func NewEphemeral() (*Sealer, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: making a key: %w", err)
	}
	keys, err := newKeys(handle)
	if err != nil {
		return nil, err
	}
	return newSealer(keys), nil
}

func newSealer(keys *keys) *Sealer {
	s := new(Sealer)
	s.ring.keys.Store(keys)
	return s
}

// ReloadFrom makes the Sealer reload the keyset when it encounters an unknown key,
// and when the keyset is an hour old: see the package's documentation. load must
// return when its context ends, and its errors must show no secret. Call ReloadFrom
// before the Sealer is used.
func (s *Sealer) ReloadFrom(load func(context.Context) (sensitive.String, error), now func() time.Time) {
	s.ring.load, s.ring.now, s.ring.due = load, now, now().Add(maxAge)
}

// Seal encrypts value for place with the primary key. It returns nil for the empty
// value.
func (s *Sealer) Seal(value sensitive.String, place Place) ([]byte, error) {
	if value.Empty() {
		return nil, nil
	}
	s.ring.reloadIfOld()
	sealed, err := s.ring.keys.Load().primitive.Encrypt([]byte(value.Reveal()), place.associatedData())
	if err != nil {
		return nil, fmt.Errorf("seal: sealing %s: %w", place.Field, err)
	}
	return sealed, nil
}

// Open decrypts a value that Seal returned for the same place, or returns ErrOpen.
// Nil opens to the empty value. It takes up to 2 seconds if the keyset has to be
// reloaded.
func (s *Sealer) Open(sealed []byte, place Place) (sensitive.String, error) {
	if len(sealed) == 0 {
		return sensitive.String{}, nil
	}
	keys := s.ring.keys.Load()
	value, err := keys.primitive.Decrypt(sealed, place.associatedData())
	if err == nil {
		return sensitive.New(string(value)), nil
	}
	id, ok := KeyID(sealed)
	if !ok || keys.enabled[id] {
		return sensitive.String{}, fmt.Errorf("%w: %s", ErrOpen, place.Field)
	}
	if keys, err = s.ring.keysWith(id); err != nil {
		// Not %w: a timeout of the reload, for example, does not mean that the
		// caller's deadline has passed.
		return sensitive.String{}, fmt.Errorf("%w: %s: sealed with key %d: %v", ErrOpen, place.Field, id, err)
	}
	if value, err = keys.primitive.Decrypt(sealed, place.associatedData()); err != nil {
		return sensitive.String{}, fmt.Errorf("%w: %s", ErrOpen, place.Field)
	}
	return sensitive.New(string(value)), nil
}

// Fresh reports whether a value was sealed with the current primary key. Nil is
// fresh: there is nothing to reseal.
func (s *Sealer) Fresh(sealed []byte) bool {
	if len(sealed) == 0 {
		return true
	}
	id, ok := KeyID(sealed)
	return ok && id == s.ring.keys.Load().primary
}

// KeyID returns the id of the key that a value was sealed with. It does not check
// the rest of the value; ok is false for a value that no Sealer has sealed.
//
// Tink's prefix is a byte 1 and the id: see
// https://developers.google.com/tink/wire-format#tink_output_prefix.
func KeyID(sealed []byte) (id uint32, ok bool) {
	const version, length = 1, 5
	if len(sealed) < length || sealed[0] != version {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:length]), true
}
