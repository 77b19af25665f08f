package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// eventOperations are what SendEvent asked of Firestore, as it is charged.
type eventOperations struct {
	customers, repeats int64
	first, later       [2]int64 // reads and writes: of each customer's first event, and of the others
}

func (o eventOperations) write(out io.Writer) error {
	share := func(n, of int64) float64 { return float64(n) / float64(of) }
	_, err := fmt.Fprintf(out, "\n%d customers, %d events each, within a minute\n%.2f reads and %.2f writes for a customer's first event\n%.2f reads and %.2f writes for each one after it\n",
		o.customers, o.repeats+1, share(o.first[0], o.customers), share(o.first[1], o.customers),
		share(o.later[0], o.customers*o.repeats), share(o.later[1], o.customers*o.repeats))
	return err
}

// countEvents has the real program send events, and counts between it and the
// emulator.
func countEvents(ctx context.Context, program, host string, customers, repeats int) (o eventOperations, err error) {
	p, err := startProxy(host)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	s, err := newStage(ctx, pins{}, program, p.address)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.startGatepost(ctx, customers, nil); err != nil {
		return o, err
	}
	o.customers, o.repeats = int64(customers), int64(repeats)
	if o.first, err = p.counted(ctx, s, 1, customers, customers); err != nil {
		return o, err
	}
	o.later, err = p.counted(ctx, s, int64(1+customers), customers, customers*repeats)
	return o, err
}

// counted pushes events, one after the other, and returns the reads and writes.
func (p *proxy) counted(ctx context.Context, s *stage, first int64, customers, events int) ([2]int64, error) {
	p.reset()
	to := s.senders[0]
	done, err := generate(ctx, s.pins, job{Host: to.host(), Path: to.path, Customers: customers, First: first, Events: events, InFlight: 1, Want: to.want})
	if err == nil && done.Wrong > 0 {
		err = errors.New(done.Complaint)
	}
	return [2]int64{p.reads.Load(), p.writes.Load()}, err
}
