package delivery

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

const (
	// warnedKept is how many warnings a process remembers, about as many as there
	// are.
	warnedKept = 1000
	// warnAgain is after how long it logs a warning again.
	warnAgain = time.Hour
	// mostWarnings is how many one line shows. A later event's line shows the rest.
	mostWarnings = 5
)

// warned remembers which warnings about events were logged. A publisher writes
// all its events in the same way, so each line would have the same ones.
type warned struct {
	mu sync.Mutex
	at *lru.Cache[string, time.Time] // when a warning was logged
}

func newWarned() *warned {
	at, _ := lru.New[string, time.Time](warnedKept) // fails for sizes below 1 only
	return &warned{at: at}
}

// note counts the warnings about an event in its log line, and shows those that
// were not shown within the hour.
func (w *warned) note(ctx context.Context, now time.Time, warnings []*alexa.FieldError) {
	telemetry.Add(ctx, slog.Int(telemetry.AdviceCount, len(warnings)))
	if shown := w.fresh(now, warnings); len(shown) > 0 {
		telemetry.Add(ctx, slog.Any(telemetry.Advice, shown))
	}
}

// fresh returns the warnings that are to be logged now.
func (w *warned) fresh(now time.Time, warnings []*alexa.FieldError) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var fresh []string
	for _, warning := range warnings {
		text := warning.Error()
		// Without digits, the same fault at another index is the same warning.
		key := strings.Map(noDigit, text)
		if at, ok := w.at.Peek(key); ok && now.Sub(at) < warnAgain {
			continue
		}
		w.at.Add(key, now)
		if fresh = append(fresh, text); len(fresh) == mostWarnings {
			break
		}
	}
	return fresh
}

func noDigit(r rune) rune {
	if '0' <= r && r <= '9' {
		return -1
	}
	return r
}
