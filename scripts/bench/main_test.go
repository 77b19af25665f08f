package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/sweep"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/loopback"
)

// TestMain refuses every connection to another machine, and lets the test binary
// run as the program's own child processes.
func TestMain(m *testing.M) {
	loopback.Only()
	if len(os.Args) == 2 && children[os.Args[1]] != nil {
		main()
	}
	status := m.Run()
	_ = os.RemoveAll(programDir)
	os.Exit(status)
}

// bench runs the program and returns its status and output.
func bench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

// program is Gatepost's program, built once for all tests, as other packages' tests
// build it: -trimpath would compile every dependency again.
var program = sync.OnceValues(func() (_ string, err error) {
	if programDir, err = os.MkdirTemp("", "gatepost-bench-test-"); err != nil {
		return "", err
	}
	return binary.Build(context.Background(), programDir)
})

var programDir string // removed by TestMain

func built(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantLines runs a command and checks that for each expression its output has a
// matching line.
func wantLines(t *testing.T, args []string, expressions ...string) {
	t.Helper()
	status, stdout, stderr := bench(t, args...)
	if status != exitOK {
		t.Fatalf("status = %d: %s", status, stderr)
	}
	for _, expression := range expressions {
		if !regexp.MustCompile(`(?m)^` + expression + `$`).MatchString(stdout) {
			t.Errorf("no line matches %s in\n%s", expression, stdout)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args   []string
		status int
		stderr string
	}{
		"nothing":              {nil, exitUsage, "usage: bench command"},
		"no such command":      {[]string{"swap"}, exitUsage, "usage: bench command"},
		"child with arguments": {[]string{"floor", "x"}, exitUsage, "usage: bench command"},
		"help":                 {[]string{"sweep", "-h"}, exitOK, "-grants"},
		"no such flag":         {[]string{"cost", "-x"}, exitUsage, "not defined: -x"},
		"argument":             {[]string{"cost", "x"}, exitUsage, `unexpected argument "x"`},
		"no grants":            {[]string{"sweep", "-grants", "0"}, exitUsage, "at least 10 grants"},
		"too many shards":      {[]string{"sweep", "-shards", "257"}, exitUsage, "1 to 256 shards"},
		"negative latency":     {[]string{"sweep", "-latency", "-1s"}, exitUsage, "no negative latency"},
		"no customer is left":  {[]string{"cost", "-idle", "1"}, exitUsage, "-idle from 0 to less than 1"},
		"too many in flight":   {[]string{"cost", "-in-flight", "81"}, exitUsage, "1 to 80 events in flight"},
		"no rounds":            {[]string{"events", "-rounds", "0"}, exitUsage, "numbers above 0"},
		"no such program":      {[]string{"load", "-program", "/no/such/program"}, exitFailed, "bench load: start "},
		"no starts":            {[]string{"cold", "-starts", "0"}, exitUsage, "1 start"},
		"nothing to slow down": {[]string{"load", "-slow", "0s"}, exitUsage, "above 0"},
		"fewer than thirds":    {[]string{"load", "-events", "2"}, exitUsage, "3 events at least"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, stderr := bench(t, test.args...)
			if status != test.status || !strings.Contains(stderr, test.stderr) {
				t.Errorf("status = %d, stderr = %q, want %d, %q", status, stderr, test.status, test.stderr)
			}
		})
	}
}

// TestReadme: the README contains the output of bench cost, and names every command
// and flag. The figures of the other commands depend on the machine.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	status, stdout, stderr := bench(t, "cost")
	shown := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(stdout, "    $1")
	if status != exitOK || !strings.Contains(readme, shown) {
		t.Errorf("README.md does not contain the output of bench cost (status %d, %s):\n%s", status, stderr, shown)
	}
	flagged := regexp.MustCompile(`(?m)^  -(\S+)`) // descriptions are indented more
	for _, c := range commands {
		_, section, found := strings.Cut(readme, "go run ./scripts/bench "+c.name)
		section, _, _ = strings.Cut(section, "\n## ")
		if !found {
			t.Errorf("README.md does not name the command %s", c.name)
		}
		_, _, help := bench(t, c.name, "-h")
		for _, match := range flagged.FindAllStringSubmatch(help, -1) {
			if !strings.Contains(section, "`-"+match[1]+"`") {
				t.Errorf("README.md does not name -%s of %s", match[1], c.name)
			}
		}
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const stat = "42 (odd ) name) S 1 42 42 0 -1 4194304 500 0 0 0 123 45 6 7 20 0 8 0 99 1000 200\n"
	if got, err := parseStat(stat); err != nil || got != 1680*time.Millisecond {
		t.Errorf("parseStat() = %v, %v; want 1.68s", got, err)
	}
	for _, wrong := range []string{"", "42 (x) S 1", strings.Replace(stat, "123", "x", 1), strings.Replace(stat, "45", "x", 1)} {
		if got, err := parseStat(wrong); err == nil {
			t.Errorf("parseStat(%q) = %v, want an error", wrong, got)
		}
	}
}

// TestOwnProcess reads the memory and the CPU time of this process.
func TestOwnProcess(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	now, err := memoryOf(self, "VmRSS")
	most, wrong := memoryOf(self, "VmHWM")
	if err := errors.Join(err, wrong); err != nil || now < 1<<20 || most < now/2 {
		t.Errorf("memory = %d bytes, peak = %d: %v", now, most, err)
	}
	const none = 1 << 30
	_, cpu := cpuOf(none)
	_, memory := memoryOf(none, "VmRSS")
	if _, field := memoryOf(self, "Name"); cpu == nil || memory == nil || field == nil {
		t.Errorf("errors of a missing process = %v, %v; of a name as a number = %v", cpu, memory, field)
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	expect.Equal(t, "unpinned command", []string{"a", "b"}, pins{}.on("1", []string{"a", "b"}))
	p := pins{"/bin/taskset", "1", "0"}
	expect.Equal(t, "pinned command", []string{"/bin/taskset", "-c", "1", "a"}, p.on(p.sender, []string{"a"}))
	for list, want := range map[string][2]string{"0-3,8": {"8", "0"}, "1,3": {"3", "1"}, "0-1": {"1", "0"}, "5": {}} {
		got, err := pinsOf("/bin/taskset", list)
		if got.sender != want[0] || got.rest != want[1] || (err != nil) != (want[0] == "") {
			t.Errorf("pinsOf(%s) = %+v, %v; want %v", list, got, err, want)
		}
	}
}

// TestServe starts a program whose name and arguments need quotes.
func TestServe(t *testing.T) {
	t.Parallel()
	_, err := serve(t.Context(), t.TempDir(), nil, "/bin/sh", "-c", "echo \"it's $0\" >&2; exit 3", "a b")
	if err == nil || !strings.Contains(err.Error(), "it's a b") {
		t.Errorf("error = %v, want one with the program's output", err)
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
		`gateway takes 100ms +\d\d .* 0 +\S+s` /* ten each 100 ms */, `and healthy again +[1-9]\d* .* 0 +\S+s`,
		`memory of an event in flight: -?[\d.]+ KiB, over [1-9][\d.]* MiB without any`,
		`of [1-9]\d* events while the gateway took 100ms, 0 were answered with 503`, `half of the usual rate was reached again .+`)
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	for want, seconds := range map[string][]int{
		"within 1 s": {50}, "within 3 s": {0, 49, 51}, "not while it was watched": {49, 0},
	} {
		if got := recovery(seconds, 100); got != want {
			t.Errorf("recovery(%v) = %s, want %s", seconds, got, want)
		}
	}
}

// TestCounts: the tests that prove the other counts still have them. If not, the
// costs change too.
func TestCounts(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"functions/sendevent/reads_test.go":    fmt.Sprintf(`read, none := map[string]int{"BatchGetDocuments": %d}, `, eventReads),
		"functions/sendevent/hotpath_test.go":  fmt.Sprintf(`"line": %d, "request": %d}`, eventLine, eventRequest),
		"shared/grant/grantfire/store_test.go": `{"due", 1, `,
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s no longer contains %s: %v", file, want, err)
		}
	}
}

