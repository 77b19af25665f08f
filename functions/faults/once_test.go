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
)

// onceEvents are the events of which a repetition would be noticed.
var onceEvents = map[string]func(c customer) string{
	"doorbell": func(c customer) string { return press(c, "door-1") },
	"simple event": func(c customer) string {
		return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa.SimpleEventSource","name":"Event","instance":"Button.1"},
			"endpoint":{"endpointId":"button-1"},"payload":{"id":"Button.Press.1","timestamp":%q}}}`,
			c.userID, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
	},
}

// press is a press of a customer's doorbell.
func press(c customer, door string) string {
	return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},
		"endpoint":{"endpointId":%q},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":%q}}}`,
		c.userID, door, time.Now().UTC().Format("2006-01-02T15:04:05Z"))
}

// TestOnce sends events that must not be repeated by two processes, of which
// one dies on the way. claimed is what the other answers as long as the event
// may still be the first's.
func TestOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	const claimed = "503 retry CLAIMED"
	tests := []struct {
		name string
		// first has the first process deliver the event, and die or not. It
		// returns where the answer will be, if there will be one.
		first   func(w *world, t *testing.T, c customer, m push.Message) <-chan string
		answers []string // of the second process, while the claim lasts and after
		sent    []int    // statuses of all requests at the gateway
	}{
		{
			name:  "killed between claim and send",
			first: (*world).dieBeforeSend, answers: []string{claimed, "200 accepted", "200 duplicate"}, sent: []int{202},
		},
		{
			// The one repetition that there may be: nobody can know whether the
			// event was taken.
			name:  "killed between send and mark",
			first: (*world).dieAfterSend, answers: []string{claimed, "200 accepted", "200 duplicate"}, sent: []int{0, 202},
		},
		{
			name:  "killed between mark and acknowledgement",
			first: (*world).dieAfterMark, answers: []string{"200 duplicate", "200 duplicate", "200 duplicate"}, sent: []int{202},
		},
		{
			name:  "both at once",
			first: (*world).sendSlowly, answers: []string{claimed, "200 duplicate", "200 duplicate"}, sent: []int{202},
		},
		{
			name:  "failed",
			first: (*world).failToSend, answers: []string{"200 accepted", "200 duplicate", "200 duplicate"}, sent: []int{500, 500, 500, 500, 202},
		},
	}
	for kind, event := range onceEvents {
		for _, test := range tests {
			t.Run(kind+" "+test.name, func(t *testing.T) {
				t.Parallel()
				c := w.link(t, t.Name(), alexa.EU)
				m := c.message(event(c), c.userID, 1)
				second := w.start(t, "SendEvent")
				pending := test.first(w, t, c, m)
				var got []string
				for i := range test.answers {
					m.Attempt = i + 2
					answer, err := deliver(testkit.Context(t), second, m)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, answer)
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
func (c customer) arrival(f simulator.Fault) (simulator.Fault, <-chan struct{}) {
	arrived := make(chan struct{})
	f.User, f.Match = c.amazonUser, func(simulator.Request) bool { // called for the user's only
		close(arrived)
		return true
	}
	return f, arrived
}

// begin starts a process that delivers a message, and returns when the
// request that it makes has arrived. The answer comes on the channel, "" if
// the process died.
func (w *world) begin(t *testing.T, m push.Message, arrived <-chan struct{}) (*binary.Process, <-chan string) {
	t.Helper()
	p := w.start(t, "SendEvent")
	answered := make(chan string, 1)
	ctx := testkit.Context(t)
	go func() {
		answer, _ := deliver(ctx, p, m) // the process may be killed
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
func (w *world) dieBeforeSend(t *testing.T, c customer, m push.Message) <-chan string {
	w.change(t, c, expiring(0))
	fault, arrived := c.arrival(simulator.Fault{Delay: testkit.Patience})
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
func (w *world) dieAfterSend(t *testing.T, c customer, m push.Message) <-chan string {
	fault, arrived := c.arrival(simulator.Fault{AnswerLost: true, Delay: testkit.Patience})
	w.Script(simulator.Gateway(c.region), fault)
	p, answered := w.begin(t, m, arrived)
	w.waitEvents(t, c, 1)
	p.Kill()
	<-answered
	return nil
}

// waitEvents waits until requests of a customer at the gateway are recorded.
func (w *world) waitEvents(t *testing.T, c customer, n int) {
	t.Helper()
	ctx := testkit.Context(t)
	for total := 1; len(w.eventsOf(c)) < n; total++ {
		if err := w.WaitAccepted(ctx, total); err != nil {
			t.Fatal(err)
		}
	}
}

// dieAfterMark has the process finish, and its answer be lost.
func (w *world) dieAfterMark(t *testing.T, c customer, m push.Message) <-chan string {
	p := w.start(t, "SendEvent")
	if answer, err := deliver(testkit.Context(t), p, m); err != nil || answer != "200 accepted" {
		t.Fatalf("answered %q (%v)", answer, err)
	}
	p.Kill()
	return nil
}

// sendSlowly has the process be at it until the second has asked once.
func (w *world) sendSlowly(t *testing.T, c customer, m push.Message) <-chan string {
	fault, arrived := c.arrival(simulator.Fault{Delay: 2500 * time.Millisecond})
	w.Script(simulator.Gateway(c.region), fault)
	_, answered := w.begin(t, m, arrived)
	return answered
}

// failToSend has the process give the event back.
func (w *world) failToSend(t *testing.T, c customer, m push.Message) <-chan string {
	w.Script(simulator.Gateway(c.region), simulator.Fault{User: c.amazonUser, Status: 500, Times: 4})
	p := w.start(t, "SendEvent")
	if answer, err := deliver(testkit.Context(t), p, m); err != nil || answer != "503 retry INTERNAL" {
		t.Fatalf("answered %q (%v)", answer, err)
	}
	return nil
}

// endClaim waits for the first process if it lives, and lets the claim of one
// that died run out.
func (w *world) endClaim(t *testing.T, c customer, m push.Message, pending <-chan string) {
	t.Helper()
	if pending != nil {
		if answer := <-pending; answer != "200 accepted" {
			t.Errorf("the first process answered %q", answer)
		}
		return
	}
	ctx := testkit.Context(t)
	was, err := w.store.ReadDelivery(ctx, grant.DeliveryKey{Customer: c.key().ID(), EventID: m.Attributes["eventId"]})
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
	if _, err := w.store.WriteDelivery(context.WithoutCancel(ctx), was, now); err != nil {
		t.Fatal(err)
	}
}

// TestTooLate delivers events that came too late to be of use, as they do
// after a claim that nobody ended.
func TestTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	p := w.start(t, "SendEvent")
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
		m := c.message(test.event, test.name, 1)
		m.PublishTime = ago(test.age)
		if answer, err := deliver(testkit.Context(t), p, m); err != nil || answer != test.want {
			t.Errorf("%s: answered %q (%v), want %q", test.name, answer, err, test.want)
		}
	}
	if told := w.grantEvents.say(t, 0, c.told); len(told) > 0 {
		t.Errorf("the maker is told at once: %v", told)
	}
	if got := missed(w.grant(t, c).Behind); got != "lamp-1" {
		t.Errorf("missed: %q, want the endpoint of the report that expired", got)
	}
}
