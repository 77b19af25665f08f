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

// outcomeNames are the outcomes of an event.
var outcomeNames = []string{
	"accepted", "duplicate", "superseded", "expired", "suspended", "revoked", "unconfirmed", "behind", "dead_letter",
}

// audit compares the records of the simulator, the topics and the store with the
// answers that Pub/Sub got.
type audit struct {
	t        *testing.T
	w        *suite
	fates    map[string]fate // by event id
	events   []planned
	accounts map[string]customer         // by grant id
	requests map[int][]simulator.Request // by number of the event
	dead     map[string]int              // dead letters by event id
	left     map[string]bool             // customers who disabled the skill, by userId; they may have enabled it again
	gone     map[string]bool             // the ones who have not

	counts   map[string]int // events by outcome, and grant
	repeated int            // repetitions that the gateway accepted
}

func newAudit(t *testing.T, m *maker, fates map[string]fate) *audit {
	a := &audit{
		t: t, w: m.w, fates: fates, events: m.events, accounts: m.accounts, requests: make(map[int][]simulator.Request),
		dead: make(map[string]int), left: make(map[string]bool), gone: make(map[string]bool), counts: make(map[string]int),
	}
	for _, region := range alexa.Regions() {
		for _, r := range a.w.Events(region) {
			number := numberOf(r)
			a.requests[number] = append(a.requests[number], r)
		}
	}
	for _, p := range a.events {
		if p.disable || p.relink {
			a.left[p.customer.UserID], a.gone[p.customer.UserID] = true, p.disable
		}
	}
	deadLetters := 0
	for _, was := range fates {
		for _, outcomes := range was.acks {
			for _, outcome := range outcomes {
				if outcome == "dead_letter" {
					deadLetters++
				}
			}
		}
	}
	for _, id := range textsOf(a.t, a.w.DeadLetters, deadLetters, func(m *pubsub.Message) string { return m.Attributes["eventId"] }) {
		a.dead[id]++
	}
	return a
}

// numberOf returns the number of the event in a request.
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
	for _, r := range a.requests[-1] { // cut off by a kill
		if r.Accepted {
			a.t.Errorf("the gateway accepted a request without an event: %s", r.Body)
		}
	}
	partly := 0
	for _, was := range a.fates {
		partly += was.partly
	}
	if partly > 3+a.counts["behind"]/4 {
		a.t.Errorf("%d attempts were handed back although a grant accepted the event; the other was marked behind %d times",
			partly, a.counts["behind"])
	}
	a.grants()
	counts := a.w.Counts()
	if all := counts.Accepted + counts.Refused; counts.Scripted < all*15/100 {
		a.t.Errorf("faulted requests = %d of %d, want a fifth", counts.Scripted, all)
	}
}

// event checks one event: it is acknowledged once, with an outcome for each grant
// that the records of the gateway and the topics confirm, and each repetition has a
// cause.
func (a *audit) event(p planned, was fate) {
	if len(was.acks) != 1 {
		a.t.Errorf("%s: acknowledgements = %v, want one", p.id(), was.acks)
		return
	}
	done := make(map[string]int) // settled grants, by Amazon user
	deadLettered := false
	for grantID, outcome := range was.acks[0] {
		a.counts[outcome]++
		deadLettered = deadLettered || outcome == "dead_letter"
		left := a.left[p.customer.UserID]
		if !slices.Contains(outcomeNames, outcome) || p.want != "" && outcome != p.want && (outcome != "revoked" || !left) {
			a.t.Errorf("%s: outcome = %s, want %s", p.id(), outcome, p.want)
		}
		user := a.accounts[grantID].AmazonUser
		taken, lost, _ := a.taken(p, user)
		accepted := outcome == "accepted" || outcome == "duplicate" && !settledBefore(p, was, grantID, taken)
		if accepted && taken == 0 {
			a.t.Errorf("%s: outcome = %s, but the gateway accepted nothing; after %d attempts, %d of them interrupted: %v",
				p.id(), outcome, was.attempts, was.interrupted, was.acks)
		}
		if accepted || outcome == "unconfirmed" {
			done[user]++
		}
		if outcome == "unconfirmed" && (!p.press || lost+unaccepted(a.requests[p.number]) == 0) {
			a.t.Errorf("%s: unconfirmed, but no answer to it was lost", p.id())
		}
		if outcome == "revoked" && !left {
			a.t.Errorf("%s: revoked, but the customer has not disabled the skill", p.id())
		}
	}
	for user := range a.users(p) {
		taken, lost, ids := a.taken(p, user)
		if len(ids) > 1 && !a.left[p.customer.UserID] {
			a.t.Errorf("%s: message ids for %s = %v, want one", p.id(), user, ids)
		}
		repeated := taken - done[user]
		if repeated > lost+was.interrupted+was.partly {
			a.t.Errorf("%s: %v; the gateway accepted it %d times for %s, with %d answers lost and %d attempts interrupted",
				p.id(), was.acks, taken, user, lost, was.interrupted)
		}
		a.repeated += max(repeated, 0)
	}
	if letters := a.dead[p.id()]; letters > 1+was.interrupted || (letters > 0) != deadLettered {
		a.t.Errorf("%s: acknowledged as %v with %d dead letters", p.id(), was.acks, letters)
	}
}