// TestBills checks costs with round numbers: a refresh waits 100 ms, so that a
// shard makes 160 a second, and an event has its own instance for 10 ms.
func TestBills(t *testing.T) {
	t.Parallel()
	c := &cost{
		lwa: 60 * time.Millisecond, write: 20 * time.Millisecond, shards: 16, perInstance: 2, period: sweep.DefaultPeriod,
		idleAfter: 168 * time.Hour,
		eventCPU:  time.Millisecond, gatewayIn: 99 * time.Millisecond,
	}
	// 2790 customers make a refresh a second, 2,628,000 in a month. 8760 sweeps
	// publish 140,160 messages.
	const refreshes, seconds = 2_628_000, (2_628_000*0.1/16 + 14_016) / 2
	same := cmpopts.EquateApprox(1e-9, 0)
	if diff := cmp.Diff(bill{
		"Firestore reads":   (refreshes + 3*140_160) * 0.03 / 100_000,
		"Firestore writes":  (2*refreshes + 140_160) * 0.09 / 100_000,
		"Firestore storage": 2790 * 1400.0 / (1 << 30) * 0.30,
		"Cloud Run CPU":     seconds * 0.000024, "Cloud Run memory": seconds * 0.0000025 / 2,
		"Cloud Run requests": 148_920 * 0.40 / 1e6, "Pub/Sub": 140_160 * 2000.0 / (1 << 40) * 40, "Cloud Scheduler": 0.10,
		"egress": refreshes * 1500.0 / (1 << 30) * 0.12, "logs": (148_920*1093 + 8760*784) * 0.50 / (1 << 30),
	}, c.refreshing(2790, 0), same); diff != "" {
		t.Errorf("bill of refreshes differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(bill{
		"Firestore reads": 0.15, "Cloud Run CPU": 10_000 * 0.000024, "Cloud Run memory": 5_000 * 0.0000025, "Cloud Run requests": 0.40,
		"Pub/Sub": 2e9 / (1 << 40) * 40, "logs": 1.1e9 / (1 << 30) * 0.50, "egress": 1.776e9 / (1 << 30) * 0.12,
	}, c.delivering(1e6, 10, 0.5, 1100), same); diff != "" {
		t.Errorf("bill of events differs (-want +got):\n%s", diff)
	}
	c.eventCPU = 20 * time.Millisecond
	for name, test := range map[string]struct{ got, want float64 }{
		"an event pays for its CPU at least": {c.delivering(1e6, 80, 1, 1)["Cloud Run CPU"], 20_000 * 0.000024},
		"half of the customers idle":         {2 * c.refreshing(1e6, 0.5)["egress"], c.refreshing(1e6, 0)["egress"]},
		"notes of use, one in 16.8 hours":    {c.notes(), 730 / 16.8},
		// In a period of 300 s a shard works for 43 s.
		"refreshes a second of 16 shards": {c.capacity(16), 16 * 160 * 43.0 / 300},
		// Twice the customers of 16 shards need 32.
		"messages of more shards": {c.refreshing(2*2790*c.capacity(16), 0)["Pub/Sub"], 2 * 140_160 * 2000.0 / (1 << 40) * 40},
	} {
		if math.Abs(test.got-test.want) > 1e-9*test.want {
			t.Errorf("%s = %v, want %v", name, test.got, test.want)
		}
	}
}
