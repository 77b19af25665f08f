package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

// The counts of Firestore's operations, which tests prove: [TestCounts] fails if one of
// them is wrong.
const (
	// The query that finds a record reads it; its lease and its new tokens are a write
	// each. TestRefreshReadsAndWrites counts calls of the store, and TestOneCallEach of
	// shared/grant/grantfire the operations of each call.
	refreshReads, refreshWrites = 1, 2
	// A shard's sweep reads the brake and its mark, and its last query costs a read even
	// if it finds nothing; it writes the mark. The same test.
	sweepReads, sweepWrites = 3, 1
	// An event reads the customer's record unless it is cached, for a minute, and
	// writes nothing. TestReadsAndWrites of functions/sendevent.
	eventReads = 1
	// The fields of an accepted event's log line as Cloud Logging stores them, and the
	// request to the event gateway, in bytes. TestBytes of functions/sendevent.
	eventLine, eventRequest = 698, 1676
)

// Prices in US dollars for us-central1, without free tiers and discounts, seen
// on 22 November 2026. If Google's own page loads its table dynamically, the price is
// from the second page; check before you rely on one.
const (
	// https://cloud.google.com/firestore/pricing, Standard edition, one region, by
	// https://airbyte.com/data-engineering-resources/google-firestore-pricing.
	// nam5 and eur3, of several regions, take twice as much.
	readPrice  = 0.03 / 100_000
	writePrice = 0.09 / 100_000
	// Twice, for point-in-time recovery: the assumption is that it is charged like the
	// storage of the data.
	storagePrice = 2 * 0.15 / gib // a month
	// https://cloud.google.com/run/pricing, tier 1, request-based billing, by
	// https://cloudwebschool.com/tools/cloud-run-cost-calculator/: an instance of one
	// vCPU and half a GiB is charged while it has a request, even if that only waits,
	// rounded up to a tenth of a second.
	vcpuPrice    = 0.000024 // second
	memoryPrice  = 0.0000025 / 2
	requestPrice = 0.40 / 1e6
	rounding     = 100 * time.Millisecond
	// https://cloud.google.com/pubsub/pricing: publishing and delivery, each of
	// 1000 bytes at least, which an event has about.
	messagePrice = 2 * 1000 * 40.0 / (1 << 40)
	// https://cloud.google.com/scheduler/pricing: a job and month.
	jobPrice = 0.10
	// https://cloud.google.com/vpc/network-pricing, to the internet.
	egressPrice = 0.12 / gib
	// https://cloud.google.com/stackdriver/pricing, Cloud Logging, stored for 30
	// days. Cloud Run's own request log is charged like any other, and an entry with all
	// that the platform adds to it:
	// https://cloud.google.com/logging/docs/analyze/log-volume
	logPrice = 0.50 / gib

	gib   = 1 << 30
	month = 730 * time.Hour
)

// Assumptions, in bytes.
const (
	customerBytes = 1400               // a record with one grant and its index entry, by https://cloud.google.com/firestore/docs/storage-size
	refreshEgress = 1500               // to Login with Amazon
	sweepLine     = 400                // of RefreshTokens or RefreshShard
	eventEgress   = eventRequest + 100 // to the event gateway, with the headers of TLS, TCP and IP

	// What the platform adds to a line, encoded as a google.logging.v2.LogEntry: the
	// resource with its labels 209, the labels of instance and function 314, the trace
	// 61, the log's name 54, two times, severity and insertId 55.
	platformLog = 209 + 314 + 61 + 54 + 55
	// Cloud Run's own entry about a request: the same without the label of the instance,
	// 174, and with httpRequest and span, 265.
	requestLog = platformLog - 174 + 265
)

// databaseWrites is the number of writes a second above which Google must be asked:
// the limit of one database in older editions of
// https://cloud.google.com/firestore/quotas.
const databaseWrites = 10_000

// cost implements the command cost.
type cost struct {
	idle, inFlight, perInstance     float64
	excluded                        float64
	idleAfter                       time.Duration
	shards                          int
	lwa, write, eventCPU, gatewayIn time.Duration
	period                          time.Duration
}

