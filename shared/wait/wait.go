// Package wait waits within the time that a context leaves.
package wait

import (
	"context"
	"time"
)

// For waits until d has passed or ctx has ended, and returns the cause of the
// latter. If both have happened the context counts.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// HasTime reports whether ctx is alive and lasts for at least d. One without a
// deadline lasts.
func HasTime(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) >= d)
}

// Less returns a context that ends a time before ctx does.
func Less(ctx context.Context, spare time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-spare))
	}
	return context.WithCancel(ctx)
}
