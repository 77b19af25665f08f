package delivery

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// fanOut sends an event to grants in parallel, except to those that accepted it.
func (d *Deliverer) fanOut(ctx context.Context, e *event, record grant.Record, ids, accepted []string) []Result {
	if len(ids) == 1 { // the common case needs no goroutine
		return []Result{d.sendOne(ctx, e, record, ids[0], accepted, nil)}
	}
	return d.sendAll(ctx, e, record, ids, accepted)
}

// healthyWait is how long a report is held for the other grants after one has
// accepted it. No resend starts after that, so that working grants do not fall
// behind.
const healthyWait = 3 * time.Second

// firstAccept says when the first of a customer's grants accepted a report. It is nil
// for an event whose grants do not wait for each other.
type firstAccept struct {
	once sync.Once
	done chan struct{} // closed when a grant accepts the report
	at   time.Time     // not read before done is closed
}

func newFirstAccept() *firstAccept { return &firstAccept{done: make(chan struct{})} }

// note notes that a grant has accepted the report.
func (t *firstAccept) note(now time.Time) {
	if t != nil {
		t.once.Do(func() { t.at = now; close(t.done) })
	}
}

// accepted returns a channel that is closed when a grant accepts the report.
func (t *firstAccept) accepted() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.done
}

// tooLate reports whether the report has been held for healthyWait at the given time.
func (t *firstAccept) tooLate(at time.Time) bool {
	select {
	case <-t.accepted():
		return at.Sub(t.at) > healthyWait
	default:
		return false
	}
}

func (d *Deliverer) sendAll(ctx context.Context, e *event, record grant.Record, ids, accepted []string) []Result {
	results := make([]Result, len(ids))
	var first *firstAccept
	if e.isReport() {
		first = newFirstAccept()
	}
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { results[i] = d.sendOne(ctx, e, record, id, accepted, first) })
	}
	all.Wait()
	return results
}

// sendOne sends an event to a grant, unless the grant accepted it before.
func (d *Deliverer) sendOne(ctx context.Context, e *event, record grant.Record, id string, accepted []string, first *firstAccept) Result {
	if slices.Contains(accepted, id) {
		return resultOf(id, ErrDuplicate)
	}
	s := &sending{d: d, event: e, record: record, id: id, grant: record.Grants[id], first: first, started: d.Now()}
	result := resultOf(id, flight.Guard(func() error { return s.send(ctx) }))
	result.Sent = s.sent
	return result
}

// oneAccount settles the results of an answer to a directive. The answer is for one
// Amazon account and does not say for which: if one grant accepts it, the refusals
// of the others are expected.
func oneAccount(results []Result) []Result {
	took := func(r Result) bool { return r.Name == Accepted || r.Name == Duplicate }
	if slices.ContainsFunc(results, took) {
		return slices.DeleteFunc(results, func(r Result) bool { return !took(r) })
	}
	// As long as one may still accept it, the refusals of the others mean nothing.
	if slices.ContainsFunc(results, func(r Result) bool { return r.Decision == Retry }) {
		return slices.DeleteFunc(results, func(r Result) bool { return r.Decision == DeadLetter })
	}
	return results
}

// partSizes has the most endpoints that one discovery report may name. The gateway
// has answered 500 to a DeleteReport with 134 endpoints, and accepts 30. Amazon
// documents the limit of an AddOrUpdateReport.
var partSizes = map[string]int{"DeleteReport": 30, "AddOrUpdateReport": alexa.MaxEndpoints}

// part is an event, or a piece of one that was too large. A piece has a name, so
// that its message id stays the same each time the event is split.
type part struct {
	whole     *alexa.Event
	endpoints alexa.Endpoints // of the piece
	piece     bool
	name      string
}

// parts splits an event that names too many endpoints.
func parts(e *alexa.Event) []part {
	all := e.Endpoints()
	n, size := all.Len(), partSizes[e.Header.Name]
	if n <= size || size == 0 {
		return []part{{whole: e, endpoints: all}}
	}
	var list []part
	for from := 0; from < n; from += size {
		list = append(list, part{whole: e, endpoints: all.Part(from, min(from+size, n)), piece: true, name: strconv.Itoa(from)})
	}
	return list
}

// event returns the part's event. A piece is built when it is sent and is not kept:
// all pieces together may be much larger than the whole.
func (p part) event() alexa.Event {
	if !p.piece {
		return *p.whole
	}
	return p.whole.WithEndpoints(p.endpoints)
}

// halves splits a part that the gateway found too large. It returns nil if the part
// names fewer than two endpoints.
func (p part) halves() []part {
	n := p.endpoints.Len()
	if n < 2 {
		return nil
	}
	return []part{
		{whole: p.whole, endpoints: p.endpoints.Part(0, n/2), piece: true, name: p.name + "a"},
		{whole: p.whole, endpoints: p.endpoints.Part(n/2, n), piece: true, name: p.name + "b"},
	}
}
