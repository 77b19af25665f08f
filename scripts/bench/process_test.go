package main

import (
	"errors"
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
	for _, wrong := range []string{"", "42 (x) S 1", strings.Replace(stat, "123", "x", 1), strings.Replace(stat, "45", "x", 1)} {
		if got, err := parseStat(wrong); err == nil {
			t.Errorf("%q gives %v", wrong, got)
		}
	}
}

// TestOwnProcess reads what there is of this one.
func TestOwnProcess(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	now, err := memoryOf(self, "VmRSS")
	most, wrong := memoryOf(self, "VmHWM")
	if err := errors.Join(err, wrong); err != nil || now < 1<<20 || most < now/2 {
		t.Errorf("%d bytes, %d at most: %v", now, most, err)
	}
	const none = 1 << 30
	_, cpu := cpuOf(none)
	_, memory := memoryOf(none, "VmRSS")
	if _, field := memoryOf(self, "Name"); cpu == nil || memory == nil || field == nil {
		t.Errorf("of a process that is not there: %v, %v; a name as a number: %v", cpu, memory, field)
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"a", "b"}, pins{}.on("1", []string{"a", "b"})); diff != "" {
		t.Errorf("unpinned (-want +got):\n%s", diff)
	}
	p := pins{"/bin/taskset", "1", "0"}
	if diff := cmp.Diff([]string{"/bin/taskset", "-c", "1", "a"}, p.on(p.sender, []string{"a"})); diff != "" {
		t.Errorf("pinned (-want +got):\n%s", diff)
	}
	for list, want := range map[string][2]string{"0-3,8": {"8", "0"}, "1,3": {"3", "1"}, "0-1": {"1", "0"}, "5": {}} {
		got, err := pinsOf("/bin/taskset", list)
		if got.sender != want[0] || got.rest != want[1] || (err != nil) != (want[0] == "") {
			t.Errorf("%s: %+v, %v; want %v", list, got, err, want)
		}
	}
}

// TestServe starts a program whose name and arguments need quotes.
func TestServe(t *testing.T) {
	t.Parallel()
	_, err := serve(t.Context(), t.TempDir(), nil, "/bin/sh", "-c", "echo \"it's $0\" >&2; exit 3", "a b")
	if err == nil || !strings.Contains(err.Error(), "it's a b") {
		t.Errorf("%v, want an error with what the program wrote", err)
	}
}

func TestColdCommand(t *testing.T) {
	t.Parallel()
	const ms = ` +\d[\d.]* ms`
	wantLines(t, []string{"cold", "-program", built(t), "-starts", "2"},
		`2 starts of each function, one after the other; grants in memory`,
		`SendEvent`+ms+ms+ms+ms, `AcceptGrant`+ms+ms+ms+ms)
}

func TestLoadCommand(t *testing.T) {
	t.Parallel()
	args := []string{"load", "-program", built(t), "-events", "300", "-in-flight", "10", "-customers", "5",
		"-latency", "1ms", "-slow", "100ms", "-slow-for", "300ms", "-after", "300ms"}
	wantLines(t, args,
		`10 in flight of 5 customers, a gateway that takes 1ms, .*`,
		`start +100 +\d+ +\d+ % .* MiB +0 +\S+s`, `middle +100 .* 0 +\S+s`, `end +100 .* 0 +\S+s`,
		`gateway takes 100ms +\d\d .* 0 +\S+s` /* ten each 100 ms */, `and is well again +[1-9]\d* .* 0 +\S+s`,
		`memory of an event in flight: -?[\d.]+ KiB, over [1-9][\d.]* MiB without any`,
		`of [1-9]\d* events while the gateway took 100ms, 0 were handed back with 503`, `half of the usual rate was reached again .+`)
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	for want, seconds := range map[string][]int{
		"within 1 s": {50}, "within 3 s": {0, 49, 51}, "not while it was watched": {49, 0},
	} {
		if got := recovery(seconds, 100); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}
