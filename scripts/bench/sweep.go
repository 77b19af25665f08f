package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// perShard is how many customers the sweep works on at a time in one shard.
const perShard = 16

// sweepOptions are the flags of the command.
type sweepOptions struct {
	grants, shards, rounds, conns int
	latencies                     []time.Duration
	profile                       string
}

func sweepCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	o := sweepOptions{latencies: []time.Duration{0, 50 * time.Millisecond}}
	flags.IntVar(&o.grants, "grants", 100_000, "`number` of customers, one grant each; memory is measured for a tenth too")
	flags.IntVar(&o.shards, "shards", 16, "`number` of shards, swept side by side")
	flags.IntVar(&o.rounds, "rounds", 3, "how `often` sweep and bare client take turns; medians are shown")
	flags.IntVar(&o.conns, "conns", 0, "idle `connections` that the pools keep; 0 is one for each request in flight")
	flags.Func("latency", "comma-separated `durations` that Login with Amazon takes to answer (default 0s,50ms)", func(text string) (err error) {
		o.latencies, err = durations(text)
		return err
	})
	flags.StringVar(&o.profile, "cpuprofile", "", "write CPU profiles of one more sweep, at the first latency, to `file`.made-up and file.in-memory")
	err := parse(flags, args, func() error {
		if o.grants < 10 || o.rounds < 1 || o.conns < 0 || o.shards < 1 || o.shards > grant.Buckets {
			return fmt.Errorf("want at least 10 grants, 1 round and 1 to %d shards", grant.Buckets)
		}
		return nil
	})
	if err != nil {
		return err
	}
	o.conns = cmp.Or(o.conns, o.shards*perShard)
	return o.run(ctx, stdout)
}

