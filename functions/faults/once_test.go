package faults_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// press is an event of a customer's doorbell.
func press(c customer, door string) string {
	return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},
		"endpoint":{"endpointId":%q},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":%q}}}`,
		c.UserID, door, time.Now().UTC().Format("2006-01-02T15:04:05Z"))
}

func doorbell(c customer) string { return press(c, "door-1") }

// simpleEvent is an event of a customer's button.
func simpleEvent(c customer) string {
	return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa.SimpleEventSource","name":"Event","instance":"Button.1"},
		"endpoint":{"endpointId":"button-1"},"payload":{"id":"Button.Press.1","timestamp":%q}}}`, c.UserID, alexa.FormatTime(time.Now()))
}

// onceRow is a first process's delivery of an event that must not be repeated, and
// the second process's deliveries of it.
type onceRow struct {
	name   string
	target simulator.Target
	fault  simulator.Fault // one with a delay holds the first process until the second has tried once
	first  string          // answer of the first process, empty if it is killed while it is held
	second []string        // answers of the second, while the claim of the first lasts and after
	sent   []int           // statuses of all requests at the gateway
}

// TestOnce has two processes send events that must not be repeated, one of which
// may die on the way. The other answers claimed until the first's claim expires.
func TestOnce(t *testing.T) {
	t.Parallel()
	w := newSuite(t, simulator.Options{})
	const (
		claimed, accepted, duplicate = "503 retry CLAIMED", "200 accepted", "200 duplicate"
		forever                      = testkit.Patience
	)
	gateway := simulator.Gateway(alexa.EU)
	second := w.Launch(t, "SendEvent")
	for _, r := range []onceRow{
		{
			"killed between claim and send", simulator.Refresh, simulator.Fault{Delay: forever}, "",
			[]string{claimed, accepted, duplicate}, []int{202},
		},
		// The only possible repetition: the gateway may not have accepted the
		// event.
		{
			"killed between send and mark", gateway, simulator.Fault{Delay: forever, AnswerLost: true}, "",
			[]string{claimed, accepted, duplicate}, []int{0, 202},
		},
		{"answer to Pub/Sub lost", gateway, simulator.Fault{}, accepted, []string{duplicate, duplicate}, []int{202}},
		{
			"both at once", gateway, simulator.Fault{Delay: 2500 * time.Millisecond}, accepted,
			[]string{claimed, duplicate, duplicate}, []int{202},
		},
		{
			"failed", gateway, simulator.Fault{Status: 500, Times: 4}, "503 retry INTERNAL",
			[]string{accepted, duplicate, duplicate}, []int{500, 500, 500, 500, 202},
		},
	} {
		for kind, event := range map[string]func(customer) string{"doorbell": doorbell, "simple event": simpleEvent} {
			t.Run(kind+" "+r.name, func(t *testing.T) {
				t.Parallel()
				w.runOnce(t, second, event, r)
			})
		}
	}
}

func (w *suite) runOnce(t *testing.T, second *binary.Process, event func(customer) string, r onceRow) {
	c := w.link(t, t.Name(), alexa.EU)
	if r.target == simulator.Refresh {
		w.change(t, c, expiring(0))
	}
	arrived := make(chan struct{}, 1+r.fault.Times)
	r.fault.User, r.fault.Match = c.AmazonUser, func(simulator.Request) bool { arrived <- struct{}{}; return true }
	w.Script(r.target, r.fault)
	m, ctx := message(c, event(c), c.UserID, 1), testkit.Context(t)
	p, answered := w.Launch(t, "SendEvent"), make(chan string, 1)
	go func() {
		answer, _ := world.Deliver(ctx, p.URL(), m) // fails when the process is killed
		answered <- answer
	}()
	wantFirst := func() {
		if answer := <-answered; answer != r.first {
			t.Errorf("first answer = %q, want %q", answer, r.first)
		}
	}
	held := r.fault.Delay > 0
	if held {
		<-arrived
	}
	if r.fault.AnswerLost {
		recorded(t, 1, func() []simulator.Request { return w.eventsOf(c) })
	}
	if r.first == "" {
		p.Kill()
		held = false
		w.change(t, c, func(g *grant.Grant) { g.Lease.Until = ago(time.Second) }) // the dead process's lease is over
	}
	if !held {
		wantFirst()
	}
	var got []string
	for i := range r.second {
		m.Attempt = i + 2
		got = append(got, deliver(t, second, m))
		if i == 0 && held {
			wantFirst()
		}
		if i > 0 {
			continue
		}
		if err := w.endClaim(ctx, c, m.Attributes["eventId"]); err != nil {
			t.Fatal(err)
		}
	}
	requests := w.eventsOf(c)
	expect.Equal(t, "answers of the second process", r.second, got)
	expect.Equal(t, "requests", r.sent, statuses(requests))
	checkRequests(t, requests, nil, row{})
}

// endClaim ends the claim of a dead process, which lasts 30 s.
func (w *suite) endClaim(ctx context.Context, c customer, eventID string) error {
	was, err := w.Store.ReadDelivery(ctx, grant.DeliveryKey{Customer: c.Key().ID(), EventID: eventID})
	if err != nil || was.State != grant.Claimed {
		return err
	}
	if left := time.Until(was.ClaimedUntil); left > 30*time.Second {
		return fmt.Errorf("%s is claimed for %v more, want up to 30 s", eventID, left)
	}
	now := was
	now.ClaimedUntil = ago(time.Second)
	_, err = w.Store.WriteDelivery(ctx, was, now)
	return err
}

// TestRegionThrottled: the gateway throttles many customers, and only that region
// is paused.
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
			want = "503 retry REGION_PAUSED" // the eleventh is not sent
		}
		wantAnswer(t, p, message(c, report(c, "lamp-1", 1), c.UserID, 1), want)
	}
	if n := len(w.Events(alexa.EU)); n != 10 {
		t.Errorf("requests in the region = %d, want 10", n)
	}
}
