package seal_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// A keyset is rotated while a process runs.
func Example() {
	keyset, err := seal.NewKeyset()
	if err != nil {
		log.Fatal(err)
	}
	sealer, err := seal.New(keyset)
	if err != nil {
		log.Fatal(err)
	}
	sealer.ReloadFrom(func(context.Context) (sensitive.String, error) { return keyset, nil }, time.Now)

	// The operator rotates the keyset, and a process that starts then seals with
	// the new key.
	if keyset, err = seal.Rotate(keyset); err != nil {
		log.Fatal(err)
	}
	another, err := seal.New(keyset)
	if err != nil {
		log.Fatal(err)
	}
	place := seal.Place{Customer: "c-1", Grant: "g-1", Field: "refreshToken"}
	sealed, err := another.Seal(sensitive.New("Atzr|fake"), place)
	if err != nil {
		log.Fatal(err)
	}

	token, err := sealer.Open(sealed, place)
	fmt.Println("opened:", token.Reveal(), err)
	place.Customer = "c-2"
	_, err = sealer.Open(sealed, place)
	fmt.Println("moved:", err)

	// Output:
	// opened: Atzr|fake <nil>
	// moved: seal: does not open: refreshToken
}
