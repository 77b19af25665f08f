package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
)

// Why the breaker opens.
var (
	// errUnhealthy: Login with Amazon, or the store, fails too many refreshes.
	errUnhealthy = errors.New("too many refreshes fail; the sweep stops until the next one")
	// errClientRefused: Login with Amazon refuses our client.
	errClientRefused = errors.New("login with amazon refuses our client; the sweep stops until the next one")
	// errMisconfigured: no grant can be refreshed, for a reason in our settings.
	errMisconfigured = errors.New("no grant matches the configured LWA client or keyset; the sweep stops until the next one")
)

const (
	// The breaker looks at the latest answers. Above slowPercent failures the sweep
	// slows down, and at openPercent it ends. What was due stays due for the next
	// sweep, and a customer who gets an event before that is refreshed on demand.
	window      = 40
	minAnswers  = 20 // before the share means something
	slowPercent = 10
	openPercent = 50
	// maxLongRests is how many refreshes may be told to retry after more than
	// maxRest. More than that end the sweep; a single one may concern one grant
	// only.
	maxLongRests = 1
	// maxClientRefusals is how many grants in a row Login with Amazon must refuse
	// with a client error before a sweep concludes that our client is at fault, and
	// not the grants.
	maxClientRefusals = 3
	// maxConfigFaults is how many grants may fail because of our settings before a
	// sweep in which none succeeds ends. They cost no call to Login with Amazon, so
	// the limit is high: there may be many grants of a former client.
	maxConfigFaults = 1000
)

// breaker is the circuit breaker of one sweep. Open, it ends the sweep, unless a
// probe closes it again. It is safe for concurrent use.
type breaker struct {
	mu sync.Mutex
	// Since it was closed last:
	answers        [window]bool // the latest, true for a failure
	seen           int          // answers
	longRests      int
	clientRefusals int   // in a row
	tried, well    int   // refreshes, and how many of them Login with Amazon answered
	unhealthy      error // why it is open: too many failures
	ended          error // or another reason
	// Since the sweep began:
	everWell     bool
	configFaults int
	probes       int // used only by the walk, between its workers
}

// open returns why the breaker is open, or nil while it is closed.
func (b *breaker) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cmp.Or(b.unhealthy, b.ended)
}

// end opens the breaker for a reason that is not the health of refreshes.
func (b *breaker) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = err
}

// close closes the breaker and forgets earlier refreshes, so that the trials of a
// probe are judged alone. A pause that Login with Amazon asked for is kept by the
// limiter, and stays in force.
func (b *breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers, b.seen, b.longRests, b.clientRefusals, b.tried, b.well = [window]bool{}, 0, 0, 0, 0, 0
	b.unhealthy, b.ended = nil, nil
}

// note counts a refresh. A refusal counts as a success: Login with Amazon has
// answered.
func (b *breaker) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tried++
	if err == nil || errors.Is(err, access.ErrRevoked) || errors.Is(err, access.ErrSuspect) {
		b.well++
		b.everWell = true
	}
	if !errors.Is(err, lwa.ErrClientRefused) {
		b.clientRefusals = 0
	}
}

// healthy notes a good answer.
func (b *breaker) healthy() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer(false)
}

// failure notes a failure that may affect every grant, and opens the breaker if
// there are too many.
func (b *breaker) failure(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer(true)
	if retryAfter(err) > maxRest {
		b.longRests++
	}
	switch {
	case b.unhealthy != nil:
	case b.longRests > maxLongRests:
		b.unhealthy = fmt.Errorf("%w: login with amazon asks to retry after %v: %w", errUnhealthy, retryAfter(err), err)
	case b.seen >= minAnswers && b.share() >= openPercent:
		b.unhealthy = fmt.Errorf("%w: %w", errUnhealthy, err)
	}
}

// clientRefused opens the breaker when it is our client that Login with Amazon
// refuses, and not one grant's token that it calls an invalid request.
func (b *breaker) clientRefused(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.clientRefusals++; b.clientRefusals >= maxClientRefusals {
		b.ended = fmt.Errorf("%w: %w", errClientRefused, err)
	}
}

// configFault notes a grant that fails because of our settings.
func (b *breaker) configFault(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.configFaults++; b.configFaults >= maxConfigFaults && !b.everWell {
		b.ended = fmt.Errorf("%w: %w", errMisconfigured, err)
	}
}

// failing returns the percentage of failures among the latest answers.
func (b *breaker) failing() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.share()
}

// answer notes an answer. The caller holds the lock.
func (b *breaker) answer(failure bool) {
	b.answers[b.seen%window] = failure
	b.seen++
}

// share is like failing, for a caller that holds the lock.
func (b *breaker) share() int {
	n := min(b.seen, window)
	if n == 0 {
		return 0
	}
	failures := 0
	for _, failure := range b.answers[:n] {
		if failure {
			failures++
		}
	}
	return failures * 100 / n
}

