// Package breaker is a circuit breaker that judges a service by the share of grants
// whose latest attempt failed, not by a count of failures: one grant that is
// throttled all day says nothing about the service.
//
// While closed, the breaker admits every attempt. It looks at the last 50 grants
// that got an answer within 10 s, and opens when at least 10 of them, and at least
// half, got a bad one. An attempt that is unanswered for 5 s counts as bad; until
// then it counts neither way.
//
// While open, the breaker refuses every attempt. It stays open for 5 s, and twice
// as long after each reopening, up to 30 s.
//
// While half-open, the breaker admits attempts as trials: one in flight at first,
// twice as many after each second that brought a good answer. With room for 80 it
// closes. It reopens when at least 3 of the trials' grants, and at least half, got
// a bad answer.
//
// The breaker has no goroutine and no ticker: its state changes inside its callers'
// calls, and [Config.OnChange] reports each change. It ignores the answer to an
// attempt that began before it opened. It does not send or resend, and does not
// decide which answers are bad: its caller does.
package breaker

import (
	"errors"
	"strconv"
	"time"
)

// ErrOpen means that the breaker refused an attempt: it is open, or it is
// half-open and has no room.
var ErrOpen = errors.New("breaker: open")

// State is how a breaker treats attempts.
type State int

// The states of a breaker.
const (
	Closed   State = iota // every attempt is admitted
	Open                  // every attempt is refused
	HalfOpen              // attempts are admitted as trials while there is room
)

// String returns "closed", "open" or "half-open", the words used in log lines.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// Config configures a breaker.
type Config struct {
	// Now returns the current time. The breaker calls it with its lock held, so
	// it must not use the breaker.
	Now func() time.Time

	// OnChange, if not nil, is called once for each change of state, and each time
	// that the half-open breaker raises its room. The goroutine whose call made the
	// change calls it, before that call returns and without the breaker's lock. Two
	// changes in quick succession may be reported in either order.
	OnChange func(Change)

	// AnswersOnly makes an unanswered attempt count neither way, however long it
	// takes. It is for a breaker that looks for one kind of answer, such as 401: a
	// service that hangs does not give it.
	AnswersOnly bool
}

// Change is a change of state, or of the room while half-open.
type Change struct {
	From, To State
	Room     int // trials that may be in flight now; 0 unless To is HalfOpen
}

// Options says what an attempt may do while the breaker is half-open. The zero
// value is an attempt that may be a trial and does not wait for room.
type Options struct {
	// NoTrial refuses the attempt unless the breaker is closed. It is for an event
	// that must not be repeated: if its trial fails, the event is lost.
	NoTrial bool

	// Wait is how long the attempt may wait for room.
	Wait time.Duration
}

// Attempt is an attempt that [Breaker.Begin] admitted. The zero value is not an
// attempt.
type Attempt struct{ number uint64 }
