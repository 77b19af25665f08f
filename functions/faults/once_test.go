package faults_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// onceEvents are the events of which a repetition would be noticed.
var onceEvents = map[string]func(c customer) string{
	"doorbell": func(c customer) string { return press(c, "door-1") },
	"simple event": func(c customer) string {
		return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa.SimpleEventSource","name":"Event","instance":"Button.1"},
			"endpoint":{"endpointId":"button-1"},"payload":{"id":"Button.Press.1","timestamp":%q}}}`,
			c.UserID, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
	},
}

// press is a press of a customer's doorbell.
func press(c customer, door string) string {
	return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},
		"endpoint":{"endpointId":%q},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":%q}}}`,
		c.UserID, door, time.Now().UTC().Format("2006-01-02T15:04:05Z"))
}

// TestOnce sends events that must not be repeated by two processes, of which
// one dies on the way. claimed is what the other answers as long as the event
// may still be the first's.
func TestOnce(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	const claimed, accepted, duplicate = "503 retry CLAIMED", "200 accepted", "200 duplicate"
	tests := []struct {
		name string
		// first has the first process deliver the event, and die or not. It
		// returns where the answer will be, if there will be one.
		first   func(w *suite, t *testing.T, c customer, m push.Message) <-chan string
		answers []string // of the second process, while the claim lasts and after
		sent    []int    // statuses of all requests at the gateway
	}{
		{"killed between claim and send", (*suite).dieBeforeSend, []string{claimed, accepted, duplicate}, []int{202}},
		// The one repetition that there may be: nobody can know whether the event was
		// taken.
		{"killed between send and mark", (*suite).dieAfterSend, []string{claimed, accepted, duplicate}, []int{0, 202}},
		{"killed between mark and acknowledgement", (*suite).dieAfterMark, []string{duplicate, duplicate, duplicate}, []int{202}},
		{"both at once", (*suite).sendSlowly, []string{claimed, duplicate, duplicate}, []int{202}},
		{"failed", (*suite).failToSend, []string{accepted, duplicate, duplicate}, []int{500, 500, 500, 500, 202}},
	}
	second := w.Launch(t, "SendEvent")
	for kind, event := range onceEvents {
		for _, test := range tests {
			t.Run(kind+" "+test.name, func(t *testing.T) {
				t.Parallel()
				c := w.link(t, t.Name(), alexa.EU)
				m := message(c, event(c), c.UserID, 1)
				pending := test.first(w, t, c, m)
				var got []string
				for i := range test.answers {
					m.Attempt = i + 2
					got = append(got, deliver(t, second, m))
					if i == 0 {
						w.endClaim(t, c, m, pending)
					}
				}
				if diff := cmp.Diff(test.answers, got); diff != "" {
					t.Errorf("the second process's answers differ (-want +got):\n%s", diff)
				}
				requests := w.eventsOf(c)
				if diff := cmp.Diff(test.sent, statuses(requests)); diff != "" {
					t.Errorf("requests at the gateway differ (-want +got):\n%s", diff)
				}
				checkRequests(t, requests, nil, row{})
			})
		}
	}
}

// arrival returns a fault that is in the way of a customer's request and a
// channel that is closed when it arrives.
func arrival(c customer, f simulator.Fault) (simulator.Fault, <-chan struct{}) {
	arrived := make(chan struct{})
	f.User, f.Match = c.AmazonUser, func(simulator.Request) bool { // called for the user's only
		close(arrived)
		return true
	}
	return f, arrived
}

// begin starts a process that delivers a message, and returns when the
// request that it makes has arrived. The answer comes on the channel, "" if
// the process died.
func (w *suite) begin(t *testing.T, m push.Message, arrived <-chan struct{}) (*binary.Process, <-chan string) {
	t.Helper()
	p := w.Launch(t, "SendEvent")
	answered := make(chan string, 1)
	ctx := testkit.Context(t)
	go func() {
		answer, _ := world.Deliver(ctx, p.URL(), m) // the process may be killed
		answered <- answer
	}()
	select {
	case <-arrived:
	case answer := <-answered:
		t.Fatalf("answered %q before the request arrived", answer)
	case <-ctx.Done():
		t.Fatal("the request did not arrive")
	}
	return p, answered
}

