// Command bench measures what an event and what the sweep take, which refreshes
// every customer's access token before it expires, and computes what both cost.
//
//	go run ./scripts/bench events  CPU, latency and memory of SendEvent, beside what others would write
//	go run ./scripts/bench load    SendEvent with many events in flight, and a gateway that slows down
//	go run ./scripts/bench cold    from the start of a process to its first answer
//	go run ./scripts/bench sweep   CPU and memory of a sweep, beside a bare HTTP client
//	go run ./scripts/bench cost    what customers and events cost, and how many customers a stack can have
//
// -h after a command lists its flags. README.md has the figures of one machine.
//
// What is measured is the product. Events go through the program as it is
// deployed, watched from outside; the sweep is its own code, over records that
// are made up. The simulator plays Amazon, in a process of its own whose CPU is
// not counted.
//
// Time means little on a machine that others use: compare CPU time, and only
// figures of one run. What is compared takes turns, and a sender has a processor
// to itself where there are two.
//
// The program needs Linux, a POSIX shell, the go command and this module's
// source. It fails, with status 1, when a refresh does or when a sender sends
// what Amazon would refuse: the figures would be those of something else. Events
// that fail later are counted and shown. It connects to this machine only, save
// that -install has npm fetch two packages.
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
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// task is what a command does.
type task interface {
	// bind declares the flags.
	bind(*flag.FlagSet)
	// check returns what is wrong with them.
	check() error
	// run does the work and writes the figures.
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
	{"cost", "what customers and events cost, and how many customers a stack can have", func() task { return new(cost) }},
}

// children are what the program starts itself as.
var children = map[string]func() error{worldName: serveWorld, floorName: serveFloor}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out the command line and returns the exit status.
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
