package faults_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// outcomeNames are what may become of an event.
var outcomeNames = []string{"accepted", "duplicate", "superseded", "expired", "suspended", "revoked", "unconfirmed", "dead_letter"}

// audit holds what the simulator, the topics and the store have against what
// Pub/Sub was told.
type audit struct {
	t        *testing.T
	w        *world
	fates    map[string]fate // by event id
	events   []planned
	requests map[int][]simulator.Request // by number of the event
	dead     map[string]int              // dead letters by event id
	disabled map[string]bool             // by userId

	counts   map[string]int // events by outcome
	repeated int            // times that the gateway took an event again
}

func newAudit(t *testing.T, w *world, fates map[string]fate, events []planned) *audit {
	a := &audit{
		t: t, w: w, fates: fates, events: events, requests: make(map[int][]simulator.Request),
		dead: make(map[string]int), disabled: make(map[string]bool), counts: make(map[string]int),
	}
	for _, region := range alexa.Regions() {
		for _, r := range w.Events(region) {
			number := numberOf(r)
			a.requests[number] = append(a.requests[number], r)
		}
	}
	for _, p := range events {
		if p.disable {
			a.disabled[p.customer.userID] = true
		}
	}
	acks := make(map[string]int)
	for _, was := range fates {
		for _, outcome := range was.acks {
			acks[outcome]++
		}
	}
	for _, id := range w.deadLetters.say(t, acks["dead_letter"], func(m *pubsub.Message) string { return m.Attributes["eventId"] }) {
		a.dead[id]++
	}
	return a
}

// numberOf finds the number of the event that a request carried.
func numberOf(r simulator.Request) int {
	if door, ok := strings.CutPrefix(r.EndpointID, "door-"); ok {
		number, _ := strconv.Atoi(door)
		return number
	}
	var body struct {
		Event struct {
			Payload struct {
				Change struct{ Properties []struct{ Value int } }
			}
		}
	}
	if json.Unmarshal([]byte(r.Body), &body) != nil || len(body.Event.Payload.Change.Properties) != 1 {
		return -1
	}
	return body.Event.Payload.Change.Properties[0].Value
}

// run checks everything.
func (a *audit) run() {
	for _, p := range a.events {
		a.event(p, a.fates[p.id()])
	}
	for _, r := range a.requests[-1] { // cut off, by a process that was killed
		if r.Accepted {
			a.t.Errorf("the gateway took a request that carries no event: %s", r.Body)
		}
	}
	a.customers()
	a.newest()
	counts := a.w.Counts()
	if all := counts.Accepted + counts.Refused; counts.Scripted < all*15/100 {
		a.t.Errorf("%d of %d requests met faults, want a fifth", counts.Scripted, all)
	}
}

// event checks that one event is accounted for: it has one outcome, which the
// gateway and the topics bear out, and a repetition has a cause.
func (a *audit) event(p planned, was fate) {
	if len(was.acks) != 1 || !slices.Contains(outcomeNames, was.acks[0]) || p.want != "" && was.acks[0] != p.want && !a.gone(p, was) {
		a.t.Errorf("%s: acknowledged as %q, want one outcome %s", p.id(), was.acks, p.want)
		return
	}
	outcome := was.acks[0]
	a.counts[outcome]++
	taken, lost, ids := a.taken(p)
	if len(ids) > 1 {
		a.t.Errorf("%s: sent with several message ids: %v", p.id(), ids)
	}
	done := outcome == "accepted" || outcome == "duplicate" && !a.settledBefore(p, was, taken)
	if done && taken == 0 {
		a.t.Errorf("%s: %s, but the gateway did not take it", p.id(), outcome)
	}
	repeated := taken
	if done || outcome == "unconfirmed" {
		repeated--
	}
	if repeated > lost+was.interrupted {
		a.t.Errorf("%s: %s; the gateway took it %d times; %d of its answers were lost, and %d attempts interrupted", p.id(), outcome, taken, lost, was.interrupted)
	}
	a.repeated += max(repeated, 0)
	if buried := a.dead[p.id()]; buried > 1+was.interrupted || (buried > 0) != (outcome == "dead_letter") {
		a.t.Errorf("%s: %s, and %d dead letters", p.id(), outcome, buried)
	}
	if missed := outcome == "suspended" || outcome == "expired"; missed && !p.press {
		if g := a.w.grant(a.t, p.customer); g.State != grant.Revoked && !g.Behind.Has(p.endpointID, false) {
			a.t.Errorf("%s: %s, and no note says that %s was missed", p.id(), outcome, p.key())
		}
	}
	if outcome == "unconfirmed" && (!p.press || lost+untaken(a.requests[p.number]) == 0) {
		a.t.Errorf("%s: unconfirmed, and no answer to it was lost", p.id())
	}
	if outcome == "revoked" && !a.disabled[p.customer.userID] {
		a.t.Errorf("%s: revoked, but the customer has not disabled the skill", p.id())
	}
}

