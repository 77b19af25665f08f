package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// refusingRegion is the region whose gateway refuses everybody for a while.
const refusingRegion = alexa.FE

// runTime bounds a random run.
const runTime = 4 * time.Minute

// TestRandom delivers many events by way of Pub/Sub, with faults on a fifth of
// all answers and on one in forty of Firestore's, while processes are killed,
// customers leave and link again, and the maker reports again as it is told.
// Afterwards every event is accounted for, and Alexa has the latest state.
func TestRandom(t *testing.T) {
	t.Parallel()
	seed := seed(t)
	t.Logf("seed %d: repeat with FAULT_SEED=%d", seed, seed)
	many, households, kills := 2000, 200, 20
	if testing.Short() {
		many, households, kills = 300, 40, 4
	}
	// Of a lost answer to a refresh, or a killed process, remains the old
	// refresh token; without grace the customer would really be gone.
	w := newSuite(t, simulator.Options{OldRefreshTokenGrace: time.Hour})
	store := startFlakyStore(t, w.FirestoreHost, rand.New(rand.NewPCG(seed, 8)).IntN)
	w.Env["FIRESTORE_EMULATOR_HOST"] = store.address
	w.office = w.Launch(t, "")
	customers := w.linkMany(t, "random", households)
	m := newMaker(t, w, customers, many)
	for i := 0; i < len(customers); i += 10 { // a spouse
		c := customers[i]
		c.AmazonUser += "-spouse"
		if err := m.link(testkit.Context(t), c); err != nil {
			t.Fatal(err)
		}
	}
	m.heard = len(w.GrantEvents.Wait(t, len(m.accounts), func(*pubsub.Message) bool { return true }))

	for i, region := range alexa.Regions() {
		spoil(w, rand.New(rand.NewPCG(seed, uint64(2+i))), simulator.Gateway(region), gatewayFaults)
	}
	spoil(w, rand.New(rand.NewPCG(seed, 9)), simulator.Refresh, refreshFaults)
	w.Always(simulator.Gateway(refusingRegion), simulator.Fault{Status: 403, Match: func(simulator.Request) bool { return w.refusing.Load() }})
	store.failing.Store(true)
	started := time.Now()
	err := m.publish(testkit.Within(t, runTime), plan(rand.New(rand.NewPCG(seed, 1)), customers, many, kills))
	if err != nil {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	store.failing.Store(false)
	w.well.Store(true)
	if err := m.settle(testkit.Within(t, runTime)); err != nil {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	fates, killed := m.fleet.outcome()
	if killed < kills/2 {
		t.Errorf("%d processes were killed, want %d or a few less", killed, kills)
	}
	if store.failed.Load() < int64(many/20) {
		t.Errorf("%d calls of Firestore failed", store.failed.Load())
	}
	a := newAudit(t, m, fates)
	a.run()
	t.Logf("seed %d: %d events in %v, %d processes killed, %d calls of Firestore failed, %s",
		seed, len(m.events), time.Since(started).Round(time.Second), killed, store.failed.Load(), a.summary())
}

func seed(t *testing.T) uint64 {
	t.Helper()
	text, ok := os.LookupEnv("FAULT_SEED")
	if !ok {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("FAULT_SEED: %v", err)
	}
	return seed
}

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
	p.attributes = map[string]string{"customer": c.UserID, "eventId": p.id()}
	return p
}

// isReport reports whether the event is a report that reaches a customer.
func (p planned) isReport() bool { return !p.press && p.want == "" }

func (p planned) id() string  { return fmt.Sprint("e-", p.number) }
func (p planned) key() string { return p.customer.UserID + "/" + p.endpointID }

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
		attributes: map[string]string{"customer": c.UserID},
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
		return fmt.Sprintf(`{"userId":%q,"endpointId":%q,"changed":"poison"}`, p.customer.UserID, p.endpointID)
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
func spoil(w *suite, draw *rand.Rand, target simulator.Target, faults []weighted) {
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
