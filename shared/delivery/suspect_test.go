package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// announced makes d publish grant events to the returned topic.
func announced(w *accesstest.World, d *delivery.Deliverer) *letters {
	topic := new(letters)
	d.Announcer = &announce.Announcer{Store: w.Store, Topic: topic, Log: slog.New(slog.DiscardHandler), Now: w.Now}
	return topic
}

// told returns the type and reason of each grant event.
func told(t *testing.T, topic *letters) []string {
	t.Helper()
	list := []string{}
	for _, m := range topic.sent {
		var message announce.Message
		if err := json.Unmarshal(m.Data, &message); err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s", message.Type, message.Reason)))
	}
	return list
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
			w, id := linked(t)
			d := deliverer(t, w)
			topic := announced(w, d)
			w.Forward(11 * time.Minute)
			w.Sim.Always(eu, simulator.Fault{Code: test.code})
			n := 0
			wantOutcome := func(want delivery.OutcomeName, requests int, others ...*delivery.Deliverer) {
				t.Helper()
				before := len(w.Sim.Events(alexa.EU))
				var all sync.WaitGroup
				for _, d := range append(others, d) {
					n++
					m := numbered(w, report, n)
					all.Go(func() {
						if r := d.Deliver(context.Background(), m); len(r) != 1 || r[0].Name != want {
							t.Errorf("%s: result = %v, want %s", m.ID, r, want)
						}
					})
				}
				all.Wait()
				if got := len(w.Sim.Events(alexa.EU)) - before; got != requests {
					t.Errorf("event %d: requests = %d, want %d", n, got, requests)
				}
			}
			wantOutcome(delivery.Redeliver, 1)
			w.Forward(5 * time.Second)
			wantOutcome(delivery.Redeliver, 1) // becomes suspect
			wantOutcome(delivery.Suspended, 0)
			wait := time.Minute
			// Many processes see that the first probe is due, and one sends it.
			others := []*delivery.Deliverer{deliverer(t, w), deliverer(t, w), deliverer(t, w)}
			for range 12 {
				w.Forward(wait - time.Second)
				wantOutcome(delivery.Suspended, 0)
				w.Forward(time.Second)
				wantOutcome(delivery.Suspended, 1, others...) // the probe
				others = nil                                  // may see the grant suspect once the token has expired
				wantOutcome(delivery.Suspended, 0)
				wait = min(2*wait, test.most)
			}
			w.Sim.Clear()
			w.Forward(test.most)
			wantOutcome(delivery.Accepted, 1)
			wantOutcome(delivery.Accepted, 1)
			g := w.Read(t, "u-1").Grants[id]
			if g.State != grant.Active || g.Failures != 0 || g.RefreshDue.IsZero() || !g.BehindDue(w.Now()) {
				t.Errorf("grant = %+v, want active", g)
			}
			expect.Equal(t, "grant events", []string{"suspect " + reason, "recovered"}, told(t, topic))
		})
	}
}

// TestSuspicionIsConfirmed: a grant becomes suspect when the gateway refuses it
// again between five seconds and ten minutes later, with no event accepted in
// between. Stray refusals that a refresh mends do not count.
func TestSuspicionIsConfirmed(t *testing.T) {
	t.Parallel()
	const s = time.Second
	refused, stray := simulator.Fault{Code: simulator.InsufficientPermission}, simulator.Fault{Status: 403}
	for name, test := range map[string]struct {
		fault     simulator.Fault
		waits     []time.Duration // before each event but the first
		take      int             // the accepted event, 0 for none
		want      grant.State
		requested string
	}{
		"too soon":               {refused, []time.Duration{0, 2 * s, 2 * s}, 0, grant.Active, "EU 403, EU 403, EU 403, EU 403"},
		"five seconds":           {refused, []time.Duration{5 * s}, 0, grant.Suspect, "EU 403, EU 403"},
		"counted from the first": {refused, []time.Duration{2 * s, 3 * s}, 0, grant.Suspect, "EU 403, EU 403, EU 403"},
		"ten minutes":            {refused, []time.Duration{10 * time.Minute}, 0, grant.Suspect, "EU 403, EU 403"},
		"too late":               {refused, []time.Duration{10*time.Minute + s}, 0, grant.Active, "EU 403, EU 403"},
		"taken meanwhile":        {refused, []time.Duration{5 * s, 5 * s}, 1, grant.Active, "EU 403, EU 202, EU 403"},
		"stray":                  {stray, []time.Duration{4 * time.Minute}, 0, grant.Active, "EU 403, LWA 200, EU 202, EU 403, EU 202"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id := linked(t)
			d := deliverer(t, w)
			for n := range len(test.waits) + 1 {
				if n > 0 {
					w.Forward(test.waits[n-1])
				}
				if n == 0 || n != test.take {
					w.Sim.Script(eu, test.fault)
				}
				d.Deliver(t.Context(), numbered(w, report, n))
			}
			if g := w.Read(t, "u-1").Grants[id]; g.State != test.want || requested(w) != test.requested {
				t.Errorf("grant = %s, requests = %s; want %s, %s", g.State, requested(w), test.want, test.requested)
			}
		})
	}
}

