package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestOnceOnly: the reads and writes of delivery records for an event that must not
// be repeated, in several processes. A report has none.
func TestOnceOnly(t *testing.T) {
	t.Parallel()
	w, _ := linked(t)
	key := grant.DeliveryKey{Customer: accesstest.Key("u-1").ID(), EventID: "m-4"}
	dead := grant.Delivery{Key: key, State: grant.Claimed, ClaimedUntil: w.Now().Add(30 * time.Second), ExpireAt: w.Now().Add(time.Hour)}
	if _, err := w.Store.WriteDelivery(t.Context(), grant.Delivery{Key: key}, dead); err != nil {
		t.Fatal(err)
	}
	attempt := func(m push.Message, n int) push.Message { m.Attempt = n; return m }
	for _, step := range []struct {
		name          string
		m             push.Message
		after         time.Duration
		fault         string
		want          delivery.OutcomeName
		sent          int
		reads, writes int64
	}{
		{"first", numbered(w, doorbell, 1), 0, "", delivery.Accepted, 1, 0, 2},
		{"redelivered", attempt(numbered(w, doorbell, 1), 2), 0, "", delivery.Duplicate, 0, 1, 0},
		{"delivered twice as the first", numbered(w, doorbell, 1), 0, "", delivery.Duplicate, 0, 1, 1},
		{"another", numbered(w, doorbell, 2), 0, "", delivery.Accepted, 1, 0, 2},
		{"the gateway hands back", numbered(w, doorbell, 3), 0, simulator.SkillNeverEnabled, delivery.Redeliver, 1, 0, 2},
		{"and takes it the next time", attempt(numbered(w, doorbell, 3), 2), 0, "", delivery.Accepted, 1, 1, 2},
		{"claimed by a process that died", attempt(numbered(w, doorbell, 4), 2), 0, "", delivery.Redeliver, 0, 1, 0},
		{"and is left after a while", attempt(numbered(w, doorbell, 4), 3), 31 * time.Second, "", delivery.Accepted, 1, 1, 2},
		{"a report costs nothing", numbered(w, report, 5), 0, "", delivery.Accepted, 1, 0, 0},
	} {
		if step.fault != "" {
			w.Sim.Script(eu, simulator.Fault{Code: step.fault})
		}
		w.Forward(step.after)
		before := len(w.Sim.Events(alexa.EU))
		d, store := deliverer(t, w), &counting{Store: w.Store} // a new process
		d.Store = store
		r := d.Deliver(t.Context(), step.m)
		if sent := len(w.Sim.Events(alexa.EU)) - before; r[0].Name != step.want || sent != step.sent {
			t.Errorf("%s: result = %+v with %d requests, want %s with %d", step.name, r[0], sent, step.want, step.sent)
		}
		if reads, writes := store.deliveryReads.Load(), store.deliveryWrites.Load(); reads != step.reads || writes != step.writes {
			t.Errorf("%s: reads, writes = %d, %d, want %d, %d", step.name, reads, writes, step.reads, step.writes)
		}
	}
}

// TestRedelivery: an event that failed for one of two grants is redelivered to that
// one only, by another process.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data     string
		attempts []int // of the redeliveries; 0 means not counted
		note     lapsing
	}{
		"removal":                             {removal, []int{2, 0}, lapsing{}},
		"doorbell":                            {doorbell, []int{2}, lapsing{}},
		"doorbell, the note fails twice":      {doorbell, []int{2}, lapsing{fails: 2}},
		"doorbell, the note's answer is lost": {doorbell, []int{2}, lapsing{fails: 1, made: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, one := linked(t)
			two := w.Link(t, "u-1", alexa.NA, "amzn-2")
			w.Sim.Script(na, simulator.Fault{Code: simulator.SkillNeverEnabled}) // not resent at once
			m := message(w, test.data)
			first := deliverer(t, w)
			test.note.Store = w.Store
			first.Store = &test.note
			outcomes{one: delivery.Accepted, two: delivery.Redeliver}.check(t, "first", first.Deliver(t.Context(), m))
			for _, m.Attempt = range test.attempts {
				again := deliverer(t, w).Deliver(t.Context(), m) // another process
				outcomes{one: delivery.Duplicate, two: delivery.Accepted}.check(t, fmt.Sprint("attempt ", m.Attempt), again)
			}
			if n := len(w.Sim.Events(alexa.EU)); n != 1 {
				t.Errorf("requests for the grant that accepted = %d, want 1", n)
			}
			if behind := w.Read(t, "u-1").Grants[two].Behind; !behind.Empty() {
				t.Errorf("behind = %+v, want the report requested", behind)
			}
		})
	}
}

