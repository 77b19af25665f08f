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
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// tokenLifetime makes every new token due for a refresh at once, since tokens are
// refreshed ten minutes or more before they expire.
const tokenLifetime = 10 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	once, refuse, logs       bool
	project                  string
	port, makerPort, lwaPort int
}

// run runs the program and returns its exit status. It can be called once in a process,
// because the Functions Framework has one registry.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	return o.run(ctx, simulator.New(simulator.Options{TokenLifetime: tokenLifetime}), stdout, stderr)
}

// parse parses the flags, and writes an error to stderr.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.once, "once", false, "end after the demonstration, with status 0 only if the event was accepted")
	flags.BoolVar(&o.refuse, "refuse", false, "make the gateways refuse every event")
	flags.BoolVar(&o.logs, "logs", false, "show the functions' logs on standard error")
	flags.StringVar(&o.project, "project", "gatepost-local", "`id` of the project in the emulators")
	flags.IntVar(&o.port, "port", 8080, "`port` of the functions; as for the others, another is used if it is taken")
	flags.IntVar(&o.makerPort, "maker-port", 8089, "`port` of the maker's cloud, where events are published")
	flags.IntVar(&o.lwaPort, "simulator-port", 8090, "`port` of the simulator; the gateways of NA, EU and FE have the three after it")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(stderr, "local:", err)
		return o, err
	}
	return o, nil
}

// run starts everything, runs the demonstration, and returns when ctx ends.
func (o options) run(ctx context.Context, sim *simulator.Simulator, stdout, stderr io.Writer) int {
	began := time.Now()
	if o.refuse {
		for _, region := range alexa.Regions() {
			sim.Always(simulator.Gateway(region), simulator.Fault{Code: simulator.InvalidRequest})
		}
	}
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s, err := start(o, sim, stdout, stderr, fail)
	if err != nil {
		fmt.Fprintln(stderr, "local:", err)
		return 1
	}
	accepted := s.demonstrate(running, began)
	if !o.once {
		s.suggest()
		<-running.Done()
	}
	s.stop()
	switch {
	case ctx.Err() == nil && running.Err() != nil: // not a signal
		fmt.Fprintln(stderr, "local:", context.Cause(running))
		return 1
	case o.once && !accepted:
		return 1
	}
	return 0
}
