package cli_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

type grammar struct {
	Work   work   `cmd:""`
	Secret secret `cmd:"" secretive:""`
}

type work struct {
	Count int
	All   bool
	Who   cli.Name
	Since time.Time

	do func(*cli.Env) error
}

func (w work) Validate() error {
	if w.Count < 0 {
		return errors.New("--count is negative")
	}
	return nil
}

func (w work) Run(env *cli.Env) error { return w.do(env) }

type secret struct {
	Show work   `cmd:""`
	Put  putter `cmd:""`
}

type putter struct {
	What string `arg:"" enum:"a,b"`
	On   bool
	Next int
}

func TestWrongCalls(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, `gatepost: expected one of "work", "secret"`},
		{[]string{"rest"}, "gatepost: unexpected argument rest: want work, secret"},
		{[]string{"wrk"}, `gatepost: unexpected argument wrk, did you mean "work"? (`},
		{[]string{"work", "--count=-1"}, "gatepost work: --count is negative"},
		{[]string{"work", "--who="}, "gatepost work: --who: it is empty"},
		{[]string{"work", "-all"}, "gatepost work: flags have two dashes: --all"},
		{[]string{"work", "--count=1", "--all", "--count=2"}, "gatepost work: --count is given twice"},
		{[]string{"work", "--since=soon"}, "gatepost work: --since: want a time like 2026-01-02T15:04:05Z"},
		{[]string{"secret", "canary"}, "gatepost secret: unexpected argument: want show, put"},
		{[]string{"secret", "put", "CaNary"}, "gatepost secret put: "},
		{[]string{"secret", "put", "a", "canary"}, "gatepost secret put: unexpected argument"},
		{[]string{"secret", "put", "a", "--on=CANARY"}, "gatepost secret put: --on: "},
		{[]string{"secret", "put", "a", "--next", `{"canary": "1"}`}, "gatepost secret put: --next: "},
		{[]string{"secret", "put", "a", "--next", "can", "ary"}, "gatepost secret put: --next: "},
	} {
		var out, errs strings.Builder
		env := &cli.Env{Stdout: &out, Stderr: &errs, Now: time.Now}
		status, text := cli.Run(t.Context(), env, new(grammar), test.args), errs.String()
		if status != cli.StatusUsage || out.Len() > 0 || !strings.HasPrefix(text, test.says) || strings.Count(text, "\n") != 1 {
			t.Errorf("%q: status %d, it wrote %q and %q, want %d and %q", test.args, status, out.String(), text, cli.StatusUsage, test.says)
		}
		if strings.Contains(strings.ToLower(text), "canary") || len(test.args) == 6 && strings.Contains(text, "can") {
			t.Errorf("%q: it repeats an argument: %s", test.args, text)
		}
	}
}

// TestProgress has a command that takes a long time, or a short one.
func TestProgress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		terminal bool
		steps    int
		each     time.Duration
		share    bool
		want     string
	}{
		{"long", true, 4, time.Second, true, "\r\x1b[K200 things, 100/s, 50%, 2s left\r\x1b[K" +
			"a line\n\r\x1b[K300 things, 100/s, 75%, 1s left\r\x1b[K400 things, 100/s, 100%, 0s left\r\x1b[Kgatepost work: done\n"},
		{"share unknown", true, 4, time.Second, false, "\r\x1b[K200 things, 100/s\r\x1b[K" +
			"a line\n\r\x1b[K300 things, 100/s\r\x1b[K400 things, 100/s\r\x1b[Kgatepost work: done\n"},
		{"at most twice a second", true, 10, time.Second / 4, false, "a line\n" +
			"\r\x1b[K800 things, 400/s\r\x1b[K1000 things, 400/s\r\x1b[Kgatepost work: done\n"},
		{"short", true, 4, time.Second / 4, true, "a line\ngatepost work: done\n"},
		{"no terminal", false, 4, time.Hour, true, "a line\ngatepost work: done\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var screen strings.Builder
			now := time.Now()
			env := &cli.Env{Stdout: &screen, Stderr: &screen, Terminal: test.terminal, Now: func() time.Time { return now }}
			status := cli.Run(t.Context(), env, &grammar{Work: work{do: func(env *cli.Env) error {
				progress := env.Progress("things")
				for i := 1; i <= test.steps; i++ {
					now = now.Add(test.each)
					progress.Show(100*i, map[bool]float64{true: float64(i) / float64(test.steps)}[test.share])
					if i == 2 {
						fmt.Fprintln(env.Stdout, "a line")
					}
				}
				return errors.New("done")
			}}}, []string{"work"})
			if status != cli.StatusFailed || screen.String() != test.want {
				t.Errorf("status %d, and the screen got %q, want %q", status, screen.String(), test.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	many := []string{"x/device-events"}
	for i := range 11 {
		many = append(many, fmt.Sprintf("x/other-%02d", i))
	}
	for _, test := range []struct {
		existing []string
		want     string
	}{
		{nil, "topic device-evens does not exist in project p"},
		{[]string{"projects/p/topics/b", "projects/p/topics/device-events", "projects/p/topics/a"},
			"topic device-evens does not exist in project p: there are device-events, a, b"},
		{many, "topic device-evens does not exist in project p: there are device-events, other-00, other-01, other-02, other-03, other-04, " +
			"other-05, other-06, other-07, other-08, and 2 others"},
	} {
		if got := cli.Missing("topic", "device-evens", "p", test.existing).Error(); got != test.want {
			t.Errorf("Missing() = %q, want %q", got, test.want)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 3, 1, 12, 30, 0, 0, zone)
	for text, want := range map[string]time.Time{
		"2026-01-02T15:04:05Z": time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
		"90m":                  now.Add(-90 * time.Minute),
		"12:30":                now,
		"12:31":                time.Date(2026, 2, 28, 12, 31, 0, 0, zone),
	} {
		g := &grammar{Work: work{do: func(*cli.Env) error { return nil }}}
		env := &cli.Env{Stdout: io.Discard, Stderr: io.Discard, Now: func() time.Time { return now }}
		if status := cli.Run(t.Context(), env, g, []string{"work", "--since", text}); status != cli.StatusDone {
			t.Errorf("--since %s: status %d", text, status)
		}
		if got := g.Work.Since; !got.Equal(want) {
			t.Errorf("--since %s is %v, want %v", text, got, want)
		}
	}
}
