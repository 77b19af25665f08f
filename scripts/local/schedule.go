package main

import (
	"context"
	"time"
)

// schedule calls do once in every period until ctx ends, as Cloud Scheduler
// calls RefreshTokens.
func schedule(ctx context.Context, period time.Duration, do func(context.Context)) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do(ctx)
		case <-ctx.Done():
			return
		}
	}
}
