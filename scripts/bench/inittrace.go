package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// inited is what the initialization of one package took.
type inited struct {
	pkg   string
	clock float64 // milliseconds
	bytes int
}

// initLine is a line of GODEBUG=inittrace=1, https://pkg.go.dev/runtime#hdr-Environment_Variables.
var initLine = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, ([\d.]+) ms clock, (\d+) bytes, \d+ allocs$`)

// parseInits finds the lines among whatever else a program wrote.
func parseInits(text string) []inited {
	var list []inited
	for _, match := range initLine.FindAllStringSubmatch(text, -1) {
		clock, _ := strconv.ParseFloat(match[2], 64) // the expression admits nothing else,
		bytes, _ := strconv.Atoi(match[3])           // nor here
		list = append(list, inited{match[1], clock, bytes})
	}
	return list
}

// summarize names how many packages there are, what they take together, and
// the three that take longest.
func summarize(list []inited) string {
	var clock float64
	var bytes int
	for _, i := range list {
		clock += i.clock
		bytes += i.bytes
	}
	slices.SortStableFunc(list, func(a, b inited) int { return cmp.Compare(b.clock, a.clock) })
	var longest []string
	for _, i := range list[:min(3, len(list))] {
		longest = append(longest, fmt.Sprintf("%s %.2f ms", i.pkg, i.clock))
	}
	return fmt.Sprintf("%d packages, %.2f ms, %.1f MiB; longest %s", len(list), clock, mib(uint64(bytes)), strings.Join(longest, ", "))
}
