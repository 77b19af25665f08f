package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
)

// attempt is the place of a refresh at the circuit breaker. The zero value is one
// that the breaker does not know of.
type attempt struct {
	breaker *breaker.Breaker
	place   breaker.Attempt
}

// admit asks the breaker for a place, if an event waits for the refresh. The
// sweep has a pace of its own.
func (s *Source) admit(ctx context.Context, key grant.Key, want request) (attempt, error) {
	if s.Breaker == nil || !want.forEvent {
		return attempt{}, nil
	}
	place, err := s.Breaker.Begin(ctx, grantName(key, want.id), breaker.Options{})
	if err != nil {
		return attempt{}, fmt.Errorf("access: login with amazon: %w", err)
	}
	return attempt{s.Breaker, place}, nil
}

// end tells the breaker whether Login with Amazon has answered, whatever it was.
func (a attempt) end(err error) {
	if a.breaker != nil {
		a.breaker.End(a.place, !errors.Is(err, lwa.ErrThrottled) && !errors.Is(err, lwa.ErrUnavailable))
	}
}

// cancel gives back the place of a refresh that was not made.
func (a attempt) cancel() {
	if a.breaker != nil {
		a.breaker.Cancel(a.place)
	}
}

// slowTime is how long a slow answer is remembered.
const slowTime = 20 * time.Second

// slowness knows how long Login with Amazon took to answer lately, so that no
// refresh is begun whose answer would come when nobody can save it any more. The
// zero value is ready.
type slowness struct {
	mu      sync.Mutex
	slowest time.Duration
	at      time.Time
}

// note learns from an answer; that none came is for others to judge.
func (s *slowness) note(took time.Duration, err error) {
	var failed *lwa.Error
	if errors.As(err, &failed) && failed.Status == 0 {
		return
	}
	took = min(took, lwa.RefreshTimeout-time.Second) // of a process that was frozen
	s.mu.Lock()
	defer s.mu.Unlock()
	if took >= s.slowest || time.Since(s.at) > slowTime {
		s.slowest, s.at = took, time.Now()
	}
}

// latest is how long the slowest answer of late took.
func (s *slowness) latest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) > slowTime {
		return 0
	}
	return s.slowest
}
