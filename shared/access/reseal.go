package access

import (
	"errors"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/seal"
)

// Reseal seals the tokens of a grant of record anew that are not sealed with
// the keyset's primary key, and returns how many these were. A token that does
// not open stays as it is and is a [seal.ErrOpen]; the other one is resealed
// all the same. The tokens are the same afterwards, so nothing else of the
// grant changes: a refresh that is under way saves as if nothing had happened.
func Reseal(sealer *seal.Sealer, record *grant.Record, id string) (moved int, err error) {
	g := record.Grants[id]
	var faults []error
	for field, sealed := range map[string]*[]byte{accessField: &g.AccessToken, refreshField: &g.RefreshToken} {
		if sealer.Fresh(*sealed) {
			continue
		}
		fresh, err := reseal(sealer, *sealed, place(*record, id, field))
		if err != nil {
			faults = append(faults, fmt.Errorf("access: resealing: %w", err))
			continue
		}
		*sealed = fresh
		moved++
	}
	if moved > 0 {
		record.Grants[id] = g
	}
	return moved, errors.Join(faults...)
}

func reseal(sealer *seal.Sealer, sealed []byte, place seal.Place) ([]byte, error) {
	token, err := sealer.Open(sealed, place)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(token, place)
}
