package faults_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// deed is what happens to the process that an event is first delivered to.
type deed int

const (
	spare       deed = iota
	killAtWork       // killed a moment after it was given the event
	killAtReply      // killed when it has answered, before Pub/Sub hears of it
)

// planned is one event of the random run.
type planned struct {
	number     int // in the order of publishing
	customer   customer
	endpointID string
	attributes map[string]string
	press      bool   // of a doorbell, and else a report whose brightness is the number
	poison     bool   // cannot be decoded
	want       string // the one outcome there may be, empty for any

	deed  deed
	after time.Duration // killAtWork: the moment

	disable bool // before it is published, the customer disables the skill
	relink  bool // before it is published, the customer disables the skill and enables it again
	sweep   bool // before it is published, whatever waits is made due, and the sweep runs
	expire  bool // before it is published, Alexa ends the customer's access tokens
	refuse  bool // before it is published, a region's gateway begins to refuse everybody
	relent  bool // before it is published, it stops
}

// newReport is a report outside the plan: one that the maker was asked for.
func newReport(number int, c customer, endpointID string) planned {
	p := planned{number: number, customer: c, endpointID: endpointID}
	p.attributes = map[string]string{"customer": c.userID, "eventId": p.id()}
	return p
}

// isReport reports whether the event is a report that reaches a customer.
func (p planned) isReport() bool { return !p.press && p.want == "" }

func (p planned) id() string  { return fmt.Sprint("e-", p.number) }
func (p planned) key() string { return p.customer.userID + "/" + p.endpointID }

// plan draws the events of a run.
func plan(draw *rand.Rand, customers []customer, events, kills int) []planned {
	list := make([]planned, events)
	for i := range list {
		list[i] = planEvent(draw, i, customers[draw.IntN(len(customers))])
	}
	// Those who leave have sent some events by then.
	for i, n := range draw.Perm(events / 2)[:min(12, events/50+2)] {
		p := &list[events/2+n]
		p.disable, p.relink = i%4 == 0, i%4 != 0
	}
	for i := events / 10; i < events; i += events / 10 {
		list[i].sweep = true
	}
	for _, i := range draw.Perm(events)[:events/50] {
		list[i].expire = true
	}
	list[events/3].refuse, list[events/3+events/5].relent = true, true
	for k := 0; k < kills; {
		// Not the last tenth, so that what was interrupted is delivered again
		// among others. Every second time it is a press.
		i := draw.IntN(events * 9 / 10)
		if list[i].deed != spare || list[i].want != "" || list[i].press != (k%2 == 0) {
			continue
		}
		list[i].deed = killAtWork
		list[i].after = time.Duration(draw.IntN(25)) * time.Millisecond
		if draw.IntN(3) == 0 {
			list[i].deed = killAtReply
		}
		k++
	}
	return list
}

func planEvent(draw *rand.Rand, number int, c customer) planned {
	p := planned{
		number: number, customer: c, endpointID: fmt.Sprint("lamp-", draw.IntN(2)),
		attributes: map[string]string{"customer": c.userID},
	}
	p.attributes["eventId"] = p.id()
	switch kind := draw.IntN(100); {
	case kind < 8:
		p.press, p.endpointID = true, fmt.Sprint("door-", number)
	case kind < 10:
		p.poison, p.want = true, "dead_letter"
	case kind < 11:
		p.attributes["region"], p.want = "Mars", "dead_letter"
	case kind < 12:
		p.attributes["gatepost-published"], p.want = alexa.FormatTime(ago(time.Hour)), "expired"
	}
	return p
}

// data is the event as it is published now.
func (p planned) data() string {
	switch {
	case p.poison:
		return fmt.Sprintf(`{"userId":%q,"endpointId":%q,"changed":"poison"}`, p.customer.userID, p.endpointID)
	case p.press:
		return press(p.customer, p.endpointID)
	}
	return report(p.customer, p.endpointID, p.number)
}

// Faults of a fifth of all answers, by weight in a thousand.
var (
	gatewayFaults = []weighted{
		{40, simulator.Fault{Code: simulator.InternalService}},
		{30, simulator.Fault{Reset: true}},
		{30, simulator.Fault{AnswerLost: true}},
		{25, simulator.Fault{Code: simulator.InternalService, CutBody: true}},
		{25, simulator.Fault{Status: 502, Body: proxyPage}},
		{10, simulator.Fault{Code: simulator.InvalidAccessToken}},
		{10, simulator.Fault{Status: 403}},
		{10, simulator.Fault{Status: 403, Body: proxyPage}},
		{10, simulator.Fault{Code: simulator.Throttling, RetryAfter: time.Second}},
		{20, simulator.Fault{Delay: 1500 * time.Millisecond}}, // slow, and works
		{10, simulator.Fault{Status: 503}},
	}
	refreshFaults = []weighted{
		{40, simulator.Fault{Status: 500, Body: "{}"}},
		{40, simulator.Fault{Code: simulator.LWAInvalidRequest}},
		{40, simulator.Fault{AnswerLost: true}},
		{40, simulator.Fault{Body: proxyPage}},
		{40, simulator.Fault{Status: 429}},
	}
)

type weighted struct {
	weight int
	fault  simulator.Fault
}

// spoil has a target answer with faults from now on. Each request draws once
// for each fault that it has not met yet, so that the weights hold.
func spoil(w *world, draw *rand.Rand, target simulator.Target, faults []weighted) {
	left := 1000
	for _, f := range faults {
		left -= f.weight
	}
	for _, f := range faults { // the last is asked first
		left += f.weight
		of := left
		f.fault.Match = func(simulator.Request) bool { return !w.well.Load() && draw.IntN(of) < f.weight }
		w.Always(target, f.fault)
	}
}