// TestDoubtDoesNotSilence: Login with Amazon refuses the refresh while the access
// token is valid. Events are sent as before, without a read, and no grant event is
// published until the token has expired.
func TestDoubtDoesNotSilence(t *testing.T) {
	t.Parallel()
	r := newCaching(t)
	topic := announced(r.World, r.deliverer)
	id := r.Link(t, "u-1", alexa.EU, "amzn-1")
	r.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidGrant})
	if _, err := r.Process("sweep").Refresh(t.Context(), r.Read(t, "u-1"), id); err == nil {
		t.Fatal("no error")
	}
	for range 5 {
		got, _ := r.deliver(t, r.next())
		outcomes{id: delivery.Accepted}.check(t, "with a good token", got)
	}
	if reads, got := r.store.reads.Load(), told(t, topic); reads > 1 || len(got) != 0 {
		t.Errorf("reads = %d, grant events = %v, want none", reads, got)
	}
	if g := r.Read(t, "u-1").Grants[id]; g.State != grant.Suspect || g.Reason != grant.ReasonRefreshRefused {
		t.Errorf("grant = %s %s", g.State, g.Reason)
	}
	r.Forward(59*time.Minute + 30*time.Second) // the token has expired
	r.Change(t, "u-1", func(record *grant.Record) {
		record.RefreshRefused(id, grant.ReasonRefreshRefused, r.Now().Add(-2*time.Minute))
	})
	for range 3 {
		got, _ := r.deliver(t, r.next())
		outcomes{id: delivery.Suspended}.check(t, "after its end", got)
	}
	got := slices.DeleteFunc(told(t, topic), func(text string) bool { return !strings.HasPrefix(text, "suspect") })
	expect.Equal(t, "grant events", []string{"suspect refresh_refused"}, got)
}

// TestRelinkRingsOnce: the customer linked again, perhaps with the same Amazon
// account. A press is announced once as soon as Login with Amazon refuses the old
// token; while it is unavailable, only the newest link gets the press. Another
// account, a spouse's, gets everything.
func TestRelinkRingsOnce(t *testing.T) {
	t.Parallel()
	const accepted, revoked = delivery.Accepted, delivery.Revoked
	for name, test := range map[string]struct {
		spouse, ill   bool
		press, report delivery.OutcomeName // of the older grant; the newer accepts both
	}{
		"the same account": {false, false, revoked, revoked},
		"a spouse":         {true, false, accepted, accepted},
		"account unknown":  {true, true, delivery.Superseded, accepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, older := linked(t)
			account := "amzn-2"
			if !test.spouse {
				account = "amzn-1"
				w.Sim.Disable(alexa.EU, account) // ends its tokens
			}
			newer := w.Link(t, "u-1", alexa.EU, account)
			if test.ill {
				w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
			}
			d := deliverer(t, w)
			outcomes{older: test.press, newer: accepted}.check(t, "a press", d.Deliver(t.Context(), numbered(w, doorbell, 1)))
			outcomes{older: test.report, newer: accepted}.check(t, "a report", d.Deliver(t.Context(), numbered(w, report, 2)))
		})
	}
}

