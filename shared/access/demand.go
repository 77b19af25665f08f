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

// attempt is a refresh that the circuit breaker counts. The zero value is one that it
// does not count.
type attempt struct {
	breaker *breaker.Breaker
	place   breaker.Attempt
}

// admit passes the circuit breaker, if an event waits for the refresh. The sweep has
// a limiter and a breaker of its own.
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

// end tells the breaker whether Login with Amazon has answered. A refusal is an answer.
func (a attempt) end(err error) {
	if a.breaker != nil {
		a.breaker.End(a.place, !errors.Is(err, lwa.ErrThrottled) && !errors.Is(err, lwa.ErrUnavailable))
	}
}

// cancel takes back a refresh that was not made.
func (a attempt) cancel() {
	if a.breaker != nil {
		a.breaker.Cancel(a.place)
	}
}

// slowTime is how long the slowest answer counts.
const slowTime = 20 * time.Second

// slowness tracks how long Login with Amazon took to answer lately. A refresh whose
// answer would come too late to be saved is not begun: its refresh token might be
// lost. The zero value is ready to use.
type slowness struct {
	mu      sync.Mutex
	slowest time.Duration
	at      time.Time
}

// note takes the time of an answer. A missing answer does not count: the breaker has
// it.
func (s *slowness) note(took time.Duration, err error) {
	var failed *lwa.Error
	if errors.As(err, &failed) && failed.Status == 0 {
		return
	}
	took = min(took, lwa.RefreshTimeout-time.Second) // the process may have been frozen
	s.mu.Lock()
	defer s.mu.Unlock()
	if took >= s.slowest || time.Since(s.at) > slowTime {
		s.slowest, s.at = took, time.Now()
	}
}

// latest returns the time of the slowest recent answer.
func (s *slowness) latest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) > slowTime {
		return 0
	}
	return s.slowest
}
