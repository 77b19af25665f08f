package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// cold is the command: functions are started in turn, and how long they take to
// answer is counted from the start of the process.
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

// coldFunctions are those that somebody may wait for.
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
	first, second := make(map[string][]time.Duration), make(map[string][]time.Duration)
	for range c.starts {
		for _, name := range coldFunctions {
			took, again, err := c.start(ctx, s, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			first[name], second[name] = append(first[name], took), append(second[name], again)
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "start to first 200\tleast\tmedian\t95th percentile\tsecond request, median")
	for _, name := range coldFunctions {
		slices.Sort(first[name])
		slices.Sort(second[name])
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", name,
			millis(first[name], 0), millis(first[name], 50), millis(first[name], 95), millis(second[name], 50))
	}
	return table.Flush()
}

// millis is a percentile in milliseconds.
func millis(sorted []time.Duration, hundredths int) string {
	return fmt.Sprintf("%.1f ms", percentile(sorted, hundredths).Seconds()*1000)
}

// start starts a function and returns how long it took to answer, and how long
// the second answer took. It has one processor, as in the cloud. The
// shell that starts it is in the time, about a millisecond.
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

// request is the body of a function's next request: an event of a customer that
// is not linked, or a directive that links one.
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

// ask makes a request, again and again while nobody listens.
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
