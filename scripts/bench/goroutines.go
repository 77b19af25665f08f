package main

import (
	"regexp"
	"strings"
)

// schedTrace has the Go runtime of a program write down its goroutines every
// three seconds, https://pkg.go.dev/runtime#hdr-Environment_Variables: the only
// way to count them from outside while it lives. It costs the program some
// milliseconds each time.
const schedTrace = "schedtrace=3000,scheddetail=1"

// goroutine is the line of one that is not dead (status 6).
var goroutine = regexp.MustCompile(`(?m)^\s*G\d+: status=[^6]`)

// goroutines is the largest number of them in traces, of which the last may be
// cut off.
func goroutines(trace string) int {
	most := 0
	for part := range strings.SplitSeq(trace, "SCHED ") {
		most = max(most, len(goroutine.FindAllString(part, -1)))
	}
	return most
}