// lapsing is a store that at first fails to record an event's delivery, though the
// write may have been made.
type lapsing struct {
	grant.Store
	fails int
	made  bool
}

func (s *lapsing) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	if s.fails == 0 || now.State == grant.Claimed {
		return s.Store.WriteDelivery(ctx, was, now)
	}
	s.fails--
	if s.made {
		_, _ = s.Store.WriteDelivery(ctx, was, now)
	}
	return grant.Delivery{}, errOutOfOrder
}

// TestAnswerIsForOneAccount: after one grant accepted an answer, or while one still
// may, the refusals of the others do not count. A report with a correlationToken is
// no answer: it is for every account.
func TestAnswerIsForOneAccount(t *testing.T) {
	t.Parallel()
	const reportWithToken = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport","correlationToken":"c"},` +
		`"endpoint":{"endpointId":"d"},"payload":{"change":{"cause":{"type":"PERIODIC_POLL"},` +
		`"properties":[{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}}}}`
	const accepted, retry, dead = delivery.Accepted, delivery.Redeliver, delivery.Dead
	for name, test := range map[string]struct {
		data string
		age  time.Duration
		code string                 // the right account's first refusal
		want []delivery.OutcomeName // of the right account, for each delivery
		dead int                    // the other's dead letters
	}{
		"accepted":              {answer, 0, "", []delivery.OutcomeName{accepted}, 0},
		"accepted in the end":   {answer, 0, simulator.SkillNeverEnabled, []delivery.OutcomeName{retry, accepted}, 0},
		"a report with a token": {reportWithToken, 2 * time.Minute, "", []delivery.OutcomeName{accepted}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, right := linked(t)
			other := w.Link(t, "u-1", alexa.NA, "amzn-2")
			w.Sim.Always(na, simulator.Fault{Code: simulator.InvalidRequest})
			if test.code != "" {
				w.Sim.Script(eu, simulator.Fault{Code: test.code})
			}
			d, topic, m := deliverer(t, w), new(letters), message(w, test.data)
			d.DeadLetters = topic
			w.Forward(test.age)
			for _, name := range test.want {
				want := outcomes{right: name}
				if test.dead > 0 {
					want[other] = dead
				}
				want.check(t, fmt.Sprint("attempt ", m.Attempt), d.Deliver(t.Context(), m))
				m.Attempt++
			}
			if len(topic.sent) != test.dead {
				t.Errorf("dead letters = %d, want %d", len(topic.sent), test.dead)
			}
		})
	}
}

// TestReplayIsDelivered: a replayed dead letter is delivered although its delivery
// record is settled.
func TestReplayIsDelivered(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]string{"report": report, "doorbell": doorbell} {
		w, dead := linked(t)
		w.Link(t, "u-1", alexa.NA, "amzn-2")
		first, topic := deliverer(t, w), new(letters)
		first.DeadLetters = topic
		w.Sim.Script(eu, simulator.Fault{Code: simulator.InvalidRequest})
		w.Sim.Script(na, simulator.Fault{Code: simulator.SkillNeverEnabled})
		first.Deliver(t.Context(), message(w, event))
		replay := topic.sent[0]
		replay.ID, replay.PublishTime = "m-9", w.Now()
		outcomes{dead: delivery.Accepted}.check(t, name, deliverer(t, w).Deliver(t.Context(), replay))
	}
}

// TestExpiryAfterPartialDelivery: an event that is redelivered too late expires
// only for the grants that did not get it.
func TestExpiryAfterPartialDelivery(t *testing.T) {
	t.Parallel()
	w, took := linked(t)
	late, gone := w.Link(t, "u-1", alexa.NA, "amzn-2"), w.Link(t, "u-1", alexa.FE, "amzn-3")
	w.Change(t, "u-1", func(r *grant.Record) {
		r.Revoke(gone, grant.ReasonInvalidGrant, w.Now())
		r.Announced(r.Announce, w.Now())
	})
	w.Sim.Script(na, simulator.Fault{Code: simulator.SkillNeverEnabled})
	m := message(w, doorbell)
	deliverer(t, w).Deliver(t.Context(), m)
	w.Forward(6 * time.Minute)
	m.Attempt = 7
	d := deliverer(t, w)
	topic := announced(w, d)
	outcomes{took: delivery.Duplicate, late: delivery.Expired, gone: delivery.Revoked}.check(t, "late", d.Deliver(t.Context(), m))
	if got := told(t, topic); len(got) != 0 {
		t.Errorf("grant events = %v, want none", got)
	}
}

