package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const clientID = "amzn1.application-oa2-client.fake"

// amazon is Login with Amazon without the network, where it is not what is
// measured: every refresh gives a new pair of tokens as long as real ones.
type amazon struct {
	now    func() time.Time
	down   atomic.Bool
	serial atomic.Int64
}

// Refresh implements [access.Refresher].
func (a *amazon) Refresh(context.Context, string, sensitive.String) (lwa.Token, error) {
	if a.down.Load() {
		return lwa.Token{}, fmt.Errorf("a simulated outage: %w", lwa.ErrUnavailable)
	}
	return a.token(), nil
}

// Knows implements [access.Refresher].
func (*amazon) Knows(id string) bool { return id == clientID }

// token issues a pair. The length is that of the simulator's tokens.
func (a *amazon) token() lwa.Token {
	serial := a.serial.Add(1)
	return lwa.Token{
		AccessToken:  sensitive.New(fmt.Sprintf("Atza|fake-%0357d", serial)),
		RefreshToken: sensitive.New(fmt.Sprintf("Atzr|fake-%0357d", serial)),
		ExpiresAt:    a.now().Add(lifetime), ClientID: clientID,
	}
}
