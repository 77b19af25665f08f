// Package guard keeps a panic in a goroutine from ending the process. A server
// recovers the panics of its handlers, but not those of goroutines that a
// handler starts, and a process that dies takes everybody's requests with it.
package guard

import (
	"fmt"
	"runtime/debug"
)

// Run calls f and returns its error, or the panic and its stack as an error.
func Run(f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return f()
}