// TestSuperseded: a property is dropped if a report of it was accepted that was
// published no earlier and sampled later.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	w, _ := linked(t)
	d := deliverer(t, w)
	sample := func(property, at string) string {
		return fmt.Sprintf(`{"namespace":"Alexa.%s","name":"x","value":%q,"timeOfSample":%q}`, property, at, at)
	}
	event := func(changed, unchanged string) string {
		return fmt.Sprintf(`{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION","changed":[%s],"unchanged":[%s]}`,
			changed, unchanged)
	}
	w.Sim.Always(eu, simulator.Fault{Status: 202, Body: " "}) // accepts any properties
	const older, newer, newest = "2026-01-02T03:04:00Z", "2026-01-02T03:04:02Z", "2026-01-02T03:04:03Z"
	const future, ancient = "2036-01-01T00:00:00Z", "1970-01-01T00:00:00Z"
	const hvac = "ThermostatController.HVAC.Components"
	start := w.Now()
	w.Forward(time.Minute)
	for n, test := range []struct {
		name      string
		published time.Duration // seconds since the test began
		data      string
		want      delivery.OutcomeName
		sent      int // properties in the request
	}{
		{"first", 10, event(sample("A", newer), ""), delivery.Accepted, 1},
		{"older, published with it", 10, event(sample("A", older), ""), delivery.Superseded, 0},
		{"older, published before", 9, event(sample("A", older), ""), delivery.Superseded, 0},
		{"equal is not older", 10, event(sample("A", newer), ""), delivery.Accepted, 1},
		{"one of two", 10, event(sample("A", older)+","+sample("B", older), sample("A", older)+","+sample("C", older)), delivery.Accepted, 2},
		{"one of two unchanged", 10, event(sample("E", newer), sample("A", older)+","+sample("F", older)), delivery.Accepted, 2},
		{"other endpoint", 10, strings.Replace(event(sample("A", older), ""), "lamp-1", "lamp-2", 1), delivery.Accepted, 1},
		{"published before, sampled later", 9, event(sample("A", newest), ""), delivery.Accepted, 1},
		{"a clock that was set back", 11, event(sample("A", older), ""), delivery.Accepted, 1},
		{"and redelivered, what was published before it", 10, event(sample("A", ancient), ""), delivery.Superseded, 0},
		{"a clock of 2036", 12, event(sample("D", future), ""), delivery.Accepted, 1},
		{"does not silence the device", 13, event(sample("D", older), ""), delivery.Accepted, 1},
		{"nor does one of 1970", 14, event(sample("D", ancient), ""), delivery.Accepted, 1},
		{"what Alexa adds up", 16, event(sample(hvac, newer), ""), delivery.Accepted, 1},
		{"is never left out", 16, event(sample(hvac, older), ""), delivery.Accepted, 1},
	} {
		before := len(w.Sim.Events(alexa.EU))
		m := numbered(w, test.data, n)
		m.PublishTime = start.Add(test.published * time.Second)
		r := d.Deliver(t.Context(), m)
		sent := 0
		if events := w.Sim.Events(alexa.EU); len(events) > before {
			sent = strings.Count(events[before].Body, `"namespace":"Alexa.`)
		}
		if r[0].Name != test.want || sent != test.sent {
			t.Errorf("%s: result = %+v with %d properties, want %s with %d", test.name, r[0], sent, test.want, test.sent)
		}
	}
}

// TestParts: a report that is too large is split. Its parts keep their message ids,
// and an accepted part is not resent.
func TestParts(t *testing.T) {
	t.Parallel()
	w, _ := linked(t)
	// A gateway that accepts ten endpoints at most.
	w.Sim.Always(eu, simulator.Fault{Code: simulator.TooLarge, Match: func(r simulator.Request) bool {
		return strings.Count(r.Body, "endpointId") > 10
	}})
	send := func(d *delivery.Deliverer, attempt int, want delivery.OutcomeName) (accepted []int, ids, endpoints map[string]int) {
		t.Helper()
		before := len(w.Sim.Events(alexa.EU))
		m := message(w, removalOf(70))
		m.Attempt = attempt
		r := d.Deliver(t.Context(), m)
		if r[0].Name != want {
			t.Errorf("result = %+v, want %s", r, want)
		}
		checkSent(t, w, before, r[0])
		ids, endpoints = make(map[string]int), make(map[string]int)
		for _, r := range w.Sim.Events(alexa.EU)[before:] {
			ids[r.MessageID]++
			for i := range 70 {
				if name := fmt.Sprintf(`"e-%d"`, i); r.Accepted && strings.Contains(r.Body, name) {
					endpoints[name]++
				}
			}
			if r.Accepted {
				accepted = append(accepted, strings.Count(r.Body, "endpointId"))
			}
		}
		return accepted, ids, endpoints
	}
	accepted, first, endpoints := send(deliverer(t, w), 1, delivery.Accepted)
	expect.Equal(t, "parts", []int{7, 8, 7, 8, 7, 8, 7, 8, 10}, accepted)
	for _, counts := range []map[string]int{first, endpoints} {
		for name, n := range counts {
			if n != 1 || len(endpoints) != 70 {
				t.Errorf("part %s was sent %d times, of %d endpoints", name, n, len(endpoints))
			}
		}
	}
	d := deliverer(t, w) // a new process, in which one part fails
	w.Sim.Script(eu, simulator.Fault{Code: simulator.SkillNeverEnabled, Match: func(r simulator.Request) bool {
		return strings.Contains(r.Body, `"e-60"`)
	}})
	_, second, _ := send(d, 1, delivery.Redeliver)
	if rest, third, _ := send(d, 2, delivery.Accepted); !cmp.Equal(first, second) || !cmp.Equal(rest, []int{10}) {
		t.Errorf("same ids: %t; parts of the second delivery: %v of %v", cmp.Equal(first, second), rest, third)
	}
}

