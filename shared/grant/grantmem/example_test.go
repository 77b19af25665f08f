package grantmem_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

// Two writers start from one revision: the second is told to read again.
func Example() {
	ctx := context.Background()
	store := grantmem.New()
	key := grant.Key{Skill: "default", UserID: "u-1"}

	was := grant.New(key)
	now := was
	now.Region = alexa.EU
	stored, err := store.Write(ctx, was, now)
	fmt.Println(stored.Region, stored.Stored(), err)

	now.Region = alexa.NA
	_, err = store.Write(ctx, was, now)
	fmt.Println(errors.Is(err, grant.ErrConflict))
	// Output:
	// EU true <nil>
	// true
}
