package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

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
}

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

// run carries out commands, side by side but for those of one queue, and shows
// them in their order as they end. After a failure none is started; those under
// way end.
func (r *runner) run(ctx context.Context, commands []command) error {
	show := newOrdered(r.out, len(commands))
	group, going := errgroup.WithContext(ctx)
	group.SetLimit(lanes)
	for _, queue := range queues(commands) {
		group.Go(func() error {
			for _, i := range queue {
				if going.Err() != nil {
					return going.Err()
				}
				line := command{args: r.known.resolveAll(commands[i].args)}
				_, stderr, err := r.execute(ctx, line.args)
				if err != nil {
					return &commandError{line.String(), string(stderr), err}
				}
				show.done(i, line.String())
			}
			return nil
		})
	}
	err := group.Wait()
	r.changes += show.flush()
	return err
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

// ask asks the questions side by side, and takes the answers one by one.
func (r *runner) ask(ctx context.Context, questions []question) error {
	var taking sync.Mutex
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
			stdout, stderr, err := r.execute(ctx, args)
			if err != nil && q.missing != "" && bytes.Contains(stderr, []byte(q.missing)) {
				return nil
			}
			if err != nil {
				return &commandError{q.String(), string(stderr), err}
			}
			taking.Lock()
			defer taking.Unlock()
			return q.answer(stdout)
		})
	}
	return group.Wait()
}

// ordered writes lines in the order of their numbers, each as soon as those
// before it are there.
type ordered struct {
	mu    sync.Mutex
	out   io.Writer
	lines []string // "" for what is not done
	next  int
	count int
}

func newOrdered(out io.Writer, n int) *ordered { return &ordered{out: out, lines: make([]string, n)} }

func (o *ordered) done(i int, line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines[i] = line
	o.count++
	for ; o.next < len(o.lines) && o.lines[o.next] != ""; o.next++ {
		fmt.Fprintln(o.out, o.lines[o.next])
	}
}

// flush writes what is done behind something that is not, and returns how many
// are done in all.
func (o *ordered) flush() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ; o.next < len(o.lines); o.next++ {
		if o.lines[o.next] != "" {
			fmt.Fprintln(o.out, o.lines[o.next])
		}
	}
	return o.count
}
