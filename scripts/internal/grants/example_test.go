package grants

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

// sealedWith looks as if a key had sealed it, for who does not open it.
func sealedWith(key uint32, length int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{1}, key), make([]byte, length-5)...)
}

// Show what is kept of a customer, one of whose grants was revoked, undo that,
// and show it again.
func Example() {
	ctx, at := context.Background(), time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	store := grantmem.New()
	_, err := grant.Change(ctx, store, grant.Key{Skill: "default", UserID: "u-1"}, func(r *grant.Record) error {
		r.Link("5f2b9c31d0a84e7796f1c2d3e4b5a697", alexa.EU, "", grant.Tokens{
			AccessToken: sealedWith(123, 404), RefreshToken: sealedWith(123, 212), ExpiresAt: at.Add(time.Hour),
			ClientID: "amzn1.application-oa2-client.1", RefreshDue: at.Add(40 * time.Minute),
		}, at)
		r.Used(at)
		r.Revoke("5f2b9c31d0a84e7796f1c2d3e4b5a697", grant.ReasonInvalidGrant, at.Add(24*time.Hour))
		r.Announced(r.Announce, at.Add(24*time.Hour))
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	env := &cli.Env{
		Stdout: os.Stdout, Stderr: os.Stderr, Now: func() time.Time { return at.Add(25 * time.Hour) },
		OpenGrants: opens(store, nil),
	}
	cli.Run(ctx, env, new(grammar), []string{"grants", "restore", "u-1"})
	fmt.Println()
	cli.Run(ctx, env, new(grammar), []string{"grants", "show", "u-1"})
	// Output:
	// restored	a24a7f55f278dd49	5f2b9c31d0a84e7796f1c2d3e4b5a697	EU	invalid_grant	revoked 2026-01-03T12:00:00.000Z
	// customers            1
	// restored             1
	// A restored grant is suspect until a refresh has proved it. The customer's next event refreshes it, or the
	// next sweep, in minutes, unless the customer is idle. If Login with Amazon refuses that refresh and another one an hour
	// later, the grant is revoked again, and the customer has to link again. The sweep announces the outcome.
	//
	// customer             u-1
	// in logs              a24a7f55f278dd49
	// record               0169704d2e2cc7345722a3bf9acd77f4a25c127df3ee989e47a7e85091030ee9
	// skill                default
	// newest region        EU
	// schema version       1
	// bucket               233
	// last use noted       2026-01-02T12:00:00.000Z
	// due in the sweep     2026-01-03T13:00:00.000Z
	// to be announced      suspect of grant 5f2b9c31d0a84e7796f1c2d3e4b5a697, EU restored, 1 left, at 2026-01-03T13:00:00.000Z
	//
	// grant                5f2b9c31d0a84e7796f1c2d3e4b5a697
	// state                suspect (restored) since 2026-01-03T13:00:00.000Z
	// region               EU
	// client id            amzn1.application-oa2-client.1
	// Amazon account       not known
	// access token         none
	// expires              -
	// refresh token        sealed by key 123, 212 bytes
	// token version        1
	// refresh due          2026-01-03T13:00:00.000Z
	// failures in a row    0
	// lease                none
	// next try             2026-01-03T13:00:00.000Z
	// refused at           -
	// witness              none
	// unproven since       -
	// maker told at        2026-01-03T13:00:00.000Z
	// behind               no
	// last forced refresh  -
	// created              2026-01-02T12:00:00.000Z
	// erase at             -
}
