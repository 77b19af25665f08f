package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// loading implements the command load: SendEvent under more events than in production,
// while the gateway is healthy, slow, and healthy again.
type loading struct {
	events, inFlight, customers int
	latency, slow               time.Duration
	slowFor, after              time.Duration
	program                     string

	*stage
	table              *tabwriter.Writer
	idle               int64 // resident memory without events in flight
	usual, slowed, end phase // the last third, the slow gateway, and afterwards
}

func (l *loading) bind(flags *flag.FlagSet) {
	flags.IntVar(&l.events, "events", 60_000, "`number` of events while the gateway is healthy; 300000 is ten minutes of 500 a second")
	flags.IntVar(&l.inFlight, "in-flight", 1000, "`number` of events in flight")
	flags.IntVar(&l.customers, "customers", 1000, "`number` of customers that they are for")
	flags.DurationVar(&l.latency, "latency", 50*time.Millisecond, "the gateway's time to answer while it is healthy")
	flags.DurationVar(&l.slow, "slow", 5*time.Second, "the gateway's time to answer while it is slow")
	flags.DurationVar(&l.slowFor, "slow-for", 15*time.Second, "how long events are pushed while it is not")
	flags.DurationVar(&l.after, "after", 15*time.Second, "how long events are pushed after that")
	flags.StringVar(&l.program, "program", "", programUsage)
}

func (l *loading) check() error {
	if min(l.events/len(thirds), l.inFlight, l.customers) < 1 || min(l.latency, l.slow, l.slowFor, l.after) <= 0 {
		return fmt.Errorf("want %d events at least, and times and numbers above 0", len(thirds))
	}
	return nil
}

// thirds are the parts of the load while the gateway is healthy. Memory must not grow
// from one to the next.
var thirds = []string{"start", "middle", "end"}

func (l *loading) run(ctx context.Context, out io.Writer) error {
	s, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if l.program, err = s.program(ctx, l.program); err != nil {
		return err
	}
	if err := s.startGatepost(ctx, "Gatepost", l.program, l.customers); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d in flight of %d customers, a gateway that takes %v, %s\n\n", l.inFlight, l.customers, l.latency, s.pinning())
	l.stage, l.table = s, tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if err := l.phases(ctx); err != nil {
		return err
	}
	return l.conclude(out)
}

// phase is the result of some events.
type phase struct {
	load
	cpu    time.Duration
	memory int64 // the most so far
}

func (p phase) rate() float64 { return float64(p.Answered) / p.Took.Seconds() }

// phases writes a line for each phase. An event in flight at the end of a phase counts
// for that phase.
func (l *loading) phases(ctx context.Context) (err error) {
	done, err := l.world.push(ctx, l.job(l.senders[0], l.customers, l.customers, min(l.inFlight, 8))) // one of each customer, to warm up
	if err == nil && done.Wrong > 0 {
		err = errors.New(done.Complaint)
	}
	if err != nil {
		return err
	}
	if l.idle, err = memoryOf(l.senders[0].pid, "VmRSS"); err != nil {
		return err
	}
	fmt.Fprintln(l.table, "\tevents\ta second\tof the CPU\tCPU of an event\tmost memory\tno 200\tlongest")
	for _, name := range thirds {
		if l.usual, err = l.phase(ctx, name, l.latency, l.events/len(thirds), 0); err != nil {
			return err
		}
	}
	if l.slowed, err = l.phase(ctx, fmt.Sprintf("gateway takes %v", l.slow), l.slow, l.events*1000, l.slowFor); err != nil {
		return err
	}
	if l.end, err = l.phase(ctx, "and healthy again", l.latency, l.events*1000, l.after); err != nil {
		return err
	}
	return l.table.Flush()
}

// phase pushes events, no longer than during unless that is 0, while the gateway
// takes delay to answer.
func (l *loading) phase(ctx context.Context, name string, delay time.Duration, events int, during time.Duration) (p phase, err error) {
	before, err := cpuOf(l.senders[0].pid)
	if err != nil {
		return p, err
	}
	j := l.job(l.senders[0], l.customers, events, l.inFlight)
	j.For, j.Delay = during, delay
	if p.load, err = l.world.push(ctx, j); err != nil {
		return p, err
	}
	after, err := cpuOf(l.senders[0].pid)
	if err != nil {
		return p, err
	}
	p.cpu = after - before
	p.memory, err = memoryOf(l.senders[0].pid, "VmHWM")
	fmt.Fprintf(l.table, "%s\t%d\t%.0f\t%.0f %%\t%v\t%.1f MiB\t%d\t%v\n", name, p.Answered, p.rate(), 100*p.cpu.Seconds()/p.Took.Seconds(),
		(p.cpu / time.Duration(max(p.Answered, 1))).Round(time.Microsecond), mib(p.memory), p.Wrong, p.Longest.Round(time.Millisecond))
	return p, err
}

