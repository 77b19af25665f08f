package delivery

import (
	"context"
	"slices"
	"sync"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/guard"
	"github.com/gatepostdev/gatepost/shared/outcome"
)

// fanOut sends an event to grants, side by side, but for those who have it.
func (d *Deliverer) fanOut(ctx context.Context, e *event, record grant.Record, ids, accepted []string) []Result {
	if len(ids) == 1 { // as most customers have: that needs no goroutine
		return []Result{d.sendOne(ctx, e, record, ids[0], accepted)}
	}
	return d.sideBySide(ctx, e, record, ids, accepted)
}

func (d *Deliverer) sideBySide(ctx context.Context, e *event, record grant.Record, ids, accepted []string) []Result {
	results := make([]Result, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { results[i] = d.sendOne(ctx, e, record, id, accepted) })
	}
	all.Wait()
	return results
}

// sendOne sends an event to a grant, unless it has it.
func (d *Deliverer) sendOne(ctx context.Context, e *event, record grant.Record, id string, accepted []string) Result {
	if slices.Contains(accepted, id) {
		return resultOf(id, outcome.ErrDuplicate)
	}
	return resultOf(id, guard.Run(func() error { return d.send(ctx, e, record, id) }))
}

// oneAccount settles the results of an answer to a directive. It is for one
// Amazon account, and which one it does not say: accepted by any grant it is
// accepted, and that the others refuse it is as it should be.
func oneAccount(results []Result) []Result {
	took := func(r Result) bool { return r.Name == outcome.Accepted || r.Name == outcome.Duplicate }
	if slices.ContainsFunc(results, took) {
		return slices.DeleteFunc(results, func(r Result) bool { return !took(r) })
	}
	// While one may still accept it, the others' refusals mean nothing.
	if slices.ContainsFunc(results, func(r Result) bool { return r.Decision == outcome.Retry }) {
		return slices.DeleteFunc(results, func(r Result) bool { return r.Decision == outcome.DeadLetter })
	}
	return results
}
