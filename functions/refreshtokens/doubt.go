package refreshtokens

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// When many refreshes fail, either something is ill that all depend on, or a
// few grants are that happen to stand together at the head of the queue. The
// former ends the sweep, and nothing is written. The latter must not, or the
// next sweep would begin with the same grants and end as early. A look at
// customers who wait elsewhere in the queue tells which it is.

var (
	// errIll: Login with Amazon, or the store, fails too many.
	errIll = errors.New("too many refreshes fail; the sweep stops until the next one")
	// errClient: Login with Amazon refuses our client.
	errClient = errors.New("login with amazon refuses our client; the sweep stops until the next one")
	// errOurs: no grant can be refreshed, for a reason in our settings.
	errOurs = errors.New("no grant is of our LWA client, or opens with our keyset; the sweep stops until the next one")
)

const (
	elsewhere  = 10 // customers looked at
	mostDoubts = 3  // looks of a sweep
)

// wrong reports whether the sweep may go on although err says that it must
// end: others, elsewhere in the queue, are well. Those who were not are put off
// then, like any grant that fails for its own reason.
func (r *run) wrong(ctx context.Context, err error, others []grant.Record) bool {
	if len(others) == 0 {
		return false
	}
	r.absolved++
	r.forget()
	r.work(ctx, others)
	r.mu.Lock()
	tried, well := r.tried, r.well
	r.mu.Unlock()
	// A service that fails every second call is ill; a client that is accepted
	// once is not refused.
	if well == 0 || errors.Is(err, errIll) && (tried-well)*5 > tried {
		return false
	}
	for i := range r.failed {
		r.failed[i].own = true
	}
	r.forget()
	return true
}

// forget forgets what the sweep has against Login with Amazon, but for how long
// that wants to be left alone.
func (r *run) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pace = r.pace.anew()
	r.refused, r.tried, r.well, r.verdict = 0, 0, 0, nil
}

// others returns some customers who are due and wait elsewhere in the queue: at
// another time, or at the end of the page, whose customers that are left it
// takes from, or on the next page. None, if there are no others, or err is about
// something that they cannot tell.
func (r *run) others(ctx context.Context, err error, query grant.DueQuery, page grant.DuePage, left *[]grant.Record) []grant.Record {
	local := errors.Is(err, errIll) || errors.Is(err, errClient)
	if !local || r.absolved >= mostDoubts || !access.TimeFor(ctx) {
		return nil
	}
	if errors.Is(err, errUnanswered) && !r.sweep.warmup.again(r.sweep.Now(), r.sweep.Period/2) {
		return nil
	}
	// Somewhere in the time since the page was due, each sweep elsewhere.
	oldest := page.Records[0].RefreshDue
	part := time.Duration(r.started.Unix() / int64(r.sweep.Period/time.Second) * 389 % 1000)
	at := &grant.DueCursor{RefreshDue: oldest.Add(r.started.Sub(oldest) / 1000 * part)}
	if others := r.after(ctx, query, page, at); len(others) > 0 {
		return others
	}
	if rest := len(*left); rest > 0 {
		others := (*left)[max(0, rest-elsewhere):]
		*left = (*left)[:rest-len(others)]
		return others
	}
	return r.after(ctx, query, page, page.Next)
}

// after returns some customers who are due after a place in the queue, and are
// not of the page at hand.
func (r *run) after(ctx context.Context, query grant.DueQuery, page grant.DuePage, at *grant.DueCursor) []grant.Record {
	if at == nil {
		return nil
	}
	query.After = at
	found, err := r.sweep.Store.Due(ctx, query)
	if err != nil {
		return nil // which the next page will tell
	}
	others := slices.DeleteFunc(found.Records, func(record grant.Record) bool {
		return isOf(page.Records, record) || slices.ContainsFunc(r.failed, func(f failure) bool { return f.record.Key() == record.Key() })
	})
	return others[:min(len(others), elsewhere)]
}

func isOf(records []grant.Record, record grant.Record) bool {
	return slices.ContainsFunc(records, func(other grant.Record) bool { return other.Key() == record.Key() })
}
