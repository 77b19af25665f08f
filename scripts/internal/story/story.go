// Package story tells what became of device events. For each it has the chain from the
// maker's publish to the gateway's answer, with one value and one fault for each link,
// and a sentence that says what happened and what to do.
//
// It judges from [Evidence], which its caller has collected: log lines, the customer's
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
	// Exclusions are what is kept out of the log: names with filters. They are nil if they
	// are unknown.
	Exclusions []string
	// Records are the customer's records by stack, nil where the stack has none. Without
	// a map the stores were not read.
	Records map[string]*grant.Record
	// Deliveries are the delivery records, by stack, of the one event that the question is
	// about. Only an event that must not be repeated, or was delivered in part, has one.
	Deliveries map[string]grant.Delivery
	Letters    []Letter
	Backlog    []Backlog
	// Calls returns the requests that an attempt made, in their order. It is nil if they
	// are not known, which is so for every deployment.
	Calls func(Entry) []Call
	// Incomplete: a stack's database could not be read, so a record may be missing.
	Incomplete bool
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
	known.Entries = slices.SortedStableFunc(slices.Values(known.Entries), func(a, b Entry) int { return a.Time.Compare(b.Time) })
	type event struct{ id, customer string } // two customers may have events of one id
	events := make(map[event][]Entry)
	for _, e := range known.Entries {
		if e.Function == "SendEvent" && e.EventID != "" && q.selects(e) {
			events[event{e.EventID, e.Customer}] = append(events[event{e.EventID, e.Customer}], e)
		}
	}
	var stories []Story
	for id, attempts := range events {
		stories = append(stories, tellEvent(attempts, known.letterOf(id.id, id.customer), known))
	}
	for _, l := range known.Letters {
		_, logged := events[event{l.EventID, l.Customer}]
		_, undecoded := events[event{l.EventID, ""}]
		if !logged && !undecoded && l.selectedBy(q) {
			stories = append(stories, tellLetter(l))
		}
	}
	slices.SortFunc(stories, func(a, b Story) int {
		return cmp.Or(a.Links[0].At.Compare(b.Links[0].At), cmp.Compare(a.EventID, b.EventID), cmp.Compare(a.Customer, b.Customer))
	})
	if len(stories) == 0 {
		stories = append(stories, tellMissing(q, known))
	}
	return stories
}

// letterOf returns the dead letter of an event, nil if there is none.
func (known Evidence) letterOf(event, customer string) *Letter {
	for _, l := range known.Letters {
		if l.EventID == event && (l.Customer == customer || customer == "") {
			return &l
		}
	}
	return nil
}

func (l Letter) selectedBy(q Question) bool {
	e := Entry{EventID: l.EventID, Customer: l.Customer, Endpoint: l.Endpoint, Published: l.Published}
	return q.selects(e)
}

// branch is what became of an event for one grant: the attempts of the grant's stack, and
// the outcome of the last one.
type branch struct {
	attempts []Entry
	last     Entry
	Result
}

// branches returns the branches of an event. Without the attribute region every stack gets
// the event: those that have no grant for the customer matter only if there are no others.
func branches(attempts []Entry) []branch {
	stacks := make(map[string][]Entry)
	for _, e := range attempts {
		stacks[e.Service] = append(stacks[e.Service], e)
	}
	var all []branch
	for _, service := range slices.Sorted(maps.Keys(stacks)) {
		lines := stacks[service]
		last := lines[len(lines)-1]
		for _, r := range last.results() {
			all = append(all, branch{lines, last, r})
		}
	}
	if some := slices.DeleteFunc(slices.Clone(all), branch.elsewhere); len(some) > 0 {
		return some
	}
	return all
}

func (b branch) elsewhere() bool { return b.Outcome == "no_grant" || b.Outcome == "elsewhere" }

