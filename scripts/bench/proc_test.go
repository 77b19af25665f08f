package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const stat = "42 (odd ) name) S 1 42 42 0 -1 4194304 500 0 0 0 123 45 6 7 20 0 8 0 99 1000 200\n"
	if got, err := parseStat(stat); err != nil || got != 1680*time.Millisecond {
		t.Errorf("%v, %v; want 1.68s", got, err)
	}
	for _, wrong := range []string{"", "42 (x) S 1", strings.Replace(stat, "123", "x", 1)} {
		if got, err := parseStat(wrong); err == nil {
			t.Errorf("%q gives %v", wrong, got)
		}
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	got, err := parseStatus("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n")
	want := footprint{rss: 1 << 20, peak: 2 << 20, threads: 7}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(footprint{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := parseStatus("VmRSS: much\n"); err == nil {
		t.Error("no error")
	}
}

// TestOwnProcess reads what there is of this one.
func TestOwnProcess(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	cpu, err := cpuOf(self)
	if err != nil || cpu < 0 {
		t.Errorf("CPU %v, %v", cpu, err)
	}
	most, err := watchProcess(self, func() error { return nil })
	if err != nil || most.rss <= 0 || most.peak < most.rss/2 || most.threads < 1 {
		t.Errorf("%+v, %v", most, err)
	}
	if _, err := cpuOf(1 << 30); err == nil {
		t.Error("a process that is not there has used CPU")
	}
	if _, err := watchProcess(1<<30, func() error { return nil }); err == nil {
		t.Error("a process that is not there holds something")
	}
}

func TestProcessors(t *testing.T) {
	t.Parallel()
	got, err := processors("0-2,8,10-11")
	if diff := cmp.Diff([]int{0, 1, 2, 8, 10, 11}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, wrong := range []string{"", "x", "1-", "1,,2"} {
		if got, err := processors(wrong); err == nil {
			t.Errorf("%q gives %v", wrong, got)
		}
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"a", "b"}, pins{}.forSender([]string{"a", "b"})); diff != "" {
		t.Errorf("unpinned (-want +got):\n%s", diff)
	}
	p := pins{"/bin/taskset", "1", "0"}
	if diff := cmp.Diff([]string{"/bin/taskset", "-c", "1", "a"}, p.forSender([]string{"a"})); diff != "" {
		t.Errorf("sender (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/bin/taskset", "-c", "0", "a"}, p.others([]string{"a"})); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
}

func TestGoroutines(t *testing.T) {
	t.Parallel()
	const trace = `server started
SCHED 3000ms: gomaxprocs=1 idleprocs=0 threads=6
  P0: status=1 schedtick=5
  G1: status=4(chan receive) m=nil lockedm=nil
  G2: status=6() m=nil lockedm=nil
  G3: status=2(running) m=0 lockedm=nil
  G4: status=4(select) m=nil lockedm=nil
SCHED 6000ms: gomaxprocs=1 idleprocs=0 threads=6
  G1: status=4(chan`
	if got := goroutines(trace); got != 3 {
		t.Errorf("%d, want 3", got)
	}
}

func TestInits(t *testing.T) {
	t.Parallel()
	const trace = `init runtime @0.05 ms, 0.5 ms clock, 0 bytes, 0 allocs
a line of the program
init example.com/a @1.2 ms, 2.25 ms clock, 1048576 bytes, 3 allocs
init example.com/b @1.2 ms, 0.25 ms clock, 524288 bytes, 3 allocs
`
	list := parseInits(trace)
	if got, want := summarize(list), "3 packages, 3.00 ms, 1.5 MiB; longest example.com/a 2.25 ms, runtime 0.50 ms, example.com/b 0.25 ms"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	if got, want := quote("it's"), `'it'\''s'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
