package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

var (
	token = sensitive.New("Atza|fake-token")
	place = seal.Place{Customer: "c1", Grant: "g1", Field: "accessToken"}
)

func newKeyset(t *testing.T) sensitive.String {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return keyset
}

func newSealer(t *testing.T, keyset sensitive.String) *seal.Sealer {
	t.Helper()
	sealer, err := seal.New(keyset)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

func mustSeal(t *testing.T, s *seal.Sealer) []byte {
	t.Helper()
	sealed, err := s.Seal(token, place)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func rotated(t *testing.T, keyset sensitive.String) sensitive.String {
	t.Helper()
	keyset, err := seal.Rotate(keyset)
	if err != nil {
		t.Fatal(err)
	}
	return keyset
}

func keys(t *testing.T, keyset sensitive.String) []seal.Key {
	t.Helper()
	keys, err := seal.Keys(keyset)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestSealedValuesAreBoundToTheirPlace(t *testing.T) {
	t.Parallel()
	keyset := newKeyset(t)
	sealed := mustSeal(t, newSealer(t, keyset))
	if bytes.Contains(sealed, []byte("fake")) {
		t.Error("the sealed value contains the token")
	}
	second := newSealer(t, keyset) // another process
	if got, err := second.Open(sealed, place); err != nil || !got.Equal(token) {
		t.Errorf("Open() = %v", err)
	}
	for name, other := range map[string]seal.Place{
		"customer": {Customer: "c2", Grant: "g1", Field: "accessToken"},
		"grant":    {Customer: "c1", Grant: "g2", Field: "accessToken"},
		"field":    {Customer: "c1", Grant: "g1", Field: "refreshToken"},
		"seam":     {Customer: "c", Grant: "1\x00g1", Field: "accessToken"},
	} {
		if _, err := second.Open(sealed, other); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("Open() with another %s = %v, want ErrOpen", name, err)
		}
	}
	stranger, err := seal.NewEphemeral()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Open(sealed, place); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("Open() with another keyset = %v, want ErrOpen", err)
	}
	// Empty values stay empty.
	if sealed, err := second.Seal(sensitive.String{}, place); err != nil || sealed != nil {
		t.Errorf("Seal() of nothing = %v, %v", sealed, err)
	}
	if got, err := second.Open(nil, place); err != nil || !got.Empty() {
		t.Errorf("Open() of nothing = %v", err)
	}
}

func TestRotateAndRemove(t *testing.T) {
	t.Parallel()
	one := newKeyset(t)
	three := rotated(t, rotated(t, one))
	key := func(primary bool) seal.Key {
		return seal.Key{Primary: primary, Status: "ENABLED", Type: "AesGcmKey"}
	}
	got := keys(t, three)
	want := []seal.Key{key(false), key(false), key(true)}
	expect.Equal(t, "keys after two rotations", want, got, cmpopts.IgnoreFields(seal.Key{}, "ID"))
	if keys(t, one)[0].ID != got[0].ID {
		t.Error("rotation changed the old key's id")
	}
	less, err := seal.Remove(three, got[1].ID)
	if err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "keys after a removal", slices.Delete(slices.Clone(got), 1, 2), keys(t, less))
	for name, id := range map[string]uint32{"primary": got[2].ID, "removed": got[1].ID} {
		if _, err := seal.Remove(less, id); err == nil {
			t.Errorf("Remove() of the %s key succeeded, want an error", name)
		}
	}
}

// TestRotatedKeysAre256Bits checks the key material itself, which otherwise only
// Tink reads.
func TestRotatedKeysAre256Bits(t *testing.T) {
	t.Parallel()
	var keyset struct {
		Key []struct{ KeyData struct{ Value []byte } }
	}
	if err := json.Unmarshal([]byte(rotated(t, newKeyset(t)).Reveal()), &keyset); err != nil {
		t.Fatal(err)
	}
	values := map[string]bool{}
	for _, key := range keyset.Key {
		// A protocol buffer whose only field, number 3, has 32 bytes.
		value := string(key.KeyData.Value)
		if len(value) != 34 || !strings.HasPrefix(value, "\x1a\x20") {
			t.Errorf("key length = %d bytes, want 32", len(value))
		}
		values[value] = true
	}
	if len(values) != 2 {
		t.Errorf("different keys = %d, want 2", len(values))
	}
}

// TestDisabledKeyIsUnknown: an operator disables a key and enables it again.
func TestDisabledKeyIsUnknown(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	sealed := mustSeal(t, s.sealer(t))
	s.rotate(t)
	enabled := s.keyset
	s.keyset = sensitive.New(strings.Replace(enabled.Reveal(), "ENABLED", "DISABLED", 1))
	if got := keys(t, s.keyset); got[0].Status != "DISABLED" || got[1].Status != "ENABLED" {
		t.Errorf("Keys() = %+v, want the first disabled", got)
	}
	sealer := s.sealer(t)
	s.keyset = enabled
	s.wantOpen(t, sealer, sealed, 1)
}

func TestInvalidKeyset(t *testing.T) {
	t.Parallel()
	good := newKeyset(t).Reveal()
	for name, text := range map[string]string{
		"nothing":        "",
		"no keys":        "{}",
		"no JSON":        "canary-secret",
		"primary absent": `{"primaryKeyId":1,"key":[]}`,
		"cut":            `{"canary-secret"`,
		"no key ids":     strings.Replace(good, "TINK", "RAW", 1),
		"other ids":      strings.Replace(good, "TINK", "CRUNCHY", 1),
		"not for AEAD":   strings.Replace(good, "AesGcmKey", "HmacKey", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := seal.New(sensitive.New(text)); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("New() = %v, want an error without the text", err)
			}
		})
	}
	for name, f := range map[string]func(sensitive.String) error{
		"Rotate": func(s sensitive.String) error { _, err := seal.Rotate(s); return err },
		"Remove": func(s sensitive.String) error { _, err := seal.Remove(s, 1); return err },
		"Keys":   func(s sensitive.String) error { _, err := seal.Keys(s); return err },
	} {
		if err := f(sensitive.New(`{"canary-secret"`)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s() = %v, want an error without the text", name, err)
		}
	}
}

func TestKeyID(t *testing.T) {
	t.Parallel()
	keyset := newKeyset(t)
	sealer := newSealer(t, keyset)
	primary := keys(t, keyset)[0].ID
	if id, ok := seal.KeyID(mustSeal(t, sealer)); !ok || id != primary {
		t.Errorf("KeyID() = %d, %t, want %d", id, ok, primary)
	}
	for name, tt := range map[string]struct {
		sealed string
		id     uint32
		ok     bool
	}{
		"prefix only": {"\x01\x00\x01\x02\x03", 0x010203, true},
		"cut":         {"\x01\x00\x01\x02", 0, false},
		"empty":       {"", 0, false},
		"legacy":      {"\x00\x00\x01\x02\x03", 0, false},
		"not sealed":  {"Atza|fake", 0, false},
	} {
		if id, ok := seal.KeyID([]byte(tt.sealed)); id != tt.id || ok != tt.ok {
			t.Errorf("%s: KeyID() = %d, %t, want %d, %t", name, id, ok, tt.id, tt.ok)
		}
	}
	if !sealer.Fresh(nil) || sealer.Fresh([]byte("Atza|fake")) {
		t.Error("Fresh() is wrong for nil, or for an unsealed value")
	}
}
