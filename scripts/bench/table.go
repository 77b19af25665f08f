package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// What others cost, in US dollars.
const (
	// The list price of Svix, a service that delivers webhooks, per message; the plan with
	// 800 messages a second costs 490 a month besides. https://www.svix.com/pricing/ as of
	// 20 September 2026, by
	// https://github.com/api-evangelist/svix/blob/main/plans/svix-plans-pricing.yml.
	svixPrice = 0.0001
	// Two e2-small in us-central1, for a sender that one of them can take over: 0.016751
	// an hour each. https://cloud.google.com/compute/vm-instance-pricing.
	machinesPrice = 2 * 0.016751 * 730
)

// table implements the command table: the other commands' figures of one run, in
// Markdown.
type table struct {
	events events
	cold   cold
	raw    string
}

func (t *table) bind(flags *flag.FlagSet) {
	t.events = events{inFlight: 64, customers: 1000, rate: 500, paced: 2000, peers: true}
	flags.IntVar(&t.events.events, "events", 20_000, "`number` of events that each sender gets in a round")
	flags.IntVar(&t.events.rounds, "rounds", 3, "how `often` the senders take turns; medians are shown")
	flags.BoolVar(&t.events.install, "install", false, "have npm install express and axios into a directory that goes with the program")
	flags.IntVar(&t.cold.starts, "starts", 20, "how `often` a function is started")
	flags.StringVar(&t.cold.program, "program", "", programUsage)
	flags.StringVar(&t.raw, "raw", "", "`file` for the raw figures, in JSON")
}

func (t *table) check() error {
	if err := t.events.check(); err != nil {
		return err
	}
	return t.cold.check()
}

// figures are the raw figures of a run. Times are in nanoseconds.
type figures struct {
	Date    string
	Machine string
	Senders []senderFigures            // the floor first
	Cold    map[string][]time.Duration // start to first answer, sorted, by function
	Bills   map[string]bill            // US dollars
}

// senderFigures are those of one sender, by round.
type senderFigures struct {
	Name                            string
	CPU, LatencyMedian, Latency99th []time.Duration
}

func (t *table) run(ctx context.Context, out io.Writer) error {
	s, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if t.cold.program, err = s.program(ctx, t.cold.program); err != nil {
		return err
	}
	t.events.programs = []string{t.cold.program}
	if err := t.events.start(ctx, s); err != nil {
		return err
	}
	rounds, err := t.events.takeTurns(ctx, s)
	if err != nil {
		return err
	}
	starts, _, err := t.cold.startAll(ctx, s)
	if err != nil {
		return err
	}
	f := newFigures(s.senders, rounds, starts)
	f.write(out, s.absent)
	if t.raw == "" {
		return nil
	}
	text, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(t.raw, append(text, '\n'), 0o644)
}

func newFigures(senders []sender, rounds [][]turn, starts map[string][]time.Duration) figures {
	var c cost
	c.bind(flag.NewFlagSet("", flag.ContinueOnError)) // the defaults
	c.eventCPU = medianOf(rounds, 1, cpuTime)
	f := figures{
		Date: time.Now().UTC().Format(time.DateOnly), Machine: fmt.Sprintf("%d CPUs, %s", runtime.NumCPU(), runtime.Version()), Cold: starts,
		Bills: map[string]bill{
			"million events":             c.delivering(million, c.inFlight, eventReads, eventLine+platformLog),
			"million customers, a month": c.refreshing(million, 0),
		},
	}
	for i, s := range senders {
		one := senderFigures{Name: s.name}
		for _, round := range rounds {
			one.CPU, one.LatencyMedian = append(one.CPU, round[i].cpu), append(one.LatencyMedian, round[i].half)
			one.Latency99th = append(one.Latency99th, round[i].worst)
		}
		f.Senders = append(f.Senders, one)
	}
	return f
}

// write writes the table in Markdown. The floor is no alternative, so it is left out.
func (f figures) write(out io.Writer, absent []string) {
	fmt.Fprint(out, "| | events per second per core | added latency, median | 99th percentile | cold start |"+
		" per million events | per customer per month |\n|---|---|---|---|---|---|---|\n")
	machines := fmt.Sprintf("$%.2f a month and $%.2f", machinesPrice, million*eventEgress*egressPrice)
	for _, s := range f.Senders[1:] {
		name, start, events, customer := s.Name+", two e2-small", "–", machines, "–"
		if s.Name == "Gatepost" {
			name, start = s.Name, millis(f.Cold["SendEvent"], 50)
			events = fmt.Sprintf("$%.2f", f.Bills["million events"].sum())
			customer = fmt.Sprintf("$%.4f", f.Bills["million customers, a month"].sum()/million)
		}
		itself := func(d time.Duration) time.Duration { return d }
		fmt.Fprintf(out, "| %s | %.0f | %.1f ms | %.1f ms | %s | %s | %s |\n", name, 1/median(s.CPU, itself).Seconds(),
			1000*median(s.LatencyMedian, itself).Seconds(), 1000*median(s.Latency99th, itself).Seconds(), start, events, customer)
	}
	fmt.Fprintf(out, "| Svix, list price | – | – | – | – | $%.0f | – |\n"+
		"| `go run ./scripts/bench` | `events` | `events` | `events` | `cold` | `cost` | `cost` |\n", million*svixPrice)
	for _, line := range absent {
		fmt.Fprintf(out, "\n%s\n", line)
	}
}