// durations reads a comma-separated list.
func durations(text string) ([]time.Duration, error) {
	var list []time.Duration
	for part := range strings.SplitSeq(text, ",") {
		d, err := time.ParseDuration(part)
		if err == nil && d < 0 {
			err = errors.New("a latency cannot be negative")
		}
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func (o sweepOptions) run(ctx context.Context, stdout io.Writer) error {
	fmt.Fprintf(stdout, "%d grants, %d shards of %d at a time, %d connections kept, %d rounds, %d CPUs\n\n",
		o.grants, o.shards, perShard, o.conns, o.rounds, runtime.NumCPU())
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "records\tlatency\tCPU of a refresh\ta CPU second\ttime\tCPU of a bare request\ta CPU second\ttime\tshare")
	for _, latency := range o.latencies {
		// The one that leaves memory behind comes last.
		for _, records := range []string{madeUpRecords, storedRecords} {
			r, err := o.takeTurns(ctx, records, latency)
			if err != nil {
				return err
			}
			fmt.Fprintf(table, "%s\t%v\t", records, latency)
			r.write(table, o.grants)
		}
		o.profile = "" // of the first latency only
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprint(stdout, "\nshare: of the CPU that a refresh takes, what the bare HTTP request takes too\n\n")
	return o.memory(ctx, stdout)
}

// Where a sweep's records are.
const (
	madeUpRecords = "made up"   // nowhere: what is left is the sweep's own work
	storedRecords = "in memory" // in the store that local runs use, whose work counts
)

// takeTurns measures the sweep and the bare client in turn, so that what else
// the machine does meets both.
func (o sweepOptions) takeTurns(ctx context.Context, records string, latency time.Duration) (r rounds, err error) {
	f, c, err := o.load(ctx, records, latency)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	bare := raw{client: transport.NewClient(o.conns), url: c.RawURL, form: c.rawForm()}
	defer bare.client.CloseIdleConnections()
	for range o.rounds {
		runtime.GC() // of garbage that is not this round's
		swept, err := measure(func() error { return f.round(ctx, o) })
		if err != nil {
			return r, err
		}
		runtime.GC()
		posted, err := measure(func() error { return bare.post(ctx, o.grants, o.shards*perShard) })
		if err != nil {
			return r, err
		}
		r.sweep, r.raw = append(r.sweep, swept), append(r.raw, posted)
	}
	if o.profile != "" {
		err = f.profile(ctx, o, o.profile+"."+strings.ReplaceAll(records, " ", "-"))
	}
	return r, err
}

// load starts the simulator and makes a fleet of its grants.
func (o sweepOptions) load(ctx context.Context, records string, latency time.Duration) (*fleet, *child, error) {
	now, grants, fill := newClock(), o.grants, o.store
	if records == madeUpRecords {
		grants, fill = 0, o.makeUp
	}
	c, err := startChild(ctx, grants, latency, now.now().Add(lifetime))
	if err != nil {
		return nil, nil, err
	}
	f, err := fill(ctx, now, c)
	if err != nil {
		return nil, nil, errors.Join(err, c.stop())
	}
	return f, c, nil
}

// store returns a fleet whose records are in memory, each with a grant of its
// own at the simulator.
func (o sweepOptions) store(ctx context.Context, now *clock, c *child) (*fleet, error) {
	client, err := o.client(c.TokenURL, now)
	if err != nil {
		return nil, err
	}
	f, err := newFleet(grantmem.New(), client, now, rand.Float64)
	if err != nil {
		return nil, err
	}
	for i, token := range c.tokens {
		if err := f.link(ctx, i, token, rand.Float64()); err != nil {
			return nil, err
		}
	}
	c.tokens = nil
	return f, nil
}

// makeUp returns a fleet whose records are made up, all with the one token that
// the simulator keeps.
func (o sweepOptions) makeUp(_ context.Context, now *clock, c *child) (*fleet, error) {
	client, err := o.client(c.RawURL, now)
	if err != nil {
		return nil, err
	}
	f, err := newFleet(nil, client, now, rand.Float64)
	if err != nil {
		return nil, err
	}
	f.store = newMadeUp(f, tokenWith(c.RawToken, now.now().Add(lifetime)), o.grants)
	f.source.Store = f.store
	return f, nil
}

// client is the product's client of Login with Amazon.
func (o sweepOptions) client(tokenURL string, now *clock) (*lwa.Client, error) {
	parsed, err := url.Parse(tokenURL)
	if err != nil {
		return nil, err
	}
	known := simulator.DefaultClient()
	credentials := []lwa.Credentials{{ClientID: known.ID, ClientSecret: known.Secret}}
	return lwa.New(parsed, transport.NewClient(o.conns), credentials, now.now), nil
}

// round is an hour later: every grant is due.
func (f *fleet) round(ctx context.Context, o sweepOptions) error {
	f.forward(lifetime)
	return f.sweepAll(ctx, o.shards, o.grants)
}

// profile writes the CPU profile of a round to a file.
func (f *fleet) profile(ctx context.Context, o sweepOptions, name string) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return f.round(ctx, o)
}

// rounds are the measurements of one latency.
type rounds struct{ sweep, raw []effort }

// write writes the medians as a line of the table.
func (r rounds) write(out io.Writer, n int) {
	sweep, bare := middle(r.sweep), middle(r.raw)
	each := func(e effort) time.Duration { return (e.cpu / time.Duration(n)).Round(time.Microsecond / 10) }
	rate := func(e effort) float64 { return float64(n) / e.cpu.Seconds() }
	fmt.Fprintf(out, "%v\t%.0f\t%.1f s\t%v\t%.0f\t%.1f s\t%.0f %%\n",
		each(sweep), rate(sweep), sweep.wall.Seconds(), each(bare), rate(bare), bare.wall.Seconds(), 100*r.share())
}

// share is the median of the rounds' shares: what is compared was measured one
// after the other.
func (r rounds) share() float64 {
	var shares []float64
	for i := range r.sweep {
		shares = append(shares, r.raw[i].cpu.Seconds()/r.sweep[i].cpu.Seconds())
	}
	slices.Sort(shares)
	return shares[len(shares)/2]
}

// middle returns the median CPU time and the median time.
func middle(efforts []effort) effort {
	by := func(of func(effort) time.Duration) time.Duration {
		var all []time.Duration
		for _, e := range efforts {
			all = append(all, of(e))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return effort{cpu: by(func(e effort) time.Duration { return e.cpu }), wall: by(func(e effort) time.Duration { return e.wall })}
}