// TestPressIsPostedOnce: the gateway acts on a press before it answers, which may
// be late or never. Only a refused press is resent.
func TestPressIsPostedOnce(t *testing.T) {
	t.Parallel()
	const detection = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.SmartVision.ObjectDetectionSensor","name":"ObjectDetection"},` +
		`"endpoint":{"endpointId":"d"},"payload":{"events":[{}]}}}`
	taken := simulator.Fault{Status: 202, Body: " "}
	const accepted, duplicate, unconfirmed = delivery.Accepted, delivery.Duplicate, delivery.Unconfirmed
	for name, test := range map[string]struct {
		faults []simulator.Fault
		want   []delivery.OutcomeName // of each delivery
		posts  int
		took   time.Duration // by the first delivery
	}{
		"answers after 6 s": {[]simulator.Fault{{Status: 202, Body: " ", Delay: 6 * time.Second}},
			[]delivery.OutcomeName{accepted, duplicate}, 1, 6 * time.Second},
		"answers after 30 s": {[]simulator.Fault{{AnswerLost: true, Delay: 30 * time.Second}},
			[]delivery.OutcomeName{unconfirmed, duplicate}, 1, gateway.PatientTimeout},
		"loses the answer": {[]simulator.Fault{{AnswerLost: true}}, []delivery.OutcomeName{unconfirmed, duplicate}, 1, 0},
		"refuses once":     {[]simulator.Fault{{Status: 503}, taken}, []delivery.OutcomeName{accepted, duplicate}, 2, time.Second},
		"refuses for long": {[]simulator.Fault{{Status: 503, Times: 4}, taken},
			[]delivery.OutcomeName{delivery.Redeliver, accepted, duplicate}, 5, 3 * time.Second},
		"refuses and then loses the answer": {[]simulator.Fault{{Code: simulator.Throttling}, {AnswerLost: true}},
			[]delivery.OutcomeName{unconfirmed, duplicate}, 2, time.Second},
	} {
		for kind, data := range map[string]string{"DoorbellPress": doorbell, "ObjectDetection": detection} {
			inBubble(t, name+"/"+kind, func(t *testing.T) {
				w := accesstest.InBubble(t, simulator.Options{})
				w.Link(t, "u-1", alexa.EU, "amzn-1")
				w.Sim.Script(eu, test.faults...)
				m := message(w, strings.Replace(data, "2026-01-02T03:04:05Z", w.Now().Format(time.RFC3339), 1))
				for n, want := range test.want {
					d := deliverer(t, w, alexa.EU) // a new process
					d.Checks = alexa.CheckOff
					d.Patient = map[alexa.Region]delivery.Gateway{alexa.EU: w.Patient(t, alexa.EU)}
					m.Attempt = n + 1
					began := time.Now()
					if r := handle(d, m); len(r) != 1 || r[0].Name != want {
						t.Errorf("delivery %d: result = %+v, want %s", n+1, r, want)
					}
					if took := time.Since(began); n == 0 && took != test.took {
						t.Errorf("took %v, want %v", took, test.took)
					}
					w.Forward(5 * time.Second)
				}
				var ids []string
				for _, r := range w.Sim.Requests() {
					if r.Target == eu {
						ids = append(ids, r.MessageID)
					}
				}
				if posts := len(ids); posts != test.posts || len(slices.Compact(ids)) != 1 {
					t.Errorf("posts = %d, want %d of one event", posts, test.posts)
				}
				sent, err := w.Store.ReadDelivery(t.Context(), grant.DeliveryKey{Customer: accesstest.Key("u-1").ID(), EventID: "m-1"})
				if err != nil || sent.State != grant.Sent {
					t.Errorf("delivery record = %+v, want Sent: %v", sent, err)
				}
			})
		}
	}
}
