package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
)

// memory shows by how much the heap grows during a sweep of a tenth of the
// grants and of all: it must not depend on their number.
func (o sweepOptions) memory(ctx context.Context, stdout io.Writer) error {
	for _, grants := range []int{o.grants / 10, o.grants} {
		some := o
		some.grants = grants
		before, peak, err := some.growth(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "heap: %.1f MiB before a sweep of %d grants, at most %.1f MiB more during it\n",
			mib(before), grants, mib(peak-before))
	}
	return nil
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }

// growth sweeps records that the store makes up: it holds next to nothing, as a
// process does whose records are in a database. A heap that holds them all
// grows by its own size before the collector runs, and would show nothing else.
func (o sweepOptions) growth(ctx context.Context) (before, peak uint64, err error) {
	f, c, err := o.load(ctx, madeUpRecords, 0)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	f.forward(lifetime)
	runtime.GC()
	before = heap()
	peak, err = watch(func() error { return f.sweepAll(ctx, o.shards, o.grants) })
	return before, max(peak, before), err
}

// heap is the memory that objects take, those included that the collector has
// not freed yet.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watch returns the largest heap that was seen during the work.
func watch(work func() error) (uint64, error) {
	var peak uint64
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			peak = max(peak, heap())
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	err := work()
	close(done)
	watching.Wait()
	return peak, err
}

// madeUp is a store of records that are made when they are asked for and
// forgotten when they are written. Every sweep finds all of them.
type madeUp struct {
	grant.Store // of what is no record
	fleet       *fleet
	token       lwa.Token
	first       time.Time
	controls    sync.Map // the shared documents, by name
	customers   [grant.Buckets][]int32
}

func newMadeUp(f *fleet, token lwa.Token, n int) *madeUp {
	m := &madeUp{Store: grantmem.New(), fleet: f, token: token, first: f.now()}
	for i := range n {
		bucket := customer(i).Bucket()
		m.customers[bucket] = append(m.customers[bucket], int32(i))
	}
	return m
}

// Due implements [grant.Store]. Bucket by bucket each record is due a
// microsecond after the one before it, so that the cursor's time says how far
// the sweep has come.
func (m *madeUp) Due(_ context.Context, q grant.DueQuery) (grant.DuePage, error) {
	skip := 0
	if q.After != nil {
		skip = int(q.After.RefreshDue.Sub(m.first) / time.Microsecond)
	}
	var page grant.DuePage
	for _, bucket := range q.Buckets {
		list := m.customers[bucket]
		passed := min(skip, len(list))
		skip -= passed
		for _, i := range list[passed:] {
			if len(page.Records) == q.Limit {
				page.Next = &grant.DueCursor{RefreshDue: m.first.Add(m.passed(q)), ID: page.Records[q.Limit-1].Key().ID()}
				return page, nil
			}
			record, err := m.fleet.record(int(i), m.token, 1)
			if err != nil {
				return grant.DuePage{}, err
			}
			record.Revision = 1
			page.Records = append(page.Records, record)
		}
	}
	return page, nil
}

// passed is where the page after q begins.
func (m *madeUp) passed(q grant.DueQuery) time.Duration {
	from := time.Duration(0)
	if q.After != nil {
		from = q.After.RefreshDue.Sub(m.first)
	}
	return from + time.Duration(q.Limit)*time.Microsecond
}

// Write implements [grant.Store].
func (*madeUp) Write(_ context.Context, was, now grant.Record) (grant.Record, error) {
	now = now.Clone()
	now.Revision = was.Revision + 1
	return now, nil
}

// ReadControl implements [grant.Store].
func (m *madeUp) ReadControl(_ context.Context, name string) (grant.Control, error) {
	c, ok := m.controls.Load(name)
	if !ok {
		return grant.Control{}, grant.ErrNotFound
	}
	return c.(grant.Control), nil
}

// WriteControl implements [grant.Store]. Nobody else writes.
func (m *madeUp) WriteControl(_ context.Context, was, now grant.Control) (grant.Control, error) {
	now.Revision = was.Revision + 1
	m.controls.Store(now.Name, now)
	return now, nil
}

// CountCustomers implements [grant.Store].
func (m *madeUp) CountCustomers(context.Context) (int, error) {
	n := 0
	for _, list := range m.customers {
		n += len(list)
	}
	return n, nil
}
