package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lifecycle"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

const removal = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},"payload":{"endpoints":[{"endpointId":"d"}]}}}`

const doorbell = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},"endpoint":{"endpointId":"d"},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}},"context":{}}`

// announced makes d publish lifecycle messages to a topic that is returned.
func announced(w *accesstest.World, d *delivery.Deliverer) *letters {
	topic := new(letters)
	d.Announcer = &lifecycle.Announcer{Store: w.Store, Topic: topic, Log: slog.New(slog.DiscardHandler), Now: w.Now}
	return topic
}

// told is the type and the reason of each lifecycle message.
func told(t *testing.T, topic *letters) []string {
	t.Helper()
	list := []string{}
	for _, m := range topic.sent {
		var message lifecycle.Message
		if err := json.Unmarshal(m.Data, &message); err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s %d", message.Type, message.Reason, strings.Join(message.EndpointIDs, ","), message.ActiveGrants)))
	}
	return list
}

func numbered(w *accesstest.World, data string, n int) push.Message {
	m := message(w, data)
	m.ID = fmt.Sprint("m-", n)
	return m
}

func TestSuspectIsProbedAndRecovers(t *testing.T) {
	t.Parallel()
	for reason, test := range map[string]struct {
		code string
		most time.Duration
	}{
		"skill_never_enabled":     {simulator.SkillNeverEnabled, 6 * time.Hour},
		"insufficient_permission": {simulator.InsufficientPermission, 15 * time.Minute}, // the skill's fault
		"skill_not_found":         {simulator.SkillNotFound, 15 * time.Minute},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			id := w.Link(t, "u-1", alexa.EU, "amzn-1")
			d := deliverer(t, w)
			topic := announced(w, d)
			w.Forward(11 * time.Minute)
			w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: test.code})
			n := 0
			expect := func(want delivery.OutcomeName, requests int) {
				t.Helper()
				n++
				before := len(w.Sim.Events(alexa.EU))
				r := d.Deliver(t.Context(), numbered(w, report, n))
				if got := len(w.Sim.Events(alexa.EU)) - before; len(r) != 1 || r[0].Name != want || got != requests {
					t.Errorf("event %d: %v and %d requests, want %s and %d", n, r, got, want, requests)
				}
			}
			expect(delivery.Redeliver, 1)
			w.Forward(5 * time.Second)
			expect(delivery.Redeliver, 1) // becomes suspect
			expect(delivery.Suspended, 0)
			wait := time.Minute
			for range 12 {
				w.Forward(wait - time.Second)
				expect(delivery.Suspended, 0)
				w.Forward(time.Second)
				expect(delivery.Suspended, 1) // the probe
				expect(delivery.Suspended, 0)
				wait = min(2*wait, test.most)
			}
			w.Sim.Clear()
			w.Forward(test.most)
			expect(delivery.Accepted, 1)
			expect(delivery.Accepted, 1)
			g := w.Read(t, "u-1").Grants[id]
			if g.State != grant.Active || g.Failures != 0 || g.RefreshDue.IsZero() || !g.BehindDue(w.Now()) {
				t.Errorf("%+v", g)
			}
			if diff := cmp.Diff([]string{"suspect " + reason + "  1", "recovered   1"}, told(t, topic)); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSuspicionIsConfirmed: a grant becomes suspect when the gateway refuses it
// again at least five seconds and at most ten minutes later, and has not taken
// an event in between.
func TestSuspicionIsConfirmed(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, test := range map[string]struct {
		waits []time.Duration // before each event but the first
		take  int             // the event that the gateway takes, 0 for none
		want  grant.State
	}{
		"too soon":               {[]time.Duration{0, 2 * s, 2 * s}, 0, grant.Active},
		"five seconds":           {[]time.Duration{5 * s}, 0, grant.Suspect},
		"counted from the first": {[]time.Duration{2 * s, 3 * s}, 0, grant.Suspect},
		"ten minutes":            {[]time.Duration{10 * time.Minute}, 0, grant.Suspect},
		"too late":               {[]time.Duration{10*time.Minute + s}, 0, grant.Active},
		"taken meanwhile":        {[]time.Duration{5 * s, 5 * s}, 1, grant.Active},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			id := w.Link(t, "u-1", alexa.EU, "amzn-1")
			d := deliverer(t, w)
			for n := range len(test.waits) + 1 {
				if n > 0 {
					w.Forward(test.waits[n-1])
				}
				if n == 0 || n != test.take {
					w.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.InsufficientPermission})
				}
				d.Deliver(t.Context(), numbered(w, report, n))
			}
			if g := w.Read(t, "u-1").Grants[id]; g.State != test.want {
				t.Errorf("%s, want %s", g.State, test.want)
			}
		})
	}
}

