package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// perShard is how many customers the sweep works on at a time in one shard.
const perShard = 16

// sweeping is the command: a sweep takes turns with a bare HTTP client.
type sweeping struct {
	grants, shards, rounds int
	latency                time.Duration
}

func (s *sweeping) bind(flags *flag.FlagSet) {
	flags.IntVar(&s.grants, "grants", 100_000, "`number` of customers, one grant each; memory is measured for a tenth too")
	flags.IntVar(&s.shards, "shards", 16, "`number` of shards, swept side by side")
	flags.IntVar(&s.rounds, "rounds", 3, "how `often` sweep and bare client take turns; medians are shown")
	flags.DurationVar(&s.latency, "latency", 50*time.Millisecond, "what Login with Amazon takes to answer the second time")
}

func (s *sweeping) check() error {
	if s.grants < 10 || s.rounds < 1 || s.shards < 1 || s.shards > grant.Buckets || s.latency < 0 {
		return fmt.Errorf("want at least 10 grants, 1 round, 1 to %d shards, and no negative latency", grant.Buckets)
	}
	return nil
}

// inFlight is how many refreshes are under way at a time.
func (s *sweeping) inFlight() int { return s.shards * perShard }

func (s *sweeping) run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "gatepost-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w, err := startWorld(ctx, pins{}, dir)
	if err != nil {
		return err
	}
	defer w.Kill()
	fmt.Fprintf(out, "%d grants, %d shards of %d at a time, %d rounds, %d CPUs\n\n",
		s.grants, s.shards, perShard, s.rounds, runtime.NumCPU())
	list, err := w.tokens(ctx, 1)
	if err != nil {
		return err
	}
	client := transport.NewClient(s.inFlight())
	f, err := s.memory(ctx, out, w, list[0], client)
	if err != nil {
		return err
	}
	form := clientForm("refresh_token")
	form.Set("refresh_token", list[0].Refresh)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nlatency\tCPU of a refresh\tCPU of a bare request\tshare")
	for _, latency := range []time.Duration{0, s.latency} {
		rounds, err := s.takeTurns(ctx, w, latency, f, bareClient{client, w.TokenURL, form.Encode()})
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%v\t", latency)
		s.line(table, rounds)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "\nshare: of the CPU that a refresh takes, what the bare HTTP request takes too")
	return err
}

// memory says how much memory this process has had at most after a sweep of a
// tenth of the grants, and of all: it must not grow with them. It returns all.
func (s *sweeping) memory(ctx context.Context, out io.Writer, w *world, t tokens, client *http.Client) (f *fleet, err error) {
	at, err := url.Parse(w.TokenURL)
	if err != nil {
		return nil, err
	}
	known := simulator.DefaultClient()
	for _, grants := range []int{s.grants / 10, s.grants} {
		f = new(fleet)
		amazon := lwa.New(at, client, []lwa.Credentials{{ClientID: known.ID, ClientSecret: known.Secret}}, f.now)
		if err := errors.Join(f.fill(grants, t, amazon), f.sweep(ctx, s.shards)); err != nil {
			return nil, err
		}
		most, err := memoryOf(os.Getpid(), "VmHWM")
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "most memory of the process, after a sweep of %d grants: %.1f MiB\n", grants, mib(most))
	}
	return f, nil
}

// round is the CPU that sweep and bare client took, one after the other.
type round struct{ sweep, bare time.Duration }

// takeTurns measures the sweep and the bare client in turn, so that whatever else
// the machine does meets both.
func (s *sweeping) takeTurns(ctx context.Context, w *world, latency time.Duration, f *fleet, bare bareClient) ([]round, error) {
	if err := w.delayRefreshes(ctx, latency); err != nil {
		return nil, err
	}
	rounds := make([]round, s.rounds)
	for i := range rounds {
		var err error
		if rounds[i].sweep, err = measure(func() error { return f.sweep(ctx, s.shards) }); err != nil {
			return nil, err
		}
		if rounds[i].bare, err = measure(func() error { return bare.post(ctx, s.grants, s.inFlight()) }); err != nil {
			return nil, err
		}
	}
	return rounds, nil
}

// measure does the work and returns the CPU that this process took for it, the
// garbage collector's included.
func measure(work func() error) (time.Duration, error) {
	runtime.GC() // of garbage that is not this work's
	before, err := cpuOf(os.Getpid())
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, err
	}
	after, err := cpuOf(os.Getpid())
	return after - before, err
}

// line writes the medians. The share is the median of the rounds' shares, since
// what it compares was measured one after the other.
func (s *sweeping) line(out io.Writer, rounds []round) {
	each := func(of func(round) time.Duration) time.Duration {
		return (median(rounds, of) / time.Duration(s.grants)).Round(time.Microsecond / 10)
	}
	fmt.Fprintf(out, "%v\t%v\t%.0f %%\n",
		each(func(r round) time.Duration { return r.sweep }), each(func(r round) time.Duration { return r.bare }),
		100*median(rounds, func(r round) float64 { return r.bare.Seconds() / r.sweep.Seconds() }))
}

// bareClient is the least that a refresh over HTTP can cost: a form that is ready
// is posted with the product's pooled client, and the answer is dropped.
type bareClient struct {
	client *http.Client
	url    string
	form   string
}

// post makes n requests, so many at a time.
func (b bareClient) post(ctx context.Context, n, inFlight int) error {
	var left atomic.Int64
	left.Store(int64(n))
	workers, ctx := errgroup.WithContext(ctx)
	for range inFlight {
		workers.Go(func() error {
			for left.Add(-1) >= 0 {
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(b.form))
				if err != nil {
					return err
				}
				request.Header.Set("Content-Type", formType)
				if err := drop(b.client, request, http.StatusOK); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return workers.Wait()
}
