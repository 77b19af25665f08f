package access

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
)

// pending holds the new tokens that are not saved yet. They exist nowhere else. The
// zero value is ready to use.
type pending struct {
	left   atomic.Int32 // tokens that no request is saving; every request reads it
	saving sync.Mutex   // one request at a time saves them

	mu     sync.Mutex
	tokens map[string]unsaved // by grant and version
}

type unsaved struct {
	refreshed
	busy int // requests that are saving them
}

// refreshed is a refresh that Login with Amazon answered, and that is to be saved.
type refreshed struct {
	refreshing
	held   grant.Record // the record with the lease under which it was made
	tokens grant.Tokens
}

// versionName returns a name for a version of a grant's tokens within a process.
func versionName(key grant.Key, id string, version int64) string {
	return fmt.Sprintf("%s/%s/%d", key.ID(), id, version)
}

func (r refreshed) name() string { return versionName(r.held.Key(), r.id, r.from) }

// begin notes that a request is saving tokens.
func (p *pending) begin(r refreshed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens == nil {
		p.tokens = make(map[string]unsaved)
	}
	p.tokens[r.name()] = unsaved{r, p.tokens[r.name()].busy + 1}
	p.count()
}

// end notes that a request saved tokens, or gave up.
func (p *pending) end(r refreshed, saved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, ok := p.tokens[r.name()]
	switch {
	case saved:
		delete(p.tokens, r.name())
	case ok:
		u.busy--
		p.tokens[r.name()] = u
	}
	p.count()
}

// count counts the tokens that are left. The caller holds the lock.
func (p *pending) count() {
	left := 0
	for _, u := range p.tokens {
		if u.busy == 0 {
			left++
		}
	}
	p.left.Store(int32(left))
}

// of returns the unsaved tokens that replace a version of a grant's tokens.
func (p *pending) of(key grant.Key, id string, version int64) (refreshed, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tokens) == 0 {
		return refreshed{}, false
	}
	u, ok := p.tokens[versionName(key, id, version)]
	return u.refreshed, ok
}

// take returns the tokens that no request is saving, or all, and counts the caller as
// saving them.
func (p *pending) take(all bool) []refreshed {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []refreshed
	for name, u := range p.tokens {
		if all || u.busy == 0 {
			list = append(list, u.refreshed)
			u.busy++
			p.tokens[name] = u
		}
	}
	p.count()
	return list
}

// pendingTime is how long a request may spend on the tokens of earlier ones.
const pendingTime = 2 * time.Second

// SavePending saves the tokens that earlier requests could not save. Every request
// calls it first; it costs nothing if there are none. Tokens that still cannot be
// saved stay for the next request.
func (s *Source) SavePending(ctx context.Context) {
	if s.pending.left.Load() == 0 || !s.pending.saving.TryLock() {
		return
	}
	defer s.pending.saving.Unlock()
	ctx, cancel := context.WithTimeout(ctx, pendingTime)
	defer cancel()
	s.saveAll(ctx, s.pending.take(false))
}

// SaveBeforeExit saves every unsaved token, and retries until ctx ends. It is the last
// thing that a process does.
func (s *Source) SaveBeforeExit(ctx context.Context) { s.saveAll(ctx, s.pending.take(true)) }

// saveAll saves tokens in parallel.
func (s *Source) saveAll(ctx context.Context, list []refreshed) {
	var all errgroup.Group
	all.SetLimit(16)
	for _, r := range list {
		all.Go(func() error {
			_, err := s.store(ctx, r)
			s.pending.end(r, err == nil)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		logging.Raise(ctx, slog.LevelError)
		logging.Add(ctx, slog.Int("unsaved_tokens", int(s.pending.left.Load())), slog.String("unsaved_error", err.Error()))
	}
}