// dieBeforeSend kills the process that has claimed the event, and waits for a
// token.
func (w *suite) dieBeforeSend(t *testing.T, c customer, m push.Message) <-chan string {
	w.change(t, c, expiring(0))
	fault, arrived := arrival(c, simulator.Fault{Delay: testkit.Patience})
	w.Script(simulator.Refresh, fault)
	p, answered := w.begin(t, m, arrived)
	p.Kill()
	<-answered
	// Nor does anybody wait for the dead process's refresh.
	w.change(t, c, func(g *grant.Grant) { g.Lease.Until = ago(time.Second) })
	return nil
}

// dieAfterSend kills the process while the gateway, which took the event, does
// not answer.
func (w *suite) dieAfterSend(t *testing.T, c customer, m push.Message) <-chan string {
	fault, arrived := arrival(c, simulator.Fault{AnswerLost: true, Delay: testkit.Patience})
	w.Script(simulator.Gateway(c.Region), fault)
	p, answered := w.begin(t, m, arrived)
	w.waitEvents(t, c, 1)
	p.Kill()
	<-answered
	return nil
}

// waitEvents waits until requests of a customer at the gateway are recorded.
func (w *suite) waitEvents(t *testing.T, c customer, n int) {
	t.Helper()
	ctx := testkit.Context(t)
	for total := 1; len(w.eventsOf(c)) < n; total++ {
		if err := w.WaitAccepted(ctx, total); err != nil {
			t.Fatal(err)
		}
	}
}

// dieAfterMark has the process finish, and its answer be lost.
func (w *suite) dieAfterMark(t *testing.T, c customer, m push.Message) <-chan string {
	p := w.Launch(t, "SendEvent")
	wantAnswer(t, p, m, "200 accepted")
	p.Kill()
	return nil
}

// sendSlowly has the process be at it until the second has asked once.
func (w *suite) sendSlowly(t *testing.T, c customer, m push.Message) <-chan string {
	fault, arrived := arrival(c, simulator.Fault{Delay: 2500 * time.Millisecond})
	w.Script(simulator.Gateway(c.Region), fault)
	_, answered := w.begin(t, m, arrived)
	return answered
}

// failToSend has the process give the event back.
func (w *suite) failToSend(t *testing.T, c customer, m push.Message) <-chan string {
	w.Script(simulator.Gateway(c.Region), simulator.Fault{User: c.AmazonUser, Status: 500, Times: 4})
	p := w.Launch(t, "SendEvent")
	wantAnswer(t, p, m, "503 retry INTERNAL")
	return nil
}

// endClaim waits for the first process if it lives, and lets the claim of one
// that died run out.
func (w *suite) endClaim(t *testing.T, c customer, m push.Message, pending <-chan string) {
	t.Helper()
	if pending != nil {
		if answer := <-pending; answer != "200 accepted" {
			t.Errorf("the first process answered %q", answer)
		}
		return
	}
	ctx := testkit.Context(t)
	was, err := w.Store.ReadDelivery(ctx, grant.DeliveryKey{Customer: c.Key().ID(), EventID: m.Attributes["eventId"]})
	if err != nil {
		t.Fatal(err)
	}
	if was.State != grant.Claimed {
		return
	}
	if left := time.Until(was.ClaimedUntil); left <= 0 || left > 30*time.Second {
		t.Errorf("the event is claimed for %v more, want up to 30 s", left)
	}
	now := was
	now.ClaimedUntil = ago(time.Second)
	if _, err := w.Store.WriteDelivery(context.WithoutCancel(ctx), was, now); err != nil {
		t.Fatal(err)
	}
}

// TestTooLate delivers events that came too late to be of use, as they do
// after a claim that nobody ended.
func TestTooLate(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	p := w.Launch(t, "SendEvent")
	c := w.link(t, "late", alexa.EU)
	for _, test := range []struct {
		name  string
		event string
		age   time.Duration
		want  string
	}{
		{"press", onceEvents["doorbell"](c), 61 * time.Second, "200 expired"},
		{"press in time", onceEvents["doorbell"](c), 50 * time.Second, "200 accepted"},
		{"simple event", onceEvents["simple event"](c), 61 * time.Second, "200 expired"},
		{"report", report(c, "lamp-1", 1), 301 * time.Second, "200 expired"},
		{"report in time", report(c, "lamp-1", 2), 290 * time.Second, "200 accepted"},
		{"discovery", discovery(c, "DeleteReport", 1), time.Hour, "200 accepted"},
	} {
		m := message(c, test.event, test.name, 1)
		m.PublishTime = ago(test.age)
		wantAnswer(t, p, m, test.want)
	}
	if told := said(t, w.GrantEvents, 0, told(c)); len(told) > 0 {
		t.Errorf("the maker is told at once: %v", told)
	}
	if got := missed(w.grant(t, c).Behind); got != "lamp-1" {
		t.Errorf("missed: %q, want the endpoint of the report that expired", got)
	}
}