// TestOneProbe: many processes find that it is time, and one sends.
func TestOneProbe(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	id := w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Change(t, "u-1", func(r *grant.Record) { r.Suspect(id, "x", w.Now()) })
	w.Forward(2 * time.Minute)
	w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.InsufficientPermission})
	var wg sync.WaitGroup
	for n := range 8 {
		d := deliverer(t, w)
		wg.Go(func() {
			if r := d.Deliver(context.Background(), numbered(w, report, n)); r[0].Name != delivery.Suspended {
				t.Errorf("%+v", r)
			}
		})
	}
	wg.Wait()
	if n := len(w.Sim.Events(alexa.EU)); n != 1 {
		t.Errorf("%d probes", n)
	}
}

// TestSuperseded: a property is left out when the report of it that was accepted
// was published no earlier and sampled later.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	d := deliverer(t, w)
	sample := func(property, at string) string {
		return fmt.Sprintf(`{"namespace":"Alexa.%s","name":"x","value":%q,"timeOfSample":%q}`, property, at, at)
	}
	event := func(changed, unchanged string) string {
		return fmt.Sprintf(`{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION","changed":[%s],"unchanged":[%s]}`, changed, unchanged)
	}
	w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Status: 202, Body: " "}) // whatever the properties
	const older, newer, future, ancient = "2026-01-02T03:04:00Z", "2026-01-02T03:04:02Z", "2036-01-01T00:00:00Z", "1970-01-01T00:00:00Z"
	const hvac = "ThermostatController.HVAC.Components"
	start := w.Now()
	tests := []struct {
		name      string
		published time.Duration // since the test began
		data      string
		want      delivery.OutcomeName
		sent      int // properties in the request
	}{
		{"first", 10 * time.Second, event(sample("A", newer), ""), delivery.Accepted, 1},
		{"older, published with it", 10 * time.Second, event(sample("A", older), ""), delivery.Superseded, 0},
		{"older, published before", 9 * time.Second, event(sample("A", older), ""), delivery.Superseded, 0},
		{"equal is not older", 10 * time.Second, event(sample("A", newer), ""), delivery.Accepted, 1},
		{"one of two", 10 * time.Second, event(sample("A", older)+","+sample("B", older), sample("A", older)+","+sample("C", older)), delivery.Accepted, 2},
		{"one of two unchanged", 10 * time.Second, event(sample("E", newer), sample("A", older)+","+sample("F", older)), delivery.Accepted, 2},
		{"other endpoint", 10 * time.Second, strings.Replace(event(sample("A", older), ""), "lamp-1", "lamp-2", 1), delivery.Accepted, 1},
		{"published before, sampled later", 9 * time.Second, event(sample("A", "2026-01-02T03:04:03Z"), ""), delivery.Accepted, 1},
		{"a clock that was set back", 11 * time.Second, event(sample("A", older), ""), delivery.Accepted, 1},
		{"and redelivered, what was published before it", 10 * time.Second, event(sample("A", ancient), ""), delivery.Superseded, 0},
		{"a clock of 2036", 12 * time.Second, event(sample("D", future), ""), delivery.Accepted, 1},
		{"does not silence the device", 13 * time.Second, event(sample("D", older), ""), delivery.Accepted, 1},
		{"nor does one of 1970", 14 * time.Second, event(sample("D", ancient), ""), delivery.Accepted, 1},
		{"ever", 15 * time.Second, event(sample("D", ancient), ""), delivery.Accepted, 1},
		{"what Alexa adds up", 16 * time.Second, event(sample(hvac, newer), ""), delivery.Accepted, 1},
		{"is never left out", 16 * time.Second, event(sample(hvac, older), ""), delivery.Accepted, 1},
	}
	w.Forward(time.Minute)
	for n, test := range tests {
		before := len(w.Sim.Events(alexa.EU))
		m := numbered(w, test.data, n)
		m.PublishTime = start.Add(test.published)
		r := d.Deliver(t.Context(), m)
		sent := 0
		if events := w.Sim.Events(alexa.EU); len(events) > before {
			sent = strings.Count(events[before].Body, `"namespace":"Alexa.`)
		}
		if r[0].Name != test.want || sent != test.sent {
			t.Errorf("%s: %s with %d properties, want %s with %d: %v", test.name, r[0].Name, sent, test.want, test.sent, r[0].Err)
		}
	}
}

