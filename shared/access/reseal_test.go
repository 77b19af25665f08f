package access_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// sealedRecord returns a record with the grant "g", whose tokens sealer sealed.
func sealedRecord(t *testing.T, sealer *seal.Sealer) grant.Record {
	t.Helper()
	record := grant.New(key)
	token := lwa.Token{AccessToken: sensitive.New("Atza|fake-access"), RefreshToken: sensitive.New("Atzr|fake-refresh")}
	tokens, err := access.Seal(sealer, key, "g", token, record.UsedAt)
	if err != nil {
		t.Fatal(err)
	}
	record.Link("g", alexa.EU, "", tokens, record.UsedAt)
	return record
}

func TestReseal(t *testing.T) {
	t.Parallel()
	old, err := seal.NewKeyset()
	both, errRotate := seal.Rotate(old)
	before, errOld := seal.New(old)
	after, errBoth := seal.New(both) // with a new primary key
	foreign, errForeign := seal.NewEphemeral()
	if err := errors.Join(err, errRotate, errOld, errBoth, errForeign); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		sealer *seal.Sealer // of the stored tokens
		edit   func(*grant.Grant)
		moved  int
		opens  bool
	}{
		{"sealed by the old key", before, func(*grant.Grant) {}, 2, true},
		{"sealed by the primary key", after, func(*grant.Grant) {}, 0, true},
		{"sealed by another keyset", foreign, func(*grant.Grant) {}, 0, false},
		{"revoked", before, func(g *grant.Grant) { g.State, g.AccessToken = grant.Revoked, nil }, 1, true},
		{"one damaged", before, func(g *grant.Grant) { g.AccessToken = slices.Concat(g.AccessToken, []byte{0}) }, 1, false},
		{"exchanged", before, func(g *grant.Grant) { g.AccessToken, g.RefreshToken = g.RefreshToken, g.AccessToken }, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			record := sealedRecord(t, test.sealer)
			g := record.Grants["g"]
			test.edit(&g)
			record.Grants["g"] = g
			was := record.Clone()
			moved, err := access.Reseal(after, &record, "g")
			if moved != test.moved || errors.Is(err, seal.ErrOpen) == test.opens {
				t.Errorf("Reseal() = %d, %v, want %d and all opened: %v", moved, err, test.moved, test.opens)
			}
			if err != nil && strings.Contains(err.Error(), "fake") {
				t.Errorf("a token in the error: %v", err)
			}
			if diff := cmp.Diff(was, record, cmpopts.IgnoreFields(grant.Grant{}, "AccessToken", "RefreshToken")); diff != "" {
				t.Errorf("fields other than the sealed tokens changed (-was +now):\n%s", diff)
			}
			if !test.opens {
				return
			}
			checkToken(t, after, record.Grants["g"].RefreshToken, "refreshToken", "Atzr|fake-refresh")
			if record.Grants["g"].State == grant.Active {
				checkToken(t, after, record.Grants["g"].AccessToken, "accessToken", "Atza|fake-access")
			}
			for _, id := range []string{"g", "none"} {
				if again, err := access.Reseal(after, &record, id); again != 0 || err != nil || len(record.Grants) != 1 {
					t.Errorf("the second Reseal() of %s = %d, %v, want none", id, again, err)
				}
			}
		})
	}
}

// checkToken checks a sealed token, and that the primary key sealed it.
func checkToken(t *testing.T, sealer *seal.Sealer, sealed []byte, field, want string) {
	t.Helper()
	got, err := sealer.Open(sealed, seal.Place{Customer: key.ID(), Grant: "g", Field: field})
	if err != nil || got.Reveal() != want || !sealer.Fresh(sealed) {
		t.Errorf("%s is wrong, or sealed with another key (%v)", field, err)
	}
}
