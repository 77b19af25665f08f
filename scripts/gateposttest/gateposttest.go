package gateposttest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"google.golang.org/api/option"

	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

const (
	// patience bounds each wait for what takes milliseconds.
	patience = 30 * time.Second
	// margin is left before the deadline of go test, to say what did not come.
	margin = time.Second
	// minBackoff and maxBackoff are short, because a test waits.
	minBackoff, maxBackoff = 50 * time.Millisecond, time.Second / 2
	// grace is what events in flight have at the end of the test.
	grace = 100 * time.Millisecond
)

// The topics of [PubSub].
const (
	DeviceEvents = oneprocess.DeviceEvents
	GrantEvents  = oneprocess.GrantEvents
	DeadLetters  = oneprocess.DeadLetters
)

// Gatepost is a running Gatepost. Make one with [Start].
type Gatepost struct {
	URL    string               // of the functions: append "/SkillEvent"
	Amazon *simulator.Simulator // Login with Amazon and the event gateways
	Grants grant.Admin          // the store of grants
	PubSub PubSub

	t       testing.TB
	ctx     context.Context // unlike that of t, it lasts until the end of t's cleanup
	running *oneprocess.Gatepost
}

// PubSub is where the code under test publishes device events, and subscribes to grant
// events and dead letters. Its topics are constants of this package.
type PubSub struct {
	Address string // host:port, for PUBSUB_EMULATOR_HOST
	Project string
}

// ClientOptions returns the options for a client of Pub/Sub.
func (p PubSub) ClientOptions() []option.ClientOption { return oneprocess.Emulator(p.Address) }

// Option changes what [Start] starts.
type Option func(*settings)

type settings struct {
	simulator simulator.Options
	env       map[string]string
}

// WithEnv sets variables of the functions' environment, for example EVENT_CHECKS. See
// functions/CONTRACTS.md.
func WithEnv(env map[string]string) Option { return func(s *settings) { s.env = env } }

// WithSimulator sets the options of the simulator, for example the lifetime of access
// tokens: those of ten minutes are refreshed by each sweep. The client must be the
// default one.
func WithSimulator(o simulator.Options) Option { return func(s *settings) { s.simulator = o } }

// Start starts a Gatepost that serves all regions, and stops it at the end of the test.
func Start(t testing.TB, options ...Option) *Gatepost {
	t.Helper()
	var s settings
	for _, option := range options {
		option(&s)
	}
	if topic, given := s.env["DEAD_LETTER_TOPIC"]; given && topic == "" {
		t.Fatalf("gateposttest: DEAD_LETTER_TOPIC is empty: without dead letters, events that cannot be delivered are redelivered")
	}
	g := &Gatepost{Amazon: simulator.New(s.simulator), Grants: grantmem.New(), t: t}
	var end context.CancelFunc
	g.ctx, end = context.WithCancel(context.WithoutCancel(t.Context()))
	ctx, cancel := g.context()
	defer cancel()
	var err error
	g.running, err = oneprocess.Start(ctx, oneprocess.Options{
		Project: "gatepost-test", Amazon: g.Amazon, Store: g.Grants, Env: s.env,
		MinBackoff: minBackoff, MaxBackoff: maxBackoff, Grace: grace, Log: logging.New(t.Output()).Handler(),
		OnFailure: func(err error) { t.Errorf("gateposttest: %v", err) },
	})
	if err != nil {
		end()
		t.Fatalf("gateposttest: %v", err)
	}
	t.Cleanup(func() {
		end()
		if !g.running.Stop().Drained {
			t.Error("gateposttest: requests were cut off at the end of the test")
		}
	})
	g.URL = g.running.URL
	g.PubSub = PubSub{g.running.Broker.Address, g.running.Broker.Project}
	return g
}