// suspended returns a customer whose grant has been suspect for six hours, and a
// process with a counted store.
func suspended(t *testing.T) (*accesstest.World, *delivery.Deliverer, *counting, string) {
	t.Helper()
	w, id := linked(t)
	w.Change(t, "u-1", func(r *grant.Record) {
		r.Suspect(id, "x", w.Now())
		g := r.Grants[id]
		g.NextTry = w.Now().Add(6 * time.Hour)
		r.Grants[id] = g
		r.Announced(r.Announce, w.Now())
	})
	d, store := deliverer(t, w), &counting{Store: w.Store}
	d.Store = store
	return w, d, store, id
}

// TestMissedReportsAreNoted: a suspended or expired report is recorded, once for
// each endpoint and in one write, and no grant event is published yet.
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
				m := numbered(w, strings.NewReplacer("lamp-1", endpoint, "PHYSICAL_INTERACTION", cause).Replace(report), n)
				m.PublishTime = w.Now().Add(-test.age)
				before := store.writes.Load()
				ctx, line := logging.Begin(t.Context())
				if r := d.Deliver(ctx, m); len(r) != 1 || r[0].Name != test.want {
					t.Errorf("%s: result = %+v, want %s", endpoint, r, test.want)
				}
				var written strings.Builder
				line.Write(ctx, logging.New(&written), "SendEvent")
				if noted := strings.Contains(written.String(), `"noted_behind":1`); noted != (writes > 0) {
					t.Errorf("%s, cause %s: line = %s; want a note for a write", endpoint, cause, &written)
				}
				if got := store.writes.Load() - before; got != writes {
					t.Errorf("%s, cause %s: writes = %d, want %d", endpoint, cause, got, writes)
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
				t.Errorf("due in %v, want 5 to 15 minutes", wait)
			}
			behind.Due = time.Time{}
			expect.Equal(t, "behind", grant.Behind{Since: w.Now(), Endpoints: endpoints}, behind)
			send("lamp-20", "PHYSICAL_INTERACTION", 1) // too many endpoints to list
			send("lamp-21", "PHYSICAL_INTERACTION", 0)
			if behind = w.Read(t, "u-1").Grants[id].Behind; !behind.All || behind.Endpoints != nil || behind.Discovery {
				t.Errorf("behind = %+v, want all", behind)
			}
			if got := told(t, topic); len(got) != 0 || requested(w) != "" {
				t.Errorf("grant events = %v, requests = %s; want none", got, requested(w))
			}
		})
	}
}

// TestUnrecordedReportIsRetried: the record is all that is left of a missed report.
func TestUnrecordedReportIsRetried(t *testing.T) {
	t.Parallel()
	w, d, store, id := suspended(t)
	d.DeadLetters = new(letters)
	fresh, discovery := numbered(w, report, 1), numbered(w, removal, 2)
	expired := fresh
	expired.PublishTime = w.Now().Add(-time.Hour)
	store.failWrites.Store(true)
	for name, m := range map[string]push.Message{"suspended": fresh, "expired": expired, "discovery": discovery} {
		if r := d.Deliver(t.Context(), m); len(r) != 1 || r[0].Decision != delivery.Retry {
			t.Errorf("%s: result = %+v, want a retry", name, r)
		}
	}
	store.failWrites.Store(false)
	outcomes{id: delivery.Suspended}.check(t, "noted", d.Deliver(t.Context(), fresh))
	if !w.Read(t, "u-1").Grants[id].Behind.Has("lamp-1", false) {
		t.Error("the missed report is not recorded")
	}
}

