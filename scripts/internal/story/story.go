// Package story tells what became of device events: for each the chain from the maker's
// publish to the gateway's answer, one value and one fault a link, and one sentence that
// says what happened and what to do.
//
// It judges from [Evidence], which somebody else has collected: log lines, the customer's
// record, dead letters, the backlog of the subscription. It reads nothing itself.
package story

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// Question selects events. Each empty field selects all.
type Question struct {
	Customer string // hash, as in logs
	Endpoint string
	Event    string    // the event's id, or a messageId that was sent to Alexa
	From, To time.Time // of the first publish
}

// selects reports whether the question is about the event of an entry.
func (q Question) selects(e Entry) bool {
	at := cmp.Or(e.Published, e.begin())
	return (q.Customer == "" || q.Customer == e.Customer || e.Customer == "" && q.Event == e.EventID) &&
		(q.Endpoint == "" || q.Endpoint == e.Endpoint) &&
		(q.Event == "" || q.Event == e.EventID || slices.Contains(messageIDs(e), q.Event)) &&
		(q.From.IsZero() || !at.Before(q.From)) && (q.To.IsZero() || !at.After(q.To))
}

// messageIDs are the ids by which Amazon knows the event.
func messageIDs(e Entry) []string {
	ids := strings.Fields(e.MessageID)
	for _, r := range e.Deliveries {
		ids = append(ids, strings.Fields(r.MessageID)...)
	}
	return ids
}

// Letter is a dead letter.
type Letter struct {
	EventID, Customer, Endpoint, Kind string
	Reason, Code, Description         string
	Published                         time.Time
}

// Backlog is what waits in a stack's subscription of device events.
type Backlog struct {
	Subscription string
	Messages     int64
	Oldest       time.Duration // age of the oldest message
}

// Evidence is what is known about the time of a question.
type Evidence struct {
	Now      time.Time
	Entries  []Entry
	LogBegan time.Time // the log has nothing from before; zero if that is unknown
	// Records are the customer's records by stack, nil where the stack has none. Without
	// a map the stores were not read.
	Records map[string]*grant.Record
	Letters []Letter
	Backlog []Backlog
	// Calls returns the requests that an attempt made, in their order. It is nil if they
	// are not known, which is so for every deployment.
	Calls func(Entry) []Call
	// Unread names the sources that could not be read, and why.
	Unread []string
}

// Story is what became of one event, or of an event that was expected.
type Story struct {
	EventID  string `json:"eventId,omitempty"`
	Customer string `json:"customer,omitempty"`
	Endpoint string `json:"endpointId,omitempty"`
	Kind     string `json:"kind,omitempty"`
	Links    []Link `json:"links"`
	Verdict
}

// Link is one link of the chain.
type Link struct {
	Step  string    `json:"step"`
	At    time.Time `json:"at,omitzero"`
	Value string    `json:"value,omitempty"`
	Fault string    `json:"fault,omitempty"` // empty if the link holds
	// TookMS is how long it took from At, in milliseconds, if that is known.
	TookMS float64 `json:"tookMs,omitempty"`
}

// Verdict says what happened.
type Verdict struct {
	Name     string `json:"verdict"`
	Arrived  bool   `json:"arrived"` // Alexa has the event, or newer news
	Happened string `json:"happened"`
	Do       string `json:"do"`
	Page     string `json:"page"` // a section of functions/TROUBLESHOOTING.md
}

// Tell returns the stories of all events that the question selects, the oldest first,
// and never none: if no event is found, the story says why.
func Tell(q Question, known Evidence) []Story {
	events := make(map[string][]Entry)
	for _, e := range known.Entries {
		if e.Function == "SendEvent" && e.EventID != "" && q.selects(e) {
			events[e.EventID] = append(events[e.EventID], e)
		}
	}
	var stories []Story
	for _, attempts := range events {
		slices.SortStableFunc(attempts, func(a, b Entry) int { return a.Time.Compare(b.Time) })
		stories = append(stories, tellEvent(attempts, known))
	}
	for _, l := range known.Letters {
		if events[l.EventID] == nil && l.selectedBy(q) {
			stories = append(stories, tellLetter(l))
		}
	}
	slices.SortFunc(stories, func(a, b Story) int {
		return cmp.Or(a.Links[0].At.Compare(b.Links[0].At), cmp.Compare(a.EventID, b.EventID))
	})
	if len(stories) == 0 {
		stories = append(stories, tellMissing(q, known))
	}
	return stories
}

func (l Letter) selectedBy(q Question) bool {
	e := Entry{EventID: l.EventID, Customer: l.Customer, Endpoint: l.Endpoint, Published: l.Published}
	return q.selects(e)
}

