package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/binary"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// program is Gatepost's program, built once for all tests. It is built as other
// packages' tests build it, and not with buildFlags: -trimpath would compile every
// dependency again, which takes minutes where the build cache was empty.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gatepost-bench-test-")
	if err != nil {
		return "", err
	}
	programDir = dir
	return binary.Build(context.Background(), dir)
})

// programDir is where it is, for TestMain to remove.
var programDir string

func built(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantLines fails unless some line of the output is like each expression.
func wantLines(t *testing.T, output string, expressions ...string) {
	t.Helper()
	for _, expression := range expressions {
		if !regexp.MustCompile(`(?m)^` + expression + `$`).MatchString(output) {
			t.Errorf("no line is like %s in\n%s", expression, output)
		}
	}
}

func TestEventsCommand(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := bench(t, "events", "-program", built(t), "-events", "200", "-customers", "5", "-in-flight", "4", "-rounds", "2", "-paced", "20")
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	wantLines(t, stdout,
		`200 events of 5 customers, 4 in flight, 2 rounds; grants in memory; \d+ CPUs, .*`,
		`sender +CPU of an event +times the floor's .*`,
		`floor +\S+s +1 .* MiB +0 +440`,
		`Gatepost +\S+s +\S+ \(\S+ to \S+\) .* MiB +0 +440`, // of 200 events the floor's CPU may be none
		`Python aiohttp( +\S+s .* MiB +0 +440| does not take part: .+)`,
		`Node express( +\S+s .* MiB +0 +440| does not take part: .+)`)
}

// TestWarmUp: who is not sending, or sends what Amazon would refuse, is not
// measured.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	w, err := startWorld(t.Context(), pins{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	}()
	tokens, err := newEnrol(w).tokens(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, body, want string }{
		{"good", string(readyEvent(tokens[0], time.Now())), ""},
		{"nothing", "", "took 0 of 3 events and refused 0"},
		{"a token in an empty event", fmt.Sprintf(`{"token":%q}`, tokens[0]), "took 0 of 3 events and refused 3"},
	} {
		f := &floor{client: http.DefaultClient, url: w.Gateway + "/v3/events", bearer: "Bearer " + tokens[0], body: []byte(test.body)}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if test.body != "" {
				_ = f.post(r.Context())
			}
		}))
		serial := int64(1)
		err := eventsOptions{customers: 3, inFlight: 1}.warmUp(t.Context(), &stage{world: w}, sender{base: server.URL, path: "/"}, &serial)
		server.Close()
		if got := fmt.Sprint(err); err == nil && test.want != "" || !strings.Contains(got, test.want) || err != nil && test.want == "" {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestMissed(t *testing.T) {
	t.Parallel()
	for want, tally := range map[string]gatewayTally{
		"": {Taken: 15}, "the gateway took 14 of 15 events and refused 0": {Taken: 14}, "the gateway took 15 of 15 events and refused 1": {Taken: 15, Refused: 1},
	} {
		if got := missed(tally, 15); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestAbsentPeers: who has neither Python nor Node gets a line for each.
func TestAbsentPeers(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		path string
		r    runtimes
		want [2]string
	}{
		"nothing is installed": {dir, runtimes{python: "/no/such/python"}, [2]string{"no aiohttp for /no/such/python", "no node"}},
		"node without packages": {fakeNode(t, 1), runtimes{python: "/no/such/python"},
			[2]string{"no aiohttp", "no express and axios for node: -install, or -node-modules"}},
		"npm is missing": {fakeNode(t, 0), runtimes{python: "/no/such/python", install: true}, [2]string{"no aiohttp", "npm install failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", test.path)
			_, python := test.r.pythonPeer(t.Context(), t.TempDir())
			_, _, node := test.r.nodePeer(t.Context(), t.TempDir())
			for i, err := range []error{python, node} {
				var absent errAbsent
				if !errors.As(err, &absent) || !strings.Contains(absent.reason, test.want[i]) {
					t.Errorf("%v, want %s", err, test.want[i])
				}
			}
		})
	}
}

// fakeNode returns a directory with a node that exits with a status.
func fakeNode(t *testing.T, status int) string {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\nexit " + string(rune('0'+status)) + "\n"
	testkit.Script(t, filepath.Join(dir, "node"), text)
	return dir
}

func TestPeersThatArePresent(t *testing.T) {
	dir := fakeNode(t, 0)
	t.Setenv("PATH", dir)
	argv, env, err := runtimes{modules: "/some/modules"}.nodePeer(t.Context(), dir)
	want := []string{filepath.Join(dir, "node"), filepath.Join(dir, "sender.js")}
	if diff := cmp.Diff(want, argv); diff != "" || err != nil || env["NODE_PATH"] != "/some/modules" {
		t.Errorf("%v, %v; command line (-want +got):\n%s", env, err, diff)
	}
	argv, err = runtimes{python: filepath.Join(dir, "node")}.pythonPeer(t.Context(), dir)
	if diff := cmp.Diff([]string{filepath.Join(dir, "node"), filepath.Join(dir, "sender.py")}, argv); diff != "" || err != nil {
		t.Errorf("%v; command line (-want +got):\n%s", err, diff)
	}
}

func TestWriteTurns(t *testing.T) {
	t.Parallel()
	list := func(micros ...int) (turns []turn) {
		for i, n := range micros {
			turns = append(turns, turn{
				cpu: time.Duration(n) * time.Microsecond, half: time.Duration(n) * time.Millisecond, worst: time.Duration(i) * time.Second,
				peak: int64(i+1) << 20, atGateway: 100,
			})
		}
		return turns
	}
	turns := [][]turn{list(100, 50, 80, 7), list(200, 300, 80)} // the fourth round was not finished
	turns[1][1].errors, turns[1][1].complaint = 2, "answered 503"
	turns[1][2].errors, turns[1][2].complaint = 1, "answered 500"
	var out strings.Builder
	if err := writeTurns(&out, []sender{{name: "floor"}, {name: "other"}}, turns, 3); err != nil {
		t.Fatal(err)
	}
	want := `
sender  CPU of an event  times the floor's    adds, median  99th percentile  most memory  errors  events at the gateway
floor   80µs             1                    80ms          1s               3.0 MiB      0       300
other   200µs            2.00 (1.00 to 6.00)  200ms         1s               3.0 MiB      3       300
other: answered 503
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
