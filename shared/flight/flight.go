// Package flight lets concurrent requests for the same result share the work.
//
// It is golang.org/x/sync/singleflight for a process that may do no work after its
// responses: the leader, whose function runs, waits for it to return even if the
// request ends first. Others wait no longer than their own requests last. The
// package does not cancel the function: that is up to the context that it uses.
package flight

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sync/singleflight"
)

// Group is a set of calls in flight, by key. The zero value is ready to use. It is
// safe for concurrent use.
type Group[T any] struct{ calls singleflight.Group }

// The states of a caller of Do.
const (
	waiting int32 = iota
	leading
	gone
)

// ErrLeft: the context of a caller that waited for another's work ended first.
var ErrLeft = errors.New("flight: left before the end")

// errGone is the result of a call whose leader left before the work began.
var errGone = errors.New("flight: the leader has gone")

// Do returns the result of work, or of the call in flight for the same key. led
// reports whether its own work ran. A panic in work is returned as an error. An
// error that wraps [ErrLeft] also wraps the error of ctx.
func (g *Group[T]) Do(ctx context.Context, key string, work func() (T, error)) (value T, led bool, err error) {
	for {
		var state atomic.Int32
		landed := g.calls.DoChan(key, func() (any, error) {
			if !state.CompareAndSwap(waiting, leading) {
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
			if state.CompareAndSwap(waiting, gone) {
				return value, false, fmt.Errorf("%w: %w", ErrLeft, ctx.Err())
			}
			result = <-landed // no work outlives its request
		}
		if errors.Is(result.Err, errGone) {
			continue
		}
		value, _ = result.Val.(T)
		return value, state.Load() == leading, result.Err
	}
}

// Forget makes later calls start over, instead of sharing the call in flight.
func (g *Group[T]) Forget(key string) { g.calls.Forget(key) }

// Guard calls f and returns its error, or its panic and the stack as an error. A
// server recovers the panics of its handlers, but not those of goroutines that a
// handler starts: there a panic ends the process, with every request in it.
func Guard(f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return f()
}