// tellEvent tells the story of an event that SendEvent got.
func tellEvent(attempts []Entry, known Evidence) Story {
	// Without the attribute region every stack gets the event. The lines of those that
	// have no grant for the customer matter only if there are no others.
	decisive := slices.DeleteFunc(slices.Clone(attempts), func(e Entry) bool { return e.Outcome == "no_grant" || e.Outcome == "elsewhere" })
	if len(decisive) == 0 {
		decisive = attempts
	}
	first, last := decisive[0], decisive[len(decisive)-1]
	s := Story{EventID: last.EventID, Customer: last.Customer, Endpoint: last.Endpoint, Kind: last.Kind}
	if known.Calls != nil {
		s.Links = timeline(decisive, known)
	} else {
		s.Links = append(s.Links, published(first), waited(first))
		for _, e := range decisive {
			s.Links = append(s.Links, attempt(e))
		}
		s.Links = append(s.Links, customerLink(last.Customer, known))
	}
	for _, r := range last.results() {
		s.Links = append(s.Links, last.grantLink(r, known))
		if known.Calls == nil {
			s.Links = append(s.Links, last.tokenLink(r), last.gatewayLink(r))
		}
	}
	s.Links = slices.DeleteFunc(s.Links, func(l Link) bool { return l.Step == "" })
	s.Verdict = judge(first, last, known)
	return s
}

// results are the results of an attempt by grant.
func (e Entry) results() []Result {
	if len(e.Deliveries) > 0 {
		return e.Deliveries
	}
	return []Result{e.Result}
}

func published(e Entry) Link {
	value := e.Kind
	if e.Changed != "" {
		value += " of " + e.Changed
	}
	return Link{Step: "published", At: cmp.Or(e.Published, e.begin()), Value: value}
}

// slowWait is how long an event usually does not wait in Pub/Sub.
const slowWait = 5 * time.Second

func waited(first Entry) Link {
	wait := time.Duration(first.AgeMS * float64(time.Millisecond)).Round(time.Millisecond)
	l := Link{Step: "subscription", At: first.begin(), Value: fmt.Sprintf("waited %v", wait)}
	if wait > slowWait {
		l.Fault = "SendEvent got it late"
	}
	return l
}

func attempt(e Entry) Link {
	l := Link{Step: "attempt", At: e.Time, Value: fmt.Sprintf("%d, %s", e.Status, e.Outcome)}
	if e.Attempt > 0 {
		l.Step = fmt.Sprintf("attempt %d", e.Attempt)
	}
	if e.Decision != "ack" {
		l.Fault = strings.TrimSpace(e.Code + " " + cmp.Or(e.Error, e.Reason))
	}
	return l
}

func customerLink(customer string, known Evidence) Link {
	if customer == "" {
		return Link{}
	}
	l := Link{Step: "customer", Value: customer}
	if known.Records == nil {
		return l
	}
	for _, stack := range slices.Sorted(maps.Keys(known.Records)) {
		if r := known.Records[stack]; r != nil {
			l.Value += fmt.Sprintf(", grants in %s: %d", stack, len(r.Grants))
		}
	}
	if l.Value == customer {
		l.Fault = "no stack has a record"
	}
	return l
}

// find returns a grant as it is stored now.
func (known Evidence) find(id string) (grant.Grant, bool) {
	for _, r := range known.Records {
		if r != nil {
			if g, ok := r.Grants[id]; ok {
				return g, true
			}
		}
	}
	return grant.Grant{}, false
}

func (e Entry) grantLink(r Result, known Evidence) Link {
	if r.GrantID == "" {
		if r.Outcome == "no_grant" || r.Outcome == "elsewhere" {
			return Link{Step: "grant", Fault: r.Reason}
		}
		return Link{}
	}
	l := Link{Step: "grant", Value: fmt.Sprintf("%.8s in %s", r.GrantID, r.Region)}
	switch r.Outcome {
	case "revoked", "suspended":
		l.Fault = r.Outcome
	}
	if g, ok := known.find(r.GrantID); ok {
		l.Value += ", now " + string(g.State)
		if g.State != grant.Active {
			l.Value += " (" + g.Reason + ")"
		}
	}
	return l
}

func (e Entry) tokenLink(r Result) Link {
	switch {
	case refusedClient(r.Error):
		return Link{Step: "token", Fault: "Login with Amazon refuses our client"}
	case slices.Contains([]string{"REFRESH_BUSY", "BRAKED", "OTHER_CLIENT", "LOGIN_WITH_AMAZON_PAUSED"}, r.Code):
		return Link{Step: "token", Fault: r.Code}
	case e.Renewed:
		return Link{Step: "token", Value: "refreshed for this event"}
	case r.Tries > 0:
		return Link{Step: "token", Value: "valid"}
	}
	return Link{}
}

func (e Entry) gatewayLink(r Result) Link {
	switch {
	case r.Tries == 0 && r.Code == "REGION_PAUSED":
		return Link{Step: "gateway", Fault: "not tried: the circuit breaker of the region is open"}
	case r.Tries == 0:
		return Link{}
	}
	l := Link{Step: "gateway", At: e.Time, Value: fmt.Sprintf("%d, request %s", r.GatewayStatus, cmp.Or(r.GatewayID, "-"))}
	if r.Tries > 1 {
		l.Value += fmt.Sprintf(", %d tries", r.Tries)
	}
	if r.GatewayStatus/100 != 2 {
		l.Fault = cmp.Or(r.Code, r.Error, "no answer")
	}
	return l
}

// refusedClient reports whether an error says that Login with Amazon refuses our client.
func refusedClient(text string) bool { return strings.Contains(text, "client refused") }
