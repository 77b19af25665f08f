// Command bench measures the resources that an event and a sweep use, simulates both at
// their largest scale, and computes their costs. The sweep refreshes every customer's
// access token before it expires.
//
//	go run ./scripts/bench events  CPU, latency and memory of SendEvent, compared with common alternatives
//	go run ./scripts/bench load    SendEvent with many events in flight, and a gateway that slows down
//	go run ./scripts/bench cold    time from the start of a process to its first answer
//	go run ./scripts/bench sweep   CPU and memory of a sweep, compared with a bare HTTP client
//	go run ./scripts/bench carry   the sweep of millions of customers in simulated time, through an outage
//	go run ./scripts/bench outage  many reports in simulated time, through an outage of the event gateway
//	go run ./scripts/bench cost    costs of customers and events, and the most customers of a stack
//	go run ./scripts/bench table   the table of the project's README, beside what others cost
//
// -h after a command lists its flags. README.md has the figures of one machine.
//
// The program measures the product itself. Events go through the deployed program,
// measured from outside. The sweep runs the product's code over generated records. The
// simulator takes the place of Amazon, in a separate process whose CPU is not counted.
//
// On a shared machine, compare CPU time rather than wall time, and only figures of one
// run. The compared programs take turns, and a sender has a processor to itself if there
// are two.
//
// The program needs Linux, a POSIX shell, the go command and this module's source. It
// fails with status 1 if a refresh fails, or if a sender sends events that Amazon would
// refuse, since the figures would not be comparable. Later failures of events are
// counted and shown. It connects only to this machine, except that -install has npm
// download two packages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// task is the implementation of a command.
type task interface {
	// bind declares the flags.
	bind(*flag.FlagSet)
	// check returns an error if the flags are invalid.
	check() error
	// run measures and writes the figures.
	run(ctx context.Context, out io.Writer) error
}

type command struct {
	name, summary string
	task          func() task
}

var commands = []command{
	{"events", "CPU, latency and memory of SendEvent, beside what others would write", func() task { return new(events) }},
	{"load", "SendEvent with many events in flight, and a gateway that slows down", func() task { return new(loading) }},
	{"cold", "from the start of a process to its first answer", func() task { return new(cold) }},
	{"sweep", "CPU and memory of a sweep, beside a bare HTTP client", func() task { return new(sweeping) }},
	{"carry", "the sweep of millions of customers in simulated time, through an outage", func() task { return new(carrying) }},
	{"outage", "many reports in simulated time, through an outage of the event gateway", func() task { return new(outage) }},
	{"table", "the table of the project's README: events, cold starts and costs in short, beside what others cost",
		func() task { return new(table) }},
	{"cost", "what customers and events cost, and how many customers a stack can have", func() task { return new(cost) }},
}

// children are the commands that the program starts itself with.
var children = map[string]func() error{worldName: serveWorld, floorName: serveFloor}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && children[args[0]] != nil {
		return failed(stderr, args[0], children[args[0]]())
	}
	i := slices.IndexFunc(commands, func(c command) bool { return len(args) > 0 && c.name == args[0] })
	if i < 0 {
		fmt.Fprint(stderr, "usage: bench command [flags]\n\n")
		for _, c := range commands {
			fmt.Fprintf(stderr, "  %-7s %s\n", c.name, c.summary)
		}
		fmt.Fprint(stderr, "\n-h after a command lists its flags.\n")
		return exitUsage
	}
	t := commands[i].task()
	flags := flag.NewFlagSet("bench "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	t.bind(flags)
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // the flag package has said it
	}
	err := t.check()
	if flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", flags.Name(), err)
		return exitUsage
	}
	return failed(stderr, args[0], t.run(ctx, stdout))
}

// failed reports an error, if there is one, and returns the exit status.
func failed(stderr io.Writer, name string, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "bench %s: %v\n", name, err)
	return exitFailed
}

// inBubble does work in simulated time, in which an hour of waiting takes no time, and
// ends the process. Only a test can have a bubble of package testing/synctest, so it
// runs the work as one. In a bubble no channel from outside may be waited for, such as
// that of ctx: an interrupt ends the process at once.
func inBubble(ctx context.Context, name string, work func() error) {
	context.AfterFunc(ctx, func() { os.Exit(exitFailed) })
	run := func(t *testing.T) {
		var err error
		synctest.Test(t, func(*testing.T) { err = work() })
		os.Exit(failed(os.Stderr, name, err)) // before package testing reports a test
	}
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: name, F: run}}, nil, nil)
}
