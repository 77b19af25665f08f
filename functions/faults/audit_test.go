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
var outcomeNames = []string{
	"accepted", "duplicate", "superseded", "expired", "suspended", "revoked", "unconfirmed", "behind", "dead_letter",
}

// audit holds what the simulator, the topics and the store have against what
// Pub/Sub was told.
type audit struct {
	t        *testing.T
	w        *suite
	fates    map[string]fate // by event id
	events   []planned
	accounts map[string]customer         // by grant id
	requests map[int][]simulator.Request // by number of the event
	dead     map[string]int              // dead letters by event id
	left     map[string]bool             // customers who disabled the skill, by userId; they may have enabled it again
	gone     map[string]bool             // those who have not

	counts   map[string]int // events by outcome, and grant
	repeated int            // times that the gateway took an event again
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
	buried := 0
	for _, was := range fates {
		for _, outcomes := range was.acks {
			for _, outcome := range outcomes {
				if outcome == "dead_letter" {
					buried++
				}
			}
		}
	}
	for _, id := range said(a.t, a.w.DeadLetters, buried, func(m *pubsub.Message) string { return m.Attributes["eventId"] }) {
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
	partly := 0
	for _, was := range a.fates {
		partly += was.partly
	}
	if partly > 3+a.counts["behind"]/4 {
		a.t.Errorf("%d attempts were handed back although a grant took the event; %d times the other was noted as behind",
			partly, a.counts["behind"])
	}
	a.grants()
	counts := a.w.Counts()
	if all := counts.Accepted + counts.Refused; counts.Scripted < all*15/100 {
		a.t.Errorf("%d of %d requests met faults, want a fifth", counts.Scripted, all)
	}
}

// event checks that one event is accounted for: it is acknowledged once, with an
// outcome for each grant, which the gateway and the topics bear out, and a
// repetition has a cause.
func (a *audit) event(p planned, was fate) {
	if len(was.acks) != 1 {
		a.t.Errorf("%s: acknowledged as %v, want it once", p.id(), was.acks)
		return
	}
	done := make(map[string]int) // grants that are done with, by the Amazon user
	buried := false
	for grantID, outcome := range was.acks[0] {
		a.counts[outcome]++
		buried = buried || outcome == "dead_letter"
		left := a.left[p.customer.UserID]
		if !slices.Contains(outcomeNames, outcome) || p.want != "" && outcome != p.want && (outcome != "revoked" || !left) {
			a.t.Errorf("%s: %s, want one outcome %s", p.id(), outcome, p.want)
		}
		user := a.accounts[grantID].AmazonUser
		taken, lost, _ := a.taken(p, user)
		accepted := outcome == "accepted" || outcome == "duplicate" && !settledBefore(p, was, grantID, taken)
		if accepted && taken == 0 {
			a.t.Errorf("%s: %s, but the gateway did not take it; after %d attempts, of which %d were interrupted: %v",
				p.id(), outcome, was.attempts, was.interrupted, was.acks)
		}
		if accepted || outcome == "unconfirmed" {
			done[user]++
		}
		if outcome == "unconfirmed" && (!p.press || lost+untaken(a.requests[p.number]) == 0) {
			a.t.Errorf("%s: unconfirmed, and no answer to it was lost", p.id())
		}
		if outcome == "revoked" && !left {
			a.t.Errorf("%s: revoked, but the customer has not disabled the skill", p.id())
		}
	}
	for user := range a.users(p) {
		taken, lost, ids := a.taken(p, user)
		if len(ids) > 1 && !a.left[p.customer.UserID] {
			a.t.Errorf("%s: sent to %s with several message ids: %v", p.id(), user, ids)
		}
		repeated := taken - done[user]
		if repeated > lost+was.interrupted+was.partly {
			a.t.Errorf("%s: %v; the gateway took it %d times of %s; %d of its answers were lost, and %d attempts interrupted",
				p.id(), was.acks, taken, user, lost, was.interrupted)
		}
		a.repeated += max(repeated, 0)
	}
	if letters := a.dead[p.id()]; letters > 1+was.interrupted || (letters > 0) != buried {
		a.t.Errorf("%s: %v, and %d dead letters", p.id(), was.acks, letters)
	}
}

// users are the Amazon users for whom the gateway got an event.
func (a *audit) users(p planned) map[string]bool {
	users := make(map[string]bool)
	for _, r := range a.requests[p.number] {
		users[r.User] = true
	}
	return users
}

// settledBefore reports whether a duplicate is of an attempt that had settled
// the event without the gateway, and was interrupted before Pub/Sub heard of
// it, or handed back for the sake of another grant: a press that was suspended,
// revoked or not answered is done with, and noted as such.
func settledBefore(p planned, was fate, grantID string, taken int) bool {
	return p.press && taken == 0 && (was.interrupted > 0 || was.settled[grantID])
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

// taken counts how often the gateway took an event of an Amazon user, and how
// many of its answers to that were lost; ids are the message ids that it was sent
// with.
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

// grants checks that no customer was unlinked who did not leave, and that Alexa has
// the latest state of every lamp.
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
			a.t.Errorf("%s is revoked (%s), and has not disabled the skill", account.UserID, g.Reason)
		}
		if g.State != grant.Active || a.gone[account.UserID] {
			continue
		}
		for endpoint, p := range newest[account.UserID] {
			if believed := a.w.brightness(account, endpoint); believed != float64(p.number) {
				a.t.Errorf("%s is the newest report of %s, and %v; Alexa believes %v of %s",
					p.id(), p.key(), a.fates[p.id()].acks, believed, account.AmazonUser)
			}
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

// brightness is what Alexa believes of a customer's lamp: the number of the
// report, nil if there was none.
func (w *suite) brightness(c customer, lamp string) any {
	for _, p := range w.State(c.Region, c.AmazonUser)[lamp] {
		if p.Name == "brightness" {
			return p.Value
		}
	}
	return nil
}