func TestRedeliverySparesWhoAccepted(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	one := w.Link(t, "u-1", alexa.EU, "amzn-1")
	two := w.Link(t, "u-1", alexa.NA, "amzn-2")
	w.Sim.Always(simulator.Gateway(alexa.NA), simulator.Fault{Code: simulator.SkillNeverEnabled}) // not sent again at once
	m := message(w, removal)
	first := deliverer(t, w).Deliver(t.Context(), m)
	if diff := cmp.Diff(map[string]delivery.OutcomeName{one: delivery.Accepted, two: delivery.Redeliver}, names(first)); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	w.Sim.Clear()
	for _, attempt := range []int{2, 0} { // counted, and not counted
		m.Attempt = attempt
		again := deliverer(t, w).Deliver(t.Context(), m) // another process
		if diff := cmp.Diff(map[string]delivery.OutcomeName{one: delivery.Duplicate, two: delivery.Accepted}, names(again)); diff != "" {
			t.Errorf("attempt %d (-want +got):\n%s", attempt, diff)
		}
	}
	if n := len(w.Sim.Events(alexa.EU)); n != 1 {
		t.Errorf("the grant that accepted got the event %d times", n)
	}
}

// counted counts what delivery records cost.
type counted struct {
	grant.Store
	reads, writes int
}

func (c *counted) ReadDelivery(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
	c.reads++
	return c.Store.ReadDelivery(ctx, key)
}

func (c *counted) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	c.writes++
	return c.Store.WriteDelivery(ctx, was, now)
}

func TestOnceOnly(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	process := func() (*delivery.Deliverer, *counted) {
		d := deliverer(t, w)
		store := &counted{Store: w.Store}
		d.Store = store
		return d, store
	}
	attempt := func(m push.Message, n int) push.Message { m.Attempt = n; return m }
	steps := []struct {
		name          string
		m             push.Message
		before        func()
		want          delivery.OutcomeName
		sent          int
		reads, writes int
	}{
		{"first", attempt(numbered(w, doorbell, 1), 1), nil, delivery.Accepted, 1, 0, 2},
		{"redelivered", attempt(numbered(w, doorbell, 1), 2), nil, delivery.Duplicate, 0, 1, 0},
		{"delivered twice as the first", attempt(numbered(w, doorbell, 1), 1), nil, delivery.Duplicate, 0, 1, 1},
		{"another", attempt(numbered(w, doorbell, 2), 1), nil, delivery.Accepted, 1, 0, 2},
		{"the gateway hands back", attempt(numbered(w, doorbell, 3), 1), func() {
			w.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.SkillNeverEnabled})
		}, delivery.Redeliver, 1, 0, 2},
		{"and takes it the next time", attempt(numbered(w, doorbell, 3), 2), nil, delivery.Accepted, 1, 1, 2},
		{"a report costs nothing", attempt(numbered(w, report, 4), 1), nil, delivery.Accepted, 1, 0, 0},
	}
	for _, step := range steps {
		if step.before != nil {
			step.before()
		}
		before := len(w.Sim.Events(alexa.EU))
		d, store := process()
		r := d.Deliver(t.Context(), step.m)
		if sent := len(w.Sim.Events(alexa.EU)) - before; r[0].Name != step.want || sent != step.sent {
			t.Errorf("%s: %s and %d requests, want %s and %d: %v", step.name, r[0].Name, sent, step.want, step.sent, r[0].Err)
		}
		if store.reads != step.reads || store.writes != step.writes {
			t.Errorf("%s: %d reads and %d writes, want %d and %d", step.name, store.reads, store.writes, step.reads, step.writes)
		}
	}
}

// TestClaimOfADeadProcess: it claimed the event and was killed.
func TestClaimOfADeadProcess(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	key := grant.DeliveryKey{Customer: accesstest.Key("u-1").ID(), EventID: "m-1"}
	if _, err := w.Store.WriteDelivery(t.Context(), grant.Delivery{Key: key}, grant.Delivery{
		Key: key, State: grant.Claimed,
		ClaimedUntil: w.Now().Add(30 * time.Second), ExpireAt: w.Now().Add(time.Hour),
	}); err != nil {
		t.Fatal(err)
	}
	m := message(w, doorbell)
	m.Attempt = 2
	if r := deliverer(t, w).Deliver(t.Context(), m); r[0].Name != delivery.Redeliver || r[0].Code != "CLAIMED" {
		t.Errorf("%+v", r)
	}
	w.Forward(31 * time.Second)
	if r := deliverer(t, w).Deliver(t.Context(), m); r[0].Name != delivery.Accepted {
		t.Errorf("%+v", r)
	}
}

