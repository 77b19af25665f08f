package host

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// Cloud Run kills a process ten seconds after SIGTERM.
const (
	// finishTime is how long requests in flight may go on undisturbed.
	finishTime = 7 * time.Second
	// handBackTime is how long they have to hand back what they hold after
	// their contexts have ended.
	handBackTime = time.Second
	// lastTime is left, when all that was used up, for what is done last.
	lastTime = time.Second
)

// flights counts the requests in flight and can end them.
type flights struct {
	mu       sync.Mutex
	n        int
	draining bool
	until    time.Time     // when requests have to be finished, once draining
	idle     chan struct{} // closed when draining and n is 0
	cut      bool          // contexts are ended
	cancels  map[context.Context]context.CancelFunc
}

func newFlights() *flights {
	return &flights{idle: make(chan struct{}), cancels: make(map[context.Context]context.CancelFunc)}
}

// deadline is a context whose deadline moves to the present when the process
// drains: whoever asks whether there is time for one thing more learns that
// there is not, long before the context ends.
type deadline struct {
	context.Context
	flights *flights
}

// Deadline is the earlier of the request's own and the process's.
func (d deadline) Deadline() (time.Time, bool) {
	own, ok := d.Context.Deadline()
	d.flights.mu.Lock()
	defer d.flights.mu.Unlock()
	if d.flights.draining && (!ok || d.flights.until.Before(own)) {
		return d.flights.until, true
	}
	return own, ok
}

// mostFlights is how many requests may be in flight. The platform sends far
// fewer at a time; should it not, those beyond are better off elsewhere than in a
// process that has run out of memory.
const mostFlights = 2000

// begin admits a request, or says why not. Whoever was admitted lands.
func (f *flights) begin() (refusal string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.draining:
		return "shutting down"
	case f.n >= mostFlights:
		return "too many requests at a time"
	}
	f.n++
	return ""
}

// limit returns a context for the work of a request that was admitted. It ends
// after the given time, with the request's, or when draining takes too long.
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

// Drain refuses new requests and returns when none is in flight any more.
// Requests that are not done after seven seconds have their contexts ended, so
// that they hand back what they hold, and one second for it. It reports whether
// all of them landed. What [Host.Last] was given runs then, in the time that is
// left.
func (h *Host) Drain() bool {
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

// finish does what comes last.
func (h *Host) finish(deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	ctx, line := telemetry.Begin(ctx)
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

// DrainOn waits for a signal, drains, and ends the process by calling exit: 0
// if every request landed, 1 otherwise.
func (h *Host) DrainOn(signals <-chan os.Signal, exit func(code int)) {
	<-signals
	h.log.Info("draining")
	if !h.Drain() {
		h.log.Error("requests were still in flight when the process had to end")
		exit(1)
		return
	}
	exit(0)
}
