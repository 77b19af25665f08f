package federation

import (
	"context"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const (
	// renewBefore is how long before its expiry a token is renewed. In that
	// time it is still used, so nobody waits for the new one to begin.
	renewBefore = 5 * time.Minute
	// spare is what a token must have left to be used: it travels, and the
	// other side's clock may be ahead.
	spare = 30 * time.Second
	// renewalPause keeps an ill service from slowing every request down while
	// the old token is good.
	renewalPause = 30 * time.Second
	// youth is how long a token is beyond suspicion: whoever refuses one that
	// young does so for another reason, and would refuse the next as well.
	youth = 5 * time.Minute
)

// Fetch gets a new ID token, as [Client.IDToken] does.
type Fetch func(ctx context.Context, audience string) (Token, error)

// Tokens keeps one ID token for each audience. It may be used by many
// goroutines at once; those that find no token fetch one each.
type Tokens struct {
	fetch Fetch
	now   func() time.Time

	mu   sync.Mutex
	kept map[string]*entry
}

type entry struct {
	token     Token
	fetchedAt time.Time
	nextRenew time.Time // not before
}

// NewTokens returns Tokens that come from fetch.
func NewTokens(fetch Fetch, now func() time.Time) *Tokens {
	return &Tokens{fetch: fetch, now: now, kept: make(map[string]*entry)}
}

// Use is a token to use now, and perhaps its renewal.
type Use struct {
	Token   sensitive.String
	renewed bool
	err     error
	done    chan struct{} // closed when the renewal has ended; nil if there is none
}

// Wait returns when no renewal is under way any more. It reports whether a new
// token was fetched, for this Use or to be kept for the next, and why a renewal
// failed. That is no reason for the request to fail: its token was good.
func (u *Use) Wait() (renewed bool, err error) {
	if u.done != nil {
		<-u.done
	}
	return u.renewed, u.err
}

// Use returns a token for an audience. Without one that is good it fetches one
// first; one that is about to expire it uses and renews side by side. Wait
// must be called, and returns soon after ctx has ended at the latest.
func (t *Tokens) Use(ctx context.Context, audience string) (*Use, error) {
	token, due := t.find(audience)
	switch {
	case token.Empty():
		fetched, err := t.renew(ctx, audience)
		if err != nil {
			return nil, err
		}
		return &Use{Token: fetched, renewed: true}, nil
	case !due:
		return &Use{Token: token}, nil
	}
	use := &Use{Token: token, done: make(chan struct{})}
	go func() {
		defer close(use.done)
		use.err = flight.Guard(func() error {
			_, err := t.renew(ctx, audience)
			return err
		})
		use.renewed = use.err == nil
	}()
	return use, nil
}

// Discard forgets a token that was refused, so that the next Use has another,
// and reports whether that is worth a try. A token that was fetched in the last
// five minutes is kept: a server that refuses every token must not cost a new
// one for every request.
func (t *Tokens) Discard(audience string, token sensitive.String) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.kept[audience]
	if e == nil || !e.token.Text.Equal(token) {
		return true // somebody else has discarded it, and perhaps fetched another
	}
	if t.now().Sub(e.fetchedAt) < youth {
		return false
	}
	delete(t.kept, audience)
	return true
}

// find returns the token that is kept and good, and whether the caller is to
// renew it.
func (t *Tokens) find(audience string) (token sensitive.String, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	e := t.kept[audience]
	if e == nil || e.token.ExpiresAt.Sub(now) < spare {
		return sensitive.String{}, false
	}
	if e.token.ExpiresAt.Sub(now) < renewBefore && !now.Before(e.nextRenew) {
		e.nextRenew = now.Add(renewalPause)
		return e.token.Text, true
	}
	return e.token.Text, false
}

func (t *Tokens) renew(ctx context.Context, audience string) (sensitive.String, error) {
	token, err := t.fetch(ctx, audience)
	if err != nil {
		return sensitive.String{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept[audience] = &entry{token: token, fetchedAt: t.now()}
	return token.Text, nil
}
