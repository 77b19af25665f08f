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

// refusingRegion is the region whose gateway refuses every event for a while.
const refusingRegion = alexa.FE

// runTime bounds a random run.
const runTime = 4 * time.Minute

// fewEvents meets each kind of fault at least three times, each kind of event at
// least six, and each kind of kill once. FAULT_EVENTS sets another number.
const fewEvents = 600

// TestRandom delivers events by way of Pub/Sub, with faults on a fifth of Amazon's
// answers and one in forty of Firestore's. Meanwhile processes are killed,
// customers leave and link again, and the maker repeats reports on request.
// Afterwards every event is accounted for, and Alexa has the latest state.
func TestRandom(t *testing.T) {
	t.Parallel()
	seed, many := fromEnv(t, "FAULT_SEED", 1), int(fromEnv(t, "FAULT_EVENTS", fewEvents))
	t.Logf("FAULT_SEED=%d", seed)
	source := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }
	// After a lost answer to a refresh, or a kill, only the old refresh token is
	// left; without grace the customer would really be gone.
	w := newSuite(t, simulator.Options{OldRefreshTokenGrace: time.Hour})
	store := startFlakyStore(t, w.FirestoreHost)
	w.Env["FIRESTORE_EMULATOR_HOST"] = store.address
	w.office = w.Launch(t, "")
	customers := w.linkMany(t, "random", many/10)
	m := newMaker(t, w, customers, many)
	for i := 0; i < len(customers); i += 10 { // a spouse's account
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
	w.Clear() // no faults from now on
	maps.Copy(met, store.calm())
	if err := m.settle(testkit.Within(t, runTime)); err != nil {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	fates, killed := m.fleet.outcome()
	if killed < kills/2 {
		t.Errorf("killed processes = %d, want %d or a few less", killed, kills)
	}
	if kinds := len(gatewayFaults) + len(refreshFaults) + len(storeErrors) + 1; len(met) != kinds {
		t.Errorf("kinds of faults = %d, want %d: %v", len(met), kinds, met)
	}
	for kind, n := range met {
		if n < 3 {
			t.Errorf("fault %s occurred %d times, want 3 or more", kind, n)
		}
	}
	a := newAudit(t, m, fates)
	a.run()
	t.Logf("seed %d: %d events in %v, %d processes killed, faults %v, %s",
		seed, len(m.events), time.Since(started).Round(time.Second), killed, met, a.summary())
}

// fromEnv returns a number from the environment.
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

// killPoint is where the first process that receives an event is killed.
type killPoint int

const (
	none        killPoint = iota
	killAtWork            // killed soon after it receives the event
	killAtReply           // killed after its answer, which Pub/Sub does not get
)

// planned is one event of the random run.
type planned struct {
	number     int // in the order of publishing
	customer   customer
	endpointID string
	attributes map[string]string
	press      bool   // of a doorbell; otherwise a report with the number as brightness
	poison     bool   // cannot be decoded
	want       string // the only outcome allowed, empty for any

	killPoint killPoint
	after     time.Duration // delay of killAtWork

	disable bool // before it is published, the customer disables the skill
	relink  bool // … and enables it again
	sweep   bool // … all grants are made due and swept
	expire  bool // … Alexa expires the customer's access tokens
	refuse  bool // … the gateway of refusingRegion begins to refuse
	relent  bool // … it stops refusing
}

// newReport is a report outside the plan, on request.
func newReport(number int, c customer, endpointID string) planned {
	p := planned{number: number, customer: c, endpointID: endpointID}
	p.attributes = map[string]string{"customer": c.UserID, "eventId": p.id()}
	return p
}

// isReport reports whether the event is a report that reaches a customer.
func (p planned) isReport() bool { return !p.press && p.want == "" }

func (p planned) id() string  { return fmt.Sprint("e-", p.number) }
func (p planned) key() string { return p.customer.UserID + "/" + p.endpointID }

// kills is the number of killed processes: half of them at presses and half at
// reports, half at work and half at the reply.
const kills = 8

// plan draws the events of a run.
func plan(draw *rand.Rand, customers []customer, events int) []planned {
	list := make([]planned, events)
	kind := rounds(draw, 100)
	for i := range list {
		list[i] = planEvent(draw, i, customers[draw.IntN(len(customers))], kind())
	}
	// Customers who leave have sent some events before.
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
		// In the first half, so that interrupted events are redelivered among
		// others.
		p := &list[draw.IntN(events/2)]
		if p.killPoint != none || p.want != "" || p.press != (k%2 == 0) {
			continue
		}
		p.killPoint, p.after = killAtWork, time.Duration(draw.IntN(25))*time.Millisecond
		if k >= kills/2 {
			p.killPoint = killAtReply
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

// data returns the event for publishing now.
func (p planned) data() string {
	switch {
	case p.poison:
		return fmt.Sprintf(`{"userId":%q,"endpointId":%q,"changed":"poison"}`, p.customer.UserID, p.endpointID)
	case p.press:
		return press(p.customer, p.endpointID)
	}
	return report(p.customer, p.endpointID, p.number)
}

// Faults of a fifth of the gateway's answers, and of over a third of the few
// refreshes: how many requests of a round get each.
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
		{2, simulator.Fault{Delay: 1500 * time.Millisecond}}, // slow, but succeeds
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

// spoil makes a target answer with faults, and counts them. Each request draws a
// number of a round, in which a fault's weight is its share of the numbers.
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
	w.Always(target, simulator.Fault{Match: func(simulator.Request) bool { // matched first
		number = deal()
		return false
	}})
}
