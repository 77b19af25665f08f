package access

import (
	"context"
	"time"
)

// backoff is the wait of those who watch another process refresh: short at
// first, because a refresh takes a few hundred milliseconds, then longer, so
// that a holder who died costs few reads.
type backoff struct{ next time.Duration }

func newBackoff() *backoff { return &backoff{next: 50 * time.Millisecond} }

// pause returns ErrBusy if ctx ends, or would end, during the wait.
func (b *backoff) pause(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < b.next {
		return ErrBusy
	}
	timer := time.NewTimer(b.next)
	defer timer.Stop()
	b.next = min(2*b.next, time.Second)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ErrBusy
	}
}
