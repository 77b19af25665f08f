// Package wait waits no longer than a context lasts.
package wait

import (
	"context"
	"time"
)

// For waits until d has passed or ctx has ended. It returns the cause of ctx if
// that has ended, even if d has passed too.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// HasTime reports whether ctx has not ended and lasts for at least d. A context
// without a deadline lasts.
func HasTime(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) >= d)
}

// Less returns a context that ends earlier than ctx by spare.
func Less(ctx context.Context, spare time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-spare))
	}
	return context.WithCancel(ctx)
}
