package publish

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/binary"
	"github.com/gatepostdev/gatepost/shared/loopback"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	loopback.Only()
	var err error
	if workDir, err = os.MkdirTemp("", "publish-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(workDir) }()
	return m.Run()
}

// workDir is where programs are built; it is gone after the tests.
var workDir string

// patience bounds what takes far less on an idle machine.
const patience = time.Minute

// within returns the test's context with a deadline.
func within(t *testing.T, most time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	return ctx
}

// gatepost builds Gatepost's program once.
var gatepost = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return binary.Build(ctx, workDir)
})

// goProgram builds the Go program once.
var goProgram = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	path := filepath.Join(workDir, "publish")
	// Stamping with the commit fails where git distrusts the checkout.
	output, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "./go").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the Go program: %w: %s", err, output)
	}
	return path, nil
})
