package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

// What happens in the two days.
const (
	days         = 48 * time.Hour
	campaignAt   = 2 * time.Hour    // half of the customers link
	campaignTime = 10 * time.Minute // within this time
	outageAt     = 24 * time.Hour   // Login with Amazon answers nobody
	outageEnd    = 26 * time.Hour
)

// interval is the mean time between two refreshes of a grant: on average a token
// is due twenty minutes before its end and waits half a period for the sweep.
const interval = lifetime - 20*time.Minute + refreshtokens.DefaultPeriod/2

func spreadCommand(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	customers := flags.Int("customers", 10_000, "`number` of customers")
	seed := flags.Uint64("seed", 1, "`seed` of the draws: the same seed gives the same figures")
	out := flags.String("out", "spread.png", "`file` for the picture")
	err := parse(flags, args, func() error {
		if *customers < 2 {
			return fmt.Errorf("want at least 2 customers")
		}
		return nil
	})
	if err != nil {
		return err
	}
	var drawn, constant history
	var both errgroup.Group
	both.Go(func() (err error) {
		drawn, err = live(ctx, *customers, *seed, seeded(*seed))
		return err
	})
	both.Go(func() (err error) {
		constant, err = live(ctx, *customers, *seed, func() float64 { return 0.5 })
		return err
	})
	if err := both.Wait(); err != nil {
		return err
	}
	picture, err := draw(drawn, constant)
	if err != nil {
		return err
	}
	if err := os.WriteFile(*out, picture, 0o644); err != nil {
		return err
	}
	return report(stdout, *customers, drawn, constant)
}

// seeded returns random numbers from 0 to 1 for any number of goroutines.
func seeded(seed uint64) func() float64 {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
}

// history is what each sweep refreshed, and how many customers there were.
type history struct {
	refreshed []int
	linked    []int
}

// live lets two days pass. Who is refreshed when depends on draw alone: all
// that is refreshed in a sweep gets tokens of the same time, so that it does not
// matter which of its goroutines draws which number.
func live(ctx context.Context, customers int, seed uint64, draw func() float64) (history, error) {
	now := newClock()
	login := &amazon{now: now.now}
	f, err := newFleet(grantmem.New(), login, now, draw)
	if err != nil {
		return history{}, err
	}
	began := now.now()
	linked, err := f.settle(ctx, login, customers-customers/2, seed)
	if err != nil {
		return history{}, err
	}
	var h history
	for since := time.Duration(0); since < days; since = now.now().Sub(began) {
		now.forward(refreshtokens.DefaultPeriod)
		since += refreshtokens.DefaultPeriod
		for ; linked < customers && linkTime(linked, customers) < since; linked++ {
			token := login.token()
			token.ExpiresAt = began.Add(linkTime(linked, customers) + lifetime)
			if err := f.link(ctx, linked, token, draw()); err != nil {
				return history{}, err
			}
		}
		login.down.Store(since > outageAt && since <= outageEnd)
		counts, err := f.sweep(ctx, 2)
		if err != nil && !login.down.Load() {
			return history{}, err
		}
		h.refreshed, h.linked = append(h.refreshed, counts.Refreshed), append(h.linked, linked)
	}
	return h, nil
}

// settle links n customers of long ago, whose refreshes have spread evenly.
func (f *fleet) settle(ctx context.Context, login *amazon, n int, seed uint64) (int, error) {
	random := rand.New(rand.NewPCG(seed, 2))
	early := f.now().Sub(grant.RefreshDue(f.now(), 0)) // without a draw
	for i := range n {
		token := login.token()
		token.ExpiresAt = f.now().Add(time.Duration(random.Float64()*float64(interval)) + early)
		if err := f.link(ctx, i, token, 0); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// linkTime is when customer i of the campaign links.
func linkTime(i, customers int) time.Duration {
	old := customers - customers/2
	return campaignAt + campaignTime*time.Duration(i-old)/time.Duration(customers/2)
}

// report says how much higher the highest peak is than the mean, in windows of
// two hours after what disturbed the customers.
func report(out io.Writer, customers int, drawn, constant history) error {
	even := float64(customers) / interval.Minutes()
	fmt.Fprintf(out, "%d customers, %d and %d refreshes in two days with and without the draw; spread evenly: %.1f a minute\n\n",
		customers, sum(drawn.refreshed), sum(constant.refreshed), even)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "two hours\tpeak a minute\tpeak to mean\twithout the draw\tpeak to mean")
	for _, after := range []struct {
		what string
		at   time.Duration
	}{{"campaign", campaignAt}, {"outage", outageEnd}} {
		for _, hours := range []int{0, 2, 4, 6, 12, 18, 20} {
			from := after.at + time.Duration(hours)*time.Hour
			peak, ratio := drawn.peak(from)
			worst, without := constant.peak(from)
			fmt.Fprintf(table, "%d h after the %s\t%.1f\t%.2f\t%.1f\t%.2f\n", hours, after.what, peak, ratio, worst, without)
		}
	}
	return table.Flush()
}

// peak returns the most refreshes a minute of the two hours that begin then, a
// sweep's spread over its period, and how much more than the mean that is.
func (h history) peak(from time.Duration) (perMinute, toMean float64) {
	sweeps := h.refreshed[from/refreshtokens.DefaultPeriod : (from+2*time.Hour)/refreshtokens.DefaultPeriod]
	most := slices.Max(sweeps)
	mean := float64(sum(sweeps)) / float64(len(sweeps))
	return float64(most) / refreshtokens.DefaultPeriod.Minutes(), float64(most) / cmp.Or(mean, 1)
}

func sum(list []int) int {
	total := 0
	for _, n := range list {
		total += n
	}
	return total
}
