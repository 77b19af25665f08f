package main

import (
	"strings"
	"testing"
)

func TestLoadCommand(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := bench(t, "load", "-program", built(t), "-events", "300", "-in-flight", "10", "-customers", "5",
		"-latency", "1ms", "-slow", "30ms", "-slow-for", "300ms", "-after", "300ms")
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	wantLines(t, stdout,
		`10 in flight of 5 customers, a gateway that takes 1ms, .*`,
		`start +100 +\d+ +\d+ % .* MiB .* 0 +\S+s`, `middle +100 .* 0 +\S+s`, `end +100 .* 0 +\S+s`,
		`gateway takes 30ms +[1-9]\d* .* 0 +\S+s`, `and is well again +[1-9]\d* .* 0 +\S+s`,
		`memory of an event in flight: -?[\d.]+ KiB, over [1-9][\d.]* MiB without any`,
		`of [1-9]\d* events while the gateway took 30ms, 0 were handed back with 503; .*`)
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

func TestColdCommand(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := bench(t, "cold", "-program", built(t), "-starts", "2", "-requests", "4")
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	const ms = ` +[1-9][\d.]* ms`
	wantLines(t, stdout,
		`2 starts of each function, one after the other; grants in memory`,
		`SendEvent`+ms+ms+ms, `AcceptGrant`+ms+ms+ms,
		`AcceptGrant, cold to hot, medians: start to first answer [\d.]+ ms, second request [\d.]+ ms, third [\d.]+ ms, 4th [\d.]+ ms`,
		`SendEvent, before main: [1-9]\d+ packages, [\d.]+ ms, [\d.]+ MiB; longest .+`, `AcceptGrant, before main: .+`)
}

// TestStoreNeedsTheEmulator is for all commands that take -store.
func TestStoreNeedsTheEmulator(t *testing.T) {
	t.Setenv(emulatorHost, "")
	for _, name := range []string{"events", "cold"} {
		status, _, stderr := bench(t, name, "-store", "firestore")
		if status != exitFailed || !strings.Contains(stderr, emulatorHost) {
			t.Errorf("%s: status %d: %s", name, status, stderr)
		}
	}
}
