package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

// sent shows the outcome of a device event.
func (s *stack) sent(d pump.Delivery) {
	name := d.Message.ID
	if d.Message.OrderingKey != "" {
		name += " of " + d.Message.OrderingKey
	}
	result := outcomes(d)
	if !d.Acknowledged {
		result = fmt.Sprintf("%s; redelivered in %v", result, d.Backoff)
	}
	s.screen.row("event", d.Took, "%s, attempt %d: %s", name, d.Message.Attempt, result)
	s.tell(s.events, d)
}

// outcomes returns a summary of SendEvent's answer.
func outcomes(d pump.Delivery) string {
	if d.Status == 0 {
		return fmt.Sprintf("no answer (%v)", d.Err)
	}
	var answer struct {
		Outcomes []struct{ Outcome, Code string }
		Error    string
	}
	if err := json.Unmarshal(d.Body, &answer); err != nil {
		return fmt.Sprintf("status %d", d.Status)
	}
	var words []string
	for _, o := range answer.Outcomes {
		words = append(words, strings.TrimSpace(o.Outcome+" "+o.Code))
	}
	if answer.Error != "" {
		words = append(words, answer.Error)
	}
	if len(words) == 0 {
		words = []string{"no grant"}
	}
	return fmt.Sprintf("status %d, %s", d.Status, strings.Join(words, ", "))
}

// swept shows the outcome of a shard in which something was due.
func (s *stack) swept(d pump.Delivery) {
	var counts sweep.Counts
	err := json.Unmarshal(d.Body, &counts)
	switch {
	case !d.Acknowledged:
		s.screen.row("sweep", d.Took, "a shard failed with status %d; redelivered in %v", d.Status, d.Backoff)
	case err == nil && (counts.Refreshed+counts.Refused+counts.Revoked > 0 || len(counts.Failed) > 0):
		failed := 0
		for _, n := range counts.Failed {
			failed += n
		}
		s.screen.row("sweep", d.Took, "a shard's tokens: %d refreshed, %d refused, %d revoked, %d failed",
			counts.Refreshed, counts.Refused, counts.Revoked, failed)
	}
	s.tell(s.shards, d)
}

// tell sends a delivery to the demonstration while it runs.
func (s *stack) tell(to chan<- pump.Delivery, d pump.Delivery) {
	select {
	case to <- d:
	case <-s.over:
	}
}

// schedule calls do once in every period until ctx ends, like Cloud Scheduler.
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

// screen is the terminal of the user. It may be used by many goroutines at once.
type screen struct {
	mu sync.Mutex
	w  io.Writer
}

// print writes text as it is.
func (s *screen) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.w, format, args...) // fails only if the terminal is closed
}

// row writes a line about an event. took is 0 if it has no duration.
func (s *screen) row(what string, took time.Duration, format string, args ...any) {
	duration := ""
	if took > 0 {
		duration = fmt.Sprintf("%d ms", took.Round(time.Millisecond).Milliseconds())
	}
	s.print("  %-8s %7s  %s\n", what, duration, fmt.Sprintf(format, args...))
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
