package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/lwa"
)

const (
	// mostUnanswered is how many refreshes in a row may be left unanswered before
	// the process's sweeps end.
	mostUnanswered = 2
	// widest is how many refreshes all sweeps of a process may have in flight.
	widest = 256
)

// warmup keeps the sweeps of a process from losing customers when Login with
// Amazon does what it is asked and does not answer: each refresh may then cost a
// customer the link. They begin with one refresh, all together, and with each
// answer there may be twice as many; one that is left unanswered begins anew. The
// zero value is ready.
type warmup struct {
	mu         sync.Mutex
	freed      chan struct{} // closed when there may be room; nil while nobody waits
	width      int           // less one
	flying     int
	unanswered int       // in a row
	until      time.Time // no refresh before
	looked     time.Time // when a sweep last looked elsewhere in the queue
}

// errUnanswered ends the sweeps of a process.
var errUnanswered = fmt.Errorf("%w: login with amazon does not answer, and each refresh may cost a customer the link", errIll)

// begin waits until there may be one refresh more. It returns errUnanswered while
// there may be none.
func (w *warmup) begin(ctx context.Context, now time.Time) error {
	for {
		w.mu.Lock()
		switch {
		case now.Before(w.until):
			w.mu.Unlock()
			return errUnanswered
		case w.flying <= w.width:
			w.flying++
			w.mu.Unlock()
			return nil
		}
		if w.freed == nil {
			w.freed = make(chan struct{})
		}
		freed := w.freed
		w.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return errTime
		}
	}
}

// end notes how a refresh ended. Without answers there is none for rest.
func (w *warmup) end(err error, now time.Time, rest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying--
	if w.freed != nil {
		close(w.freed)
		w.freed = nil
	}
	var failed *lwa.Error
	switch {
	case errors.As(err, &failed) && failed.Unanswered():
		w.width = 0
		if w.unanswered++; w.unanswered >= mostUnanswered {
			w.unanswered, w.until = 0, now.Add(rest)
		}
	case err == nil, failed != nil && failed.Status != 0, errors.Is(err, access.ErrRevoked), errors.Is(err, access.ErrSuspect),
		errors.Is(err, access.ErrBraked):
		w.unanswered, w.width = 0, min(2*w.width+1, widest)
	}
}

// again lets one sweep in a time find out whether it was the customers' fault,
// and reports whether the caller's is that one.
func (w *warmup) again(now time.Time, rest time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.looked) < rest {
		return false
	}
	w.looked, w.until = now, time.Time{}
	return true
}