// tellEvent tells the story of an event that SendEvent got.
func tellEvent(attempts []Entry, letter *Letter, known Evidence) Story {
	all := branches(attempts)
	var shown []Entry
	for _, e := range attempts {
		if slices.ContainsFunc(all, func(b branch) bool { return b.last.Service == e.Service }) {
			shown = append(shown, e)
		}
	}
	last := shown[len(shown)-1]
	s := Story{EventID: last.EventID, Customer: last.Customer, Endpoint: last.Endpoint, Kind: last.Kind}
	if known.Calls != nil {
		s.Links = timeline(shown, known)
	} else {
		s.Links = append(s.Links, published(shown[0]), waited(shown[0]))
		for _, e := range shown {
			s.Links = append(s.Links, attempt(e))
		}
		s.Links = append(s.Links, customerLink(last.Customer, known))
	}
	for _, b := range all {
		s.Links = append(s.Links, b.grantLink(known))
		if known.Calls == nil {
			s.Links = append(s.Links, b.tokenLink(), b.gatewayLink())
		}
	}
	if letter != nil {
		s.Links = append(s.Links, letter.link())
	}
	s.Links = slices.DeleteFunc(s.Links, func(l Link) bool { return l.Step == "" })
	s.Verdict = judge(all, letter, known)
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
	wait := milliseconds(first.AgeMS).Round(time.Millisecond)
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
	if e.Decision != "ack" || slices.Contains([]string{"suspended", "expired", "behind", "unconfirmed", "revoked"}, e.Outcome) {
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
	if l.Value == customer && !known.Incomplete {
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

func (b branch) grantLink(known Evidence) Link {
	if b.GrantID == "" {
		if b.elsewhere() {
			return Link{Step: "grant", Fault: b.Reason}
		}
		return Link{}
	}
	l := Link{Step: "grant", Value: fmt.Sprintf("%.8s in %s", b.GrantID, b.Region)}
	switch b.Outcome {
	case "revoked", "suspended":
		l.Fault = b.Outcome
	}
	if g, ok := known.find(b.GrantID); ok {
		l.Value += ", now " + string(g.State)
		if g.State != grant.Active {
			l.Value += " (" + g.Reason + ")"
		}
	}
	return l
}

func (b branch) tokenLink() Link {
	switch {
	case refusedClient(b.Error):
		return Link{Step: "token", Fault: "Login with Amazon refuses our client"}
	case strings.Contains(b.Error, refreshFailed):
		return Link{Step: "token", Fault: "Login with Amazon did not refresh it"}
	case slices.Contains([]string{"REFRESH_BUSY", "BRAKED", "OTHER_CLIENT", "LOGIN_WITH_AMAZON_PAUSED"}, b.Code):
		return Link{Step: "token", Fault: b.Code}
	case b.GatewayStatus == 401:
		return Link{Step: "token", Fault: "the gateway refuses it"}
	case b.last.Renewed:
		return Link{Step: "token", Value: "refreshed for this event"}
	case b.Tries > 0:
		return Link{Step: "token", Value: "valid"}
	}
	return Link{}
}

func (b branch) gatewayLink() Link {
	switch {
	case b.Tries == 0 && b.Code == "REGION_PAUSED":
		return Link{Step: "gateway", Fault: "not tried: the circuit breaker of the region is open"}
	case b.Tries == 0:
		return Link{}
	}
	l := Link{Step: "gateway", At: b.last.Time, Value: fmt.Sprintf("%d, request %s", b.GatewayStatus, cmp.Or(b.GatewayID, "-"))}
	if b.Tries > 1 {
		l.Value += fmt.Sprintf(", %d tries", b.Tries)
	}
	switch {
	case b.GatewayStatus == 0:
		l.Fault = "no answer"
	case b.GatewayStatus < 200 || b.GatewayStatus > 299:
		l.Fault = "refused"
		if b.Code != "" && b.Code != "INTERNAL" {
			l.Fault = b.Code
		}
	}
	return l
}

// refreshFailed is in the error of an attempt whose token could not be refreshed.
const refreshFailed = "login with amazon: refresh"

// refusedClient reports whether an error says that Login with Amazon refuses our client.
func refusedClient(text string) bool { return strings.Contains(text, "client refused") }