func (c *cost) bind(flags *flag.FlagSet) {
	flags.Float64Var(&c.idle, "idle", 0.3, "`share` of the customers who get no events, for the second column")
	flags.DurationVar(&c.idleAfter, "idle-after", 168*time.Hour, "REFRESH_IDLE_AFTER, for the second column")
	flags.IntVar(&c.shards, "shards", 16, "REFRESH_SHARDS")
	flags.DurationVar(&c.period, "period", time.Minute, "REFRESH_PERIOD")
	flags.Float64Var(&c.perInstance, "per-instance", 8, "`shards` that one instance works on at a time")
	flags.DurationVar(&c.lwa, "lwa", 200*time.Millisecond, "`time` that Login with Amazon takes to answer")
	flags.DurationVar(&c.write, "write", 15*time.Millisecond, "`time` that a write to Firestore takes")
	flags.DurationVar(&c.eventCPU, "event-cpu", 100*time.Microsecond, "CPU `time` of an event, which bench events measures")
	flags.DurationVar(&c.gatewayIn, "gateway", 100*time.Millisecond, "`time` that an event gateway takes to answer")
	flags.Float64Var(&c.inFlight, "in-flight", 20, "`events` that an instance has in flight on average")
	flags.Float64Var(&c.excluded, "exclude-accepted", 0.9, "`share` of the customers whose lines are not stored, for the last two columns")
}

func (c *cost) check() error {
	if c.idle < 0 || c.idle >= 1 || c.excluded < 0 || c.excluded > 1 || c.shards < 1 || c.shards > grant.Buckets || c.perInstance <= 0 ||
		c.idleAfter < time.Hour || c.period < time.Minute || c.period > sweep.DefaultPeriod ||
		min(c.lwa, c.write, c.eventCPU, c.gatewayIn) <= 0 || c.inFlight < 1 || c.inFlight > 80 {
		return fmt.Errorf("want -idle from 0 to less than 1, -exclude-accepted from 0 to 1, 1 to %d shards, a period of 1m to 5m, "+
			"1 to 80 events in flight, and times above 0", grant.Buckets)
	}
	return nil
}

// waiting returns how long a refresh takes.
func (c *cost) waiting() time.Duration { return c.lwa + refreshWrites*c.write }

// working returns the part of a period in which a sweep begins refreshes: its time-out
// less the time of the last refresh.
func (c *cost) working() float64 {
	return (sweep.Timeout - access.RefreshTime).Seconds() / c.period.Seconds()
}

// capacity returns the average refreshes a second of a number of shards.
func (c *cost) capacity(shards int) float64 {
	return float64(shards) * perShard / c.waiting().Seconds() * c.working()
}

// bill has dollars by item.
type bill map[string]float64

func (b bill) sum() (dollars float64) {
	for _, item := range items { // in the same order, so that the sum is always the same
		dollars += b[item]
	}
	return dollars
}

var items = []string{
	"Firestore reads", "Firestore writes", "Firestore storage", "Cloud Run CPU", "Cloud Run memory", "Cloud Run requests",
	"Pub/Sub", "Cloud Scheduler", "logs", "egress",
}

// notes returns how often in a month it is noted that a customer is not idle: see
// [grant.Record.NoteUse]. Each is a write, as TestReadsAndWrites shows.
func (c *cost) notes() float64 { return float64(month) / float64(max(c.idleAfter/10, time.Hour)) }

