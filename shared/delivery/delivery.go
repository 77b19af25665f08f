package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
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

// Announcer is the part of [announce.Announcer] that a Deliverer needs.
type Announcer interface {
	Announce(ctx context.Context, record grant.Record) error
}

// Customers is the part of [grantcache.Store] that a Deliverer needs. A Deliverer
// does not modify the record that Recent returns.
type Customers interface {
	Recent(ctx context.Context, key grant.Key) (record grant.Record, asOf time.Time, err error)
}

// Options configure a Deliverer. Customers and DeadLetters may be nil and IdleAfter
// zero; all other fields are required.
type Options struct {
	Skill     string
	Store     grant.Store
	Customers Customers // nil: every event reads its customer's record
	Tokens    Tokens
	Gateways  map[alexa.Region]Gateway // one for each region that this process serves
	// Patient has gateways with a longer timeout, for events that must not be
	// repeated. If it is nil, Gateways is used.
	Patient map[alexa.Region]Gateway
	// OnBreaker is called when a region's circuit breaker changes; it may be nil.
	OnBreaker   func(region alexa.Region, name string, c breaker.Change)
	Announcer   Announcer
	DeadLetters DeadLetters   // nil: there is no dead-letter topic
	MaxEventAge time.Duration // for reports; other kinds have their own limits
	Checks      alexa.Checks
	// IdleAfter is how long a customer may go without an event before the sweep
	// stops refreshing its grants. Unless it is zero, the record notes when the
	// customer last got an event.
	IdleAfter time.Duration
	Draw      func() float64 // returns a random number from 0 to 1, which spreads resends
	Now       func() time.Time
}

// Deliverer delivers device events. It is safe for concurrent use.
type Deliverer struct {
	Options
	memory   *memory
	warned   warned
	throttle throttle
	health   map[alexa.Region]*health
}

// New returns a Deliverer.
func New(options Options) *Deliverer {
	d := &Deliverer{
		Options: options, memory: newMemory(), health: make(map[alexa.Region]*health),
	}
	for region := range options.Gateways {
		d.health[region] = newHealth(region, options.Now, options.OnBreaker)
	}
	return d
}

// Result is the outcome of one event for one grant. GrantID is empty if the event
// did not reach a grant.
type Result struct {
	GrantID string
	Region  alexa.Region // the grant's, or else the event's; empty if neither is known
	Outcome
	Err  error // the cause; nil if the event was accepted
	Sent Sent
}

// Sent is what this delivery of an event sent to a grant's gateway; zero if it
// sent nothing.
type Sent struct {
	MessageID string // the id by which Alexa knows the event; if it was sent in parts, all their ids, separated by spaces
	Tries     int    // how many requests were sent
	Status    int    // HTTP status of the last answer, 0 without one
	RequestID string // Amazon's id of the last request; empty if Amazon gave none
	// Took is how long the last request took, and Delivered the time from the first
	// publishing of the event until the gateway had accepted all of it: 0 if it did not.
	Took, Delivered time.Duration
}

// Deliver sends the message's event to each of the customer's grants that it is
// for, and returns one result per grant. If there is none, it returns a single
// result without a grant: NoGrant if no grant matches, or Elsewhere if another
// stack serves the event's region. A result whose decision is DeadLetter has been
// published to the dead-letter topic, if there is one; if that failed, its decision
// is Retry. Retry means that the whole message has to be redelivered. A grant that
// accepted the event does not get it twice.
//
// Deliver returns before ctx ends: it starts no attempt that it could not finish in
// time.
func (d *Deliverer) Deliver(ctx context.Context, m push.Message) []Result {
	event, err := d.decode(ctx, m)
	if err != nil {
		return []Result{d.deadLetter(ctx, m, resultOf("", err))}
	}
	if h := d.pausedRegion(event); h != nil {
		// Before the read: an outage must not cost a read for each redelivery.
		d.markUnhealthy(ctx, h, false)
		return event.resultWithoutGrant(ErrPaused)
	}
	c, err := d.findCustomer(ctx, event, m)
	if errors.Is(err, grant.ErrNotFound) {
		return event.resultWithoutGrant(errNotLinked)
	}
	if err != nil {
		return event.resultWithoutGrant(fmt.Errorf("reading the customer: %w", err))
	}
	logging.Add(ctx, slog.Int(logging.Grants, len(c.grants)))
	if len(c.grants) == 0 {
		return event.resultWithoutGrant(d.noGrant(event))
	}
	if event.expired {
		return d.settle(ctx, m, event, c, d.expire(ctx, event, c.record, c.grants, m))
	}
	before, err := d.claim(ctx, event, c.record.Key(), m)
	if err != nil {
		return d.settle(ctx, m, event, c, resultForAll(c.grants, err))
	}
	results := d.fanOut(ctx, event, c.record, c.grants, before.Accepted)
	if c.cached {
		c, results = d.retryOnStored(ctx, event, c, results, before.Accepted)
	}
	results = d.settle(ctx, m, event, c, results)
	d.recordDelivery(ctx, event, before, results)
	d.noteUse(ctx, c.record, results)
	return results
}

// pausedRegion returns the health of the event's region if its circuit breakers
// admit nothing now. It returns nil if the region is unknown until the customer is
// read.
func (d *Deliverer) pausedRegion(e *event) *health {
	if e.expired {
		return nil
	}
	h := d.health[e.region]
	if e.region == "" && len(d.health) == 1 {
		for _, h = range d.health { // the only one
		}
	}
	if h == nil || h.closed() || !h.open() && !h.noTrial(e.once, d.Now()) {
		return nil
	}
	return h
}

