package main

import (
	"fmt"
	"syscall"
	"time"
)

// usage of a piece of work.
type effort struct {
	cpu  time.Duration // user and system, of this process with its garbage collector
	wall time.Duration
}

// measure does the work and says what it took.
func measure(work func() error) (effort, error) {
	began := time.Now()
	before, err := cpuTime()
	if err != nil {
		return effort{}, err
	}
	if err := work(); err != nil {
		return effort{}, err
	}
	after, err := cpuTime()
	return effort{cpu: after - before, wall: time.Since(began)}, err
}

// cpuTime is what the process has used so far.
func cpuTime() (time.Duration, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}
