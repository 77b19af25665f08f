package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
)

const (
	skill    = "default"
	region   = alexa.EU
	lifetime = time.Hour // of an access token
)

// fleet is a maker's customers, and what refreshes their tokens.
type fleet struct {
	*clock
	store  grant.Store
	sealer *seal.Sealer
	source *access.Source
	inTurn bool // sweep one shard after the other
}

// newFleet returns a fleet without customers. draw is from 0 to 1.
func newFleet(store grant.Store, amazon access.Refresher, c *clock, draw func() float64) (*fleet, error) {
	sealer, err := seal.NewEphemeral()
	if err != nil {
		return nil, err
	}
	f := &fleet{clock: c, store: store, sealer: sealer}
	f.source = &access.Source{
		Store: store, LWA: amazon, Sealer: sealer, Announce: silent{}, Brake: access.NewBrake(store, c.now), Owner: "bench", Draw: draw, Now: c.now,
	}
	return f, nil
}

func customer(i int) grant.Key {
	return grant.Key{Skill: skill, UserID: fmt.Sprintf("customer-%09d", i)}
}

// record makes the record of customer i, linked now with the given tokens.
func (f *fleet) record(i int, token lwa.Token, draw float64) (grant.Record, error) {
	key := customer(i)
	id := grant.ID(region, skill, fmt.Sprintf("ANfake-%d", i))
	tokens, err := access.Seal(f.sealer, key, id, token, draw)
	if err != nil {
		return grant.Record{}, err
	}
	record := grant.New(key)
	record.Link(id, region, "", tokens, f.now())
	record.Announced(record.Announce, f.now())
	return record, nil
}

// link stores customer i.
func (f *fleet) link(ctx context.Context, i int, token lwa.Token, draw float64) error {
	record, err := f.record(i, token, draw)
	if err != nil {
		return err
	}
	_, err = f.store.Write(ctx, grant.New(record.Key()), record)
	return err
}

// sweep sweeps all buckets, in shards that run side by side as Pub/Sub pushes
// them. The context has no deadline: what is measured is the work, not how much
// of it fits into a function's time.
func (f *fleet) sweep(ctx context.Context, shards int) (refreshtokens.Counts, error) {
	sweep := &refreshtokens.Sweep{
		Store: f.store, Tokens: f.source, Brake: access.NewBrake(f.store, f.now), Announce: silent{}, Now: f.now, Period: refreshtokens.DefaultPeriod,
	}
	counts := make([]refreshtokens.Counts, shards)
	var all errgroup.Group
	if f.inTurn {
		all.SetLimit(1)
	}
	for shard := range shards {
		all.Go(func() (err error) {
			var buckets []int
			for bucket := shard * grant.Buckets / shards; bucket < (shard+1)*grant.Buckets/shards; bucket++ {
				buckets = append(buckets, bucket)
			}
			counts[shard], err = sweep.Sweep(ctx, buckets)
			return err
		})
	}
	err := all.Wait()
	var sum refreshtokens.Counts
	for _, c := range counts {
		sum.Refreshed += c.Refreshed
		sum.Skipped += c.Skipped
		sum.Revoked += c.Revoked
		sum.Remaining = sum.Remaining || c.Remaining
		for cause, n := range c.Failed {
			err = errors.Join(err, fmt.Errorf("%d refreshes failed: %s", n, cause))
		}
	}
	return sum, err
}

// sweepAll sweeps, and fails unless exactly n grants were refreshed.
func (f *fleet) sweepAll(ctx context.Context, shards, n int) error {
	counts, err := f.sweep(ctx, shards)
	if err == nil && counts.Refreshed != n {
		err = fmt.Errorf("%d grants were refreshed, not %d", counts.Refreshed, n)
	}
	return err
}

// silent announces nothing: no grant of a bench changes its state.
type silent struct{}

func (silent) Announce(context.Context, grant.Record) error {
	return errors.New("a grant has changed its state")
}