// judge interprets the result of one refresh. It counts the grant, perhaps puts it
// off, and updates the breaker.
func (p *pass) judge(ctx context.Context, record grant.Record, id string, err error) {
	defer p.limiter.wake()
	p.breaker.note(err)
	p.tally.observe(record.Grants[id], err)
	configured := !errors.Is(err, access.ErrOtherClient) && !errors.Is(err, seal.ErrOpen)
	switch {
	case err == nil:
		p.breaker.healthy()
		p.tally.add(Counts{Refreshed: 1})
	case errors.Is(err, access.ErrBusy), errors.As(err, new(*access.BackingOffError)):
		p.tally.add(Counts{Skipped: 1})
		p.deferral.stays(record)
		if errors.Is(err, access.ErrNoTime) {
			p.breaker.end(errTime)
		}
	case errors.Is(err, access.ErrRevoked):
		p.breaker.healthy()
		p.tally.add(Counts{Revoked: 1})
	case errors.Is(err, access.ErrSuspect) && configured:
		p.breaker.healthy()
		p.tally.add(Counts{Refused: 1})
	case errors.Is(err, access.ErrBraked):
		// Among failures, a refusal that is not believed points to a fault of Login
		// with Amazon. Among successes it is a customer who left, and the grant
		// waits.
		p.tally.fail(ctx, "braked", slog.LevelWarn, err)
		p.fails(failure{record, id, true}, err)
	case errors.Is(err, lwa.ErrClientRefused):
		p.tally.fail(ctx, "client_refused", slog.LevelError, err)
		p.deferral.add(failure{record, id, true})
		p.breaker.clientRefused(err)
	case !configured:
		cause := "sealed"
		if errors.Is(err, access.ErrOtherClient) {
			cause = "other_client"
		}
		p.tally.fail(ctx, cause, slog.LevelError, err)
		if !errors.Is(err, access.ErrSuspect) { // which has moved it out of the way
			p.deferral.add(failure{record, id, true})
			p.breaker.configFault(err)
		}
	case errors.Is(err, lwa.ErrThrottled), errors.Is(err, lwa.ErrUnavailable):
		p.tally.fail(ctx, "login_with_amazon", slog.LevelWarn, err)
		p.fails(failure{record, id, false}, err)
	default:
		// The store: the next sweep retries. If it fails many, this sweep ends with an
		// error.
		p.tally.fail(ctx, "internal", slog.LevelWarn, err)
		p.fails(failure{record, id, false}, err)
	}
}

// fails notes a failure that may affect every grant.
func (p *pass) fails(f failure, err error) {
	p.limiter.rest(err)
	p.breaker.failure(err)
	p.deferral.add(f)
}

const (
	sampleSize = 10 // customers of a probe
	maxProbes  = 3  // of a sweep
)

// probe works on a sample of customers from elsewhere in the queue with the breaker
// half-open, and reports whether that has closed it again.
//
// When many refreshes fail, either something that all depend on is unhealthy, or a
// few bad grants happen to be together at the head of the queue. The former ends
// the sweep, and nothing is written. The latter must not, or the next sweep would
// begin with the same grants and end as early. If the sample goes well the failures
// were those grants' own: they are put off, and the sweep continues.
func (p *pass) probe(ctx context.Context, opened error, sample []grant.Record) bool {
	if len(sample) == 0 {
		return false
	}
	b := p.breaker
	b.probes++
	b.close()
	p.work(ctx, sample)
	// A service that fails more than one call in five is unhealthy; a client that
	// is accepted once is not refused.
	if b.well == 0 || errors.Is(opened, errUnhealthy) && (b.tried-b.well)*5 > b.tried {
		return false
	}
	p.deferral.blameGrants()
	b.close()
	return true
}

// sample returns some customers who are due and wait elsewhere in the queue: at
// another time, or at the end of the page, or on the next page. It returns none if
// there are no others, or if they cannot show why the breaker opened. It also
// returns what is left of the page without them.
func (p *pass) sample(ctx context.Context, opened error, query grant.DueQuery, page grant.DuePage, left []grant.Record) (
	sample, rest []grant.Record,
) {
	local := errors.Is(opened, errUnhealthy) || errors.Is(opened, errClientRefused)
	if !local || p.breaker.probes >= maxProbes || !access.TimeFor(ctx) {
		return nil, left
	}
	if errors.Is(opened, errUnanswered) && !p.slowStart.mayProbe(p.Now()) {
		return nil, left
	}
	// Look at a due time between the page and the start, a different one in each
	// sweep: the grants at any one place may all fail too.
	oldest := page.Records[0].RefreshDue
	part := time.Duration(p.started.Unix() / int64(p.Period/time.Second) * 389 % 1000)
	at := &grant.DueCursor{RefreshDue: oldest.Add(p.started.Sub(oldest) / 1000 * part)}
	if sample := p.after(ctx, query, page, at); len(sample) > 0 {
		return sample, left
	}
	if n := len(left); n > 0 {
		from := max(0, n-sampleSize)
		return left[from:], left[:from]
	}
	return p.after(ctx, query, page, page.Next), left
}

// after returns some customers who are due after a place in the queue, are not of
// the page at hand, and have not failed already.
func (p *pass) after(ctx context.Context, query grant.DueQuery, page grant.DuePage, at *grant.DueCursor) []grant.Record {
	if at == nil {
		return nil
	}
	query.After = at
	found, err := p.Store.Due(ctx, query)
	if err != nil {
		return nil // the next page will fail with it
	}
	sample := slices.DeleteFunc(found.Records, func(record grant.Record) bool {
		same := func(other grant.Record) bool { return other.Key() == record.Key() }
		return slices.ContainsFunc(page.Records, same) || p.deferral.has(record)
	})
	return sample[:min(len(sample), sampleSize)]
}
