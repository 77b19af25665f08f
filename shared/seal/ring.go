package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const (
	// findPause is the least time between two looks for an unknown key: a storm
	// of values that nothing opens must not become one of the keyset's source.
	findPause = 10 * time.Second
	// findTime is how long such a look may take. Whoever refreshes a token opens
	// the old one under a lease, which leaves not much more than that.
	findTime = 2 * time.Second
	// maxAge is when a keyset is loaded again without anything unknown.
	maxAge = time.Hour
	// renewTime is how long that may take. It is the time of somebody who has a
	// token to save.
	renewTime = time.Second
	// renewPause is when it is tried again, after it failed.
	renewPause = time.Minute
)

// ring holds the keyset in use, and looks for newer ones.
type ring struct {
	keys atomic.Pointer[keys] // never nil

	load func(context.Context) (sensitive.String, error) // nil: there is no other keyset
	now  func() time.Time

	mu      sync.Mutex // held while looking
	renewal time.Time  // when the keyset is to be looked for again, in any case
	paused  time.Time  // until then nobody looks for an unknown key
	failure error      // of the last look
}

// find returns a keyset that has a key which the one in use did not have when
// the caller looked. Whoever has waited finds what another has just loaded.
func (r *ring) find(id uint32) (*keys, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.load == nil {
		return nil, errors.New("the keyset has no such key")
	}
	if !r.now().Before(r.paused) {
		r.look(findTime)
	}
	if keys := r.keys.Load(); keys.enabled[id] {
		return keys, nil
	}
	if r.failure != nil {
		return nil, r.failure
	}
	return nil, errors.New("the keyset has no such key, nor had it when it was last loaded")
}

// renew looks for a new keyset when the last look is long ago.
func (r *ring) renew() {
	// Whoever finds the lock held goes on with the keyset at hand: a look is
	// under way, and waiting for it would gain nothing that is worth the time.
	if r.load == nil || !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	if !r.now().Before(r.renewal) {
		r.look(renewTime)
	}
}

// look loads the keyset and puts it in use, if it is one. The lock is held.
func (r *ring) look(limit time.Duration) {
	now := r.now()
	r.paused = now.Add(findPause)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	found, err := r.loadKeys(ctx)
	if err != nil {
		r.failure = fmt.Errorf("loading the keyset: %w", err)
		r.renewal = now.Add(renewPause)
		return
	}
	r.failure, r.renewal = nil, now.Add(maxAge)
	r.keys.Store(found)
}

func (r *ring) loadKeys(ctx context.Context) (*keys, error) {
	keysetJSON, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	return parse(keysetJSON)
}
