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

// fanOut sends an event to grants, side by side, but for those who have it.
func (d *Deliverer) fanOut(ctx context.Context, e *event, record grant.Record, ids, accepted []string) []Result {
	if len(ids) == 1 { // as most customers have: that needs no goroutine
		return []Result{d.sendOne(ctx, e, record, ids[0], accepted, nil)}
	}
	return d.sideBySide(ctx, e, record, ids, accepted)
}

// healthyWait is how long the grants that took a report wait for the others: no
// resend begins later.
const healthyWait = 3 * time.Second

// taken is when the first of a customer's grants took a report. A nil taken is
// for an event whose grants do not wait for each other.
type taken struct {
	once sync.Once
	done chan struct{} // closed when a grant takes the report
	at   time.Time     // not read before done is closed
}

func newTaken() *taken { return &taken{done: make(chan struct{})} }

// note notes that a grant took the report.
func (t *taken) note(now time.Time) {
	if t != nil {
		t.once.Do(func() { t.at = now; close(t.done) })
	}
}

// isDone returns a channel that is closed when a grant takes the report.
func (t *taken) isDone() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.done
}

// tooLate reports whether, at the given time, another grant took the report so
// long ago that it must be acknowledged.
func (t *taken) tooLate(at time.Time) bool {
	select {
	case <-t.isDone():
		return at.Sub(t.at) > healthyWait
	default:
		return false
	}
}

func (d *Deliverer) sideBySide(ctx context.Context, e *event, record grant.Record, ids, accepted []string) []Result {
	results := make([]Result, len(ids))
	var first *taken
	if e.isReport() {
		first = newTaken()
	}
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { results[i] = d.sendOne(ctx, e, record, id, accepted, first) })
	}
	all.Wait()
	return results
}

// sendOne sends an event to a grant, unless it has it.
func (d *Deliverer) sendOne(ctx context.Context, e *event, record grant.Record, id string, accepted []string, first *taken) Result {
	if slices.Contains(accepted, id) {
		return resultOf(id, ErrDuplicate)
	}
	s := &sending{d: d, event: e, record: record, id: id, grant: record.Grants[id], first: first, started: d.Now()}
	result := resultOf(id, flight.Guard(func() error { return s.send(ctx) }))
	result.Sent = s.sent
	return result
}

// oneAccount settles the results of an answer to a directive. It is for one
// Amazon account, and which one it does not say: accepted by any grant it is
// accepted, and that the others refuse it is as it should be.
func oneAccount(results []Result) []Result {
	took := func(r Result) bool { return r.Name == Accepted || r.Name == Duplicate }
	if slices.ContainsFunc(results, took) {
		return slices.DeleteFunc(results, func(r Result) bool { return !took(r) })
	}
	// While one may still accept it, the others' refusals mean nothing.
	if slices.ContainsFunc(results, func(r Result) bool { return r.Decision == Retry }) {
		return slices.DeleteFunc(results, func(r Result) bool { return r.Decision == DeadLetter })
	}
	return results
}

// partSizes are how many endpoints one discovery report names: the gateway has
// answered 500 to a DeleteReport with 134, and takes thirty; of an
// AddOrUpdateReport Amazon's pages say what it takes.
var partSizes = map[string]int{"DeleteReport": 30, "AddOrUpdateReport": alexa.MaxEndpoints}

// part is an event, or the piece of one that is small enough to be taken.
// Pieces have names, so that each has the same message id however often the
// event is taken apart.
type part struct {
	whole     *alexa.Event
	endpoints alexa.Endpoints // of the piece
	piece     bool
	name      string
}

// parts takes an event apart that is known to be too large as a whole.
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

// event makes the part's event. A piece is made when it is sent, and not kept:
// all pieces together may be much larger than the whole.
func (p part) event() alexa.Event {
	if !p.piece {
		return *p.whole
	}
	return p.whole.WithEndpoints(p.endpoints)
}

// halves takes a part apart that the gateway found too large. One that names
// a single endpoint, or none, has no halves.
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
