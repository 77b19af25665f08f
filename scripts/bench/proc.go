package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// What the kernel tells of another process, https://man7.org/linux/man-pages/man5/proc.5.html.

// tick is the unit of times in /proc/PID/stat, one hundredth of a second
// wherever Linux runs.
const tick = 10 * time.Millisecond

// cpuOf is the time, user and system, that all threads of a process have used.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(stat))
}

// parseStat finds utime and stime, fields 14 and 15. The second, the program's
// name in parentheses, may hold anything.
func parseStat(stat string) (time.Duration, error) {
	_, after, _ := strings.Cut(stat[strings.LastIndex(stat, ")")+1:], " ")
	fields := strings.Fields(after) // from field 3 on
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is too short")
	}
	var ticks int64
	for _, text := range fields[11:13] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// footprint is what a process holds.
type footprint struct {
	rss, peak int64 // bytes
	threads   int
	sockets   int
}

func footprintOf(pid int) (footprint, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return footprint{}, err
	}
	f, err := parseStatus(string(status))
	if err != nil {
		return footprint{}, err
	}
	f.sockets, err = socketsOf(pid)
	return f, err
}

// parseStatus reads the lines of /proc/PID/status.
func parseStatus(status string) (f footprint, err error) {
	number := func(name string) int64 {
		text := strings.TrimSuffix(field(status, name), " kB")
		n, wrong := strconv.ParseInt(text, 10, 64)
		if wrong != nil {
			err = fmt.Errorf("/proc/PID/status: %s is %q", name, text)
		}
		return n
	}
	f = footprint{rss: number("VmRSS") << 10, peak: number("VmHWM") << 10, threads: int(number("Threads"))}
	return f, err
}

// field is the value of a line "name: value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// socketsOf counts the sockets that a process has open.
func socketsOf(pid int) (int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, entry := range entries {
		target, err := os.Readlink(dir + "/" + entry.Name())
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // closed meanwhile
			return 0, err
		}
		if strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n, nil
}