// conclude writes the conclusions.
func (l *loading) conclude(out io.Writer) error {
	each := float64(l.usual.memory-l.idle) / float64(l.inFlight) / (1 << 10)
	fmt.Fprintf(out, "\nmemory of an event in flight: %.1f KiB, over %.1f MiB without any\n", each, mib(l.idle))
	_, err := fmt.Fprintf(out, "of %d events while the gateway took %v, %d were answered with 503\n"+
		"half of the usual rate was reached again %s\n",
		l.slowed.Answered, l.slow, l.slowed.Statuses[http.StatusServiceUnavailable], recovery(l.end.Seconds, l.usual.rate()))
	return err
}

// recovery tells after how long half of the usual rate was reached. Other load of the
// machine affects the rate, so a higher share would mean nothing.
func recovery(seconds []int, usual float64) string {
	for second, n := range seconds {
		if float64(n) >= usual/2 {
			return fmt.Sprintf("within %d s", second+1)
		}
	}
	return "not while it was watched"
}

// cold implements the command cold: functions are started in turn, and the time to their
// first answer is measured from the start of the process.
type cold struct {
	starts  int
	program string
	serial  int // of customers and messages: each start gets one of its own
}

func (c *cold) bind(flags *flag.FlagSet) {
	flags.IntVar(&c.starts, "starts", 40, "how `often` each function is started")
	flags.StringVar(&c.program, "program", "", programUsage)
}

func (c *cold) check() error {
	if c.starts < 1 {
		return errors.New("want 1 start at least")
	}
	return nil
}

// coldFunctions are the functions whose cold start delays a customer.
var coldFunctions = []string{"SendEvent", "AcceptGrant"}

func (c *cold) run(ctx context.Context, out io.Writer) error {
	s, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if c.program, err = s.program(ctx, c.program); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d starts of each function, one after the other; grants in memory\n\n", c.starts)
	first, second, err := c.startAll(ctx, s)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "start to first 200\tleast\tmedian\t95th percentile\tsecond request, median")
	for _, name := range coldFunctions {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", name,
			millis(first[name], 0), millis(first[name], 50), millis(first[name], 95), millis(second[name], 50))
	}
	return table.Flush()
}

// startAll starts the functions in turn, and returns the times of their first and second
// answers, sorted, by function.
func (c *cold) startAll(ctx context.Context, s *stage) (first, second map[string][]time.Duration, err error) {
	first, second = make(map[string][]time.Duration), make(map[string][]time.Duration)
	for range c.starts {
		for _, name := range coldFunctions {
			took, again, err := c.start(ctx, s, name)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", name, err)
			}
			first[name], second[name] = append(first[name], took), append(second[name], again)
		}
	}
	for _, name := range coldFunctions {
		slices.Sort(first[name])
		slices.Sort(second[name])
	}
	return first, second, nil
}

// millis formats a percentile in milliseconds.
func millis(sorted []time.Duration, hundredths int) string {
	return fmt.Sprintf("%.1f ms", percentile(sorted, hundredths).Seconds()*1000)
}

// start starts a function and returns the times of its first and its second answer. The
// function has one processor, as in the cloud. The first time includes the shell that
// starts it, about a millisecond.
func (c *cold) start(ctx context.Context, s *stage, name string) (first, second time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	env := s.env()
	env["FUNCTION_TARGET"], env["GOMAXPROCS"] = name, "1"
	var bodies [2]json.RawMessage
	for i := range bodies {
		if bodies[i], err = c.request(ctx, s.world, name); err != nil {
			return 0, 0, err
		}
	}
	began := time.Now()
	p, err := binary.Start(c.program, env)
	if err != nil {
		return 0, 0, err
	}
	defer p.Kill()
	if err := ask(ctx, p, bodies[0]); err != nil {
		return 0, 0, err
	}
	first = time.Since(began)
	began = time.Now()
	err = ask(ctx, p, bodies[1])
	return first, time.Since(began), err
}

// request returns the body of a function's next request: an event of a customer that is
// not linked, or a directive that links one.
func (c *cold) request(ctx context.Context, w *world, name string) (json.RawMessage, error) {
	c.serial++
	if name == "SendEvent" {
		return pushBody(0, strconv.Itoa(c.serial), time.Now())
	}
	codes, err := w.codes(ctx, c.serial, 1)
	if err != nil {
		return nil, err
	}
	return directive(c.serial, codes[0]), nil
}

// ask makes a request, and retries while the function does not listen.
func ask(ctx context.Context, p *binary.Process, body json.RawMessage) error {
	for {
		answer, err := call[json.RawMessage](ctx, p.URL()+"/", body)
		switch {
		case err == nil && strings.Contains(string(answer), "ErrorResponse"):
			return fmt.Errorf("answered %.500s", answer)
		case err == nil || ctx.Err() != nil || !errors.As(err, new(*url.Error)): // not the connection's
			return err
		}
		time.Sleep(50 * time.Microsecond)
	}
}
