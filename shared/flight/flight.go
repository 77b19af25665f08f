// Package flight lets those who want the same thing at the same time share the
// work for it, inside of their requests.
//
// It is golang.org/x/sync/singleflight for a process that may do nothing after
// it has answered: the one whose work it is waits for its end, even if the
// request ends before; the others wait no longer than their own requests last.
// It refuses to cancel the work: that is for the context that the work uses.
package flight

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sync/singleflight"
)

// Group is a set of works, by key. The zero value is ready. It may be used by
// many goroutines at once.
type Group[T any] struct{ works singleflight.Group }

// How it is with one who asks.
const (
	asking int32 = iota
	leading
	gone
)

// ErrLeft: the context of somebody who waited for another's work ended first.
var ErrLeft = errors.New("flight: left before the end")

// errGone is the result of a work whose leader had gone before it began.
var errGone = errors.New("flight: the leader has gone")

// Do returns what work returns, or what the work of another returns that is
// under way for the same key; led says whose it was. A panic in work is an
// error. [ErrLeft] comes with the error of ctx.
func (g *Group[T]) Do(ctx context.Context, key string, work func() (T, error)) (value T, led bool, err error) {
	for {
		var state atomic.Int32
		landed := g.works.DoChan(key, func() (any, error) {
			if !state.CompareAndSwap(asking, leading) {
				return nil, errGone
			}
			var found T
			err := Guard(func() (err error) {
				found, err = work()
				return err
			})
			return found, err
		})
		var result singleflight.Result
		select {
		case result = <-landed:
		case <-ctx.Done():
			if state.CompareAndSwap(asking, gone) {
				return value, false, fmt.Errorf("%w: %w", ErrLeft, ctx.Err())
			}
			result = <-landed // nothing outlives its request
		}
		if errors.Is(result.Err, errGone) {
			continue
		}
		value, _ = result.Val.(T)
		return value, state.Load() == leading, result.Err
	}
}

// Forget has those who ask from now on begin anew, instead of sharing a work
// that is under way.
func (g *Group[T]) Forget(key string) { g.works.Forget(key) }

// Guard calls f and returns its error, or its panic and the stack as an error. A
// server recovers the panics of its handlers, but not those of goroutines that a
// handler starts; there a panic ends the process, and every request in it.
func Guard(f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return f()
}
