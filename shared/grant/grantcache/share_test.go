package grantcache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

// TestOneIsCutOff: a caller whose context ends gets its error, and no other caller
// does, even if that one leads the read.
func TestOneIsCutOff(t *testing.T) {
	t.Parallel()
	for name, leads := range map[string]bool{"the one who reads": true, "one who waits": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.link(w.other, "u-1", grant.Active)
				w.backend.before = func(ctx context.Context) error {
					select {
					case <-time.After(time.Second):
						return nil
					case <-ctx.Done():
						return fmt.Errorf("reading: %w", ctx.Err())
					}
				}
				short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				contexts := []context.Context{t.Context(), t.Context(), t.Context(), t.Context()}
				if leads {
					contexts[0] = short
				} else {
					contexts[3] = short
				}
				var all sync.WaitGroup
				for _, ctx := range contexts {
					all.Go(func() {
						began := time.Now()
						_, _, err := w.cache.Recent(ctx, key("u-1"))
						if cut := errors.Is(err, context.DeadlineExceeded); cut != (ctx == short) || err != nil && !cut {
							t.Errorf("cut off = %v: %v", ctx == short, err)
						}
						if ctx == short && time.Since(began) > time.Millisecond {
							t.Errorf("waited %v after the deadline", time.Since(began))
						}
					})
					synctest.Wait() // the first one leads
				}
				all.Wait()
				if got := w.backend.reads.Load(); (got == 1) == leads || got > 2 {
					t.Errorf("reads = %d", got)
				}
			})
		})
	}
}

// TestManyProcesses has goroutines read and write the same customers, through the
// cache and past it, while a clock moves. No returned record may be older than a
// minute, or than the process's own last write.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64 // nanoseconds
	now := func() time.Time { return time.Unix(0, clock.Load()) }
	stored := grantmem.New()
	cache := grantcache.New(stored, 4, now)
	const customers, workers, rounds = 6, 8, 400

	// Of each customer: when each version was replaced, and the last version
	// written through the cache.
	type history struct {
		sync.Mutex
		replaced map[int64]time.Time
		own      int64
	}
	var histories [customers]history
	for i := range histories {
		histories[i].replaced = make(map[int64]time.Time)
	}
	change := func(s grant.Store, i int, own bool) {
		var was int64
		written, err := grant.Change(t.Context(), s, key(fmt.Sprint("u-", i)), func(r *grant.Record) error {
			was = r.Grants["g"].TokenVersion
			r.Grants = map[string]grant.Grant{"g": {State: grant.Active, TokenVersion: was + 1}}
			return nil
		})
		if err != nil {
			t.Error(err)
			return
		}
		h := &histories[i]
		h.Lock()
		defer h.Unlock()
		h.replaced[was] = now()
		if own {
			h.own = max(h.own, written.Grants["g"].TokenVersion)
		}
	}
	check := func(i int) {
		h := &histories[i]
		h.Lock()
		own, began := h.own, now()
		h.Unlock()
		record, _, err := cache.Recent(t.Context(), key(fmt.Sprint("u-", i)))
		if err != nil && !errors.Is(err, grant.ErrNotFound) {
			t.Error(err)
		}
		version := record.Grants["g"].TokenVersion
		h.Lock()
		defer h.Unlock()
		if version < own {
			t.Errorf("version = %d after this process wrote %d", version, own)
		}
		if replaced, ok := h.replaced[version]; ok && began.Sub(replaced) > grantcache.Memory {
			t.Errorf("version = %d, which was replaced %v before", version, began.Sub(replaced))
		}
	}
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for range rounds {
				clock.Add(random.Int64N(int64(time.Second)))
				switch i := random.IntN(customers); random.IntN(20) {
				case 0:
					change(stored, i, false)
				case 1:
					change(cache, i, true)
				default:
					check(i)
				}
			}
		})
	}
	all.Wait()
}
