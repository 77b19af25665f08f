package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

const (
	skill    = "default"
	lifetime = time.Hour // of an access token
)

// beginning of a fleet's time, which stands still until it is moved: an hour of
// tokens' life passes in no time.
var beginning = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// fleet is a maker's customers, and what refreshes their tokens. It is the store
// of their records too, which are made when they are asked for and forgotten when
// they are written: what is measured is the sweep's own work, and the heap holds
// as little as that of a process whose records are in a database. Every sweep
// finds all customers.
type fleet struct {
	grant.Store // of what is no record
	passed      time.Duration
	sealer      *seal.Sealer
	source      *access.Source
	token       lwa.Token
	controls    sync.Map // the shared documents, by name
	customers   [grant.Buckets][]int32
}

func (f *fleet) now() time.Time { return beginning.Add(f.passed) }

// fill gives an empty fleet n customers with the same tokens, and the client that
// refreshes them.
func (f *fleet) fill(n int, t tokens, amazon access.Refresher) (err error) {
	if f.sealer, err = seal.NewEphemeral(); err != nil {
		return err
	}
	f.Store, f.token = grantmem.New(), newToken(t, beginning.Add(lifetime))
	f.source = &access.Source{
		Store: f, LWA: amazon, Sealer: f.sealer, Announce: silent{}, Brake: access.NewBrake(f, f.now),
		Owner: "bench", Draw: rand.Float64, Now: f.now,
	}
	for i := range n {
		bucket := customer(i).Bucket()
		f.customers[bucket] = append(f.customers[bucket], int32(i))
	}
	return nil
}

// newToken is what Login with Amazon gives.
func newToken(t tokens, expires time.Time) lwa.Token {
	return lwa.Token{
		AccessToken: sensitive.New(t.Access), RefreshToken: sensitive.New(t.Refresh),
		ExpiresAt: expires, ClientID: simulator.DefaultClient().ID,
	}
}

func customer(i int) grant.Key {
	return grant.Key{Skill: skill, UserID: fmt.Sprintf("customer-%09d", i)}
}

// record makes the record of customer i, linked now.
func (f *fleet) record(i int) (grant.Record, error) {
	key := customer(i)
	id := grant.ID(region, skill, fmt.Sprintf("ANfake-%d", i))
	sealed, err := access.Seal(f.sealer, key, id, f.token, 1)
	if err != nil {
		return grant.Record{}, err
	}
	record := grant.New(key)
	record.Link(id, region, "", sealed, f.now())
	record.Announced(record.Announce, f.now())
	record.Revision = 1
	return record, nil
}

// Due implements [grant.Store]. Bucket by bucket each record is due a microsecond
// after the one before it, so that the cursor's time tells how far the sweep has
// come.
func (f *fleet) Due(_ context.Context, q grant.DueQuery) (page grant.DuePage, err error) {
	passed := 0
	if q.After != nil {
		passed = int(q.After.RefreshDue.Sub(beginning) / time.Microsecond)
	}
	skip := passed
	for _, bucket := range q.Buckets {
		list := f.customers[bucket]
		skipped := min(skip, len(list))
		skip -= skipped
		for _, i := range list[skipped:] {
			if len(page.Records) == q.Limit {
				due := beginning.Add(time.Duration(passed+q.Limit) * time.Microsecond)
				page.Next = &grant.DueCursor{RefreshDue: due, ID: page.Records[q.Limit-1].Key().ID()}
				return page, nil
			}
			record, err := f.record(int(i))
			if err != nil {
				return grant.DuePage{}, err
			}
			page.Records = append(page.Records, record)
		}
	}
	return page, nil
}

// Write implements [grant.Store].
func (*fleet) Write(_ context.Context, was, now grant.Record) (grant.Record, error) {
	now = now.Clone()
	now.Revision = was.Revision + 1
	return now, nil
}

// ReadControl implements [grant.Store].
func (f *fleet) ReadControl(_ context.Context, name string) (grant.Control, error) {
	c, ok := f.controls.Load(name)
	if !ok {
		return grant.Control{}, grant.ErrNotFound
	}
	return c.(grant.Control), nil
}

// WriteControl implements [grant.Store]. There is no other writer.
func (f *fleet) WriteControl(_ context.Context, was, now grant.Control) (grant.Control, error) {
	now.Revision = was.Revision + 1
	f.controls.Store(now.Name, now)
	return now, nil
}

// CountCustomers implements [grant.Store].
func (f *fleet) CountCustomers(context.Context) (n int, err error) {
	for _, list := range f.customers {
		n += len(list)
	}
	return n, nil
}

// sweep lets a token's lifetime pass and sweeps all buckets, in shards that run
// side by side as Pub/Sub pushes them. It fails unless every grant was refreshed
// once. The context has no deadline: what is measured is the work, not how much
// of it fits into a function's time.
func (f *fleet) sweep(ctx context.Context, shards int) error {
	f.passed += lifetime
	sweep := &refreshtokens.Sweep{
		Store: f.source.Store, Tokens: f.source, Brake: access.NewBrake(f, f.now), Announce: silent{},
		Now: f.now, Period: refreshtokens.DefaultPeriod,
	}
	counts := make([]refreshtokens.Counts, shards)
	var all errgroup.Group
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
	n, _ := f.CountCustomers(ctx)
	refreshed := 0
	for _, c := range counts {
		refreshed += c.Refreshed
		for cause, n := range c.Failed {
			err = errors.Join(err, fmt.Errorf("%d refreshes failed: %s", n, cause))
		}
	}
	if err == nil && refreshed != n {
		err = fmt.Errorf("%d grants were refreshed, not %d", refreshed, n)
	}
	return err
}

// silent announces nothing: no grant of a bench changes its state.
type silent struct{}

func (silent) Announce(context.Context, grant.Record) error {
	return errors.New("a grant has changed its state")
}
