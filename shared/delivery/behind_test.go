package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// suspended is a customer whose grant is suspect for six hours, and a process
// whose store is counted.
func suspended(t *testing.T) (*accesstest.World, *delivery.Deliverer, *failing, string) {
	t.Helper()
	w := accesstest.New(t, simulator.Options{})
	id := w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Change(t, "u-1", func(r *grant.Record) {
		r.Suspect(id, "x", w.Now())
		g := r.Grants[id]
		g.NextTry = w.Now().Add(6 * time.Hour)
		r.Grants[id] = g
		r.Announced(r.Announce, w.Now())
	})
	d, store := deliverer(t, w), &failing{Store: w.Store}
	d.Store = store
	return w, d, store, id
}

// TestMissedReportsAreNoted: a report that is suspended or expires is noted, once
// for each endpoint and in one write, and nobody is asked for anything by that.
func TestMissedReportsAreNoted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		suspect bool
		age     time.Duration
		want    delivery.OutcomeName
	}{
		"suspended": {true, 0, delivery.Suspended},
		"expired":   {false, time.Hour, delivery.Expired},
		"both":      {true, time.Hour, delivery.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, d, store, id := suspended(t)
			if !test.suspect {
				w.Change(t, "u-1", func(r *grant.Record) {
					r.Recover(id, w.Now(), w.Now().Add(time.Hour))
					r.Announced(r.Announce, w.Now())
				})
			}
			topic := announced(w, d)
			n := 0
			send := func(endpoint, cause string, writes int64) {
				t.Helper()
				n++
				m := numbered(w, strings.Replace(strings.Replace(report, "lamp-1", endpoint, 1), "PHYSICAL_INTERACTION", cause, 1), n)
				m.PublishTime = w.Now().Add(-test.age)
				before := store.writes.Load()
				if r := d.Deliver(t.Context(), m); len(r) != 1 || r[0].Name != test.want {
					t.Errorf("%s: %+v, want %s", endpoint, r, test.want)
				}
				if got := store.writes.Load() - before; got != writes {
					t.Errorf("%s, cause %s: %d writes, want %d", endpoint, cause, got, writes)
				}
			}
			var endpoints []string
			for i := range 20 {
				endpoints = append(endpoints, fmt.Sprint("lamp-", i))
				send(endpoints[i], "PHYSICAL_INTERACTION", 1)
				send(endpoints[i], "PERIODIC_POLL", 0)
			}
			behind := w.Read(t, "u-1").Grants[id].Behind
			if wait := behind.Due.Sub(w.Now()); wait < 5*time.Minute || wait > 15*time.Minute {
				t.Errorf("it is due in %v", wait)
			}
			behind.Due = time.Time{}
			if diff := cmp.Diff(grant.Behind{Since: w.Now(), Endpoints: endpoints}, behind); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			send("lamp-20", "PHYSICAL_INTERACTION", 1) // too many to name
			send("lamp-21", "PHYSICAL_INTERACTION", 0)
			if behind = w.Read(t, "u-1").Grants[id].Behind; !behind.All || behind.Endpoints != nil || behind.Discovery {
				t.Errorf("%+v", behind)
			}
			if got := told(t, topic); len(got) != 0 {
				t.Errorf("told: %v", got)
			}
			if len(w.Sim.Events(alexa.EU)) != 0 {
				t.Error("it was sent")
			}
		})
	}
}

