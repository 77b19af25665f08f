package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/loopback"
)

// The tests of this package meet the Lambda as AWS does: a compiled program,
// configured by its environment, that fetches invocations from a Runtime API.

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run is TestMain with deferred calls. The last test is of what the programs
// of all the others wrote.
func run(m *testing.M) int {
	loopback.Only()
	var err error
	if workDir, err = os.MkdirTemp("", "skillproxy-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(workDir) }()
	status := m.Run()
	for _, leak := range written.leaks() {
		fmt.Println("FAIL: a secret got out:", leak)
		status = 1
	}
	return status
}

// workDir is where the program is built; it is gone after the tests.
var workDir string

// program builds the program for this machine, when the first test asks. It does
// so without -trimpath, which would compile every dependency again.
var program = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	path := filepath.Join(workDir, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-tags", "lambda.norpc",
		"-ldflags", "-s -w -buildid=", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w: %s", err, output)
	}
	return path, nil
})

// patience bounds what takes far less on an idle machine.
const patience = 30 * time.Second

// canary is in every secret and in every message's contents.
const canary = "canary"

// written is what the programs of all tests wrote.
var written outputs

type outputs struct {
	mu    sync.Mutex
	texts map[string]string
}

func (o *outputs) add(test, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.texts == nil {
		o.texts = make(map[string]string)
	}
	o.texts[test] += text
}

func (o *outputs) leaks() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []string
	for test, text := range o.texts {
		for line := range strings.Lines(text) {
			if strings.Contains(line, canary) {
				found = append(found, test+": "+line)
			}
		}
	}
	return found
}
