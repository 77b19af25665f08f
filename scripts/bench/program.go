package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gatepostdev/gatepost/shared/binary"
)

// programUsage is for the flag that each command that needs the program has.
const programUsage = "a `program` that was built before, instead of one of this source"

// buildFlags are those with which a function is deployed: cloudbuild and the
// buildpack leave out symbols and paths.
const buildFlags = ` -trimpath '-ldflags=-s -w'`

// buildProgram builds Gatepost's program as it is deployed, into dir.
func buildProgram(ctx context.Context, dir string) (string, error) {
	before := os.Getenv("GOFLAGS")
	defer func() { _ = os.Setenv("GOFLAGS", before) }()
	if err := os.Setenv("GOFLAGS", before+buildFlags); err != nil {
		return "", err
	}
	return binary.Build(ctx, dir)
}

// server is a program that serves, and what the kernel calls it.
type server struct {
	*binary.Process
	pid int
}

// serve starts a program that listens on PORT. What it writes to its standard
// output goes nowhere; its errors are kept. A script stands between it and who
// starts it, which says the process's id and becomes the program.
func serve(ctx context.Context, dir, name string, argv []string, env map[string]string) (*server, error) {
	script, told := filepath.Join(dir, name), filepath.Join(dir, name+".pid")
	quoted := make([]string, len(argv))
	for i, argument := range argv {
		quoted[i] = quote(argument)
	}
	text := fmt.Sprintf("#!/bin/sh\necho $$ >%s\nexec %s >/dev/null\n", quote(told), strings.Join(quoted, " "))
	// A child forked meanwhile would keep the file busy.
	syscall.ForkLock.RLock()
	err := os.WriteFile(script, []byte(text), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	process, err := binary.Start(script, env)
	if err != nil {
		return nil, err
	}
	if err := process.Ready(ctx); err != nil {
		process.Kill()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	line, err := os.ReadFile(told)
	if err != nil {
		process.Kill()
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil {
		process.Kill()
		return nil, err
	}
	return &server{process, pid}, nil
}

// quote writes a word for a POSIX shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
