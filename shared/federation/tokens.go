package federation

import (
	"context"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const (
	// renewBefore is how long before its expiry a token is renewed. Until then it
	// is still used, so that no request waits for the new one before it starts.
	renewBefore = 5 * time.Minute
	// spare is the least remaining lifetime of a token that is used: the request
	// takes time, and the server's clock may be ahead.
	spare = 30 * time.Second
	// renewalPause is the least time between two renewals of a valid token, so that
	// a slow service does not delay every request.
	renewalPause = 30 * time.Second
	// youth is the age up to which a refused token is kept: the refusal has another
	// reason, and would meet a new token as well.
	youth = 5 * time.Minute
)

// Fetch returns a new ID token, as [Client.IDToken] does.
type Fetch func(ctx context.Context, audience string) (Token, error)

// Tokens caches one ID token for each audience. It is safe for concurrent use; each call
// that finds no token fetches one.
type Tokens struct {
	fetch Fetch
	now   func() time.Time

	mu   sync.Mutex
	kept map[string]*entry
}

type entry struct {
	token     Token
	fetchedAt time.Time
	nextRenew time.Time // the earliest next renewal
}

// NewTokens returns Tokens that gets tokens from fetch.
func NewTokens(fetch Fetch, now func() time.Time) *Tokens {
	return &Tokens{fetch: fetch, now: now, kept: make(map[string]*entry)}
}

// Use is a valid token, and perhaps a renewal in flight.
type Use struct {
	Token   sensitive.String
	renewed bool
	err     error
	done    chan struct{} // closed when the renewal has ended; nil if there is none
}

// Wait waits for the renewal, if there is one. It reports whether a new token was
// fetched, for this Use or for the next, and why a renewal failed. A failed renewal is
// no reason for the request to fail: its token is valid.
func (u *Use) Wait() (renewed bool, err error) {
	if u.done != nil {
		<-u.done
	}
	return u.renewed, u.err
}

// Use returns a token for an audience. If there is no valid one it fetches one first; if
// it is about to expire, Use returns it and renews it in parallel. The caller must call
// Wait, which returns soon after the end of ctx at the latest.
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

// Discard removes a refused token, so that the next Use returns another, and reports
// whether a retry is worthwhile. A token that was fetched in the last five minutes is
// kept: a server that refuses every token must not cause a fetch for every request.
func (t *Tokens) Discard(audience string, token sensitive.String) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.kept[audience]
	if e == nil || !e.token.Text.Equal(token) {
		return true // another request has discarded it, and perhaps fetched another
	}
	if t.now().Sub(e.fetchedAt) < youth {
		return false
	}
	delete(t.kept, audience)
	return true
}

// find returns the cached token if it is valid, and whether the caller must renew it.
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
