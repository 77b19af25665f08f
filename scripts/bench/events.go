package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"time"
)

// eventsOptions are the flags of the command.
type eventsOptions struct {
	events, inFlight, customers, rounds int
	rate                                int
	paced                               int // events at that rate
	program, store                      string
	runtimes                            runtimes
}

func eventsCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	var o eventsOptions
	flags.IntVar(&o.events, "events", 50_000, "`number` of events that each sender gets in a round")
	flags.IntVar(&o.inFlight, "in-flight", 64, "`number` of events in flight")
	flags.IntVar(&o.customers, "customers", 1000, "`number` of customers that they are for")
	flags.IntVar(&o.rounds, "rounds", 5, "how `often` the senders take turns; medians are shown")
	flags.IntVar(&o.rate, "rate", 500, "events a `second` when latency is measured")
	flags.IntVar(&o.paced, "paced", 5000, "`number` of events when latency is measured")
	flags.StringVar(&o.store, "store", inMemory, "where Gatepost keeps grants: `memory`, or firestore, the emulator that "+emulatorHost+" names")
	flags.BoolVar(&o.runtimes.peers, "peers", true, "measure what others would write too")
	flags.StringVar(&o.runtimes.python, "python", "", "the `program` that runs Python with aiohttp")
	flags.StringVar(&o.runtimes.modules, "node-modules", "", "the `directory` where Node finds express and axios")
	flags.BoolVar(&o.runtimes.install, "install", false, "have npm install express and axios into a directory that goes with the program")
	flags.StringVar(&o.program, "program", "", programUsage)
	err := parse(flags, args, func() error {
		if min(o.events, o.inFlight, o.customers, o.rounds, o.rate, o.paced) < 1 || o.store != inMemory && o.store != inFirestore {
			return errors.New("want numbers above 0, and a store of memory or firestore")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return o.run(ctx, stdout)
}

func (o eventsOptions) run(ctx context.Context, stdout io.Writer) (err error) {
	host, err := database(o.store)
	if err != nil {
		return err
	}
	p, unpinned := findPins()
	s, err := newStage(ctx, p, o.program, host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.startAll(ctx, o.customers, o.runtimes); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d events of %d customers, %d in flight, %d rounds; grants in %s; %d CPUs%s\n",
		o.events, o.customers, o.inFlight, o.rounds, o.store, runtime.NumCPU(), pinning(unpinned))
	for _, line := range s.absent {
		fmt.Fprintln(stdout, line)
	}
	turns, err := o.takeTurns(ctx, s)
	if rounds := len(turns[len(turns)-1]); rounds > 0 { // those that an error has left
		err = errors.Join(writeTurns(stdout, s.senders, turns, rounds), err)
	}
	return err
}

// pinning says that processors are shared out, or why not.
func pinning(unpinned error) string {
	if unpinned != nil {
		return ", nothing pinned: " + unpinned.Error()
	}
	return ", the sender alone on one"
}

// turn is what one sender did in one round.
type turn struct {
	cpu       time.Duration // of an event
	half      time.Duration // latency added, median
	worst     time.Duration // 99th percentile
	peak      int64         // bytes, so far
	errors    int
	complaint string
	atGateway int64
}

// takeTurns measures the senders in turn, so that what else the machine does
// meets them all. The result has a list for each sender, with an error too: a
// round of many events takes a minute or two.
func (o eventsOptions) takeTurns(ctx context.Context, s *stage) ([][]turn, error) {
	turns := make([][]turn, len(s.senders))
	serial := int64(1)
	for _, sender := range s.senders {
		if err := o.warmUp(ctx, s, sender, &serial); err != nil {
			return turns, fmt.Errorf("%s: %w", sender.name, err)
		}
	}
	for range o.rounds {
		if err := o.round(ctx, s, turns, &serial); err != nil {
			return turns, err
		}
	}
	return turns, nil
}

// shifts in a round: what else the machine does comes and goes within seconds,
// and is to meet all senders of a round alike.
const shifts = 5

// round adds a turn of each sender.
func (o eventsOptions) round(ctx context.Context, s *stage, turns [][]turn, serial *int64) error {
	alone, err := o.direct(ctx, s)
	if err != nil {
		return err
	}
	round := make([]turn, len(s.senders))
	for shift := range shifts {
		for i, sender := range s.senders {
			events := o.events*(shift+1)/shifts - o.events*shift/shifts
			if err := o.exert(ctx, s, sender, &round[i], o.job(sender, events, serial)); err != nil {
				return fmt.Errorf("%s: %w", sender.name, err)
			}
		}
	}
	for i, sender := range s.senders {
		if err := o.pace(ctx, s, sender, &round[i], o.job(sender, o.paced, serial)); err != nil {
			return fmt.Errorf("%s: %w", sender.name, err)
		}
		round[i].cpu /= time.Duration(o.events)
		round[i].half, round[i].worst = round[i].half-alone, round[i].worst-alone
		turns[i] = append(turns[i], round[i])
	}
	return nil
}

// job is what the load generator is asked to do with a sender.
func (o eventsOptions) job(s sender, events int, serial *int64) job {
	j := job{Host: s.host(), Path: s.path, Customers: o.customers, First: *serial, Events: events, InFlight: o.inFlight, Want: s.want}
	*serial += int64(events)
	return j
}

// warmUp sends an event to each customer, and has the simulator judge them in
// full: who sends what Amazon would refuse is not measured.
func (o eventsOptions) warmUp(ctx context.Context, s *stage, sender sender, serial *int64) error {
	if _, err := s.world.order(gatewayOrder{Strict: true}); err != nil {
		return err
	}
	done, err := generate(ctx, s.pins, o.job(sender, o.customers, serial))
	if err != nil {
		return err
	}
	tally, err := s.world.order(gatewayOrder{})
	if err != nil {
		return err
	}
	if done.Wrong > 0 || tally.Taken != int64(o.customers) || tally.Refused > 0 {
		return fmt.Errorf("warming up, the gateway took %d of %d events and refused %d: %s", tally.Taken, o.customers, tally.Refused, done.Complaint)
	}
	return nil
}

// direct is the median time that the gateway itself takes, for events that are
// posted to it as slowly as to the senders when latency is measured.
func (o eventsOptions) direct(ctx context.Context, s *stage) (time.Duration, error) {
	j := job{
		Host: hostOf(s.world.Gateway), Path: "/v3/events", Events: o.paced, InFlight: o.inFlight, Every: time.Second / time.Duration(o.rate),
		Ready: s.ready, Token: s.tokens[0],
	}
	done, err := generate(ctx, s.pins, j)
	if err == nil && done.Wrong > 0 {
		err = fmt.Errorf("the gateway itself: %s", done.Complaint)
	}
	if err != nil {
		return 0, err
	}
	_, err = s.world.order(gatewayOrder{})
	return done.Half, err
}

// exert has a sender send as fast as it can, and adds the CPU that it takes.
func (o eventsOptions) exert(ctx context.Context, s *stage, sender sender, t *turn, j job) error {
	before, err := cpuOf(sender.pid)
	if err != nil {
		return err
	}
	if err := t.send(ctx, s, j); err != nil {
		return err
	}
	after, err := cpuOf(sender.pid)
	t.cpu += after - before
	return err
}

// pace has a sender send at a rate that it can keep, for its latency.
func (o eventsOptions) pace(ctx context.Context, s *stage, sender sender, t *turn, j job) error {
	j.Every = time.Second / time.Duration(o.rate)
	if err := t.send(ctx, s, j); err != nil {
		return err
	}
	held, err := footprintOf(sender.pid)
	t.peak = held.peak
	return err
}

// send has the events of a job sent, and adds what became of them.
func (t *turn) send(ctx context.Context, s *stage, j job) error {
	done, err := generate(ctx, s.pins, j)
	if err != nil {
		return err
	}
	tally, err := s.world.order(gatewayOrder{})
	t.half, t.worst = done.Half, done.Worst
	t.errors += done.Wrong
	t.atGateway += tally.Taken
	t.complaint = cmp.Or(t.complaint, done.Complaint, missed(tally, j.Events))
	return err
}

// missed says that the gateway did not take each event once.
func missed(tally gatewayTally, events int) string {
	if tally.Taken != int64(events) || tally.Refused > 0 {
		return fmt.Sprintf("the gateway took %d of %d events and refused %d", tally.Taken, events, tally.Refused)
	}
	return ""
}
