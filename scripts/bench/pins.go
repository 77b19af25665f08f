package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// pins says on which processor the sender that is measured runs, and on which
// everything else. Unpinned, a floor that is a question of 90 µs was seen to
// wander between 110 and 270. The zero value pins nothing.
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
	allowed, err := processors(field(string(status), "Cpus_allowed_list"))
	if err != nil {
		return pins{}, err
	}
	if len(allowed) < 2 {
		return pins{}, errors.New("one processor only")
	}
	return pins{taskset, strconv.Itoa(allowed[len(allowed)-1]), strconv.Itoa(allowed[0])}, nil
}

// processors reads a list such as "0-3,8".
func processors(list string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		if err != nil {
			return nil, fmt.Errorf("processors %q: %w", list, err)
		}
		last, err := strconv.Atoi(to)
		if err != nil {
			return nil, fmt.Errorf("processors %q: %w", list, err)
		}
		for n := first; n <= last; n++ {
			all = append(all, n)
		}
	}
	return all, nil
}

func (p pins) others(argv []string) []string    { return p.to(p.rest, argv) }
func (p pins) forSender(argv []string) []string { return p.to(p.sender, argv) }

// to is the command line that runs another on a processor.
func (p pins) to(processor string, argv []string) []string {
	if p.taskset == "" {
		return argv
	}
	return append([]string{p.taskset, "-c", processor}, argv...)
}
