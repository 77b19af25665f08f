package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatepostdev/gatepost/scripts/internal/story"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// property is a property of a report.
type property struct {
	Name  string
	Value json.RawMessage
}

// deviceEvent has the fields of a device event that a row shows.
type deviceEvent struct {
	UserID     string
	EndpointID string     // of the short form
	Changed    []property // of the short form
	Event      struct {
		Header   struct{ Namespace, Name string }
		Endpoint struct{ EndpointID string }
		Payload  struct {
			Change struct{ Properties []property }
		}
	}
}

// decode decodes what can be decoded: an event that SendEvent refuses is shown too.
func decode(data []byte) deviceEvent {
	var e deviceEvent
	_ = json.Unmarshal(data, &e)
	return e
}

func (e deviceEvent) endpoint() string { return cmp.Or(e.EndpointID, e.Event.Endpoint.EndpointID) }

func (e deviceEvent) orderingKey() string {
	if e.UserID == "" {
		return ""
	}
	return e.UserID + "/" + e.endpoint()
}

// maxSummary is the longest summary.
const maxSummary = 60

// summary is what happened: property = value, or the kind.
func (e deviceEvent) summary() string {
	text := strings.Trim(e.Event.Header.Namespace+"."+e.Event.Header.Name, ".")
	if changed := append(e.Changed, e.Event.Payload.Change.Properties...); len(changed) > 0 {
		text = changed[0].Name + " = " + short(changed[0].Value)
		if len(changed) > 1 {
			text += fmt.Sprintf(", +%d", len(changed)-1)
		}
	}
	return clip(cmp.Or(text, "not an event"))
}

// short writes a value without quotes, and an object by its member "value".
func short(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var object struct{ Value json.RawMessage }
	if json.Unmarshal(value, &object) == nil && object.Value != nil {
		return short(object.Value)
	}
	return string(value)
}

func clip(text string) string {
	if utf8.RuneCountInString(text) > maxSummary {
		text = string([]rune(text)[:maxSummary]) + "…"
	}
	return clean(text)
}

// clean cuts tokens out of a text.
func clean(text string) string { return string(delivery.WithoutTokens([]byte(text))) }

// cleanAll cuts tokens out of attributes.
func cleanAll(attributes map[string]string) map[string]string {
	cleaned := make(map[string]string, len(attributes))
	for name, value := range attributes {
		cleaned[clean(name)] = clean(value)
	}
	return cleaned
}

// detail is all that is known about a row.
type detail struct {
	Row       Row          `json:"row"`
	Story     *story.Story `json:"story,omitempty"` // of a device event
	Published *message     `json:"published,omitempty"`
	Sent      []sent       `json:"sent"`
	Lines     []any        `json:"lines"` // of the log
}

// message is a Pub/Sub message.
type message struct {
	Data        any               `json:"data"` // JSON, or text that is not JSON
	Attributes  map[string]string `json:"attributes"`
	OrderingKey string            `json:"orderingKey"`
}