// settle does what must precede an acknowledgement: it publishes dead letters and
// records what each grant missed.
func (d *Deliverer) settle(ctx context.Context, m push.Message, e *event, c customer, results []Result) []Result {
	if e.answers {
		results = oneAccount(results)
	}
	for i, result := range results {
		result.Region = c.record.Grants[result.GrantID].Region
		results[i] = d.deadLetter(ctx, m, result)
		if h := d.health[result.Region]; h != nil && (result.Name == Expired || result.Decision == Retry) {
			d.markUnhealthy(ctx, h, result.Name == Expired)
		}
	}
	return d.noteBehind(ctx, e, c, results)
}

func resultOf(id string, err error) Result {
	return Result{GrantID: id, Outcome: OutcomeOf(err), Err: err}
}

// withError returns the result with err and the outcome of err in place of its own.
func (r Result) withError(err error) Result {
	r.Outcome, r.Err = OutcomeOf(err), err
	return r
}

// resultWithoutGrant returns the only result of an event that did not reach a
// grant.
func (e *event) resultWithoutGrant(err error) []Result {
	result := resultOf("", err)
	result.Region = e.region
	return []Result{result}
}

var (
	errNotLinked = fmt.Errorf("%w: no customer with this userId has linked the skill in this stack", ErrNoGrant)
	errGone      = fmt.Errorf("%w: the one that the replay is for is gone", ErrNoGrant)
)

// noGrant returns why the event is for none of the customer's grants.
func (d *Deliverer) noGrant(e *event) error {
	switch {
	case e.grant != "":
		return errGone
	case e.region != "":
		return fmt.Errorf("%w: the customer has none in %s", ErrNoGrant, e.region)
	}
	return fmt.Errorf("%w: the customer has none in a region that is served here (%s)", ErrNoGrant, d.served())
}

// served returns the names of the regions that this process serves.
func (d *Deliverer) served() string {
	var names []string
	for region := range d.Gateways {
		names = append(names, string(region))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// resultForAll returns the result of err for each grant.
func resultForAll(ids []string, err error) []Result {
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
	expired   bool   // too old to be sent
	answers   bool   // it answers a directive, so it is for one Amazon account only
	once      bool   // must not be repeated
}

// maxData is the largest event that is decoded. Amazon's largest is 256 KB.
const maxData = 768 << 10

// decode decodes the message, and adds its fields to the log line.
func (d *Deliverer) decode(ctx context.Context, m push.Message) (*event, error) {
	id, err := identity(m)
	if err != nil {
		return nil, err
	}
	logging.Add(ctx, slog.String(logging.EventID, id), slog.Int(logging.Attempt, m.Attempt))
	region, err := addressee(m)
	if err != nil {
		return nil, err
	}
	if _, served := d.Gateways[region]; region != "" && !served {
		logging.Add(ctx, slog.String(logging.Region, string(region)))
		return nil, fmt.Errorf("%w: region %s; here: %s", ErrElsewhere, region, d.served())
	}
	if len(m.Data) > maxData {
		return nil, &alexa.FieldError{Path: "data", Problem: fmt.Sprintf("%d bytes, at most %d are allowed", len(m.Data), maxData)}
	}
	now := d.Now()
	published := firstPublished(m, now)
	age := now.Sub(published)
	decoded, warnings, err := alexa.DecodeEvent(m.Data, published, d.Checks)
	if err != nil {
		return nil, err
	}
	logging.Add(ctx,
		slog.String(logging.Customer, grant.CustomerHash(decoded.UserID)),
		slog.String(logging.EndpointID, decoded.EndpointID()),
		slog.String(logging.Kind, kindOf(&decoded)),
		slog.Time(logging.Published, published),
		slog.Int64(logging.AgeMS, age.Milliseconds()))
	if decoded.Change != nil {
		logging.Add(ctx, slog.String(logging.Changed, changed(decoded.Change.Properties)))
	}
	if len(warnings) > 0 {
		d.warned.note(ctx, now, warnings)
	}
	maxAge := decoded.MaxAge(d.MaxEventAge)
	return &event{
		Event: decoded, id: id, region: region, grant: m.Attributes[attrGrant], published: published,
		expired: maxAge > 0 && age > maxAge, answers: decoded.Answers(), once: decoded.Kind().Once,
	}, nil
}

// kindOf returns the kind of an event for the log line.
func kindOf(e *alexa.Event) string {
	if e.IsChangeReport() {
		return "Alexa.ChangeReport" // the most common kind: no allocation
	}
	return e.Header.Namespace + "." + e.Header.Name
}

// maxChanged is how many changed properties the log line names.
const maxChanged = 10

// changed returns the names of the first changed properties, for the log line.
func changed(properties []alexa.Property) string {
	var names strings.Builder
	for i := range properties[:min(len(properties), maxChanged)] {
		p := &properties[i]
		if i == 0 {
			names.Grow(len(p.Namespace) + len(p.Name) + 1)
		} else {
			names.WriteByte(' ')
		}
		names.WriteString(p.Namespace)
		names.WriteByte('.')
		names.WriteString(p.Name)
	}
	return names.String()
}
