package oneprocess

import (
	"context"
	"fmt"
	"sync"
)

// kept is how many elements a feed keeps.
const kept = 2000

// Feed is the latest things that happened, of one type. It may be used by many
// goroutines at once.
type Feed[T any] struct {
	observe func(T) // called for each element, one at a time; it must not use the feed; may be nil

	mu   sync.Mutex
	all  []T
	more chan struct{} // closed, and made anew, with each element
}

func newFeed[T any](observe func(T)) *Feed[T] {
	return &Feed[T]{observe: observe, more: make(chan struct{})}
}

func (f *Feed[T]) add(element T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.observe != nil { // locked, so that what was observed is found
		f.observe(element)
	}
	if len(f.all) >= 2*kept {
		f.all = append([]T(nil), f.all[kept:]...)
	}
	f.all = append(f.all, element)
	close(f.more)
	f.more = make(chan struct{})
}

// Find returns the elements that match, the oldest first, and a channel that is closed
// when there are more elements.
func (f *Feed[T]) Find(match func(T) bool) (found []T, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, element := range f.all {
		if match(element) {
			found = append(found, element)
		}
	}
	return found, f.more
}

// Wait waits for an element that matches, and returns the first one. It may be there
// already.
func (f *Feed[T]) Wait(ctx context.Context, match func(T) bool) (first T, err error) {
	found, err := f.WaitFor(ctx, 1, match)
	if err != nil {
		return first, err
	}
	return found[0], nil
}

// WaitFor waits until there are n elements that match, and returns them.
func (f *Feed[T]) WaitFor(ctx context.Context, n int, match func(T) bool) ([]T, error) {
	for {
		found, more := f.Find(match)
		if len(found) >= n {
			return found, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d: %w", len(found), n, context.Cause(ctx))
		}
	}
}
