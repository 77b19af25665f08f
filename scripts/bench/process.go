package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// server is a running program that listens, with its process id.
type server struct {
	*binary.Process
	pid int
}

// serve starts a program and returns when it listens on PORT. The script in
// between drops standard output, tells the process id and becomes the program.
func serve(ctx context.Context, dir string, env map[string]string, argv ...string) (*server, error) {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	script, err := os.MkdirTemp(dir, "run-")
	if err != nil {
		return nil, err
	}
	script = filepath.Join(script, filepath.Base(argv[len(argv)-1]))
	// A process that is forked while the script is open for writing keeps it open until
	// its own exec. Until then running the script fails with "text file busy".
	syscall.ForkLock.RLock()
	err = os.WriteFile(script, []byte("#!/bin/sh\necho $$\nexec "+strings.Join(words, " ")+" >/dev/null\n"), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	process, err := binary.Start(script, env)
	if err != nil {
		return nil, err
	}
	s := &server{Process: process}
	if err = errors.Join(process.WaitOutput(ctx, "\n", 1), process.Ready(ctx)); err == nil {
		line, _, _ := strings.Cut(process.Output(), "\n")
		s.pid, err = strconv.Atoi(line)
	}
	if err != nil {
		process.Kill()
		return nil, fmt.Errorf("start %s: %w", strings.Join(argv, " "), err)
	}
	return s, nil
}

// build builds Gatepost's program into dir, without symbols and paths, as
// cloudbuild and the buildpack do.
func build(ctx context.Context, dir string) (string, error) {
	before := os.Getenv("GOFLAGS")
	defer func() { _ = os.Setenv("GOFLAGS", before) }()
	if err := os.Setenv("GOFLAGS", before+` -trimpath '-ldflags=-s -w'`); err != nil {
		return "", err
	}
	return binary.Build(ctx, dir)
}

// pins assigns one processor to the sender that is measured and another to
// everything else. Unpinned, a floor of some 90 µs was seen to wander between
// 110 and 270. The zero value pins nothing.
type pins struct{ taskset, sender, rest string }

// findPins takes the last processor that this process may use for the sender.
// The error says why nothing is pinned.
func findPins() (pins, error) {
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return pins{}, errors.New("no taskset")
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return pins{}, err
	}
	return pinsOf(taskset, field(string(status), "Cpus_allowed_list"))
}

// pinsOf takes the first and the last number of a list such as "0-3,8".
func pinsOf(taskset, list string) (pins, error) {
	numbers := strings.FieldsFunc(list, func(r rune) bool { return r == '-' || r == ',' })
	if len(numbers) < 2 {
		return pins{}, errors.New("one processor only")
	}
	return pins{taskset, numbers[len(numbers)-1], numbers[0]}, nil
}

// on returns the command line that runs another on a processor.
func (p pins) on(processor string, argv []string) []string {
	if p.taskset == "" {
		return argv
	}
	return append([]string{p.taskset, "-c", processor}, argv...)
}

// cpuOf returns the user and system time of all threads of a process,
// utime and stime of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(stat))
}

// parseStat reads fields 14 and 15, in hundredths of a second wherever Linux
// runs. The second, the program's name in parentheses, may hold anything.
func parseStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:]) // from field 3 on
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, wrong := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err, wrong); err != nil {
		return 0, fmt.Errorf("/proc/PID/stat: %w", err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// memoryOf returns the resident memory of a process in bytes: the current, or with the
// name VmHWM the peak.
func memoryOf(pid int, name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	text := field(string(status), name)
	kib, err := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/PID/status: %s is %q", name, text)
	}
	return kib << 10, nil
}

// field returns the value of a line "name: value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
