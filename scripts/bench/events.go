package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// events implements the command events: senders take turns, and each is compared with
// the floor.
type events struct {
	events, inFlight, customers, rounds int
	rate, paced                         int // events a second when latency is measured, and how many
	programs                            []string
	peers, install                      bool
}

func (e *events) bind(flags *flag.FlagSet) {
	flags.IntVar(&e.events, "events", 50_000, "`number` of events that each sender gets in a round")
	flags.IntVar(&e.inFlight, "in-flight", 64, "`number` of events in flight")
	flags.IntVar(&e.customers, "customers", 1000, "`number` of customers that they are for")
	flags.IntVar(&e.rounds, "rounds", 5, "how `often` the senders take turns; medians are shown")
	flags.IntVar(&e.rate, "rate", 500, "events a `second` when latency is measured")
	flags.IntVar(&e.paced, "paced", 5000, "`number` of events when latency is measured")
	flags.Func("program", programUsage+"; twice to compare two", func(path string) error {
		e.programs = append(e.programs, path)
		return nil
	})
	flags.BoolVar(&e.peers, "peers", true, "measure common alternatives too")
	flags.BoolVar(&e.install, "install", false, "have npm install express and axios into a directory that goes with the program")
}

func (e *events) check() error {
	if min(e.events, e.inFlight, e.customers, e.rounds, e.rate, e.paced) < 1 {
		return errors.New("want numbers above 0")
	}
	return nil
}

func (e *events) run(ctx context.Context, out io.Writer) error {
	s, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := e.start(ctx, s); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d events of %d customers, %d in flight, %d rounds; grants in memory; %d CPUs, %s\n",
		e.events, e.customers, e.inFlight, e.rounds, runtime.NumCPU(), s.pinning())
	for _, line := range s.absent {
		fmt.Fprintln(out, line)
	}
	rounds, err := e.takeTurns(ctx, s)
	if len(rounds) == 0 {
		return err
	}
	err = errors.Join(writeRounds(out, s.senders, rounds), err) // with the rounds that an error has left
	for i := 2; i <= len(e.programs); i++ {
		fmt.Fprintf(out, "%s takes %s times the CPU of %s\n", s.senders[i].name, ratio(rounds, i, 1), s.senders[1].name)
	}
	return err
}

// start starts all senders, the floor first.
func (e *events) start(ctx context.Context, s *stage) error {
	env, err := s.peerEnv(ctx, e.customers)
	if err != nil {
		return err
	}
	if err := s.startFloor(ctx, env); err != nil {
		return err
	}
	programs := e.programs
	if len(programs) == 0 {
		programs = []string{""}
	}
	for i, program := range programs {
		name := "Gatepost"
		if len(programs) > 1 {
			name = fmt.Sprint("Gatepost ", i+1)
		}
		if program, err = s.program(ctx, program); err != nil {
			return err
		}
		if err := s.startGatepost(ctx, name, program, e.customers); err != nil {
			return err
		}
	}
	if !e.peers {
		return nil
	}
	return s.startPeers(ctx, env, e.install)
}

// turn is the result of one sender in one round.
type turn struct {
	cpu         time.Duration // of an event
	half, worst time.Duration // latency: median, and 99th percentile
	peak        int64         // bytes, so far
	wrong       int
	complaint   string
	atGateway   int64
}

// medianOf returns the median of a sender's rounds.
func medianOf(rounds [][]turn, sender int, of func(turn) time.Duration) time.Duration {
	return median(rounds, func(round []turn) time.Duration { return of(round[sender]) })
}

func cpuTime(t turn) time.Duration { return t.cpu }
func half(t turn) time.Duration    { return t.half }
func worst(t turn) time.Duration   { return t.worst }

// takeTurns measures the senders in turn, so that other load of the machine affects all
// of them. A round has a turn for each sender. After an error it also returns the
// complete rounds, because a round of many events takes a minute or two.
func (e *events) takeTurns(ctx context.Context, s *stage) (rounds [][]turn, err error) {
	for _, sender := range s.senders {
		if err := e.warmUp(ctx, s, sender); err != nil {
			return nil, fmt.Errorf("%s: %w", sender.name, err)
		}
	}
	for range e.rounds {
		round, err := e.round(ctx, s)
		if err != nil {
			return rounds, err
		}
		rounds = append(rounds, round)
	}
	return rounds, nil
}

