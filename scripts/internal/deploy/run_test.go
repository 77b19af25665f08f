package main

import (
	"bytes"
	"context"
	"errors"
	"io"
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
		err := r.run(t.Context(), lines("slow 9s", "fast 1s", "q: one 2s", "q: two 2s", "a 1s", "b 1s", ref("EU_SENDEVENT_URL")+" 1s"))
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

// TestRunFailures: of commands that fail side by side each is shown.
func TestRunFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fail := func(_ context.Context, args []string) ([]byte, []byte, error) {
			time.Sleep(time.Second)
			return nil, []byte("ERROR: of " + args[1]), errors.New("exit status 1")
		}
		r := &runner{out: io.Discard, execute: fail}
		asked := []question{{command: lines("gcloud c")[0]}, {command: lines("gcloud d")[0]}}
		for _, err := range []error{r.run(t.Context(), lines("gcloud a", "gcloud b")), r.ask(t.Context(), asked)} {
			if err == nil || strings.Count(err.Error(), "ERROR: of ") != 2 {
				t.Errorf("error %v, want both", err)
			}
		}
	})
}

// TestPatience has the cloud refuse for so many tries what it will soon allow.
func TestPatience(t *testing.T) {
	t.Parallel()
	const off, unknown = "reason: SERVICE_DISABLED", "The role defined for the function cannot be assumed by Lambda."
	ask := func(ctx context.Context, r *runner) error {
		return r.ask(ctx, []question{ask(lines("gcloud list")[0], func(any) {})})
	}
	create := func(ctx context.Context, r *runner) error {
		return r.run(ctx, []command{lines("aws create")[0].againIf(roleIsUnknown)})
	}
	for _, test := range []struct {
		name   string
		do     func(context.Context, *runner) error
		fresh  bool
		says   string
		tries  int // that are refused
		failed bool
		took   time.Duration
	}{
		{"API switched on in this run", ask, true, off, 5, false, 5 * betweenTries},
		{"API that stays off", ask, true, off, 1000, true, apiWait},
		{"API switched on by nobody", ask, false, off, 1, true, 0},
		{"another refusal", ask, true, "PERMISSION_DENIED", 1, true, 0},
		{"new role", create, false, unknown, 2, false, 2 * betweenTries},
		{"role that stays unknown", create, false, unknown, 1000, true, roleWait},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				r := &runner{out: io.Discard, fresh: test.fresh, execute: func(context.Context, []string) ([]byte, []byte, error) {
					if tries++; tries <= test.tries {
						return nil, []byte(test.says), errors.New("exit status 1")
					}
					return []byte("{}"), nil, nil
				}}
				started := time.Now()
				err := test.do(t.Context(), r)
				if took := time.Since(started); (err != nil) != test.failed || took != test.took {
					t.Errorf("error %v after %v, want one: %t, after %v", err, took, test.failed, test.took)
				}
			})
		})
	}
}

// TestComplaints: what a CLI says beside an answer is passed on, and a list of a
// part of the locations is no answer.
func TestComplaints(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := &runner{out: &out, execute: func(context.Context, []string) ([]byte, []byte, error) {
		return []byte("[]"), []byte("WARNING: The following regions were fully or partially unreachable for query: us-east4\n"), nil
	}}
	q := list(lines("gcloud list")[0], func(any) {})
	q.reach = []string{"europe-west1"}
	if err := r.ask(t.Context(), []question{q}); err != nil || !strings.Contains(out.String(), "# gcloud list --format=json says: WARNING: ") {
		t.Errorf("error %v, output %q", err, &out)
	}
	q.reach = []string{"europe-west1", "us-east4"}
	if err := r.ask(t.Context(), []question{q}); err == nil || !strings.Contains(err.Error(), "us-east4 could not be reached") {
		t.Errorf("error %v, want one about us-east4", err)
	}
}

// TestWaitsAreNoChanges: what only waits is not counted.
func TestWaitsAreNoChanges(t *testing.T) {
	t.Parallel()
	r := &runner{out: io.Discard, execute: func(context.Context, []string) ([]byte, []byte, error) { return nil, nil, nil }}
	if err := r.run(t.Context(), lines("aws lambda create", "aws lambda wait active")); err != nil || r.changes != 1 {
		t.Errorf("%d changes, %v, want 1", r.changes, err)
	}
}