// sent is a request that Login with Amazon or a gateway got.
type sent struct {
	At         time.Time        `json:"at"`
	Target     simulator.Target `json:"target"`
	Body       any              `json:"body"`
	Status     int              `json:"status"`
	Code       string           `json:"code,omitempty"`
	RetryAfter int              `json:"retryAfter,omitempty"`
	Answer     any              `json:"answer,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	Fault      bool             `json:"fault,omitempty"` // a fault of Trouble's
	TookMS     float64          `json:"tookMs"`
}

// shown returns text without tokens, as JSON if it is JSON.
func shown(text []byte) any { return asJSON(delivery.WithoutTokens(text)) }

func asJSON(text []byte) any {
	if json.Valid(text) {
		return json.RawMessage(text)
	}
	return string(text)
}

func (c *Console) detail(r *http.Request, id string) (any, error) {
	it, ok := c.feed.find(id)
	if !ok {
		return nil, errNotFound
	}
	d := detail{Row: it.Row, Sent: []sent{}, Lines: []any{}}
	for _, l := range it.lines {
		d.Lines = append(d.Lines, shown(l.text))
	}
	if it.Type != "event" {
		return d, nil
	}
	d.Published = &message{shown(it.message.Data), cleanAll(it.message.Attributes), clean(it.message.OrderingKey)}
	record := c.record(r, decode(it.message.Data).UserID)
	journal := c.amazon.Requests()
	told := c.tell(it, record, journal)
	d.Story = &told
	for _, l := range it.lines {
		for _, seen := range c.requestsOf(l.Entry, record, journal) {
			d.Sent = append(d.Sent, sent{
				At: seen.Time, Target: seen.Target, Body: asJSON([]byte(seen.Body)), Status: seen.Status, Code: seen.Code, RetryAfter: seen.RetryAfter,
				Answer: asJSON([]byte(seen.Answer)), Reason: seen.Reason, Fault: seen.Scripted, TookMS: seen.Took,
			})
		}
	}
	return d, nil
}

// record reads the record of a customer, nil without one.
func (c *Console) record(r *http.Request, userID string) *grant.Record {
	record, err := c.grants.Admin.Read(r.Context(), grant.Key{Skill: skill, UserID: userID})
	if err != nil {
		return nil
	}
	return &record
}

// tell tells the story of an event.
func (c *Console) tell(it item, record *grant.Record, journal []simulator.Request) story.Story {
	q := story.Question{Event: it.ID, Customer: grant.CustomerHash(decode(it.message.Data).UserID), Endpoint: it.Endpoint}
	known := story.Evidence{
		Now: c.now(), Records: map[string]*grant.Record{"this run": record}, Entries: c.feed.entries(q.Customer, q.Endpoint),
	}
	if len(it.lines) > 0 {
		// Another message may have the same identity: it is an event of its own here.
		known.Entries = slices.DeleteFunc(known.Entries, func(e story.Entry) bool { return e.Function == "SendEvent" })
		for _, l := range it.lines {
			known.Entries = append(known.Entries, l.Entry)
		}
		q = story.Question{Event: it.lines[0].EventID}
	}
	known.Calls = func(e story.Entry) []story.Call { return c.callsOf(e, record, journal) }
	return story.Tell(q, known)[0]
}

// callsOf returns the calls of an attempt, in their order.
func (c *Console) callsOf(e story.Entry, record *grant.Record, journal []simulator.Request) []story.Call {
	var calls []story.Call
	begin, end := during(e)
	for _, r := range c.grants.between(e.Customer, begin, end) {
		calls = append(calls, story.Call{To: story.Store, At: r.at, Took: r.took})
	}
	for _, seen := range c.requestsOf(e, record, journal) {
		to := story.Gateway
		if seen.Target == simulator.Refresh {
			to = story.Login
		}
		calls = append(calls, story.Call{
			To: to, At: seen.Time, Took: time.Duration(seen.Took * float64(time.Millisecond)), Status: seen.Status, Code: seen.Code,
			RetryAfter: time.Duration(seen.RetryAfter) * time.Second,
		})
	}
	slices.SortStableFunc(calls, func(a, b story.Call) int { return a.At.Compare(b.At) })
	return calls
}

// rounding is how inexact the times of a line are, which has whole milliseconds.
const rounding = 2 * time.Millisecond

// during returns when an attempt began and ended.
func during(e story.Entry) (begin, end time.Time) {
	return e.Time.Add(-time.Duration(e.TookMS*float64(time.Millisecond)) - rounding), e.Time.Add(rounding)
}

// requestsOf returns the requests of an attempt: its events, and the refreshes of the
// customer's tokens in its time.
func (c *Console) requestsOf(e story.Entry, record *grant.Record, journal []simulator.Request) []simulator.Request {
	ids := strings.Fields(e.MessageID)
	for _, d := range e.Deliveries {
		ids = append(ids, strings.Fields(d.MessageID)...)
	}
	begin, end := during(e)
	accounts := c.accounts(record)
	var found []simulator.Request
	for _, seen := range journal {
		switch {
		case seen.Time.Before(begin) || seen.Time.After(end):
		case seen.MessageID != "" && slices.Contains(ids, seen.MessageID),
			seen.Target == simulator.Refresh && slices.Contains(accounts, account{seen.Region, seen.User}):
			found = append(found, seen)
		}
	}
	return found
}

// toPublish is an event to publish.
type toPublish struct {
	Event       json.RawMessage   `json:"event"`
	Text        string            `json:"text"` // instead of Event, for what is not JSON
	Attributes  map[string]string `json:"attributes"`
	OrderingKey string            `json:"orderingKey"`
}

func (c *Console) publish(r *http.Request) (any, error) {
	var wanted toPublish
	if err := readBody(r, &wanted); err != nil {
		return nil, err
	}
	data := wanted.Event
	if wanted.Text != "" {
		data = json.RawMessage(wanted.Text)
	}
	if len(data) == 0 {
		return nil, errors.New(`"event" is missing`)
	}
	return c.send(r, push.Message{Data: data, Attributes: wanted.Attributes, OrderingKey: wanted.OrderingKey})
}

// send publishes a message. Its ordering key is that of the customer and the endpoint
// if it has none.
func (c *Console) send(r *http.Request, m push.Message) (map[string]string, error) {
	engine, err := c.running()
	if err != nil {
		return nil, err
	}
	m.OrderingKey = cmp.Or(m.OrderingKey, decode(m.Data).orderingKey())
	m.PublishTime = c.now()
	if m.ID, err = engine.Publish(r.Context(), m.Data, m.Attributes, m.OrderingKey); err != nil {
		return nil, err
	}
	c.feed.published(m)
	return map[string]string{"id": m.ID}, nil
}

// repeat publishes an event again as a new one, without the identity of the first.
func (c *Console) repeat(r *http.Request) (any, error) {
	it, ok := c.feed.find(r.PathValue("id"))
	if !ok || it.Type != "event" {
		return nil, errNotFound
	}
	attributes := maps.Clone(it.message.Attributes)
	maps.DeleteFunc(attributes, func(name, _ string) bool { return name == "eventId" || strings.HasPrefix(name, "gatepost-") })
	return c.send(r, push.Message{Data: it.message.Data, Attributes: attributes, OrderingKey: it.message.OrderingKey})
}