// TestMissedForGood: an event that no later report repeats is dead-lettered for the
// suspect grant, can be replayed, and is recorded.
func TestMissedForGood(t *testing.T) {
	t.Parallel()
	const consumed = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.InventoryUsageSensor",` +
		`"name":"InventoryConsumed","instance":"Pods"},` +
		`"endpoint":{"endpointId":"coffee-1"},"payload":{"usage":{"@type":"Count","value":1},"timeOfSample":"2026-01-02T03:04:05Z"}}}`
	for name, test := range map[string]struct {
		data      string
		endpoints []string
	}{"DeleteReport": {removal, nil}, "a fact about the past": {consumed, []string{"coffee-1"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, d, store, id := suspended(t)
			topic := new(letters)
			d.DeadLetters, d.Checks = topic, alexa.CheckOff
			for n := range 3 {
				r := d.Deliver(t.Context(), numbered(w, test.data, n))
				if len(r) != 1 || r[0].Decision != delivery.DeadLetter || r[0].Code != "SUSPENDED" {
					t.Errorf("result = %+v", r)
				}
			}
			if len(topic.sent) != 3 || topic.sent[0].Attributes["gatepost-grant"] != id {
				t.Fatalf("dead letters = %+v, want one", topic.sent)
			}
			behind := w.Read(t, "u-1").Grants[id].Behind
			if !behind.Discovery || behind.All || !slices.Equal(behind.Endpoints, test.endpoints) || store.writes.Load() != 1 {
				t.Errorf("behind = %+v after %d writes", behind, store.writes.Load())
			}
			// The grant is healthy when the letter is replayed.
			w.Change(t, "u-1", func(r *grant.Record) { r.Recover(id, w.Now(), w.Now().Add(time.Hour)) })
			replay := topic.sent[0]
			replay.ID, replay.PublishTime = "m-9", w.Now()
			outcomes{id: delivery.Accepted}.check(t, "replayed", d.Deliver(t.Context(), replay))
		})
	}
}

// TestHealthyGrantDoesNotWait: one of two grants accepts the report. The message is
// acknowledged within about three seconds, the other grant is marked behind in one
// write, and later events do not wait for it either.
func TestHealthyGrantDoesNotWait(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  simulator.Fault
		former bool // the grant is of the skill's former client
		most   time.Duration
	}{
		"throttled":           {simulator.Fault{Code: simulator.Throttling}, false, 3 * time.Second},
		"throttled for long":  {simulator.Fault{Code: simulator.Throttling, RetryAfter: 10 * time.Second}, false, 50 * time.Millisecond},
		"of a former client":  {simulator.Fault{}, true, 50 * time.Millisecond},
		"slow":                {simulator.Fault{Delay: time.Minute}, false, gateway.CallTimeout},
		"not yet known there": {simulator.Fault{Code: simulator.SkillNeverEnabled}, false, 50 * time.Millisecond},
		"failing":             {simulator.Fault{Code: simulator.InternalService}, false, 3 * time.Second},
	} {
		inBubble(t, name, func(t *testing.T) {
			w := accesstest.InBubble(t, simulator.Options{})
			healthy, sick := w.Link(t, "u-1", alexa.EU, "amzn-1"), w.Link(t, "u-1", alexa.EU, "amzn-2")
			if test.former {
				w.Change(t, "u-1", func(r *grant.Record) {
					g := r.Grants[sick]
					g.ClientID, g.ExpiresAt = "amzn1.application-oa2-client.former", w.Now().Add(-time.Hour)
					r.Grants[sick] = g
				})
			} else {
				test.fault.User = "amzn-2"
				w.Sim.Always(eu, test.fault)
			}
			w.Sim.Always(eu, simulator.Fault{Status: 202, Body: " ", User: "amzn-1", Delay: 50 * time.Millisecond})
			d, store := deliverer(t, w, alexa.EU), &counting{Store: w.Store}
			d.Store = store
			for n := range 5 {
				began := time.Now()
				got := names(handle(d, numbered(w, report, n)))
				if took := time.Since(began); took > test.most+50*time.Millisecond { // a write that loses a race backs off
					t.Errorf("event %d took %v, want about %v", n, took, test.most)
				}
				if got[healthy] != delivery.Accepted || got[sick] != delivery.Behind && (n == 0 || got[sick] != delivery.Suspended) {
					t.Errorf("event %d: outcomes = %v", n, got)
				}
				w.Forward(500 * time.Millisecond)
			}
			if n := store.writes.Load(); n != 1 {
				t.Errorf("writes = %d, want 1", n)
			}
			record := w.Read(t, "u-1")
			if !record.Grants[sick].Behind.Has("lamp-1", false) || !record.Grants[healthy].Behind.Empty() {
				t.Errorf("behind = %+v and %+v, want only the sick grant's", record.Grants[sick].Behind, record.Grants[healthy].Behind)
			}
		})
	}
}
