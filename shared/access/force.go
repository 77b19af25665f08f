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

// ErrProven: the gateway refuses a token although a forced refresh succeeded within
// the last ten minutes. Another refresh would prove nothing.
var ErrProven = errors.New("access: grant was refreshed by force a short time ago")

// BackingOffError: Login with Amazon did not answer the last refresh of the grant, and
// the next one is not due yet.
type BackingOffError struct{ For time.Duration }

// Error says when the next refresh is due.
func (e *BackingOffError) Error() string {
	return fmt.Sprintf("access: the last refresh failed; the next in %v", e.For)
}

const (
	// provenTime is how long a forced refresh that succeeded proves the grant.
	provenTime = 10 * time.Minute
	// A failed refresh is retried after firstPause, then with exponential backoff up to
	// lastPause.
	firstPause = time.Second
	lastPause  = 5 * time.Minute
)

// Renew returns an access token of a later version than refused, the version that the
// gateway refused. It returns the stored token if that is later, or else a new one
// from a forced refresh. A forced refresh also tests the grant: if Login with Amazon
// refuses it as well, the grant is gone and Renew returns [ErrRevoked].
//
// A suspect grant is refreshed too: the gateway and Login with Amazon are two
// witnesses.
//
// [ErrProven] and [BackingOffError] mean that no refresh was made, because one
// succeeded, or failed, a short time ago.
func (s *Source) Renew(ctx context.Context, key grant.Key, id string, refused int64) (Token, error) {
	record := grant.Record{Skill: key.Skill, UserID: key.UserID} // to be read
	return s.shareRefresh(ctx, record, request{id: id, from: refused, forced: true, forEvent: true})
}

// grantName returns a name for a grant within a process.
func grantName(key grant.Key, id string) string { return key.ID() + "/" + id }

// failures tracks the refreshes that Login with Amazon did not answer, so that one
// customer's events do not flood it during an outage. It also tracks Retry-After. The
// zero value is ready to use.
type failures struct {
	grants cache.Cache[string, failure] // a grant that is evicted is retried early
	mu     sync.Mutex
	until  time.Time // no refresh before this time, because of a Retry-After
}

type failure struct {
	until time.Time
	pause time.Duration
}

// longestRetryAfter is the longest Retry-After that is honoured.
const longestRetryAfter = 5 * time.Minute

// retryAfter returns how long Login with Amazon asked the process to wait.
func (f *failures) retryAfter(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.until.Sub(now)
}

// backoff returns how long a grant's next refresh has to wait.
func (f *failures) backoff(id string, now time.Time) time.Duration {
	last, _ := f.grants.Get(id)
	return last.until.Sub(now)
}

func (f *failures) note(id string, err error, now time.Time) {
	var failed *lwa.Error
	if errors.As(err, &failed) && failed.RetryAfter > 0 {
		f.mu.Lock()
		if until := now.Add(min(failed.RetryAfter, longestRetryAfter)); until.After(f.until) {
			f.until = until
		}
		f.mu.Unlock()
	}
	f.grants.Update(id, func(last failure, _ bool) (failure, bool) {
		if now.Sub(last.until) > lastPause {
			last.pause = 0 // long ago: start over
		}
		pause := min(max(firstPause, 2*last.pause), lastPause)
		return failure{until: now.Add(pause), pause: pause}, true
	})
}

func (f *failures) forget(id string) { f.grants.Remove(id) }
