package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// coldOptions are the flags of the command.
type coldOptions struct {
	starts         int
	hot            int // requests after the first
	program, store string
}

func coldCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	var o coldOptions
	flags.IntVar(&o.starts, "starts", 40, "how `often` each function is started")
	flags.IntVar(&o.hot, "requests", 20, "`number` of AcceptGrant requests that each process gets")
	flags.StringVar(&o.store, "store", inMemory, "where Gatepost keeps grants: `memory`, or firestore, the emulator that "+emulatorHost+" names")
	flags.StringVar(&o.program, "program", "", programUsage)
	err := parse(flags, args, func() error {
		if o.starts < 1 || o.hot < 2 || o.store != inMemory && o.store != inFirestore {
			return errors.New("want 1 start and 2 requests at least, and a store of memory or firestore")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return o.run(ctx, stdout)
}

func (o coldOptions) run(ctx context.Context, stdout io.Writer) (err error) {
	host, err := database(o.store)
	if err != nil {
		return err
	}
	s, err := newStage(ctx, pins{}, o.program, host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	c := &coldStarts{coldOptions: o, stage: s, enrol: newEnrol(s.world)}
	fmt.Fprintf(stdout, "%d starts of each function, one after the other; grants in %s\n\n", o.starts, o.store)
	if err := c.firstAnswers(ctx, stdout); err != nil {
		return err
	}
	if err := c.writeRequests(stdout); err != nil {
		return err
	}
	return c.inits(ctx, stdout)
}

// coldStarts starts functions and counts how long they take.
type coldStarts struct {
	coldOptions
	*stage
	enrol    enrol
	serial   int
	requests [][]time.Duration // of AcceptGrant: by their place, over all starts
}

// coldFunctions are started in turn.
var coldFunctions = []string{"SendEvent", "AcceptGrant"}

// firstAnswers measures from the start of a process to its first answer.
func (c *coldStarts) firstAnswers(ctx context.Context, stdout io.Writer) error {
	took := make(map[string][]time.Duration)
	c.requests = make([][]time.Duration, c.hot)
	if c.gatepost.inFirestore() {
		if err := c.linkOne(ctx); err != nil {
			return err
		}
	}
	for range c.starts {
		for _, name := range coldFunctions {
			d, err := c.start(ctx, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			took[name] = append(took[name], d)
		}
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "start to first 200\tleast\tmedian\t95th percentile")
	for _, name := range coldFunctions {
		slices.Sort(took[name])
		fmt.Fprintf(table, "%s", name)
		for _, hundredths := range []int{0, 50, 95} {
			fmt.Fprintf(table, "\t%.1f ms", milliseconds(percentile(took[name], hundredths)))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// linkOne links the customer of SendEvent's first event. In memory nobody is
// linked when a process starts, and the event is for somebody unknown.
func (c *coldStarts) linkOne(ctx context.Context) error {
	accept, err := serve(ctx, c.dir, "accept-grant", []string{c.gatepost.program}, c.gatepost.with(map[string]string{"FUNCTION_TARGET": "AcceptGrant"}))
	if err != nil {
		return err
	}
	defer accept.Kill()
	return c.enrol.link(ctx, accept.URL()+"/", 1)
}

// start starts a function and asks it until it answers. It has one processor,
// as it has in the cloud.
func (c *coldStarts) start(ctx context.Context, name string) (time.Duration, error) {
	body, err := c.request(ctx, name)
	if err != nil {
		return 0, err
	}
	p, err := launch(ctx, c.gatepost.program, c.gatepost.with(map[string]string{"FUNCTION_TARGET": name, "GOMAXPROCS": "1"}))
	if err != nil {
		return 0, err
	}
	defer p.kill()
	if err := p.ask(ctx, body); err != nil {
		return 0, err
	}
	took := time.Since(p.began)
	if name == "AcceptGrant" {
		return took, c.warmer(ctx, p, took)
	}
	return took, nil
}

// request is the first that a function gets.
func (c *coldStarts) request(ctx context.Context, name string) (string, error) {
	c.serial++
	if name == "SendEvent" {
		e, err := pushRequest("", "/", 0, time.Now())
		_, body, _ := strings.Cut(string(e.appendTo(nil, int64(c.serial))), "\r\n\r\n")
		return body, err
	}
	code, err := c.enrol.code(ctx, c.serial)
	return directive(c.serial, code), err
}

// warmer sends a process that has answered one AcceptGrant some more. The
// first of them is counted from the start of the process.
func (c *coldStarts) warmer(ctx context.Context, p *launched, first time.Duration) error {
	c.requests[0] = append(c.requests[0], first)
	for i := 1; i < c.hot; i++ {
		body, err := c.request(ctx, "AcceptGrant")
		if err != nil {
			return err
		}
		began := time.Now()
		if err := p.ask(ctx, body); err != nil {
			return err
		}
		c.requests[i] = append(c.requests[i], time.Since(began))
	}
	return nil
}

// writeRequests writes how AcceptGrant gets faster.
func (c *coldStarts) writeRequests(stdout io.Writer) error {
	fmt.Fprint(stdout, "\nAcceptGrant, cold to hot, medians: start to first answer")
	places := map[int]string{0: "", 1: ", second request", 2: ", third", 9: ", tenth"}
	for i, list := range c.requests {
		name, shown := places[i]
		if i == c.hot-1 && i > 2 {
			name, shown = fmt.Sprintf(", %dth", c.hot), true
		}
		if shown {
			slices.Sort(list)
			fmt.Fprintf(stdout, "%s %.1f ms", name, milliseconds(percentile(list, 50)))
		}
	}
	_, err := fmt.Fprintln(stdout)
	return err
}

// inits shows what the packages of each function do before main.
func (c *coldStarts) inits(ctx context.Context, stdout io.Writer) error {
	for _, name := range coldFunctions {
		body, err := c.request(ctx, name)
		if err != nil {
			return err
		}
		env := map[string]string{"FUNCTION_TARGET": name, "GOMAXPROCS": "1", "GODEBUG": "inittrace=1"}
		p, err := launch(ctx, c.gatepost.program, c.gatepost.with(env))
		if err != nil {
			return err
		}
		err = p.ask(ctx, body)
		p.kill() // and all that it wrote is there
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "\n%s, before main: %s\n", name, summarize(parseInits(p.errors.String())))
	}
	return nil
}
