package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// lanes is how many commands run side by side. Each is a Python program, and
// most of its second goes by in starting.
const lanes = 4

// execute runs a command line and returns what it wrote to both outputs.
type execute func(ctx context.Context, args []string) (stdout, stderr []byte, err error)

// runner runs commands and shows them.
type runner struct {
	out     io.Writer
	known   known
	execute execute
	changes int // commands of change that have run
	// fresh is set once this run has switched on an API: for some minutes
	// questions may be refused as if it were still off.
	fresh bool
}

// What the cloud says for a while of what has just been made, and for how long
// it is asked again.
const (
	apiIsOff      = "SERVICE_DISABLED"
	apiWait       = 5 * time.Minute
	roleIsUnknown = "cannot be assumed by Lambda"
	roleWait      = time.Minute
	betweenTries  = 10 * time.Second
)

// commandError is a command that failed, with what it said.
type commandError struct {
	command string
	stderr  string
	err     error
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s\n%s\n%v", e.command, strings.TrimSpace(e.stderr), e.err)
}

func (e *commandError) Unwrap() error { return e.err }

// fromPath runs programs of the PATH. A pager would wait for somebody.
func fromPath(ctx context.Context, args []string) (stdout, stderr []byte, err error) {
	var out, fault bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "AWS_PAGER=", "CLOUDSDK_CORE_DISABLE_PROMPTS=1")
	cmd.Stdout, cmd.Stderr = &out, &fault
	err = cmd.Run()
	return out.Bytes(), fault.Bytes(), err
}

// patiently executes a command line, and again for so long as it is refused with
// this text, "" for once only.
func (r *runner) patiently(ctx context.Context, args []string, again string, limit time.Duration) (stdout, stderr []byte, err error) {
	for waited := time.Duration(0); ; waited += betweenTries {
		stdout, stderr, err = r.execute(ctx, args)
		if err == nil || again == "" || !bytes.Contains(stderr, []byte(again)) || waited >= limit {
			return stdout, stderr, err
		}
		select {
		case <-ctx.Done():
			return stdout, stderr, ctx.Err()
		case <-time.After(betweenTries):
		}
	}
}

// failures are all errors of what ran side by side.
type failures struct {
	mu  sync.Mutex
	all []error
}

// note keeps an error, unless it only says that nothing more was to be started,
// and returns it.
func (f *failures) note(err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all = append(f.all, err)
	}
	return err
}

// or returns what was noted, or what the group ended with.
func (f *failures) or(err error) error {
	if len(f.all) > 0 {
		return errors.Join(f.all...)
	}
	return err
}

// run carries out commands, side by side but for those of one queue, and shows
// them in their order as they end. After a failure none is started; those under
// way end. The error is of all that failed.
func (r *runner) run(ctx context.Context, commands []command) error {
	show := newOrdered(r.out, len(commands))
	var failed failures
	group, going := errgroup.WithContext(ctx)
	group.SetLimit(lanes)
	for _, queue := range queues(commands) {
		group.Go(func() error {
			for _, i := range queue {
				if going.Err() != nil {
					return going.Err()
				}
				line := command{args: r.known.resolveAll(commands[i].args)}
				_, stderr, err := r.patiently(ctx, line.args, commands[i].again, roleWait)
				if err != nil {
					return failed.note(&commandError{line.String(), string(stderr), err})
				}
				show.done(i, line.String())
			}
			return nil
		})
	}
	err := group.Wait()
	show.flush()
	r.changes += changesOf(commands, show)
	return failed.or(err)
}

// changesOf is how many of the commands are done, without those that only wait.
func changesOf(commands []command, show *ordered) int {
	n := 0
	for i, c := range commands {
		if show.lines[i] != "" && !slices.Contains(c.args, "wait") {
			n++
		}
	}
	return n
}

// queues returns the commands' indexes by queue, in their order.
func queues(commands []command) [][]int {
	var all [][]int
	at := map[string]int{}
	for i, c := range commands {
		if n, ok := at[c.queue]; ok && c.queue != "" {
			all[n] = append(all[n], i)
			continue
		}
		at[c.queue] = len(all)
		all = append(all, []int{i})
	}
	return all
}

// ask asks the questions side by side, and takes the answers one by one. What
// the CLIs complain of beside an answer is passed on.
func (r *runner) ask(ctx context.Context, questions []question) error {
	again := ""
	if r.fresh {
		again = apiIsOff
	}
	var taking sync.Mutex
	var failed failures
	group, going := errgroup.WithContext(ctx)
	group.SetLimit(lanes)
	for _, q := range questions {
		group.Go(func() error {
			if going.Err() != nil {
				return going.Err()
			}
			taking.Lock() // an answer may add to what is known
			args := r.known.resolveAll(q.args)
			taking.Unlock()
			stdout, stderr, err := r.patiently(ctx, args, again, apiWait)
			if err != nil && q.missing != "" && bytes.Contains(stderr, []byte(q.missing)) {
				return nil
			}
			if err == nil {
				err = q.partial(string(stderr))
			}
			if err != nil {
				return failed.note(&commandError{q.String(), string(stderr), err})
			}
			taking.Lock()
			defer taking.Unlock()
			if complaint := strings.TrimSpace(string(stderr)); complaint != "" {
				fmt.Fprintf(r.out, "# %s says: %s\n", q, strings.ReplaceAll(complaint, "\n", "\n# "))
			}
			return failed.note(q.answer(stdout))
		})
	}
	return failed.or(group.Wait())
}

// ordered writes lines in the order of their numbers, each as soon as those
// before it are there.
type ordered struct {
	mu    sync.Mutex
	out   io.Writer
	lines []string // "" for what is not done
	next  int
}

func newOrdered(out io.Writer, n int) *ordered { return &ordered{out: out, lines: make([]string, n)} }

func (o *ordered) done(i int, line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines[i] = line
	for ; o.next < len(o.lines) && o.lines[o.next] != ""; o.next++ {
		fmt.Fprintln(o.out, o.lines[o.next])
	}
}

// flush writes what is done behind something that is not.
func (o *ordered) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ; o.next < len(o.lines); o.next++ {
		if o.lines[o.next] != "" {
			fmt.Fprintln(o.out, o.lines[o.next])
		}
	}
}
