package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// plan is a stack: what is measured, what is configured, and what can only be
// assumed. Times are those of one refresh.
type plan struct {
	idle float64 // share of the customers whom the sweep leaves alone

	cpu           time.Duration // measured by bench sweep, without Firestore's client and TLS
	reads, writes float64       // measured by bench firestore
	lwaTime       time.Duration // assumed
	writeTime     time.Duration // assumed, of one write to Firestore
	egress        float64       // bytes sent to Login with Amazon, assumed

	shards            int
	shardsPerInstance float64
	vcpu, memory      float64 // of an instance; memory in GiB
	bytes             float64 // that Firestore keeps of a customer, computed
}

// scales are the numbers of customers that the bill is for.
var scales = []float64{1e6, 1e7, 1e8}

func costCommand(_ context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	var p plan
	var e eventPlan
	e.bind(flags)
	flags.Float64Var(&p.idle, "idle", 0.3, "`share` of the customers who get no events, for the second bill")
	flags.DurationVar(&p.cpu, "cpu", 200*time.Microsecond, "CPU `time` of a refresh: bench sweep measures it")
	flags.Float64Var(&p.reads, "reads", 1, "`reads` of a refresh: bench firestore counts them")
	flags.Float64Var(&p.writes, "writes", 2, "`writes` of a refresh: bench firestore counts them")
	flags.DurationVar(&p.lwaTime, "lwa", 200*time.Millisecond, "`time` that Login with Amazon takes to answer; assumed")
	flags.DurationVar(&p.writeTime, "write", 15*time.Millisecond, "`time` that a write to Firestore takes; assumed")
	flags.Float64Var(&p.egress, "egress", 1500, "`bytes` that a refresh sends to Login with Amazon; assumed")
	flags.IntVar(&p.shards, "shards", 16, "REFRESH_SHARDS; more are taken where these are too few")
	flags.Float64Var(&p.shardsPerInstance, "per-instance", 1, "`shards` that one instance works on at a time")
	flags.Float64Var(&p.vcpu, "vcpu", 1, "`vCPUs` of an instance")
	flags.Float64Var(&p.memory, "memory", 0.5, "`GiB` of memory of an instance")
	err := parse(flags, args, func() error {
		if p.idle < 0 || p.idle >= 1 || p.shards < 1 || p.shards > grant.Buckets || p.shardsPerInstance <= 0 || p.latency() <= 0 || !e.good() {
			return fmt.Errorf("want a share from 0 to less than 1, 1 to %d shards, 1 to 80 events in flight, and times that are not zero", grant.Buckets)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.bytes, err = storedBytes(); err != nil {
		return err
	}
	if err := p.write(stdout); err != nil {
		return err
	}
	e.vcpu, e.memory = p.vcpu, p.memory
	return e.write(stdout)
}

func (p plan) write(out io.Writer) error {
	fmt.Fprintf(out, "A refresh every %v: %v of CPU, %v of waiting, %g reads, %g writes; %.0f bytes stored for a customer.\n",
		interval, p.cpu, p.latency(), p.reads, p.writes, p.bytes)
	everybody := p
	everybody.idle = 0
	for _, q := range []plan{everybody, p} {
		fmt.Fprintf(out, "\nUS dollars a month, %.0f %% of the customers idle\n\n", 100*q.idle)
		if err := q.writeBill(out); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nAn instance uses %.1f %% of its CPU and waits for the rest.\n\nThe limits of one stack, nobody idle, the first one first\n\n",
		100*p.utilization())
	if err := everybody.writeLimits(out); err != nil {
		return err
	}
	fmt.Fprint(out, "\nWhat one stack would do, nobody idle\n\n")
	return everybody.writeLoad(out)
}

// latency is how long one refresh takes.
func (p plan) latency() time.Duration {
	return p.lwaTime + time.Duration(p.writes*float64(p.writeTime))
}

// rate is the refreshes a second of so many customers.
func (p plan) rate(customers float64) float64 { return customers * (1 - p.idle) / interval.Seconds() }

// working is how much of a period a shard can use: what a function has, less
// the time in which it begins no refresh any more.
func working() time.Duration { return refreshtokens.Limits.Time - access.RefreshTime }

// burst is the refreshes a second while so many shards work.
func (p plan) burst(shards int) float64 { return float64(shards) * perShard / p.latency().Seconds() }

// capacity is the refreshes a second on average that so many shards can do.
func (p plan) capacity(shards int, period time.Duration) float64 {
	return p.burst(shards) * working().Seconds() / period.Seconds()
}

// needed is the number of shards for so many customers, at least those that are
// configured and at most one for each bucket.
func (p plan) needed(customers float64) int {
	enough := math.Ceil(p.rate(customers) / p.capacity(1, refreshtokens.DefaultPeriod))
	return int(min(max(enough, float64(p.shards)), grant.Buckets))
}

// utilization is the share of an instance's CPU that is used while it works.
func (p plan) utilization() float64 {
	return p.cpu.Seconds() * perShard * p.shardsPerInstance / p.latency().Seconds() / p.vcpu
}

// item is one line of a bill.
type item struct {
	name    string
	dollars float64
}

// bill is what so many customers cost in a month.
func (p plan) bill(customers float64) []item {
	refreshes := p.rate(customers) * month.Seconds()
	sweeps := float64(month / refreshtokens.DefaultPeriod)
	messages := sweeps * float64(p.needed(customers))
	seconds := refreshes*p.latency().Seconds()/perShard/p.shardsPerInstance + messages*rounding.Seconds()
	return []item{
		{"Firestore reads", refreshes * p.reads * readPrice},
		{"Firestore writes", refreshes * p.writes * writePrice},
		{"Firestore storage", customers * p.bytes / gib * storagePrice * storedTwice},
		{"Cloud Run CPU", seconds * p.vcpu * vcpuPrice},
		{"Cloud Run memory", seconds * p.memory * memoryPrice},
		{"Cloud Run requests", (sweeps + messages) * requestPrice},
		{"Pub/Sub", messages * 2 * messageBytes * messagePrice},
		{"Cloud Scheduler", jobPrice},
		{"egress", refreshes * p.egress / gib * egressPrice},
	}
}

func (p plan) writeBill(out io.Writer) error {
	table := newTable(out)
	fmt.Fprint(table, "customers\t")
	sums := make([]float64, len(scales))
	for _, customers := range scales {
		fmt.Fprintf(table, "%.0f\t", customers)
	}
	for line, part := range p.bill(0) {
		fmt.Fprintf(table, "\n%s\t", part.name)
		for i, customers := range scales {
			dollars := p.bill(customers)[line].dollars
			sums[i] += dollars
			fmt.Fprintf(table, "%.2f\t", dollars)
		}
	}
	fmt.Fprint(table, "\nsum\t")
	for _, dollars := range sums {
		fmt.Fprintf(table, "%.0f\t", dollars)
	}
	fmt.Fprint(table, "\nof a customer\t")
	for i, dollars := range sums {
		fmt.Fprintf(table, "%.5f\t", dollars/scales[i])
	}
	fmt.Fprintln(table)
	return table.Flush()
}

func newTable(out io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
}