// shifts is the number of parts of a turn: other load of the machine changes within
// seconds, and should affect all senders of a round alike.
const shifts = 5

func (e *events) round(ctx context.Context, s *stage) ([]turn, error) {
	round := make([]turn, len(s.senders))
	for shift := range shifts {
		for i, sender := range s.senders {
			if err := e.exert(ctx, s, sender, &round[i], e.events*(shift+1)/shifts-e.events*shift/shifts); err != nil {
				return nil, fmt.Errorf("%s: %w", sender.name, err)
			}
		}
	}
	for i, sender := range s.senders {
		j := s.job(sender, e.customers, e.paced, e.inFlight)
		j.Every = time.Second / time.Duration(e.rate)
		err := round[i].send(ctx, s, j)
		if err == nil {
			round[i].peak, err = memoryOf(sender.pid, "VmHWM")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sender.name, err)
		}
		round[i].cpu /= time.Duration(e.events)
	}
	return round, nil
}

// exert has a sender send n events as fast as it can, and adds the CPU time.
func (e *events) exert(ctx context.Context, s *stage, sender sender, t *turn, n int) error {
	before, err := cpuOf(sender.pid)
	if err != nil {
		return err
	}
	if err := t.send(ctx, s, s.job(sender, e.customers, n, e.inFlight)); err != nil {
		return err
	}
	after, err := cpuOf(sender.pid)
	t.cpu += after - before
	return err
}

// send has events sent, and adds the result.
func (t *turn) send(ctx context.Context, s *stage, j job) error {
	done, err := s.world.push(ctx, j)
	t.half, t.worst = done.Half, done.Worst
	t.wrong += done.Wrong
	t.atGateway += done.Taken
	t.complaint = cmp.Or(t.complaint, done.Complaint, done.missed(j.Events))
	return err
}

// warmUp sends an event of each customer and has the simulator check it completely. A
// sender of events that Amazon would refuse is not measured.
func (e *events) warmUp(ctx context.Context, s *stage, sender sender) error {
	var t turn
	j := s.job(sender, e.customers, e.customers, e.inFlight)
	j.Strict = true
	err := t.send(ctx, s, j)
	if err == nil && t.complaint != "" {
		err = fmt.Errorf("warming up: %s", t.complaint)
	}
	return err
}

// writeRounds writes the medians, a line for each sender.
func writeRounds(out io.Writer, senders []sender, rounds [][]turn) error {
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "sender\tCPU of an event\ttimes the floor's\tlatency, median\t99th percentile\tmost memory\terrors\tat the gateway")
	for i, s := range senders {
		var sum turn
		for _, round := range rounds {
			sum.wrong += round[i].wrong
			sum.atGateway += round[i].atGateway
			sum.peak = max(sum.peak, round[i].peak)
		}
		times := "1"
		if i > 0 {
			times = ratio(rounds, i, 0)
		}
		fmt.Fprintf(table, "%s\t%v\t%s\t%v\t%v\t%.1f MiB\t%d\t%d\n", s.name,
			medianOf(rounds, i, cpuTime).Round(time.Microsecond/10), times, medianOf(rounds, i, half).Round(10*time.Microsecond),
			medianOf(rounds, i, worst).Round(10*time.Microsecond), mib(sum.peak), sum.wrong, sum.atGateway)
	}
	err := table.Flush()
	for i, s := range senders {
		if at := slices.IndexFunc(rounds, func(round []turn) bool { return round[i].complaint != "" }); at >= 0 {
			fmt.Fprintf(out, "%s: %s\n", s.name, rounds[at][i].complaint)
		}
	}
	return err
}

// ratio returns the ratio of two senders' CPU, round by round: the median, and in
// parentheses the lowest and the highest.
func ratio(rounds [][]turn, i, base int) string {
	var list []float64
	for _, round := range rounds {
		list = append(list, round[i].cpu.Seconds()/round[base].cpu.Seconds())
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(list, func(r float64) float64 { return r }), slices.Min(list), slices.Max(list))
}

// median returns the median of a list, the lower of two.
func median[T any, V cmp.Ordered](list []T, of func(T) V) V {
	values := make([]V, len(list))
	for i, t := range list {
		values[i] = of(t)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
