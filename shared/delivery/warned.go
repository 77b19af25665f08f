package delivery

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/cache"
	"github.com/gatepostdev/gatepost/shared/logging"
)

const (
	// warnAgain is how long a warning is not logged again.
	warnAgain = time.Hour
	// maxWarnings is how many one line shows. Later lines show the others.
	maxWarnings = 5
)

// warned remembers which warnings about events were logged. A publisher writes
// all its events in the same way, so each line would have the same ones.
type warned struct {
	at cache.Cache[string, time.Time] // when a warning was logged
}

// note adds the number of warnings to the log line, and those that were not logged
// within the hour.
func (w *warned) note(ctx context.Context, now time.Time, warnings []*alexa.FieldError) {
	logging.Add(ctx, slog.Int(logging.AdviceCount, len(warnings)))
	if shown := w.fresh(now, warnings); len(shown) > 0 {
		logging.Add(ctx, slog.Any(logging.Advice, shown))
	}
}

// fresh returns the warnings that should be logged now.
func (w *warned) fresh(now time.Time, warnings []*alexa.FieldError) []string {
	var fresh []string
	for _, warning := range warnings {
		text := warning.Error()
		// Without digits, the same fault at another index is the same warning.
		w.at.Update(strings.Map(noDigit, text), func(at time.Time, known bool) (time.Time, bool) {
			if known && now.Sub(at) < warnAgain {
				return at, true
			}
			fresh = append(fresh, text)
			return now, true
		})
		if len(fresh) == maxWarnings {
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
