package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// root is the module's, from where its users run the program.
const root = "../.."

var workDir string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if workDir, err = os.MkdirTemp("", "lint-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(workDir) }()
	return m.Run()
}

// built is the compiled program.
var built = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	path := filepath.Join(workDir, "lint")
	// Stamping with the commit fails where git distrusts the checkout.
	output, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the program: %w: %s", err, output)
	}
	return path, nil
})

// start runs the compiled program in the module's root.
func start(t *testing.T, input string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = root, strings.NewReader(input), &out, &complaints
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), complaints.String()
}

func TestProgram(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, args, input string
		status            int
		stdout            string
	}{
		{"nothing wrong", "", sound, 0, ""},
		{"a warning", "", strings.Replace(sound, `"ON"`, `"HALF"`, 1), 0,
			"<stdin>:2: warning: changed[0].value: unknown, one of ON, OFF (developer.amazon.com/docs/device-apis/alexa-powercontroller.html)\n"},
		{"a warning, strict", "-strict -", strings.Replace(sound, `"ON"`, `"HALF"`, 1), 1,
			"<stdin>:2: warning: changed[0].value: unknown, one of ON, OFF (developer.amazon.com/docs/device-apis/alexa-powercontroller.html)\n"},
		{"an error", "-", strings.Replace(sound, `"ON"`, "5", 1), 1,
			"<stdin>:2: error: changed[0].value: must be a string (developer.amazon.com/docs/device-apis/alexa-powercontroller.html)\n"},
		{"nothing", "", "", 2, ""},
		{"usage", "-what", sound, 2, ""},
		{"no such file", "missing.json", sound, 2, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := start(t, test.input, strings.Fields(test.args)...)
			if status != test.status || stdout != test.stdout || (stderr != "") != (status == 2) {
				t.Errorf("status %d, standard output %q, standard error %q; want %d and %q", status, stdout, stderr, test.status, test.stdout)
			}
		})
	}
}

// TestReadme runs the commands of this program's README and the module's, and
// wants the former to name every flag.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	wantRun(t, "README.md", string(readme))
	top, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	wantRun(t, "the module's README.md", string(top))
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for line := range strings.Lines(help.String()) {
		flagged, ok := strings.CutPrefix(line, "  -")
		if ok && !strings.Contains(string(readme), "`-"+strings.Fields(flagged)[0]) {
			t.Errorf("README.md says nothing of -%s", flagged)
		}
	}
}

// wantRun runs the commands that a text shows, and wants each to write what is
// shown below it, up to an ellipsis.
func wantRun(t *testing.T, name, text string) {
	t.Helper()
	blocks := strings.Split(text, "```\n$ go run ./scripts/lint")[1:]
	if len(blocks) == 0 {
		t.Errorf("%s shows no command", name)
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		args, want, _ := strings.Cut(block, "\n")
		status, got, stderr := start(t, "", strings.Fields(args)...)
		if status != 0 {
			got += fmt.Sprintf("exit status %d\n", status) // as the go command says it
		}
		got += stderr
		if beginning, cut := strings.CutSuffix(want, "…\n"); cut && strings.HasPrefix(got, beginning) {
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, lint%s (-shown +got):\n%s", name, args, diff)
		}
	}
}