// settledBefore reports whether a duplicate is of an attempt that had settled
// the event without the gateway, and was interrupted before Pub/Sub heard of
// it: a press that was suspended, revoked or not answered is done with, and noted
// as such.
func (a *audit) settledBefore(p planned, was fate, taken int) bool {
	return p.press && taken == 0 && was.interrupted > 0
}

// untaken counts the requests that were not answered, and not taken.
func untaken(requests []simulator.Request) (n int) {
	for _, r := range requests {
		if r.Status == 0 && !r.Accepted {
			n++
		}
	}
	return n
}

// taken counts how often the gateway took an event, and how many of its
// answers to that were lost; ids are the message ids that it was sent with.
func (a *audit) taken(p planned) (taken, lost int, ids []string) {
	for _, r := range a.requests[p.number] {
		if !slices.Contains(ids, r.MessageID) {
			ids = append(ids, r.MessageID)
		}
		if r.Accepted {
			taken++
			if r.Status == 0 {
				lost++
			}
		}
	}
	return taken, lost, ids
}

// gone reports whether the customer had disabled the skill, so that whatever
// else becomes of an event, there was nobody left to send it to.
func (a *audit) gone(p planned, was fate) bool {
	return was.acks[0] == "revoked" && a.disabled[p.customer.userID]
}

// customers checks that nobody was unlinked who did not want to be.
func (a *audit) customers() {
	seen := make(map[string]bool)
	for _, p := range a.events {
		if seen[p.customer.userID] {
			continue
		}
		seen[p.customer.userID] = true
		g := a.w.grant(a.t, p.customer)
		if g.State == grant.Revoked && !a.disabled[p.customer.userID] {
			a.t.Errorf("%s is revoked (%s), and has not disabled the skill", p.customer.userID, g.Reason)
		}
	}
}

// newest checks that Alexa believes the newest report of each lamp that the
// gateway took, and that the newest of all was not dropped for nothing.
func (a *audit) newest() {
	newest := make(map[string]planned) // by endpoint
	for _, p := range a.events {
		if !p.press && p.want == "" && !a.disabled[p.customer.userID] {
			newest[p.key()] = p
		}
	}
	for _, p := range newest {
		acks := a.fates[p.id()].acks
		if len(acks) != 1 || acks[0] == "suspended" || acks[0] == "expired" { // the maker has been told
			continue
		}
		if believed := a.w.brightness(p.customer, p.endpointID); believed != float64(p.number) {
			a.t.Errorf("%s is the newest report of %s, and %s; Alexa believes %v", p.id(), p.key(), acks[0], believed)
		}
	}
}

// summary is for the log.
func (a *audit) summary() string {
	text := ""
	for _, outcome := range slices.Sorted(maps.Keys(a.counts)) {
		text += fmt.Sprintf("%d %s, ", a.counts[outcome], outcome)
	}
	counts := a.w.Counts()
	return text + fmt.Sprintf("%d taken again; the gateways took %d requests and refused %d, of which %d met faults",
		a.repeated, counts.Accepted, counts.Refused, counts.Scripted)
}
