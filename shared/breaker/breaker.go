package breaker

import (
	"container/list"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

const (
	shortestPause = 5 * time.Second // for which the breaker stays open
	longestPause  = 30 * time.Second

	// fullRoom is how many requests an instance serves at once. With that much
	// room, half-open admits as many attempts as closed.
	fullRoom = 80
	// raiseEvery is how long the breaker keeps a room before it doubles it, so that
	// a service with cold caches gets the load step by step.
	raiseEvery = time.Second
)

// Breaker is a circuit breaker in front of one service. Use [New] to make one.
// It is safe for concurrent use. While it is closed, Begin and End allocate
// nothing.
type Breaker struct {
	config Config
	epoch  time.Time // zero of the breaker's times
	seed   maphash.Seed

	mu       sync.Mutex
	state    State
	pause    time.Duration // length of the next pause
	until    time.Duration // end of the current pause
	room     int           // trials that may be in flight
	raised   time.Duration // when room was last raised
	inFlight int           // attempts since the breaker was last open
	waiting  list.List     // of *waiter; empty unless half-open
	attempts ring
}

// waiter is an attempt that waits for room.
type waiter struct {
	key     uint64
	place   *list.Element
	decided chan struct{} // closed once the attempt is admitted or refused
	attempt Attempt       // zero if refused
}

// New returns a closed breaker.
func New(config Config) *Breaker {
	b := &Breaker{config: config, epoch: config.Now(), seed: maphash.MakeSeed(), pause: shortestPause}
	b.attempts.reset()
	return b
}

// Begin admits a first attempt for the grant, or refuses it with [ErrOpen]. It
// waits only for room while half-open, in order of arrival. If ctx ends during the
// wait, Begin returns an error that wraps ctx.Err() and is not ErrOpen. The grant
// is any string that identifies it; the breaker keeps a hash.
//
// Every admitted attempt needs exactly one [Breaker.End] or [Breaker.Cancel]. A
// resend is not a first attempt: the caller checks [Breaker.State] instead.
func (b *Breaker) Begin(ctx context.Context, grant string, o Options) (Attempt, error) {
	a, w := b.admit(grant, o)
	if w != nil {
		return b.await(ctx, w, o.Wait)
	}
	if a == (Attempt{}) {
		return Attempt{}, ErrOpen
	}
	return a, nil
}

// End records whether the answer to an attempt was good. A missing answer is bad.
func (b *Breaker) End(a Attempt, good bool) {
	if good {
		b.end(a, answeredGood)
	} else {
		b.end(a, answeredBad)
	}
}

// Cancel removes an attempt and releases its room. It is for an attempt that was
// never sent, and for an answer that does not count for this breaker.
func (b *Breaker) Cancel(a Attempt) { b.end(a, canceled) }

// State returns the current state. While half-open, the breaker may still refuse an
// attempt, because it has no room.
func (b *Breaker) State() State {
	now, was := b.lock()
	defer b.unlock(now, was)
	return b.state
}

// lock locks the breaker, makes the changes that are due by now, and returns
// the arguments of unlock.
func (b *Breaker) lock() (now time.Duration, was view) {
	b.mu.Lock()
	now, was = b.config.Now().Sub(b.epoch), b.view()
	switch {
	case b.state == Open && now >= b.until:
		b.state, b.room, b.raised, b.inFlight = HalfOpen, 1, now, 0
	case b.state != Open && !b.config.AnswersOnly && b.attempts.expire(now):
		b.judge(now)
	}
	return now, was
}

// view is what [Config.OnChange] reports changes of.
type view struct {
	state State
	room  int // 0 unless half-open
}

func (b *Breaker) view() view {
	if b.state != HalfOpen {
		return view{state: b.state}
	}
	return view{b.state, b.room}
}

// unlock admits or refuses waiters, unlocks the breaker, and reports a change. At most
// one change happens between lock and unlock.
func (b *Breaker) unlock(now time.Duration, was view) {
	for e := b.waiting.Front(); e != nil && (b.state == Open || b.hasRoom()); e = b.waiting.Front() {
		w := b.waiting.Remove(e).(*waiter)
		if b.state != Open {
			w.attempt = b.begin(w.key, now)
		}
		close(w.decided)
	}
	is := b.view()
	b.mu.Unlock()
	if is != was && b.config.OnChange != nil {
		b.config.OnChange(Change{was.state, is.state, is.room})
	}
}

func (b *Breaker) hasRoom() bool {
	return b.state == Closed || b.state == HalfOpen && b.inFlight < b.room
}

// admit returns an attempt, a waiter if the attempt has to wait, or neither if it
// is refused.
func (b *Breaker) admit(grant string, o Options) (Attempt, *waiter) {
	key := maphash.String(b.seed, grant)
	now, was := b.lock()
	defer b.unlock(now, was)
	switch {
	case b.state == HalfOpen && o.NoTrial:
		return Attempt{}, nil
	case b.hasRoom():
		return b.begin(key, now), nil
	case b.state == Open || o.Wait <= 0:
		return Attempt{}, nil
	}
	w := &waiter{key: key, decided: make(chan struct{})}
	w.place = b.waiting.PushBack(w)
	return Attempt{}, w
}

// await returns the waiter's attempt once it is admitted.
func (b *Breaker) await(ctx context.Context, w *waiter, wait time.Duration) (Attempt, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	err := ErrOpen
	select {
	case <-w.decided:
	case <-timer.C:
	case <-ctx.Done():
		err = fmt.Errorf("breaker: wait for room: %w", ctx.Err())
	}
	b.mu.Lock()
	b.waiting.Remove(w.place)
	a := w.attempt
	b.mu.Unlock()
	if a != (Attempt{}) { // it may be admitted just as the wait ends
		return a, nil
	}
	return Attempt{}, err
}

func (b *Breaker) begin(key uint64, now time.Duration) Attempt {
	b.inFlight++
	return Attempt{b.attempts.add(key, now)}
}

// end records the result of an attempt and releases its room.
func (b *Breaker) end(a Attempt, r result) {
	now, was := b.lock()
	defer b.unlock(now, was)
	if a.number < b.attempts.first {
		return // it began before the breaker opened, and took no trial's room
	}
	b.inFlight--
	if !b.attempts.record(a.number, r, now) {
		return
	}
	switch {
	case r == answeredBad:
		b.judge(now)
	case r == answeredGood && b.state == HalfOpen && now-b.raised >= raiseEvery:
		b.raise(now)
	}
}

// judge opens the breaker if too many grants got bad answers.
func (b *Breaker) judge(now time.Duration) {
	enough, since := enoughGrants, now-recent
	if b.state == HalfOpen {
		// All attempts are trials. With few customers they are minutes apart, so
		// none is too old.
		enough, since = enoughTrials, 0
	}
	if grants, bad := b.attempts.count(since); bad < enough || bad*half < grants {
		return
	}
	b.state, b.until = Open, now+b.pause
	b.pause = min(2*b.pause, longestPause)
	b.attempts.reset()
}

// raise doubles the room, and closes the breaker at fullRoom. The trials stay in
// the ring: without them the first few answers would decide alone.
func (b *Breaker) raise(now time.Duration) {
	b.room, b.raised = 2*b.room, now
	if b.room >= fullRoom {
		b.state, b.pause = Closed, shortestPause
	}
}
