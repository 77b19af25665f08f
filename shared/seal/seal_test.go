package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

var (
	token = sensitive.New("Atza|fake-token")
	place = seal.Place{Customer: "c1", Grant: "g1", Field: "accessToken"}
)

func TestSealedValuesAreBoundToTheirPlace(t *testing.T) {
	t.Parallel()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	first, err := seal.New(keyset)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Seal(token, place)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("fake")) {
		t.Error("the sealed value shows the token")
	}

	second, err := seal.New(keyset) // as another process has it
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.Open(sealed, place); err != nil || !got.Equal(token) {
		t.Errorf("Open: %v", err)
	}
	for name, other := range map[string]seal.Place{
		"customer": {Customer: "c2", Grant: "g1", Field: "accessToken"},
		"grant":    {Customer: "c1", Grant: "g2", Field: "accessToken"},
		"field":    {Customer: "c1", Grant: "g1", Field: "refreshToken"},
		"seam":     {Customer: "c", Grant: "1\x00g1", Field: "accessToken"},
	} {
		if _, err := second.Open(sealed, other); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("moved to another %s: %v, want ErrOpen", name, err)
		}
	}
	damaged := append([]byte(nil), sealed...)
	damaged[len(damaged)-1] ^= 1
	if _, err := second.Open(damaged, place); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("damaged: %v, want ErrOpen", err)
	}
	stranger, err := seal.NewEphemeral()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Open(sealed, place); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another keyset: %v, want ErrOpen", err)
	}
}

func TestEmptyStaysEmpty(t *testing.T) {
	t.Parallel()
	s, err := seal.NewEphemeral()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal(sensitive.String{}, place)
	if err != nil || sealed != nil {
		t.Errorf("Seal of nothing: %v, %v", sealed, err)
	}
	if got, err := s.Open(nil, place); err != nil || !got.Empty() {
		t.Errorf("Open of nothing: %v", err)
	}
}
