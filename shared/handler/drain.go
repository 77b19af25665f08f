package handler

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/logging"
)

// Cloud Run kills a process ten seconds after SIGTERM.
const (
	// finishTime is how long requests in flight may run before their contexts end.
	finishTime = 7 * time.Second
	// handBackTime is how long they may run after that, to hand back their work.
	handBackTime = time.Second
	// lastTime is what remains then for the function of [Group.Last].
	lastTime = time.Second
)

// flights counts the requests in flight, and can end their contexts.
type flights struct {
	mu       sync.Mutex
	n        int
	draining bool
	until    time.Time     // the requests' deadline while draining
	idle     chan struct{} // closed when draining and n is 0
	cut      bool          // contexts are ended
	cancels  map[context.Context]context.CancelFunc
}

func newFlights() *flights {
	return &flights{idle: make(chan struct{}), cancels: make(map[context.Context]context.CancelFunc)}
}

// deadline is a context whose deadline is at the latest the end of finishTime once the
// process drains: a handler that checks its time begins nothing that it cannot finish.
type deadline struct {
	context.Context
	flights *flights
}

// Deadline returns the earlier of the request's deadline and the drain's.
func (d deadline) Deadline() (time.Time, bool) {
	own, ok := d.Context.Deadline()
	d.flights.mu.Lock()
	defer d.flights.mu.Unlock()
	if d.flights.draining && (!ok || d.flights.until.Before(own)) {
		return d.flights.until, true
	}
	return own, ok
}

// maxFlights is how many requests may be in flight. The platform sends far fewer at a
// time; if it does not, a refusal is better than a process that runs out of memory.
const maxFlights = 2000

// begin admits a request, or returns why not. An admitted request must call land.
func (f *flights) begin() (refusal string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.draining:
		return "shutting down"
	case f.n >= maxFlights:
		return "too many requests at a time"
	}
	f.n++
	return ""
}

// limit returns the handler's context for an admitted request. It ends after the given
// time, with the request's context, or when draining takes too long.
func (f *flights) limit(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, most)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut {
		cancel()
	}
	f.cancels[ctx] = cancel
	return deadline{ctx, f}, func() {
		cancel()
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.cancels, ctx)
	}
}

// cutOff ends the contexts of all requests in flight.
func (f *flights) cutOff() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = true
	for _, cancel := range f.cancels {
		cancel()
	}
}

func (f *flights) land() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	f.closeIfIdle()
}

func (f *flights) closeIfIdle() {
	if f.draining && f.n == 0 {
		close(f.idle)
	}
}

// Drain refuses new requests, and returns when none is in flight. After seven seconds it
// ends the contexts of the requests in flight, which have one more second to hand back
// their work. Then it runs the function of [Group.Last] in the time that is left. It
// reports whether all requests finished.
func (h *Group) Drain() bool {
	defer h.finish(time.Now().Add(finishTime + handBackTime + lastTime))
	f := h.flights
	f.mu.Lock()
	if !f.draining {
		f.draining, f.until = true, time.Now().Add(finishTime)
		f.closeIfIdle()
	}
	f.mu.Unlock()
	if wait(f.idle, finishTime) {
		return true
	}
	f.cutOff()
	return wait(f.idle, handBackTime)
}

// finish runs the function of [Group.Last], and logs the drain.
func (h *Group) finish(deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	ctx, line := logging.Begin(ctx)
	h.last(ctx)
	line.Write(ctx, h.log, "drained")
}

func wait(done <-chan struct{}, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// DrainOn waits for a signal, drains, and calls exit with 0 if every request finished, 1
// otherwise.
func (h *Group) DrainOn(signals <-chan os.Signal, exit func(code int)) {
	<-signals
	h.log.Info("draining")
	if !h.Drain() {
		h.log.Error("requests were still in flight when the process had to end")
		exit(1)
		return
	}
	exit(0)
}
