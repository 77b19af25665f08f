package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// screen is what the person at the terminal sees. It may be used by many
// goroutines at once.
type screen struct {
	mu sync.Mutex
	w  io.Writer
}

// print writes text as it is.
func (s *screen) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Whoever closed the terminal does not read that it cannot be written to.
	_, _ = fmt.Fprintf(s.w, format, args...)
}

// row writes a line about something that happened. took may be 0, for what has
// no duration.
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
