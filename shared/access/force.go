package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/cache"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
)

// ErrProven: the gateway refuses a token although a forced refresh succeeded
// within the last ten minutes. Another would prove nothing.
var ErrProven = errors.New("access: grant was refreshed by force a short time ago")

// BackingOffError: Login with Amazon failed to answer the last refresh of the
// grant, and it is too early for the next.
type BackingOffError struct{ For time.Duration }

// Error says how long it is until the next.
func (e *BackingOffError) Error() string {
	return fmt.Sprintf("access: the last refresh failed; the next in %v", e.For)
}

const (
	// provenTime is how long a forced refresh that succeeded proves the grant.
	provenTime = 10 * time.Minute
	// A refresh that failed is tried again after firstPause, then twice as long
	// each time, up to lastPause.
	firstPause = time.Second
	lastPause  = 5 * time.Minute
)

// Renew returns an access token of a later version than refused, which the
// gateway did not take: the stored one if that is later, or else a new one by
// a forced refresh. A forced refresh is also the proof of a grant: if Login
// with Amazon refuses it as well the grant is gone, which is [ErrRevoked].
//
// A grant that was in doubt is not spared: the gateway's refusal and Login with
// Amazon's are two.
//
// [ErrProven] and [BackingOffError] mean that none was made, because one has
// succeeded, or failed, only just.
func (s *Source) Renew(ctx context.Context, key grant.Key, id string, refused int64) (Token, error) {
	return s.fly(ctx, grant.Record{Skill: key.Skill, UserID: key.UserID}, request{id: id, from: refused, forced: true, forEvent: true})
}

// grantName names a grant within a process.
func grantName(key grant.Key, id string) string { return key.ID() + "/" + id }

// failures remembers the refreshes that Login with Amazon failed to answer, so
// that one customer's events do not storm a service that is ill, and for how long
// it asked to be left alone. The zero value is ready.
type failures struct {
	grants cache.Cache[string, failure] // one that is dropped is tried again too early
	mu     sync.Mutex
	until  time.Time // no refresh before, by a Retry-After
}

type failure struct {
	until time.Time
	pause time.Duration
}

// longestRest is the longest Retry-After that is obeyed.
const longestRest = 5 * time.Minute

// rest is how long Login with Amazon asked the process to wait.
func (f *failures) rest(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.until.Sub(now)
}

// wait is how long a grant's next refresh has to wait.
func (f *failures) wait(id string, now time.Time) time.Duration {
	last, _ := f.grants.Get(id)
	return last.until.Sub(now)
}

func (f *failures) note(id string, err error, now time.Time) {
	var failed *lwa.Error
	if errors.As(err, &failed) && failed.RetryAfter > 0 {
		f.mu.Lock()
		if until := now.Add(min(failed.RetryAfter, longestRest)); until.After(f.until) {
			f.until = until
		}
		f.mu.Unlock()
	}
	f.grants.Update(id, func(last failure, _ bool) (failure, bool) {
		if now.Sub(last.until) > lastPause {
			last.pause = 0 // that was another day's trouble
		}
		pause := min(max(firstPause, 2*last.pause), lastPause)
		return failure{until: now.Add(pause), pause: pause}, true
	})
}

func (f *failures) forget(id string) { f.grants.Remove(id) }
