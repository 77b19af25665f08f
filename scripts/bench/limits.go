package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// limit is how many refreshes a second something allows, on average.
type limit struct {
	name string
	rate float64
}

// limits are those that can be computed, the first to be met first. That of
// Login with Amazon is not known to anybody outside.
func (p plan) limits() []limit {
	list := []limit{
		{fmt.Sprintf("the sweep, %d shards every %v", p.shards, refreshtokens.DefaultPeriod), p.capacity(p.shards, refreshtokens.DefaultPeriod)},
		{fmt.Sprintf("the sweep, %d shards every %v", grant.Buckets, refreshtokens.DefaultPeriod), p.capacity(grant.Buckets, refreshtokens.DefaultPeriod)},
		{fmt.Sprintf("the sweep, %d shards every %v", grant.Buckets, shortestPeriod), p.capacity(grant.Buckets, shortestPeriod)},
		{fmt.Sprintf("%d writes a second to the database", databaseWrites), databaseWrites / p.writes},
		// Only the second write, which saves the tokens, changes the index.
		{fmt.Sprintf("%d writes a second to the index of each of %d buckets", indexWrites, grant.Buckets), indexWrites * grant.Buckets},
	}
	slices.SortFunc(list, func(a, b limit) int { return cmp.Compare(a.rate, b.rate) })
	return list
}

func (p plan) writeLimits(out io.Writer) error {
	table := newTable(out)
	fmt.Fprintln(table, "limit\trefreshes a second\tcustomers\t")
	for _, l := range p.limits() {
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t\n", l.name, l.rate, l.rate/p.rate(1))
	}
	fmt.Fprintln(table, "Login with Amazon\tunknown\tunknown\t")
	return table.Flush()
}

// ramp is how long the traffic to a new database has to grow until it may have
// so many operations a second.
func ramp(rate float64) time.Duration {
	steps := math.Ceil(math.Log(max(rate/rampStart, 1)) / math.Log(rampFactor))
	return time.Duration(steps) * rampTime
}

// writeLoad shows what the sweep asks of others.
func (p plan) writeLoad(out io.Writer) error {
	lines := []struct {
		name string
		of   func(customers float64) string
	}{
		{"shards needed (at most 256)", func(c float64) string {
			return fmt.Sprintf("%.0f", math.Ceil(p.rate(c)/p.capacity(1, refreshtokens.DefaultPeriod)))
		}},
		{"refreshes a second, on average", func(c float64) string { return fmt.Sprintf("%.0f", p.rate(c)) }},
		{"while the shards work", func(c float64) string { return fmt.Sprintf("%.0f", p.burst(p.needed(c))) }},
		{"writes a second, on average", func(c float64) string { return fmt.Sprintf("%.0f", p.rate(c)*p.writes) }},
		{"while the shards work", func(c float64) string { return fmt.Sprintf("%.0f", p.burst(p.needed(c))*p.writes) }},
		{"growth of a new database until then", func(c float64) string { return ramp(p.burst(p.needed(c)) * p.writes).String() }},
		{"until all are refreshed after an outage", func(c float64) string {
			return duration(c / p.capacity(p.needed(c), refreshtokens.DefaultPeriod)).Round(time.Minute).String()
		}},
	}
	table := newTable(out)
	fmt.Fprint(table, "customers\t")
	for _, customers := range scales {
		fmt.Fprintf(table, "%.0f\t", customers)
	}
	for _, line := range lines {
		fmt.Fprintf(table, "\n%s\t", line.name)
		for _, customers := range scales {
			fmt.Fprintf(table, "%s\t", line.of(customers))
		}
	}
	fmt.Fprintln(table)
	return table.Flush()
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
