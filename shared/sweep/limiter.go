package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/wait"
)

const (
	concurrency = 16 // customers that one sweep works on at a time when all is well
	// maxRest is the longest that a sweep waits out of a Retry-After: it has less
	// than a minute.
	maxRest = 5 * time.Second
)

// limiter decides how many customers one sweep works on at a time, when it pauses
// because Login with Amazon said so, and how many refreshes a second it begins. It
// may be used by many goroutines at once.
type limiter struct {
	breaker *breaker      // knows the share of failures
	rate    *rate.Limiter // the sweep's part of LWA_MAX_RATE

	mu      sync.Mutex
	free    sync.Cond // signalled whenever another customer may begin
	running int
	until   time.Time // no refresh before, says Login with Amazon
}

// newLimiter returns a limiter of refreshes per second; zero is no limit.
func newLimiter(b *breaker, perSecond float64) *limiter {
	l := &limiter{breaker: b, rate: rate.NewLimiter(rate.Inf, 0)}
	if perSecond > 0 {
		l.rate = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	l.free.L = &l.mu
	return l
}

// acquire waits until another customer may be worked on. It returns an error if
// ctx ends during a pause that Login with Amazon asked for.
func (l *limiter) acquire(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for l.running >= l.width() {
			l.free.Wait()
		}
		rest := time.Until(l.until)
		// Nothing begins once the breaker is open: its caller need not wait to learn it.
		if rest <= 0 || l.breaker.open() != nil {
			l.running++
			return nil
		}
		l.mu.Unlock()
		err := wait.For(ctx, rest)
		l.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// release notes that a customer is done.
func (l *limiter) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.free.Broadcast()
}

// wake notes that the share of failures may have changed, and with it the width.
func (l *limiter) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free.Broadcast()
}

// rest obeys a Retry-After.
func (l *limiter) rest(err error) {
	if after := retryAfter(err); after > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.until = time.Now().Add(min(after, maxRest))
	}
}

// retryAfter is the Retry-After of an answer of Login with Amazon, zero without one.
func retryAfter(err error) time.Duration {
	var failed *lwa.Error
	if errors.As(err, &failed) {
		return failed.RetryAfter
	}
	return 0
}

// width is how many customers are worked on at a time: fewer, the more answers
// are failures, down to one. A service that begins to fail is often overloaded,
// and would be more so by a sweep that goes on at full width.
func (l *limiter) width() int {
	failing := l.breaker.failing()
	if failing <= slowPercent {
		return concurrency
	}
	return max(1, concurrency*(openPercent-failing)/openPercent)
}

const (
	// maxUnanswered is how many refreshes in a row may be left unanswered before
	// the process's sweeps end.
	maxUnanswered = 2
	// maxInFlight is how many refreshes all sweeps of a process may have in flight.
	maxInFlight = 256
)

// slowStart bounds the refreshes that all sweeps of a process have in flight.
//
// Login with Amazon may do a refresh and not answer. The old refresh token has
// ended then and the new one is lost, so that each such refresh costs a customer
// the link. Therefore a process begins with one refresh in flight, and each answer
// doubles how many there may be; one that is left unanswered begins anew, and two
// in a row stop all sweeps of the process for a time. The zero value is ready. It
// may be used by many goroutines at once.
type slowStart struct {
	mu         sync.Mutex
	freed      chan struct{} // closed when there may be room; nil while nothing waits
	width      int           // less one
	inFlight   int
	unanswered int       // in a row
	until      time.Time // no refresh before
	probed     time.Time // when a sweep was last allowed a probe
}

// errUnanswered ends the sweeps of a process.
var errUnanswered = fmt.Errorf("%w: login with amazon does not answer, and each refresh may cost a customer the link", errUnhealthy)

// acquire waits until there may be one refresh more. It returns errUnanswered while
// there may be none.
func (s *slowStart) acquire(ctx context.Context, now time.Time) error {
	for {
		s.mu.Lock()
		switch {
		case now.Before(s.until):
			s.mu.Unlock()
			return errUnanswered
		case s.inFlight <= s.width:
			s.inFlight++
			s.mu.Unlock()
			return nil
		}
		if s.freed == nil {
			s.freed = make(chan struct{})
		}
		freed := s.freed
		s.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return errTime
		}
	}
}

// release notes how a refresh ended. When too many are left unanswered, none
// begins for the time pause.
func (s *slowStart) release(err error, now time.Time, pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
	var failed *lwa.Error
	switch {
	case errors.As(err, &failed) && failed.Unanswered():
		s.width = 0
		if s.unanswered++; s.unanswered >= maxUnanswered {
			s.unanswered, s.until = 0, now.Add(pause)
		}
	// Errors that come before the call, such as a lease that is held, say nothing
	// about Login with Amazon, and change nothing.
	case err == nil, failed != nil && failed.Status != 0, errors.Is(err, access.ErrRevoked), errors.Is(err, access.ErrSuspect),
		errors.Is(err, access.ErrBraked):
		s.unanswered, s.width = 0, min(2*s.width+1, maxInFlight)
	}
}

// mayProbe lets one sweep in a time probe although the process has stopped, and
// reports whether the caller's is that one: each probe may cost customers the
// link, so that not every shard may make its own.
func (s *slowStart) mayProbe(now time.Time, pause time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.probed) < pause {
		return false
	}
	s.probed, s.until = now, time.Time{}
	return true
}
