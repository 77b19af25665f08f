package faults_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
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

// fewEvents is enough: each kind of fault is met at least three times, each kind of
// event at least six, and each kind of kill once. FAULT_EVENTS asks for more.
const fewEvents = 600

// TestRandom delivers many events by way of Pub/Sub, with faults on a fifth of
// all answers and on one in forty of Firestore's, while processes are killed,
// customers leave and link again, and the maker reports again as it is told.
// Afterwards every event is accounted for, and Alexa has the latest state.
func TestRandom(t *testing.T) {
	t.Parallel()
	seed, many := fromEnv(t, "FAULT_SEED", uint64(time.Now().UnixNano())), int(fromEnv(t, "FAULT_EVENTS", fewEvents))
	t.Logf("seed %d: repeat with FAULT_SEED=%d", seed, seed)
	source := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }
	// Of a lost answer to a refresh, or a killed process, remains the old
	// refresh token; without grace the customer would really be gone.
	w := newSuite(t, simulator.Options{OldRefreshTokenGrace: time.Hour})
	store := startFlakyStore(t, w.FirestoreHost)
	w.Env["FIRESTORE_EMULATOR_HOST"] = store.address
	w.office = w.Launch(t, "")
	customers := w.linkMany(t, "random", many/10)
	m := newMaker(t, w, customers, many)
	for i := 0; i < len(customers); i += 10 { // a spouse
		c := customers[i]
		c.AmazonUser += "-spouse"
		if err := m.link(testkit.Context(t), c); err != nil {
			t.Fatal(err)
		}
	}
	m.heard = len(w.GrantEvents.Wait(t, len(m.accounts), func(*pubsub.Message) bool { return true }))

	met := make(map[string]int)
	for i, region := range alexa.Regions() {
		spoil(w, source(uint64(2+i)), simulator.Gateway(region), 100, gatewayFaults, met)
	}
	spoil(w, source(9), simulator.Refresh, 12, refreshFaults, met)
	w.Always(simulator.Gateway(refusingRegion), simulator.Fault{Status: 403, Match: func(simulator.Request) bool { return w.refusing.Load() }})
	store.spoil(source(8))
	started := time.Now()
	if err := m.publish(testkit.Within(t, runTime), plan(source(1), customers, many)); err != nil {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	w.Clear() // all is well from now on
	maps.Copy(met, store.calm())
	if err := m.settle(testkit.Within(t, runTime)); err != nil {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	fates, killed := m.fleet.outcome()
	if killed < kills/2 {
		t.Errorf("%d processes were killed, want %d or a few less", killed, kills)
	}
	if kinds := len(gatewayFaults) + len(refreshFaults) + len(storeErrors) + 1; len(met) != kinds {
		t.Errorf("%d kinds of faults were met, want %d: %v", len(met), kinds, met)
	}
	for kind, n := range met {
		if n < 3 {
			t.Errorf("fault %s was met %d times, want 3 or more", kind, n)
		}
	}
	a := newAudit(t, m, fates)
	a.run()
	t.Logf("seed %d: %d events in %v, %d processes killed, faults %v, %s",
		seed, len(m.events), time.Since(started).Round(time.Second), killed, met, a.summary())
}

// fromEnv reads a number.
func fromEnv(t *testing.T, name string, unset uint64) uint64 {
	t.Helper()
	text, ok := os.LookupEnv(name)
	if !ok {
		return unset
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return number
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

// kills is how many processes are killed: four for presses and four for reports, of
// which two each are killed when they have answered.
const kills = 8

// plan draws the events of a run.
func plan(draw *rand.Rand, customers []customer, events int) []planned {
	list := make([]planned, events)
	kind := rounds(draw, 100)
	for i := range list {
		list[i] = planEvent(draw, i, customers[draw.IntN(len(customers))], kind())
	}
	// Those who leave have sent some events by then.
	for i, n := range draw.Perm(events / 2)[:12] {
		p := &list[events/2+n]
		p.disable, p.relink = i%4 == 0, i%4 != 0
	}
	for i := events / 10; i < events; i += events / 10 {
		list[i].sweep = true
	}
	for _, i := range draw.Perm(events)[:events/20] {
		list[i].expire = true
	}
	list[events/3].refuse, list[events/3+events/5].relent = true, true
	for k := 0; k < kills; {
		// In the first half, so that what was interrupted is delivered again among
		// others.
		p := &list[draw.IntN(events/2)]
		if p.deed != spare || p.want != "" || p.press != (k%2 == 0) {
			continue
		}
		p.deed, p.after = killAtWork, time.Duration(draw.IntN(25))*time.Millisecond
		if k >= kills/2 {
			p.deed = killAtReply
		}
		k++
	}
	return list
}

// rounds returns a function that draws the numbers below n, each once before any is
// drawn again.
func rounds(draw *rand.Rand, n int) func() int {
	var left []int
	return func() int {
		if len(left) == 0 {
			left = draw.Perm(n)
		}
		next := left[0]
		left = left[1:]
		return next
	}
}

func planEvent(draw *rand.Rand, number int, c customer, kind int) planned {
	p := planned{
		number: number, customer: c, endpointID: fmt.Sprint("lamp-", draw.IntN(2)),
		attributes: map[string]string{"customer": c.UserID},
	}
	p.attributes["eventId"] = p.id()
	switch {
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

// Faults of a fifth of the gateway's answers, and of a third and more of the few
// refreshes: how many requests of a round meet each.
var (
	gatewayFaults = []weighted{
		{4, simulator.Fault{Code: simulator.InternalService}},
		{3, simulator.Fault{Reset: true}},
		{3, simulator.Fault{AnswerLost: true}},
		{3, simulator.Fault{Code: simulator.InternalService, CutBody: true}},
		{2, simulator.Fault{Status: 502, Body: proxyPage}},
		{1, simulator.Fault{Code: simulator.InvalidAccessToken}},
		{1, simulator.Fault{Status: 403}},
		{1, simulator.Fault{Status: 403, Body: proxyPage}},
		{1, simulator.Fault{Code: simulator.Throttling, RetryAfter: time.Second}},
		{2, simulator.Fault{Delay: 1500 * time.Millisecond}}, // slow, and works
		{1, simulator.Fault{Status: 503}},
	}
	refreshFaults = []weighted{
		{1, simulator.Fault{Status: 500, Body: "{}"}},
		{1, simulator.Fault{Code: simulator.LWAInvalidRequest}},
		{1, simulator.Fault{AnswerLost: true}},
		{1, simulator.Fault{Body: proxyPage}},
		{1, simulator.Fault{Status: 429}},
	}
)

type weighted struct {
	weight int
	fault  simulator.Fault
}

// spoil has a target answer with faults from now on, and counts those that are met.
// Each request draws a number of a round, of which every fault has its weight.
func spoil(w *suite, draw *rand.Rand, target simulator.Target, round int, faults []weighted, met map[string]int) {
	deal, number, from := rounds(draw, round), 0, 0
	where, _, _ := strings.Cut(string(target), "/")
	for i, f := range faults {
		first := from
		from += f.weight
		f.fault.Match = func(simulator.Request) bool {
			if number < first || number >= first+f.weight {
				return false
			}
			met[fmt.Sprint(where, " ", i)]++
			return true
		}
		w.Always(target, f.fault)
	}
	w.Always(target, simulator.Fault{Match: func(simulator.Request) bool { // asked first
		number = deal()
		return false
	}})
}