func TestAnswerToADirectiveIsForOneAccount(t *testing.T) {
	t.Parallel()
	const answer = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"Response","correlationToken":"c"},"endpoint":{"endpointId":"d"},"payload":{}},"context":{"properties":[]}}`
	w := accesstest.New(t, simulator.Options{})
	one := w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Link(t, "u-1", alexa.EU, "amzn-2")
	d := deliverer(t, w)
	topic := new(letters)
	d.DeadLetters = topic
	w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.InvalidRequest, User: "amzn-2"})
	if diff := cmp.Diff(map[string]delivery.OutcomeName{one: delivery.Accepted}, names(d.Deliver(t.Context(), message(w, answer)))); diff != "" || len(topic.sent) != 0 {
		t.Errorf("%d dead letters (-want +got):\n%s", len(topic.sent), diff)
	}
}

// TestTokenWithoutDirective: a correlationToken in a report answers nothing. The
// report is for every account, and as old as reports may be.
func TestTokenWithoutDirective(t *testing.T) {
	t.Parallel()
	const change = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport","correlationToken":"c"},"endpoint":{"endpointId":"d"},` +
		`"payload":{"change":{"cause":{"type":"PERIODIC_POLL"},"properties":[{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}}}}`
	w := accesstest.New(t, simulator.Options{})
	one := w.Link(t, "u-1", alexa.EU, "amzn-1")
	two := w.Link(t, "u-1", alexa.EU, "amzn-2")
	w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.InvalidRequest, User: "amzn-2"})
	m := message(w, change)
	w.Forward(2 * time.Minute)
	d := deliverer(t, w)
	d.DeadLetters = new(letters)
	want := map[string]delivery.OutcomeName{one: delivery.Accepted, two: delivery.Dead}
	if diff := cmp.Diff(want, names(d.Deliver(t.Context(), m))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	removal := func(n int) string {
		var endpoints []string
		for i := range n {
			endpoints = append(endpoints, fmt.Sprintf(`{"endpointId":"e-%d"}`, i))
		}
		return `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},"payload":{"endpoints":[` + strings.Join(endpoints, ",") + `]}}}`
	}
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	// A gateway that takes no more than ten endpoints.
	w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.TooLarge, Match: func(r simulator.Request) bool { return strings.Count(r.Body, "endpointId") > 10 }})
	sizes := func(n int) (accepted []int, ids map[string]int, endpoints map[string]int) {
		before := len(w.Sim.Events(alexa.EU))
		if r := deliverer(t, w).Deliver(t.Context(), message(w, removal(n))); r[0].Name != delivery.Accepted {
			t.Errorf("%d endpoints: %+v", n, r)
		}
		ids, endpoints = make(map[string]int), make(map[string]int)
		for _, r := range w.Sim.Events(alexa.EU)[before:] {
			ids[r.MessageID]++
			if !r.Accepted {
				continue
			}
			accepted = append(accepted, strings.Count(r.Body, "endpointId"))
			for i := range n {
				if strings.Contains(r.Body, fmt.Sprintf(`"e-%d"`, i)) {
					endpoints[fmt.Sprint(i)]++
				}
			}
		}
		return accepted, ids, endpoints
	}
	accepted, first, endpoints := sizes(70)
	if diff := cmp.Diff([]int{7, 8, 7, 8, 7, 8, 7, 8, 10}, accepted); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	for i := range 70 {
		if endpoints[fmt.Sprint(i)] != 1 {
			t.Errorf("endpoint %d was removed %d times", i, endpoints[fmt.Sprint(i)])
		}
	}
	for id, n := range first {
		if n != 1 {
			t.Errorf("message id %s was used for %d parts", id, n)
		}
	}
	if _, second, _ := sizes(70); !cmp.Equal(first, second) {
		t.Error("the parts have other message ids the second time")
	}
}

// TestEventOfARestoredGrant is delivered, not suspended: the refresh that it
// asks for is the proof that the grant is alive.
func TestEventOfARestoredGrant(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	id := w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Change(t, "u-1", func(r *grant.Record) {
		r.Revoke(id, grant.ReasonInvalidGrant, w.Now())
		r.Restore(id, w.Now())
	})
	results := deliverer(t, w).Deliver(t.Context(), message(w, report))
	if len(results) != 1 || results[0].Name != delivery.Accepted {
		t.Errorf("%+v", results)
	}
	if g := w.Read(t, "u-1").Grants[id]; g.State != grant.Active {
		t.Errorf("%+v", g)
	}
}