// users returns the Amazon users for whom the gateway got the event.
func (a *audit) users(p planned) map[string]bool {
	users := make(map[string]bool)
	for _, r := range a.requests[p.number] {
		users[r.User] = true
	}
	return users
}

// settledBefore reports whether a duplicate follows an attempt that settled the
// event without the gateway, and was interrupted before its answer, or handed back
// for another grant: a press that is suspended, revoked or unconfirmed is settled.
func settledBefore(p planned, was fate, grantID string, taken int) bool {
	return p.press && taken == 0 && (was.interrupted > 0 || was.settled[grantID])
}

// unaccepted counts the requests without an answer that the gateway did not accept.
func unaccepted(requests []simulator.Request) (n int) {
	for _, r := range requests {
		if r.Status == 0 && !r.Accepted {
			n++
		}
	}
	return n
}

// taken counts how often the gateway accepted an event for an Amazon user, and how
// many of those answers were lost; ids are the event's message ids.
func (a *audit) taken(p planned, user string) (taken, lost int, ids []string) {
	for _, r := range a.requests[p.number] {
		if r.User != user {
			continue
		}
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

// grants checks that only customers who left are unlinked, and that Alexa has the
// latest state of every lamp.
func (a *audit) grants() {
	newest := make(map[string]map[string]planned) // by userId and endpoint
	for _, p := range a.events {
		if newest[p.customer.UserID] == nil {
			newest[p.customer.UserID] = make(map[string]planned)
		}
		if p.isReport() {
			newest[p.customer.UserID][p.endpointID] = p
		}
	}
	for grantID, account := range a.accounts {
		g := a.w.grant(a.t, customer{UserID: account.UserID, GrantID: grantID})
		if g.State == grant.Revoked && !a.left[account.UserID] {
			a.t.Errorf("%s is revoked (%s), but has not disabled the skill", account.UserID, g.Reason)
		}
		if g.State != grant.Active || a.gone[account.UserID] {
			continue
		}
		for endpoint, p := range newest[account.UserID] {
			if believed := a.w.brightness(account, endpoint); believed != float64(p.number) {
				a.t.Errorf("%s is the newest report of %s, acknowledged as %v; Alexa has %v for %s",
					p.id(), p.key(), a.fates[p.id()].acks, believed, account.AmazonUser)
			}
		}
	}
}

// summary is one line for the log.
func (a *audit) summary() string {
	text := ""
	for _, outcome := range slices.Sorted(maps.Keys(a.counts)) {
		text += fmt.Sprintf("%d %s, ", a.counts[outcome], outcome)
	}
	counts := a.w.Counts()
	return text + fmt.Sprintf("%d repetitions accepted; the gateways accepted %d requests and refused %d, %d of them with faults",
		a.repeated, counts.Accepted, counts.Refused, counts.Scripted)
}

// brightness returns a lamp's brightness as Alexa has it, which is the number of
// the report, or nil.
func (w *suite) brightness(c customer, lamp string) any {
	for _, p := range w.State(c.Region, c.AmazonUser)[lamp] {
		if p.Name == "brightness" {
			return p.Value
		}
	}
	return nil
}
