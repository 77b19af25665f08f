package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/outcome"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// Gateway is the part of [gateway.Client] that a Deliverer needs.
type Gateway interface {
	Send(ctx context.Context, token sensitive.String, body []byte) (gateway.Receipt, error)
}

// Tokens is the part of [access.Source] that a Deliverer needs.
type Tokens interface {
	Token(ctx context.Context, record grant.Record, id string) (access.Token, error)
	Renew(ctx context.Context, key grant.Key, id string, refused int64) (access.Token, error)
}

// Announcer is the part of [lifecycle.Announcer] that a Deliverer needs.
type Announcer interface {
	Announce(ctx context.Context, record grant.Record) error
}

// Customers is the part of [grantcache.Store] that a Deliverer needs. What
// Recent returns is not changed here.
type Customers interface {
	Recent(ctx context.Context, key grant.Key) (record grant.Record, asOf time.Time, err error)
}

// Options are what a Deliverer works with. Customers and DeadLetters may be nil
// and IdleAfter zero; all other fields are required.
type Options struct {
	Skill     string
	Store     grant.Store
	Customers Customers // nil: every event reads its customer's record
	Tokens    Tokens
	Gateways  map[alexa.Region]Gateway // of the regions that this process serves
	// Patient are gateways for events that must not be repeated, which wait
	// longer for an answer; nil: Gateways.
	Patient map[alexa.Region]Gateway
	// OnBreaker hears of each change of a region's circuit breakers; may be nil.
	OnBreaker   func(region alexa.Region, name string, from, to breaker.State)
	Announcer   Announcer
	DeadLetters DeadLetters   // nil: there is no dead-letter topic
	MaxEventAge time.Duration // for reports; other kinds have ages of their own
	Checks      alexa.Checks
	// IdleAfter is how long a customer may get no event before the sweep leaves
	// its grants alone. Unless it is zero, use is noted in the record.
	IdleAfter time.Duration
	Draw      func() float64 // from 0 to 1, random: spreads resends
	Now       func() time.Time
}

// Deliverer delivers device events. It may be used by many goroutines at once.
type Deliverer struct {
	Options
	memory   *memory
	throttle *throttle
	health   map[alexa.Region]*health
}

// New returns a Deliverer.
func New(options Options) *Deliverer {
	d := &Deliverer{Options: options, memory: newMemory(), throttle: newThrottle(), health: make(map[alexa.Region]*health)}
	for region := range options.Gateways {
		d.health[region] = newHealth(region, options.Now, options.OnBreaker)
	}
	return d
}

// Result is what became of one event for one grant; GrantID is empty when the
// event did not get as far as a grant.
type Result struct {
	GrantID string
	outcome.Outcome
	Err error // why, nil for an accepted event
}

// Deliver brings the message's event to every grant it is for, and returns one
// result for each. No results mean that there is nothing to do: the customer
// has no grants here, or the message is for a region served elsewhere. A
// result whose decision is DeadLetter has been published to the dead-letter
// topic, if there is one; if that failed its decision is Retry. A result that
// is Retry means that the whole message has to be delivered again: whoever
// accepted it this time will not get it a second time.
//
// It comes back before ctx ends: an attempt that could not be finished is not
// begun.
func (d *Deliverer) Deliver(ctx context.Context, m push.Message) []Result {
	event, err := d.read(ctx, m)
	if err != nil {
		return []Result{d.bury(ctx, m, resultOf("", err))}
	}
	if event.elsewhere {
		return nil
	}
	if h := d.paused(event); h != nil {
		// Before anything is read: an outage must not cost a read for each try.
		d.unwellSince(ctx, h, false)
		return []Result{resultOf("", outcome.ErrPaused)}
	}
	c, err := d.customer(ctx, event, m)
	if errors.Is(err, grant.ErrNotFound) {
		return nil
	}
	if err != nil {
		return []Result{resultOf("", fmt.Errorf("reading the customer: %w", err))}
	}
	telemetry.Add(ctx, slog.Int(telemetry.Grants, len(c.grants)))
	if len(c.grants) == 0 {
		return nil
	}
	if event.expired {
		return d.finish(ctx, m, event, c, d.expire(ctx, event, c.record, c.grants, m))
	}
	before, err := d.begin(ctx, event, c.record.Key(), m)
	if err != nil {
		return d.finish(ctx, m, event, c, all(c.grants, err))
	}
	results := d.fanOut(ctx, event, c.record, c.grants, before.Accepted)
	if c.remembered {
		var stored grant.Record
		if stored, results = d.again(ctx, event, c.record, results, before.Accepted); stored.Revision != c.record.Revision {
			c.record, c.remembered = stored, false
		}
	}
	results = d.finish(ctx, m, event, c, results)
	d.end(ctx, event, before, results)
	d.used(ctx, c.record, results)
	return results
}