// TestWhatCannotBeNotedComesBack: the note is all that is left of a report.
func TestWhatCannotBeNotedComesBack(t *testing.T) {
	t.Parallel()
	w, d, store, id := suspended(t)
	store.fail.Store(true)
	for name, age := range map[string]time.Duration{"suspended": 0, "expired": time.Hour} {
		m := numbered(w, report, 1)
		m.PublishTime = w.Now().Add(-age)
		if r := d.Deliver(t.Context(), m); len(r) != 1 || r[0].Decision != delivery.Retry {
			t.Errorf("%s: %+v", name, r)
		}
	}
	d.DeadLetters = new(letters)
	if r := d.Deliver(t.Context(), numbered(w, removal, 2)); len(r) != 1 || r[0].Decision != delivery.Retry {
		t.Errorf("discovery: %+v", r)
	}
	store.fail.Store(false)
	if r := d.Deliver(t.Context(), numbered(w, report, 1)); r[0].Name != delivery.Suspended {
		t.Errorf("%+v", r)
	}
	if !w.Read(t, "u-1").Grants[id].Behind.Has("lamp-1", false) {
		t.Error("nothing is noted")
	}
}

// TestErasedMeanwhile: a customer who is gone is not made again by a note.
func TestErasedMeanwhile(t *testing.T) {
	t.Parallel()
	w, d, _, _ := suspended(t)
	d.Store = &erased{Store: w.Store, world: w, t: t}
	if r := d.Deliver(t.Context(), numbered(w, report, 1)); r[0].Name != delivery.Suspended {
		t.Errorf("%+v", r)
	}
	if _, err := w.Store.Read(t.Context(), accesstest.Key("u-1")); err == nil {
		t.Error("there is a record")
	}
}

// erased is a store whose customer is erased right before the first write.
type erased struct {
	grant.Store
	world *accesstest.World
	t     *testing.T
	done  bool
}

func (s *erased) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	if !s.done {
		s.done = true
		if err := s.Store.Delete(ctx, s.world.Read(s.t, "u-1")); err != nil {
			s.t.Error(err)
		}
	}
	return s.Store.Write(ctx, was, now)
}

// TestMissedForGood: what no later report tells again is put aside for the
// suspect grant, can be replayed, and is noted.
func TestMissedForGood(t *testing.T) {
	t.Parallel()
	const media = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.MediaMetadata","name":"MediaDeleted"},"payload":{"mediaIds":["m"]}}}`
	const consumed = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.InventoryUsageSensor","name":"InventoryConsumed","instance":"Pods"},` +
		`"endpoint":{"endpointId":"coffee-1"},"payload":{"usage":{"@type":"Count","value":1},"timeOfSample":"2026-01-02T03:04:05Z"}}}`
	for name, test := range map[string]struct {
		data      string
		endpoints []string
	}{"DeleteReport": {removal, nil}, "MediaDeleted": {media, nil}, "a fact about the past": {consumed, []string{"coffee-1"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, d, store, id := suspended(t)
			topic := new(letters)
			d.DeadLetters, d.Checks = topic, alexa.CheckOff
			for n := range 3 {
				r := d.Deliver(t.Context(), numbered(w, test.data, n))
				if len(r) != 1 || r[0].Decision != delivery.DeadLetter || r[0].Code != "SUSPENDED" {
					t.Errorf("%+v", r)
				}
			}
			if len(topic.sent) != 3 || topic.sent[0].Attributes["gatepost-code"] != "SUSPENDED" || topic.sent[0].Attributes["gatepost-grant"] != id {
				t.Fatalf("%+v", topic.sent)
			}
			behind := w.Read(t, "u-1").Grants[id].Behind
			if !behind.Discovery || behind.All || !slices.Equal(behind.Endpoints, test.endpoints) || store.writes.Load() != 1 {
				t.Errorf("%+v after %d writes", behind, store.writes.Load())
			}
			// A replay finds the grant well.
			w.Change(t, "u-1", func(r *grant.Record) { r.Recover(id, w.Now(), w.Now().Add(time.Hour)) })
			replay := topic.sent[0]
			replay.ID, replay.PublishTime = "m-9", w.Now()
			if r := d.Deliver(t.Context(), replay); len(r) != 1 || r[0].Name != delivery.Accepted {
				t.Errorf("replayed: %+v", r)
			}
		})
	}
}

