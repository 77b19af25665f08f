package faults_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/binary"
	"github.com/gatepostdev/gatepost/shared/loopback"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run is TestMain with deferred calls.
func run(m *testing.M) int {
	loopback.Only()
	// The tests wait more than they work. The command line, which is parsed
	// later, still has the last word.
	err := flag.Set("test.parallel", "16")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if workDir, err = os.MkdirTemp("", "gatepost-faults-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(workDir) }()
	return m.Run()
}

// workDir is where the program is built; it is gone after the tests.
var workDir string

// program builds the program once, when the first test asks for it.
var program = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return binary.Build(ctx, workDir)
})

// patience bounds a wait for what takes far less on an idle machine. It is
// longer than the 25 seconds that SendEvent may take.
const patience = time.Minute

// within returns the test's context with a deadline.
func within(t *testing.T, most time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	return ctx
}