// paused returns the region that an event is for if nothing can be sent there
// now, and that can be told without reading whose the event is.
func (d *Deliverer) paused(e *event) *health {
	if e.expired {
		return nil
	}
	h := d.health[e.region]
	if e.region == "" && len(d.health) == 1 {
		for _, h = range d.health { // the one that there is
		}
	}
	if h == nil || h.closed() || !h.open() && !h.noTrial(e.once, d.Now()) {
		return nil
	}
	return h
}

// finish does what outcomes ask for before they may be acknowledged: a dead
// letter is put aside, and what grants have missed is noted.
func (d *Deliverer) finish(ctx context.Context, m push.Message, e *event, c customer, results []Result) []Result {
	if e.answers {
		results = oneAccount(results)
	}
	for i, result := range results {
		results[i] = d.bury(ctx, m, result)
		if h := d.health[c.record.Grants[result.GrantID].Region]; h != nil && (result.Name == outcome.Expired || result.Decision == outcome.Retry) {
			d.unwellSince(ctx, h, result.Name == outcome.Expired)
		}
	}
	return d.noteBehind(ctx, e, c, results)
}

func resultOf(id string, err error) Result {
	return Result{GrantID: id, Outcome: outcome.Of(err), Err: err}
}

// all gives every grant the same result.
func all(ids []string, err error) []Result {
	results := make([]Result, len(ids))
	for i, id := range ids {
		results[i] = resultOf(id, err)
	}
	return results
}

// event is a decoded message.
type event struct {
	alexa.Event
	id        string // identity
	region    alexa.Region
	published time.Time
	grant     string // the one grant that a replay is for, empty for all
	elsewhere bool   // for a region that another stack serves
	expired   bool   // too old to be sent
	answers   bool   // a directive, of one Amazon account
	once      bool   // must not be repeated
}

// maxData is the largest event that is looked at. Amazon's largest is 256 KB.
const maxData = 768 << 10

// read decodes the message and notes what it is in the log line.
func (d *Deliverer) read(ctx context.Context, m push.Message) (*event, error) {
	id, err := identity(m)
	if err != nil {
		return nil, err
	}
	telemetry.Add(ctx, slog.String(telemetry.EventID, id), slog.Int(telemetry.Attempt, m.Attempt))
	region, err := addressee(m)
	if err != nil {
		return nil, err
	}
	if _, served := d.Gateways[region]; region != "" && !served {
		return &event{elsewhere: true}, nil
	}
	if len(m.Data) > maxData {
		return nil, &alexa.FieldError{Path: "data", Problem: fmt.Sprintf("%d bytes, at most %d are taken", len(m.Data), maxData)}
	}
	now := d.Now()
	published := firstPublished(m, now)
	age := now.Sub(published)
	decoded, advice, err := alexa.DecodeEvent(m.Data, published, d.Checks)
	if err != nil {
		return nil, err
	}
	telemetry.Add(ctx,
		slog.String(telemetry.Customer, grant.CustomerHash(decoded.UserID)),
		slog.String(telemetry.EndpointID, decoded.EndpointID()),
		slog.String(telemetry.Kind, decoded.Header.Namespace+"."+decoded.Header.Name),
		slog.Int64(telemetry.AgeMS, age.Milliseconds()))
	advise(ctx, advice)
	most := decoded.MaxAge(d.MaxEventAge)
	return &event{
		Event: decoded, id: id, region: region, grant: m.Attributes[attrGrant], published: published,
		expired: most > 0 && age > most, answers: decoded.Answers(), once: decoded.Kind().Once,
	}, nil
}

// mostAdvice is how much of the advice on an event the log line shows. A report
// may have hundreds of properties, all written in the same way.
const mostAdvice = 5

// advise counts what Amazon advises against in an event, and logs some of it.
func advise(ctx context.Context, advice []*alexa.FieldError) {
	if len(advice) == 0 {
		return
	}
	shown := make([]string, 0, mostAdvice)
	for _, a := range advice[:min(len(advice), mostAdvice)] {
		shown = append(shown, a.Error())
	}
	telemetry.Raise(ctx, slog.LevelWarn)
	telemetry.Add(ctx, slog.Int(telemetry.AdviceCount, len(advice)), slog.Any(telemetry.Advice, shown))
}
