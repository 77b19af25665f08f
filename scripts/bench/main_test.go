package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/loopback"
)

// TestMain refuses every connection that would leave this machine, and lets the
// test binary be the processes that the program starts itself with.
func TestMain(m *testing.M) {
	loopback.Only()
	if len(os.Args) > 1 && children[os.Args[1]] != nil {
		main()
	}
	status := m.Run()
	if programDir != "" {
		_ = os.RemoveAll(programDir)
	}
	os.Exit(status)
}

// bench runs the program and returns what it wrote.
func bench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
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
		"help":                 {[]string{"sweep", "-h"}, exitOK, "-grants"},
		"no such flag":         {[]string{"cost", "-x"}, exitUsage, "not defined: -x"},
		"argument":             {[]string{"cost", "x"}, exitUsage, `unexpected argument "x"`},
		"no grants":            {[]string{"sweep", "-grants", "0"}, exitUsage, "at least 10 grants"},
		"too many shards":      {[]string{"sweep", "-shards", "257"}, exitUsage, "1 to 256 shards"},
		"no latency":           {[]string{"sweep", "-latency", "0s,x"}, exitUsage, `invalid duration "x"`},
		"negative latency":     {[]string{"sweep", "-latency", "-1s"}, exitUsage, "cannot be negative"},
		"one customer":         {[]string{"spread", "-customers", "1"}, exitUsage, "at least 2 customers"},
		"no place for picture": {[]string{"spread", "-customers", "2", "-out", "no/such/directory.png"}, exitFailed, "no such file"},
		"nobody is left":       {[]string{"cost", "-idle", "1"}, exitUsage, "a share from 0 to less than 1"},
		"no shard to count":    {[]string{"firestore", "-shards", "0"}, exitUsage, "1 to 256 shards"},
		"no rounds":            {[]string{"events", "-rounds", "0"}, exitUsage, "numbers above 0"},
		"no such store":        {[]string{"events", "-store", "disk"}, exitUsage, "a store of memory or firestore"},
		"no starts":            {[]string{"cold", "-starts", "0"}, exitUsage, "1 start"},
		"nothing to slow down": {[]string{"load", "-slow", "0s"}, exitUsage, "above 0"},
		"fewer than parts":     {[]string{"load", "-events", "2"}, exitUsage, "3 events at least"},
		"too many in flight":   {[]string{"cost", "-in-flight", "81"}, exitUsage, "1 to 80 events in flight"},
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