// context returns a context for a wait.
func (g *Gatepost) context() (context.Context, context.CancelFunc) {
	until := time.Now().Add(patience)
	if t, ok := g.t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := t.Deadline(); ok && deadline.Add(-margin).Before(until) {
			until = deadline.Add(-margin)
		}
	}
	return context.WithDeadline(g.ctx, until)
}

// wait calls a function that waits, and fails the test if that fails.
func wait[T any](g *Gatepost, what string, do func(context.Context) (T, error)) T {
	g.t.Helper()
	ctx, cancel := g.context()
	defer cancel()
	value, err := do(ctx)
	if err != nil {
		g.t.Fatalf("gateposttest: %s: %v", what, err)
	}
	return value
}

// Customer is a customer who has linked the skill.
type Customer struct {
	UserID     string // at the maker
	AmazonUser string // at Amazon
	Region     alexa.Region
}

// Link links a customer: the simulator makes a code, and AcceptGrant gets the directive
// that Alexa sends.
func (g *Gatepost) Link(userID string, region alexa.Region) Customer {
	g.t.Helper()
	c := Customer{UserID: userID, AmazonUser: "amzn-" + userID, Region: region}
	return wait(g, "linking "+userID, func(ctx context.Context) (Customer, error) {
		return c, g.running.Link(ctx, region, c.AmazonUser, userID)
	})
}

// Publish publishes a device event, as the maker's cloud does, and returns the id of the
// message. The event is an [alexa.Event], bytes or a string, which are published as they
// are, or a value for encoding/json. attributes may be nil. The ordering key is the
// customer and the endpoint, as README.md recommends.
func (g *Gatepost) Publish(event any, attributes map[string]string) string {
	g.t.Helper()
	return wait(g, "publishing", func(ctx context.Context) (string, error) {
		data, err := encode(event)
		if err != nil {
			return "", err
		}
		return g.running.Publish(ctx, data, attributes, orderingKey(data))
	})
}

func encode(event any) ([]byte, error) {
	switch e := event.(type) {
	case []byte:
		return e, nil
	case string:
		return []byte(e), nil
	case alexa.Event:
		data, _, err := e.Device()
		return data, err
	}
	return json.Marshal(event)
}

// orderingKey returns the ordering key of an event, "" if it has no customer.
func orderingKey(data []byte) string {
	var event struct {
		UserID, EndpointID string
		Event              struct{ Endpoint struct{ EndpointID string } }
	}
	if json.Unmarshal(data, &event) != nil || event.UserID == "" {
		return ""
	}
	return event.UserID + "/" + event.EndpointID + event.Event.Endpoint.EndpointID
}

// Outcome is the outcome of a device event.
type Outcome struct {
	Outcome string // accepted, no_grant, dead_letter, …: README.md lists them
	Code    string // of a refusal
	Reason  string // of any other outcome than accepted
	Attempt int    // Pub/Sub's delivery attempt that led to it, 1 for the first
	// Grants has an element for each grant of the customer. The outcome is that of the
	// first.
	Grants []GrantOutcome
}

// GrantOutcome is the outcome of a device event for one grant.
type GrantOutcome = oneprocess.Delivery

// Outcome waits until a device event needs no more attempts, and returns its outcome. id
// is the id of the message or the eventId.
func (g *Gatepost) Outcome(id string) Outcome {
	g.t.Helper()
	return outcome(wait(g, "the outcome of "+id, func(ctx context.Context) (oneprocess.Line, error) { return g.final(ctx, id) }))
}

// final waits for the last attempt of a device event, and until Pub/Sub knows that it was
// the last.
func (g *Gatepost) final(ctx context.Context, id string) (oneprocess.Line, error) {
	last := "SendEvent did not get it"
	line, err := g.running.Lines.Wait(ctx, func(l oneprocess.Line) bool {
		mine := l.Pushed != nil && (l.Pushed.ID == id || l.Pushed.Attributes["eventId"] == id)
		if mine {
			last = fmt.Sprintf("the last attempt: %+v", outcome(l))
		}
		return mine && l.Final()
	})
	if err == nil {
		line, err = g.running.Delivered(ctx, line.Pushed.ID)
	}
	if err != nil {
		err = fmt.Errorf("%w; %s", err, last)
	}
	return line, err
}

