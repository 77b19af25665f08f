package functions_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/binary"
	"github.com/gatepostdev/gatepost/shared/loopback"
)

// The tests of this package meet the program as Google does: built by way of
// the root package, started with an environment, spoken to over HTTP and ended
// by a signal. What is inside the functions has tests of its own.

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run is TestMain with deferred calls. The last test is of what all others had
// the program show.
func run(m *testing.M) int {
	loopback.Only()
	var err error
	if workDir, err = os.MkdirTemp("", "gatepost-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(workDir) }()
	status := m.Run()
	for _, leak := range shown.leaks() {
		fmt.Println("FAIL: a secret got out:", leak)
		status = 1
	}
	return status
}

// workDir is where the program is built; it is gone after the tests.
var workDir string

// program builds the program once, when the first test asks for it.
var program = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return binary.Build(ctx, workDir)
})

// patience bounds a wait for what takes far less on an idle machine.
const patience = time.Minute

// within returns the test's context with a deadline.
func within(t *testing.T, most time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	return ctx
}
