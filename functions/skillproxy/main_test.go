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

	"github.com/gatepostdev/gatepost/shared/testkit"
)

// The tests of this package meet the Lambda as AWS does: a compiled program,
// configured by its environment, that fetches invocations from a Runtime API.

// The last test is of what the programs of all the others wrote.
func TestMain(m *testing.M) { testkit.Main(m, written.leaks) }

// program builds the program for this machine, when the first test asks. It does
// so without -trimpath, which would compile every dependency again.
var program = sync.OnceValues(func() (string, error) {
	dir, err := testkit.WorkDir()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	path := filepath.Join(dir, "bootstrap")
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
