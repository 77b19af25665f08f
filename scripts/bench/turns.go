package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// writeTurns writes the medians of so many rounds, a line for each sender. The
// first sender is what the others are compared with, round by round.
func writeTurns(out io.Writer, senders []sender, all [][]turn, rounds int) error {
	turns := make([][]turn, len(all))
	for i := range all {
		turns[i] = all[i][:rounds]
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "sender\tCPU of an event\ttimes the floor's\tadds, median\t99th percentile\tmost memory\terrors\tevents at the gateway")
	var complaints []string
	for i, s := range senders {
		var wrong int
		var arrived int64
		var complaint string // the first
		for _, t := range turns[i] {
			wrong += t.errors
			arrived += t.atGateway
			complaint = cmp.Or(complaint, t.complaint)
		}
		if complaint != "" {
			complaints = append(complaints, s.name+": "+complaint)
		}
		low, middle, high := ratios(turns[i], turns[0])
		times := fmt.Sprintf("%.2f (%.2f to %.2f)", middle, low, high)
		if i == 0 {
			times = "1"
		}
		fmt.Fprintf(table, "%s\t%v\t%s\t%v\t%v\t%.1f MiB\t%d\t%d\n", s.name,
			median(turns[i], func(t turn) time.Duration { return t.cpu }).Round(time.Microsecond/10), times,
			median(turns[i], func(t turn) time.Duration { return t.half }).Round(10*time.Microsecond),
			median(turns[i], func(t turn) time.Duration { return t.worst }).Round(10*time.Microsecond),
			mib(uint64(turns[i][len(turns[i])-1].peak)), wrong, arrived)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, complaint := range complaints {
		fmt.Fprintln(out, complaint)
	}
	return nil
}

// median is the middle one of a list's values, the lower of two.
func median[T any, V cmp.Ordered](list []T, of func(T) V) V {
	values := make([]V, len(list))
	for i, t := range list {
		values[i] = of(t)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// ratios compares CPU times of the same rounds: the lowest, the median and the
// highest.
func ratios(some, base []turn) (low, middle, high float64) {
	list := make([]float64, len(some))
	for i := range some {
		list[i] = some[i].cpu.Seconds() / base[i].cpu.Seconds()
	}
	slices.Sort(list)
	return list[0], list[(len(list)-1)/2], list[len(list)-1]
}