func outcome(l oneprocess.Line) Outcome {
	o := Outcome{Attempt: l.Pushed.Attempt, Grants: l.Deliveries()}
	if len(o.Grants) > 0 {
		o.Outcome, o.Code, o.Reason = o.Grants[0].Outcome, o.Grants[0].Code, o.Grants[0].Reason
	}
	return o
}

// Accepted waits for an event that a gateway accepted and that match selects, and returns
// it as the simulator saw it. It may have come before.
func (g *Gatepost) Accepted(match func(simulator.Request) bool) simulator.Request {
	g.t.Helper()
	return wait(g, "an accepted event", func(ctx context.Context) (simulator.Request, error) {
		for {
			accepted := g.Amazon.Counts().Accepted
			for _, seen := range g.Amazon.Requests() {
				if seen.Region != "" && seen.Name != "" && seen.Accepted && match(seen) {
					return seen, nil
				}
			}
			if err := g.Amazon.WaitAccepted(ctx, int(accepted)+1); err != nil {
				return simulator.Request{}, err
			}
		}
	})
}

// State returns what Alexa believes of an endpoint: the last accepted value of each
// property, by its namespace and name, such as "Alexa.PowerController.powerState". The
// key of a property with an instance ends with "." and the instance.
func (g *Gatepost) State(c Customer, endpointID string) map[string]any {
	state := make(map[string]any)
	for _, p := range g.Amazon.State(c.Region, c.AmazonUser)[endpointID] {
		key := p.Namespace + "." + p.Name
		if p.Instance != "" {
			key += "." + p.Instance
		}
		state[key] = p.Value
	}
	return state
}

// GrantEvent waits for a grant event of a customer, and returns the first one of that
// type.
func (g *Gatepost) GrantEvent(userID string, kind grant.AnnouncementType) announce.Message {
	g.t.Helper()
	return wait(g, fmt.Sprintf("the grant event %s of %s", kind, userID), func(ctx context.Context) (announce.Message, error) {
		m, err := g.running.GrantEvents.Wait(ctx, func(m push.Message) bool {
			event := grantEvent(m)
			return event.UserID == userID && event.Type == kind
		})
		return grantEvent(m), err
	})
}

func grantEvent(m push.Message) (event announce.Message) {
	_ = json.Unmarshal(m.Data, &event) // Gatepost has encoded it
	return event
}

// DeadLetter is a device event that can never be delivered as it is.
type DeadLetter struct {
	Code, Description string
	Data              []byte
	Attributes        map[string]string
}

// DeadLetter waits for the dead letter that a device event has become. id is the id of
// the message or the eventId.
func (g *Gatepost) DeadLetter(id string) DeadLetter {
	g.t.Helper()
	return wait(g, "the dead letter of "+id, func(ctx context.Context) (DeadLetter, error) {
		line, err := g.final(ctx, id)
		if err != nil {
			return DeadLetter{}, err
		}
		eventID := cmp.Or(line.Pushed.Attributes["eventId"], line.Pushed.ID)
		m, err := g.running.DeadLetters.Wait(ctx, func(m push.Message) bool { return m.Attributes["gatepost-event-id"] == eventID })
		if err != nil {
			err = fmt.Errorf("%w; %+v", err, outcome(line))
		}
		return DeadLetter{m.Attributes["gatepost-code"], m.Attributes["gatepost-description"], m.Data, m.Attributes}, err
	})
}

// Sweep runs a sweep, which refreshes the tokens that are due, and returns its counts.
func (g *Gatepost) Sweep() sweep.Counts {
	g.t.Helper()
	return wait(g, "a sweep", func(ctx context.Context) (sweep.Counts, error) {
		_, counts, err := g.running.Sweep(ctx)
		return counts, err
	})
}
