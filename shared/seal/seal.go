// Package seal encrypts tokens at rest with a Tink AEAD keyset
// (https://developers.google.com/tink/aead).
//
// Every sealed value is bound to the place where it is kept: customer, grant
// and field are its associated data. A sealed token that is copied to another
// customer's record, or from one field to the other, does not open.
//
// Values are sealed with the keyset's primary key and carry that key's id, so
// that older values still open while a keyset is rotated. Errors never hold
// plaintext, ciphertext or key material.
package seal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// ErrOpen is returned for a value that no key of the keyset opens at that
// place: sealed by an unknown key, damaged, or moved.
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

// Sealer seals and opens values. It may be used by many goroutines at once.
type Sealer struct{ primitive tink.AEAD }

// New returns a Sealer for a Tink keyset in JSON, unencrypted: what protects
// it is the secret it is kept in.
func New(keysetJSON sensitive.String) (*Sealer, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(keysetJSON.Reveal())))
	if err != nil {
		// The reader's own error may quote the text.
		return nil, errors.New("not a Tink keyset in JSON")
	}
	return fromHandle(handle)
}

// NewEphemeral returns a Sealer with a new key that is kept nowhere else, for
// stores that do not outlive the process.
func NewEphemeral() (*Sealer, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: making a key: %w", err)
	}
	return fromHandle(handle)
}

func fromHandle(handle *keyset.Handle) (*Sealer, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("not a keyset for AEAD")
	}
	return &Sealer{primitive: primitive}, nil
}

// Seal encrypts value for place. The empty value seals to nil.
func (s *Sealer) Seal(value sensitive.String, place Place) ([]byte, error) {
	if value.Empty() {
		return nil, nil
	}
	sealed, err := s.primitive.Encrypt([]byte(value.Reveal()), place.associatedData())
	if err != nil {
		return nil, fmt.Errorf("seal: sealing %s: %w", place.Field, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same place, or returns ErrOpen. Nil
// opens to the empty value.
func (s *Sealer) Open(sealed []byte, place Place) (sensitive.String, error) {
	if len(sealed) == 0 {
		return sensitive.String{}, nil
	}
	value, err := s.primitive.Decrypt(sealed, place.associatedData())
	if err != nil {
		return sensitive.String{}, fmt.Errorf("%w: %s", ErrOpen, place.Field)
	}
	return sensitive.New(string(value)), nil
}

// NewKeyset returns a new keyset as New reads it: one AES-256-GCM key.
func NewKeyset() (sensitive.String, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return sensitive.String{}, fmt.Errorf("seal: making a key: %w", err)
	}
	var text strings.Builder
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return sensitive.String{}, fmt.Errorf("seal: writing a keyset: %w", err)
	}
	return sensitive.New(text.String()), nil
}
