package seal

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// Key describes a key of a keyset, without its key material.
type Key struct {
	ID      uint32
	Primary bool   // new values are sealed with it
	Status  string // ENABLED; DISABLED or DESTROYED keys open nothing
	Type    string // such as AesGcmKey
}

// NewKeyset returns a new keyset with one AES-256-GCM key, in the form that New
// reads.
func NewKeyset() (sensitive.String, error) {
	return addPrimary(keyset.NewManager())
}

// Rotate returns the keyset with a new AES-256-GCM key as its primary key. All
// other keys stay, so that values sealed with them still open.
func Rotate(keysetJSON sensitive.String) (sensitive.String, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return sensitive.String{}, err
	}
	return addPrimary(keyset.NewManagerFromHandle(handle))
}

func addPrimary(manager *keyset.Manager) (sensitive.String, error) {
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return sensitive.String{}, fmt.Errorf("seal: making a key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return sensitive.String{}, fmt.Errorf("seal: making key %d the primary key: %w", id, err)
	}
	return write(manager)
}

// Keys returns the keys of a keyset in its order. Rotate appends.
func Keys(keysetJSON sensitive.String) ([]Key, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return nil, err
	}
	info := handle.KeysetInfo()
	keys := make([]Key, 0, len(info.GetKeyInfo()))
	for _, k := range info.GetKeyInfo() {
		_, kind, _ := strings.Cut(path.Base(k.GetTypeUrl()), "google.crypto.tink.")
		keys = append(keys, Key{
			ID: k.GetKeyId(), Primary: k.GetKeyId() == info.GetPrimaryKeyId(),
			Status: k.GetStatus().String(), Type: kind,
		})
	}
	return keys, nil
}

// Remove returns the keyset without a key. Values sealed with that key can never be
// opened again. It refuses to remove the primary key.
func Remove(keysetJSON sensitive.String, id uint32) (sensitive.String, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return sensitive.String{}, err
	}
	if handle.KeysetInfo().GetPrimaryKeyId() == id {
		return sensitive.String{}, fmt.Errorf("seal: key %d is the primary key, which seals new values: rotate first", id)
	}
	manager := keyset.NewManagerFromHandle(handle)
	if err := manager.Delete(id); err != nil { // fails only if there is no such key
		return sensitive.String{}, fmt.Errorf("seal: the keyset has no key %d", id)
	}
	return write(manager)
}

// keys is a parsed keyset. It is immutable.
type keys struct {
	primitive tink.AEAD
	primary   uint32
	enabled   map[uint32]bool // by id
}

func parse(keysetJSON sensitive.String) (*keys, error) {
	handle, err := read(keysetJSON)
	if err != nil {
		return nil, err
	}
	return newKeys(handle)
}

func newKeys(handle *keyset.Handle) (*keys, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("not a keyset for AEAD")
	}
	info := handle.KeysetInfo()
	k := &keys{primitive: primitive, primary: info.GetPrimaryKeyId(), enabled: make(map[uint32]bool)}
	for _, key := range info.GetKeyInfo() {
		k.enabled[key.GetKeyId()] = key.GetStatus() == tinkpb.KeyStatusType_ENABLED
		if key.GetKeyId() == k.primary && key.GetOutputPrefixType() != tinkpb.OutputPrefixType_TINK {
			return nil, errors.New("not a keyset for rotation: its primary key does not prefix values with its id (want outputPrefixType TINK)")
		}
	}
	return k, nil
}

// read reads a keyset. It drops Tink's own error, which may quote the text.
func read(keysetJSON sensitive.String) (*keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(keysetJSON.Reveal())))
	if err != nil {
		return nil, errors.New("not a Tink keyset in JSON")
	}
	return handle, nil
}

func write(manager *keyset.Manager) (sensitive.String, error) {
	handle, err := manager.Handle()
	if err != nil {
		return sensitive.String{}, fmt.Errorf("seal: making a keyset: %w", err)
	}
	var text strings.Builder
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return sensitive.String{}, fmt.Errorf("seal: writing a keyset: %w", err)
	}
	return sensitive.New(text.String()), nil
}
