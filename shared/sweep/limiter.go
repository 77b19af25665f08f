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
	// maxRest is the longest that a sweep waits because of a Retry-After: the whole
	// sweep has less than a minute.
	maxRest = 5 * time.Second
)

// limiter decides how many customers one sweep works on at a time, when it pauses
// because Login with Amazon said so, and how many refreshes a second it begins. It
// is safe for concurrent use.
type limiter struct {
	breaker *breaker      // knows the share of failures
	rate    *rate.Limiter // the sweep's part of LWA_MAX_RATE

	mu      sync.Mutex
	free    sync.Cond // signalled whenever another customer may begin
	running int
	until   time.Time // no refresh before this time, by a Retry-After
}

// newLimiter returns a limiter of refreshes per second; zero means no limit.
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
		// Do not wait while the breaker is open: the caller will start nothing.
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

// retryAfter returns the Retry-After of an answer of Login with Amazon, or zero if
// there is none.
func retryAfter(err error) time.Duration {
	var failed *lwa.Error
	if errors.As(err, &failed) {
		return failed.RetryAfter
	}
	return 0
}

// width returns how many customers may be worked on at a time. It shrinks as the
// share of failures grows, down to one: a service that begins to fail is often
// overloaded, and a sweep at full width would make that worse.
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
	// unansweredPause is how long they end for. It does not depend on the period: more
	// frequent sweeps must not cost more customers their links.
	unansweredPause = 150 * time.Second
	// maxInFlight is how many refreshes all sweeps of a process may have in flight.
	maxInFlight = 256
)

// slowStart bounds the refreshes that all sweeps of a process have in flight.
//
// Login with Amazon may do a refresh and not answer. Then the old refresh token is
// invalid and the new one is lost, and the customer has to link again. So a process
// starts with one refresh in flight. Each answer doubles the limit, and an
// unanswered refresh resets it. Two unanswered refreshes in a row stop all sweeps of
// the process for a while. The zero value is ready to use. It is safe for
// concurrent use.
type slowStart struct {
	mu         sync.Mutex
	freed      chan struct{} // closed when there may be room; nil while nothing waits
	width      int           // how many there may be, minus one
	inFlight   int
	unanswered int       // in a row
	until      time.Time // no refresh before this time
	probed     time.Time // when a sweep was last allowed a probe
}

// errUnanswered ends the sweeps of a process.
var errUnanswered = fmt.Errorf("%w: login with amazon does not answer, and each refresh may cost a customer the link", errUnhealthy)

// acquire waits until one more refresh may start. It returns errUnanswered while the
// sweeps are stopped.
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

// release notes how a refresh ended. After too many unanswered ones, none may start
// for a while.
func (s *slowStart) release(err error, now time.Time) {
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
			s.unanswered, s.until = 0, now.Add(unansweredPause)
		}
	// Errors that come before the call, such as a lease that is held, say nothing
	// about Login with Amazon, and change nothing.
	case err == nil, failed != nil && failed.Status != 0, errors.Is(err, access.ErrRevoked), errors.Is(err, access.ErrSuspect),
		errors.Is(err, access.ErrBraked):
		s.unanswered, s.width = 0, min(2*s.width+1, maxInFlight)
	}
}

// mayProbe reports whether the caller's sweep may probe although the process has
// stopped. It lets one sweep per pause do so: each probe may cost customers their
// links, so the shards must not all make their own.
func (s *slowStart) mayProbe(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.probed) < unansweredPause {
		return false
	}
	s.probed, s.until = now, time.Time{}
	return true
}
