package lwa

import (
	"context"
	"slices"
	"sync"
	"time"
)

// reloadPause is the least time between two looks for new credentials: when
// Login with Amazon refuses us it refuses everybody's refresh, and the secret's
// store should not be asked for each.
const reloadPause = time.Minute

// ring holds the credentials in use, and gets new ones when they are refused.
type ring struct {
	mu     sync.Mutex
	list   []Credentials
	load   func(context.Context) ([]Credentials, error)
	looked time.Time
}

func (r *ring) current() []Credentials {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}

// reload looks for other credentials than those that were refused, and reports
// whether there are any: because somebody else has found them by now, or
// because the secret has a new version. Waiting callers look once.
func (r *ring) reload(ctx context.Context, refused []Credentials, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.EqualFunc(r.list, refused, same) {
		return true
	}
	if r.load == nil || !r.looked.IsZero() && now.Sub(r.looked) < reloadPause {
		return false
	}
	r.looked = now
	found, err := r.load(ctx)
	if err != nil || slices.EqualFunc(r.list, found, same) {
		return false
	}
	r.list = found
	return true
}

func same(a, b Credentials) bool {
	return a.ClientID == b.ClientID && a.ClientSecret.Equal(b.ClientSecret)
}