// refreshing returns the monthly cost of refreshing tokens, and of the notes of use if
// some customers are idle. It adds shards if the configured number is too low.
func (c *cost) refreshing(customers, idle float64) bill {
	rate := customers * (1 - idle) / grant.RefreshCycle.Seconds()
	refreshes := rate * month.Seconds()
	sweeps := float64(month / c.period)
	messages := sweeps * max(rate/c.capacity(1), float64(c.shards))
	notes := 0.0
	if idle > 0 {
		notes = customers * (1 - idle) * c.notes()
	}
	seconds := (refreshes*c.waiting().Seconds()/perShard + messages*rounding.Seconds()) / c.perInstance
	return bill{
		"Firestore reads":    (refreshes*refreshReads + messages*sweepReads) * readPrice,
		"Firestore writes":   (refreshes*refreshWrites + messages*sweepWrites + notes) * writePrice,
		"Firestore storage":  customers * customerBytes * storagePrice,
		"Cloud Run CPU":      seconds * vcpuPrice,
		"Cloud Run memory":   seconds * memoryPrice,
		"Cloud Run requests": (sweeps + messages) * requestPrice,
		"Pub/Sub":            messages * messagePrice,
		"Cloud Scheduler":    jobPrice,
		"logs":               ((sweeps+messages)*(sweepLine+platformLog) + sweeps*requestLog) * logPrice,
		"egress":             refreshes * refreshEgress * egressPrice,
	}
}

// delivering returns the cost of events of one grant each. Events in flight share an
// instance, but cost at least their CPU. reads are those of an event, and log is the
// bytes of its log that are stored.
func (c *cost) delivering(events, inFlight, reads, log float64) bill {
	seconds := events * max((c.gatewayIn+c.eventCPU).Seconds()/inFlight, c.eventCPU.Seconds())
	return bill{
		"Firestore reads":    events * reads * readPrice,
		"Cloud Run CPU":      seconds * vcpuPrice,
		"Cloud Run memory":   seconds * memoryPrice,
		"Cloud Run requests": events * requestPrice,
		"Pub/Sub":            events * messagePrice,
		"logs":               events * log * logPrice,
		"egress":             events * eventEgress * egressPrice,
	}
}

func (c *cost) run(_ context.Context, out io.Writer) error {
	const line = eventLine + platformLog
	columns := []struct {
		name string
		bill bill
	}{
		{"customers", c.refreshing(million, 0)},
		{fmt.Sprintf("%.0f %% idle", 100*c.idle), c.refreshing(million, c.idle)},
		{"events", c.delivering(million, c.inFlight, eventReads, line)},
		{"all logs", c.delivering(million, c.inFlight, eventReads, line+requestLog)},
		{"1 in flight", c.delivering(million, 1, eventReads, line)},
		{fmt.Sprintf("%.0f %% excluded", 100*c.excluded), c.delivering(million, c.inFlight, eventReads, (1-c.excluded)*line)},
		{"and seen lately", c.delivering(million, c.inFlight, 0, (1-c.excluded)*line)},
	}
	fmt.Fprint(out, "US dollars for a month of a million customers, and for a million events\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "\t")
	for _, column := range columns {
		fmt.Fprintf(table, "%s\t", column.name)
	}
	for _, item := range items {
		fmt.Fprintf(table, "\n%s\t", item)
		for _, column := range columns {
			fmt.Fprintf(table, "%.2f\t", column.bill[item])
		}
	}
	fmt.Fprint(table, "\nsum\t")
	for _, column := range columns {
		fmt.Fprintf(table, "%.2f\t", column.bill.sum())
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		return err
	}
	return c.limits(out)
}

const million = 1e6

// limits writes how many customers a stack can have.
func (c *cost) limits(out io.Writer) error {
	fmt.Fprintf(out, "\nA refresh waits %v, and a customer needs one every %v:\n\n", c.waiting(), grant.RefreshCycle)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "limit\trefreshes a second\tcustomers\t")
	for _, l := range []struct {
		name string
		rate float64
	}{
		{fmt.Sprintf("%d shards every %v", c.shards, c.period), c.capacity(c.shards)},
		{fmt.Sprintf("%d shards every %v", grant.Buckets, c.period), c.capacity(grant.Buckets)},
		{fmt.Sprintf("%d writes a second to the database", databaseWrites), databaseWrites / refreshWrites * c.working()},
	} {
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t\n", l.name, l.rate, l.rate*grant.RefreshCycle.Seconds())
	}
	return table.Flush()
}
