package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lines are commands without a queue, but for those written "queue: line".
func lines(all ...string) []command {
	var commands []command
	for _, line := range all {
		queue, args, queued := strings.Cut(line, ": ")
		if !queued {
			queue, args = "", line
		}
		commands = append(commands, command{args: strings.Fields(args), queue: queue})
	}
	return commands
}

// TestRunOrder has commands take the seconds that are their last argument.
func TestRunOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var mu sync.Mutex
		var running, most int
		r := &runner{out: &out, known: known{"EU_SENDEVENT_URL": "https://x"}, execute: func(_ context.Context, args []string) ([]byte, []byte, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			d, err := time.ParseDuration(args[len(args)-1])
			time.Sleep(d) // of the bubble
			mu.Lock()
			running--
			mu.Unlock()
			return nil, nil, err
		}}
		started := time.Now()
		err := r.run(t.Context(), lines("slow 9s", "fast 1s", "q: one 2s", "q: two 2s", "a 1s", "b 1s", "${EU_SENDEVENT_URL} 1s"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "slow 9s\nfast 1s\none 2s\ntwo 2s\na 1s\nb 1s\nhttps://x 1s\n"; got != want {
			t.Errorf("output %q, want %q", got, want)
		}
		if took := time.Since(started); took != 9*time.Second || most != lanes || r.changes != 7 {
			t.Errorf("took %v with %d side by side and %d changes, want 9s, %d and 7", took, most, r.changes, lanes)
		}
	})
}

// TestRunFailure: what is under way ends, nothing more is started, and what has
// been done is shown.
func TestRunFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var mu sync.Mutex
		var ended []string
		r := &runner{out: &out, execute: func(_ context.Context, args []string) ([]byte, []byte, error) {
			if args[0] == "bad" {
				time.Sleep(time.Second)
				return nil, []byte("ERROR: no\n"), errors.New("exit status 1")
			}
			time.Sleep(2 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, args[0])
			return nil, nil, nil
		}}
		err := r.run(t.Context(), lines("q: bad", "q: never", "a", "b", "c", "late", "later"))
		if err == nil || err.Error() != "bad\nERROR: no\nexit status 1" {
			t.Errorf("error %v", err)
		}
		slices.Sort(ended)
		if diff := cmp.Diff([]string{"a", "b", "c"}, ended); diff != "" {
			t.Errorf("commands that ended differ (-want +got):\n%s", diff)
		}
		if out.String() != "a\nb\nc\n" || r.changes != 3 {
			t.Errorf("output %q and %d changes", &out, r.changes)
		}
	})
}

func TestAsk(t *testing.T) {
	t.Parallel()
	answers := map[string]string{"gcloud good --format=json": `[{"name":"x"}]`, "gcloud odd --format=json": `x`}
	r := &runner{execute: func(_ context.Context, args []string) ([]byte, []byte, error) {
		if answer, ok := answers[strings.Join(args, " ")]; ok {
			return []byte(answer), nil, nil
		}
		return nil, []byte("An error occurred (NoSuchEntity) when calling"), errors.New("exit status 254")
	}}
	var got []string
	take := func(one listedPool) { got = append(got, one.Name) }
	good, odd := list(command{args: []string{"gcloud", "good"}}, take), list(command{args: []string{"gcloud", "odd"}}, take)
	gone := list(command{args: []string{"aws", "gone"}}, take)
	if err := r.ask(t.Context(), []question{good, gone.orMissing("NoSuchEntity")}); err != nil || !slices.Equal(got, []string{"x"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []question{odd, gone, gone.orMissing("Other")} {
		if err := r.ask(t.Context(), []question{bad}); err == nil || !strings.Contains(err.Error(), bad.args[1]) {
			t.Errorf("error %v, want one with the command", err)
		}
	}
}
