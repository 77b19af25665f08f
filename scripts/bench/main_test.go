package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/loopback"
)

// TestMain refuses every connection that would leave this machine, and lets the
// test binary be the processes that the program starts itself as.
func TestMain(m *testing.M) {
	loopback.Only()
	if len(os.Args) == 2 && children[os.Args[1]] != nil {
		main()
	}
	status := m.Run()
	_ = os.RemoveAll(programDir)
	os.Exit(status)
}

// bench runs the program and returns what it wrote.
func bench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// program is Gatepost's program, built once for all tests as other packages'
// tests build it: -trimpath would compile every dependency again.
var program = sync.OnceValues(func() (_ string, err error) {
	if programDir, err = os.MkdirTemp("", "gatepost-bench-test-"); err != nil {
		return "", err
	}
	return binary.Build(context.Background(), programDir)
})

var programDir string // for TestMain to remove

func built(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantLines runs a command and fails unless some line of its output is like each
// expression.
func wantLines(t *testing.T, args []string, expressions ...string) {
	t.Helper()
	status, stdout, stderr := bench(t, args...)
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, expression := range expressions {
		if !regexp.MustCompile(`(?m)^` + expression + `$`).MatchString(stdout) {
			t.Errorf("no line is like %s in\n%s", expression, stdout)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args   []string
		status int
		stderr string
	}{
		"nothing":              {nil, exitUsage, "usage: bench command"},
		"no such command":      {[]string{"swap"}, exitUsage, "usage: bench command"},
		"child with arguments": {[]string{"floor", "x"}, exitUsage, "usage: bench command"},
		"help":                 {[]string{"sweep", "-h"}, exitOK, "-grants"},
		"no such flag":         {[]string{"cost", "-x"}, exitUsage, "not defined: -x"},
		"argument":             {[]string{"cost", "x"}, exitUsage, `unexpected argument "x"`},
		"no grants":            {[]string{"sweep", "-grants", "0"}, exitUsage, "at least 10 grants"},
		"too many shards":      {[]string{"sweep", "-shards", "257"}, exitUsage, "1 to 256 shards"},
		"negative latency":     {[]string{"sweep", "-latency", "-1s"}, exitUsage, "no negative latency"},
		"nobody is left":       {[]string{"cost", "-idle", "1"}, exitUsage, "a share from 0 to less than 1"},
		"too many in flight":   {[]string{"cost", "-in-flight", "81"}, exitUsage, "1 to 80 events in flight"},
		"no rounds":            {[]string{"events", "-rounds", "0"}, exitUsage, "numbers above 0"},
		"no such program":      {[]string{"load", "-program", "/no/such/program"}, exitFailed, "bench load: start "},
		"no starts":            {[]string{"cold", "-starts", "0"}, exitUsage, "1 start"},
		"nothing to slow down": {[]string{"load", "-slow", "0s"}, exitUsage, "above 0"},
		"fewer than thirds":    {[]string{"load", "-events", "2"}, exitUsage, "3 events at least"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, stderr := bench(t, test.args...)
			if status != test.status || !strings.Contains(stderr, test.stderr) {
				t.Errorf("status %d and %q, want %d and %q", status, stderr, test.status, test.stderr)
			}
		})
	}
}

// TestReadme has the README show what bench cost writes, and name every command
// and flag that there is. The figures of the other commands are the machine's.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	status, stdout, stderr := bench(t, "cost")
	shown := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(stdout, "    $1")
	if status != exitOK || !strings.Contains(readme, shown) {
		t.Errorf("README.md does not show what bench cost writes (status %d, %s):\n%s", status, stderr, shown)
	}
	flagged := regexp.MustCompile(`(?m)^  -(\S+)`) // descriptions are indented by more
	for _, c := range commands {
		_, section, found := strings.Cut(readme, "go run ./scripts/bench "+c.name)
		section, _, _ = strings.Cut(section, "\n## ")
		if !found {
			t.Errorf("README.md says nothing of the command %s", c.name)
		}
		_, _, help := bench(t, c.name, "-h")
		for _, match := range flagged.FindAllStringSubmatch(help, -1) {
			if !strings.Contains(section, "`-"+match[1]+"`") {
				t.Errorf("README.md says nothing of -%s of %s", match[1], c.name)
			}
		}
	}
}
