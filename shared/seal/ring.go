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
	// unknownPause is the least time between two reloads for an unknown key: a storm
	// of values that no key opens must not become a storm of reads.
	unknownPause = 10 * time.Second
	// unknownTimeout bounds such a reload. A refresh opens the old token under a
	// lease, which leaves not much more time.
	unknownTimeout = 2 * time.Second
	// maxAge is the age at which a keyset is reloaded without an unknown key.
	maxAge = time.Hour
	// maxAgeTimeout bounds such a reload: the caller has a token to save.
	maxAgeTimeout = time.Second
	// retryPause is how long after a failed reload the next is due.
	retryPause = time.Minute
)

// ring holds the keyset in use, and reloads it.
type ring struct {
	keys atomic.Pointer[keys] // never nil

	load func(context.Context) (sensitive.String, error) // nil if there is no source
	now  func() time.Time

	mu      sync.Mutex // held during a reload
	due     time.Time  // when the keyset is reloaded in any case
	paused  time.Time  // no reload for an unknown key before
	failure error      // of the last reload
}

// keysWith returns a keyset with a key that the one in use did not have when the
// caller checked. It reloads the keyset, unless another caller has just done so.
func (r *ring) keysWith(id uint32) (*keys, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.load == nil {
		return nil, errors.New("the keyset has no such key")
	}
	if !r.now().Before(r.paused) {
		r.reload(unknownTimeout)
	}
	if keys := r.keys.Load(); keys.enabled[id] {
		return keys, nil
	}
	if r.failure != nil {
		return nil, r.failure
	}
	return nil, errors.New("the keyset has no such key, as of its last reload")
}

// reloadIfOld reloads the keyset if the last reload is long ago.
func (r *ring) reloadIfOld() {
	// If the lock is held a reload is in flight. The current keyset will do: the
	// newer one is not worth the wait.
	if r.load == nil || !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	if !r.now().Before(r.due) {
		r.reload(maxAgeTimeout)
	}
}

// reload loads the keyset and uses it if it is valid. The caller holds the lock.
func (r *ring) reload(timeout time.Duration) {
	now := r.now()
	r.paused = now.Add(unknownPause)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	found, err := r.loadKeys(ctx)
	if err != nil {
		r.failure = fmt.Errorf("loading the keyset: %w", err)
		r.due = now.Add(retryPause)
		return
	}
	r.failure, r.due = nil, now.Add(maxAge)
	r.keys.Store(found)
}

func (r *ring) loadKeys(ctx context.Context) (*keys, error) {
	keysetJSON, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	return parse(keysetJSON)
}
