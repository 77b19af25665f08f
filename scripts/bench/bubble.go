package main

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
)

// inBubble does work in simulated time, in which an hour of waiting takes no time, and
// ends the process. Only a test can have a bubble of package testing/synctest, so it
// runs the work as one. In a bubble no channel from outside may be waited for, such as
// that of ctx: an interrupt ends the process at once.
func inBubble(ctx context.Context, name string, work func() error) {
	context.AfterFunc(ctx, func() { os.Exit(exitFailed) })
	run := func(t *testing.T) {
		var err error
		synctest.Test(t, func(*testing.T) { err = work() })
		os.Exit(failed(os.Stderr, name, err)) // before package testing reports a test
	}
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: name, F: run}}, nil, nil)
}
