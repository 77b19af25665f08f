package gateposttest_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/gateposttest"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// TestNoGoroutineIsLeft is not parallel: it looks at all goroutines of the process.
func TestNoGoroutineIsLeft(t *testing.T) {
	t.Run("Gatepost", func(t *testing.T) {
		g := gateposttest.Start(t)
		g.Link("u-1", alexa.EU)
		g.Outcome(g.Publish(report(t, "u-1", "ON"), nil))
		g.Sweep()
	})
	ctx := testkit.Within(t, 20*time.Second)
	for {
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		if !left.Match(stacks.Bytes()) {
			return
		}
		if ctx.Err() != nil { // some end a moment later
			t.Fatalf("goroutines are left:\n%s", &stacks)
		}
	}
}

// left finds what a Gatepost starts.
var left = regexp.MustCompile(
	`google\.golang\.org/grpc|cloud\.google\.com/go|net/http\.|gatepost/(functions|scripts/internal|shared/simulator)`)

// TestAnotherModule uses the package as a maker does.
func TestAnotherModule(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyFile(t, filepath.Join(root, "go.sum"), filepath.Join(dir, "go.sum"))
	copyFile(t, "testdata/maker/lamp_test.go", filepath.Join(dir, "lamp_test.go"))
	own, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	// With the versions of this module nothing has to be looked up.
	_, versions, _ := strings.Cut(string(own), "\n")
	module := fmt.Sprintf("module example.com/maker\n%s\nrequire github.com/gatepostdev/gatepost v0.0.0\n"+
		"replace github.com/gatepostdev/gatepost => %s\n", versions, root)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(testkit.Context(t), "go", "test", "-vet=off", ".")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("go test: %v\n%s", err, output)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