// TestChattyCustomer has the gateway throttle one customer, who has a lot to
// say. Nobody else waits for that.
func TestChattyCustomer(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	p := w.Launch(t, "SendEvent")
	chatty, other := w.link(t, "chatty", alexa.EU), w.link(t, "quiet", alexa.EU)
	w.Always(simulator.Gateway(alexa.EU), simulator.Fault{User: chatty.AmazonUser, Code: simulator.Throttling, RetryAfter: 10 * time.Second})
	const many = 30
	busy := make(chan string, many)
	ctx := testkit.Context(t)
	for i := range many {
		go func() {
			answer, err := world.Deliver(ctx, p.URL(), message(chatty, report(chatty, fmt.Sprint("lamp-", i), 1), fmt.Sprint("chatty-", i), 1))
			if err != nil {
				answer = err.Error()
			}
			busy <- answer
		}()
	}
	recorded(t, 1, func() []simulator.Request { return w.eventsOf(chatty) })
	started := time.Now()
	for i := range 10 {
		wantAnswer(t, p, message(other, report(other, "lamp-1", i), fmt.Sprint("quiet-", i), 1), "200 accepted")
	}
	if took := time.Since(started); took > 9*time.Second || len(busy) == many {
		t.Errorf("the other customer's events took %v, and %d of %d of the chatty one's are done", took, len(busy), many)
	}
	for range many {
		if answer := <-busy; answer != "503 retry "+simulator.Throttling && answer != "503 retry HANDED_BACK" {
			t.Errorf("an event of the chatty customer was answered %q", answer)
		}
	}
}

// TestRegionThrottled has the gateway throttle many customers: the region is
// left alone for a while, and only that region.
func TestRegionThrottled(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	p := w.Launch(t, "SendEvent")
	customers := w.linkMany(t, "throttled", 33) // a third in each region
	w.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.Throttling, RetryAfter: 40 * time.Second})
	for i, c := range customers {
		want := "200 accepted"
		if c.Region == alexa.EU {
			want = "503 retry " + simulator.Throttling
		}
		if c.Region == alexa.EU && i >= len(customers)-3 {
			want = "503 retry REGION_PAUSED" // the eleventh is not even tried
		}
		wantAnswer(t, p, message(c, report(c, "lamp-1", 1), c.UserID, 1), want)
	}
	if n := len(w.Events(alexa.EU)); n != 10 {
		t.Errorf("%d requests in the region, want 10", n)
	}
}

// TestClocks has devices that do not know the time report changes. Each
// report is the newest, whatever its device says of it.
func TestClocks(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	p := w.Launch(t, "SendEvent")
	right := time.Now
	late := func() time.Time { return time.Now().Add(-time.Minute) }
	in1970 := func() time.Time { return time.Unix(0, 0) }
	in2036 := func() time.Time { return time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC) }
	for _, test := range []struct {
		name   string
		clocks []func() time.Time // one for each report
	}{
		{"1970 once", []func() time.Time{right, in1970, right}},
		{"1970 always", []func() time.Time{in1970, in1970, in1970}},
		{"2036 once", []func() time.Time{right, in2036, right}},
		{"2036 first", []func() time.Time{in2036, right, right}},
		{"2036 always", []func() time.Time{in2036, in2036, in2036}},
		{"2036, then 1970", []func() time.Time{in2036, in1970, right}},
		// A clock that is late does not make a report old that was published later.
		{"late once", []func() time.Time{right, late, right}},
		{"late from now on", []func() time.Time{right, late, late}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := w.link(t, t.Name(), alexa.EU)
			for i, clock := range test.clocks {
				event := reportAt(c, "lamp-1", i, clock(), "PHYSICAL_INTERACTION")
				wantAnswer(t, p, message(c, event, fmt.Sprint(c.UserID, i), 1), "200 accepted")
			}
			if last, want := w.brightness(c, "lamp-1"), float64(len(test.clocks)-1); last != want {
				t.Errorf("Alexa believes report %v, want %v", last, want)
			}
		})
	}
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