// TestHealthyGrantDoesNotWait: of two grants one takes the report. The message
// is acknowledged within about three seconds, the other grant is noted as behind
// in one write, and no later event waits for it either.
func TestHealthyGrantDoesNotWait(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  simulator.Fault
		former bool // the grant is of a former client of the skill
		most   time.Duration
	}{
		"throttled":           {simulator.Fault{Code: simulator.Throttling}, false, 3 * time.Second},
		"throttled for long":  {simulator.Fault{Code: simulator.Throttling, RetryAfter: 10 * time.Second}, false, 50 * time.Millisecond},
		"of a former client":  {simulator.Fault{}, true, 50 * time.Millisecond},
		"slow":                {simulator.Fault{Delay: time.Minute}, false, gateway.CallTimeout},
		"not yet known there": {simulator.Fault{Code: simulator.SkillNeverEnabled}, false, 50 * time.Millisecond},
		"failing":             {simulator.Fault{Code: simulator.InternalService}, false, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := accesstest.InBubble(t, simulator.Options{})
				well := w.Link(t, "u-1", alexa.EU, "amzn-1")
				sick := w.Link(t, "u-1", alexa.EU, "amzn-2")
				if test.former {
					w.Change(t, "u-1", func(r *grant.Record) {
						g := r.Grants[sick]
						g.ClientID, g.ExpiresAt = "amzn1.application-oa2-client.former", w.Now().Add(-time.Hour)
						r.Grants[sick] = g
					})
				} else {
					test.fault.User = "amzn-2"
					w.Sim.Always(simulator.Gateway(alexa.EU), test.fault)
				}
				w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Status: 202, Body: " ", User: "amzn-1", Delay: 50 * time.Millisecond})
				d, store := deliverer(t, w, alexa.EU), &failing{Store: w.Store}
				d.Store = store
				for n := range 5 {
					m := numbered(w, report, n)
					began := time.Now()
					got := names(handle(d, m))
					if took := time.Since(began); took > test.most+50*time.Millisecond { // a write that loses a race rests a little
						t.Errorf("event %d took %v, want about %v", n, took, test.most)
					}
					if got[well] != delivery.Accepted || got[sick] != delivery.Behind && got[sick] != delivery.Suspended {
						t.Errorf("event %d: %v", n, got)
					}
					if n == 0 && got[sick] != delivery.Behind {
						t.Errorf("the first event: %v", got)
					}
					time.Sleep(500 * time.Millisecond)
				}
				if n := store.writes.Load(); n != 1 {
					t.Errorf("%d writes, want 1", n)
				}
				record := w.Read(t, "u-1")
				if !record.Grants[sick].Behind.Has("lamp-1", false) || !record.Grants[well].Behind.Empty() {
					t.Errorf("%+v and %+v", record.Grants[sick].Behind, record.Grants[well].Behind)
				}
			})
		})
	}
}

// TestDoorbellOfTwoGrants: an event that must not be repeated comes back for the
// grant that did not get it, and rings nowhere twice.
func TestDoorbellOfTwoGrants(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	well := w.Link(t, "u-1", alexa.EU, "amzn-1")
	sick := w.Link(t, "u-1", alexa.EU, "amzn-2")
	w.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.SkillNeverEnabled, User: "amzn-2"})
	m := message(w, doorbell)
	for _, want := range []map[string]delivery.OutcomeName{
		{well: delivery.Accepted, sick: delivery.Redeliver},
		{well: delivery.Duplicate, sick: delivery.Accepted},
	} {
		if diff := cmp.Diff(want, names(deliverer(t, w).Deliver(t.Context(), m))); diff != "" {
			t.Errorf("attempt %d (-want +got):\n%s", m.Attempt, diff)
		}
		m.Attempt++
	}
	if record := w.Read(t, "u-1"); !record.Grants[sick].Behind.Empty() {
		t.Errorf("a press is not asked for again: %+v", record.Grants[sick].Behind)
	}
}
