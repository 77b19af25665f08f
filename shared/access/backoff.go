package access

import (
	"context"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// backoff is the wait of those who watch another process refresh: short at
// first, because a refresh takes a few hundred milliseconds, then longer, so
// that a holder who died costs few reads. By the time the longest lease ends
// there is nothing left to wait for.
type backoff struct {
	next time.Duration
	left time.Duration
}

func newBackoff() *backoff {
	return &backoff{next: 50 * time.Millisecond, left: takeTime + lwa.RefreshTimeout + saveTime + leaseMargin + time.Second}
}

// pause returns ErrBusy if ctx ends during the wait, or the waiting is in vain.
func (b *backoff) pause(ctx context.Context) error {
	if b.left < b.next {
		return ErrBusy
	}
	b.left -= b.next
	pause := b.next
	b.next = min(2*b.next, time.Second)
	if wait.For(ctx, pause) != nil {
		return ErrBusy
	}
	return nil
}
