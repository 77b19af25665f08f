package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: bench command [flags]

  sweep      CPU, time and memory of a sweep, beside a bare HTTP client
  spread     two days of refreshes, drawn into a picture
  firestore  reads and writes of one refresh, and of one event
  events     CPU, latency and memory of SendEvent, beside what others would write
  load       SendEvent with many events in flight, and a gateway that slows down
  cold       from the start of a process to its first answer
  cost       a month's bill, the limit that is met first, and what a million events cost

-h after a command lists its flags.
`

// errUsage: the command line is wrong, and the user has been told.
var errUsage = errors.New("usage")

// command carries out one command with its flags.
type command func(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error

var commands = map[string]command{
	"sweep":     sweepCommand,
	"spread":    spreadCommand,
	"firestore": firestoreCommand,
	"events":    eventsCommand,
	"cold":      coldCommand,
	"load":      loadCommand,
	"cost":      costCommand,
}

// children are the commands that the program starts itself with.
var children = map[string]command{
	childName:   childCommand,
	gatewayName: gatewayCommand,
	pushName:    pushCommand,
	floorName:   floorCommand,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out the command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	do := find(args)
	if do == nil {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	flags := flag.NewFlagSet("bench "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	err := do(ctx, flags, args[1:], stdout)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	}
	fmt.Fprintf(stderr, "bench %s: %v\n", args[0], err)
	return exitFailed
}

// find returns the command that the first argument names, nil if there is none.
func find(args []string) command {
	if len(args) == 0 {
		return nil
	}
	if do := commands[args[0]]; do != nil {
		return do
	}
	return children[args[0]]
}

// parse reads a command's flags and lets check judge them. What is wrong is
// told on the set's output.
func parse(flags *flag.FlagSet, args []string, check func() error) error {
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil {
		return errUsage // the flag package has said it
	}
	err = check()
	if flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(flags.Output(), "%s: %v\n", flags.Name(), err)
		return errUsage
	}
	return nil
}
