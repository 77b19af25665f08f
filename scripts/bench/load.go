package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"
)

// loadOptions are the flags of the command.
type loadOptions struct {
	events, inFlight, customers int
	latency, slow               time.Duration
	slowFor, after              time.Duration
	program                     string
}

func loadCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	var o loadOptions
	flags.IntVar(&o.events, "events", 60_000, "`number` of events while the gateway is well; 300000 is ten minutes of 500 a second")
	flags.IntVar(&o.inFlight, "in-flight", 1000, "`number` of events in flight")
	flags.IntVar(&o.customers, "customers", 1000, "`number` of customers that they are for")
	flags.DurationVar(&o.latency, "latency", 50*time.Millisecond, "what the gateway takes to answer when it is well")
	flags.DurationVar(&o.slow, "slow", 5*time.Second, "what it takes when it is not")
	flags.DurationVar(&o.slowFor, "slow-for", 15*time.Second, "how long events are pushed while it is not")
	flags.DurationVar(&o.after, "after", 15*time.Second, "how long events are pushed after that")
	flags.StringVar(&o.program, "program", "", programUsage)
	err := parse(flags, args, func() error {
		if min(o.events/parts, o.inFlight, o.customers) < 1 || min(o.latency, o.slow, o.slowFor, o.after) <= 0 {
			return fmt.Errorf("want %d events at least, and times and numbers above 0", parts)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return o.run(ctx, stdout)
}

// parts of a load: what the process holds is looked at in each.
const parts = 3

func (o loadOptions) run(ctx context.Context, stdout io.Writer) (err error) {
	p, unpinned := findPins()
	s, err := newStage(ctx, p, o.program, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.startGatepost(ctx, o.customers, map[string]string{"GODEBUG": schedTrace}); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d in flight of %d customers, a gateway that takes %v%s\n\n", o.inFlight, o.customers, o.latency, pinning(unpinned))
	r := &loadRun{loadOptions: o, stage: s, sender: s.senders[0], serial: 1}
	if err := r.start(ctx); err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tevents\ta second\tof the CPU\tCPU of an event\tmemory\tgoroutines\tsockets\tthreads\tno 200\tlongest")
	for n := range parts {
		l, err := r.push(ctx, o.events/parts, 0)
		if err != nil {
			return err
		}
		r.steady = append(r.steady, l.rate())
		r.line(table, []string{"start", "middle", "end"}[n], l)
	}
	if err := r.trouble(ctx, table); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return r.conclude(stdout)
}

// loadRun is a load under way.
type loadRun struct {
	loadOptions
	*stage
	sender  sender
	serial  int64
	idle    footprint // before there was a load
	largest footprint // while the gateway was well
	steady  []float64 // events a second, by part
	slowed  lap
	back    lap
}

// lap is what came of some events.
type lap struct {
	load
	cpu  time.Duration
	held footprint // the most that was seen

	goroutines int // likewise
}

func (l lap) rate() float64 { return float64(l.Answered) / l.Took.Seconds() }

// start warms up with one event for each customer, few at a time.
func (r *loadRun) start(ctx context.Context) (err error) {
	j := job{Host: r.sender.host(), Path: r.sender.path, Customers: r.customers, First: r.serial, Events: r.customers, InFlight: 8, Want: r.sender.want}
	r.serial += int64(r.customers)
	done, err := generate(ctx, r.pins, j)
	if err == nil && done.Wrong > 0 {
		err = errors.New(done.Complaint)
	}
	if err != nil {
		return err
	}
	if r.idle, err = footprintOf(r.sender.pid); err != nil {
		return err
	}
	_, err = r.world.order(gatewayOrder{Delay: r.latency})
	return err
}

// push pushes events, no longer than during unless that is 0, and looks at the
// process meanwhile.
func (r *loadRun) push(ctx context.Context, events int, during time.Duration) (lap, error) {
	before, err := cpuOf(r.sender.pid)
	if err != nil {
		return lap{}, err
	}
	j := job{
		Host: r.sender.host(), Path: r.sender.path, Customers: r.customers, First: r.serial, Events: events, InFlight: r.inFlight,
		For: during, Want: r.sender.want,
	}
	r.serial += int64(events)
	var l lap
	written := len(r.sender.Output())
	l.held, err = watchProcess(r.sender.pid, func() (err error) {
		l.load, err = generate(ctx, r.pins, j)
		return err
	})
	if err != nil {
		return lap{}, err
	}
	after, err := cpuOf(r.sender.pid)
	l.cpu, l.goroutines = after-before, goroutines(r.sender.Output()[written:])
	return l, err
}

// trouble slows the gateway down and lets it recover. An event that is in
// flight when it does ends with it.
func (r *loadRun) trouble(ctx context.Context, table io.Writer) (err error) {
	many := r.events * 1000
	if _, err := r.world.order(gatewayOrder{Delay: r.slow}); err != nil {
		return err
	}
	if r.slowed, err = r.push(ctx, many, r.slowFor); err != nil {
		return err
	}
	r.line(table, fmt.Sprintf("gateway takes %v", r.slow), r.slowed)
	if _, err := r.world.order(gatewayOrder{Delay: r.latency}); err != nil {
		return err
	}
	if r.back, err = r.push(ctx, many, r.after); err != nil {
		return err
	}
	r.line(table, "and is well again", r.back)
	return nil
}

func (r *loadRun) line(table io.Writer, name string, l lap) {
	fmt.Fprintf(table, "%s\t%d\t%.0f\t%.0f %%\t%v\t%.1f MiB\t%d\t%d\t%d\t%d\t%v\n", name, l.Answered, l.rate(), 100*l.cpu.Seconds()/l.Took.Seconds(),
		(l.cpu / time.Duration(max(l.Answered, 1))).Round(time.Microsecond), mib(uint64(l.held.rss)), l.goroutines, l.held.sockets, l.held.threads,
		l.Wrong, l.Longest.Round(time.Millisecond))
	if name == "end" || l.held.rss > r.largest.rss && r.slowed.Answered == 0 {
		r.largest = l.held
	}
}

// conclude says what the lines mean.
func (r *loadRun) conclude(out io.Writer) error {
	each := float64(r.largest.rss-r.idle.rss) / float64(r.inFlight) / (1 << 10)
	fmt.Fprintf(out, "\nmemory of an event in flight: %.1f KiB, over %.1f MiB without any\n", each, mib(uint64(r.idle.rss)))
	_, err := fmt.Fprintf(out, "of %d events while the gateway took %v, %d were handed back with 503; half of the usual rate was reached again %s\n"+
		"events taken in each of the first seconds after that: %v\n",
		r.slowed.Answered, r.slow, r.slowed.Statuses[http.StatusServiceUnavailable], recovery(r.back.Seconds, slices.Min(r.steady)), r.back.Seconds[:min(len(r.back.Seconds), 15)])
	return err
}

// recovery says after how long half of a rate was reached. What else the
// machine does has its part in the rate, so that more would say nothing.
func recovery(seconds []int, usual float64) string {
	for second, n := range seconds {
		if float64(n) >= usual/2 {
			return fmt.Sprintf("within %d s", second+1)
		}
	}
	return "not while it was watched"
}

// watchProcess returns the most that a process was seen to hold during the work.
func watchProcess(pid int, work func() error) (footprint, error) {
	var most footprint
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			held, err := footprintOf(pid)
			most = footprint{max(most.rss, held.rss), held.peak, max(most.threads, held.threads), max(most.sockets, held.sockets)}
			select {
			case <-ticker.C:
			case <-stop:
				done <- err
				return
			}
		}
	}()
	err := work()
	close(stop)
	return most, errors.Join(err, <-done)
}
