package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	progressAfter = 2 * time.Second
	progressEvery = time.Second / 2
	clearLine     = "\r\x1b[K"
)

// Progress shows on a terminal how far a command is that takes more than two seconds.
type Progress struct {
	env          *Env
	what         string
	began, shown time.Time
}

// Progress begins to show how many of something are done.
func (env *Env) Progress(what string) *Progress {
	return &Progress{env: env, what: what, began: env.Now()}
}

// Show shows that n are done, which is a share of all between 0 and 1, or 0 if the
// share is unknown. It writes twice a second at most.
func (p *Progress) Show(n int, share float64) {
	if !p.env.Terminal {
		return
	}
	now := p.env.Now()
	took := now.Sub(p.began)
	if took < progressAfter || now.Sub(p.shown) < progressEvery {
		return
	}
	p.shown = now
	text := fmt.Sprintf("%d %s, %.0f/s", n, p.what, float64(n)/took.Seconds())
	if share > 0 {
		left := time.Duration(float64(took) * (1 - share) / share)
		text += fmt.Sprintf(", %.0f%%, %v left", share*100, left.Round(time.Second))
	}
	p.env.screen.show(text)
}

// screen is a terminal whose last line may show progress. Other output replaces it.
type screen struct {
	mu     sync.Mutex
	stderr io.Writer
	dirty  bool // the last line shows progress
}

// show replaces the last line.
func (s *screen) show(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = true
	_, _ = io.WriteString(s.stderr, clearLine+text)
}

// clear removes the progress.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLocked()
}

func (s *screen) clearLocked() {
	if s.dirty {
		s.dirty = false
		_, _ = io.WriteString(s.stderr, clearLine)
	}
}

// overwriter writes to one of the files of a screen.
type overwriter struct {
	*screen
	w io.Writer
}

// Write implements [io.Writer].
func (o overwriter) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clearLocked()
	return o.w.Write(text)
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
