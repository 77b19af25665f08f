package delivery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestStrayRefusals: two within ten minutes are no reason to suspect a grant
// that works, nor to refresh it twice.
func TestStrayRefusals(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	id := w.Link(t, "u-1", alexa.EU, "amzn-1")
	d := deliverer(t, w)
	for n := range 2 {
		w.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Status: 403})
		if r := d.Deliver(t.Context(), numbered(w, report, n)); r[0].Name != delivery.Accepted {
			t.Errorf("event %d: %+v", n, r)
		}
		w.Forward(4 * time.Minute)
	}
	want := []string{"gateway/EU 403", "lwa/refresh 200", "gateway/EU 202", "gateway/EU 403", "gateway/EU 202"}
	if diff := cmp.Diff(want, since(seen(w), 1)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if g := w.Read(t, "u-1").Grants[id]; g.State != grant.Active {
		t.Errorf("grant is %s", g.State)
	}
}

// TestPartsAreNotSentAgain: one part of many fails, and the event comes back.
func TestPartsAreNotSentAgain(t *testing.T) {
	t.Parallel()
	var endpoints []string
	for i := range 90 {
		endpoints = append(endpoints, fmt.Sprintf(`{"endpointId":"e-%d"}`, i))
	}
	removal := `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},"payload":{"endpoints":[` + strings.Join(endpoints, ",") + `]}}}`
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	d := deliverer(t, w)
	w.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.SkillNeverEnabled, Match: func(r simulator.Request) bool { return strings.Contains(r.Body, `"e-60"`) }})
	m := message(w, removal)
	if r := d.Deliver(t.Context(), m); r[0].Decision != delivery.Retry {
		t.Errorf("%+v", r)
	}
	m.Attempt = 2
	if r := d.Deliver(t.Context(), m); r[0].Name != delivery.Accepted {
		t.Errorf("%+v", r)
	}
	want := []string{"gateway/EU 202", "gateway/EU 202", "gateway/EU 403 SKILL_NEVER_ENABLED_EXCEPTION", "gateway/EU 202"}
	if diff := cmp.Diff(want, since(seen(w), 1)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestReplayIsDelivered: the record of the event says that the grant is done
// with it, as a dead letter.
func TestReplayIsDelivered(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]string{"report": report, "doorbell": doorbell} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			dead := w.Link(t, "u-1", alexa.EU, "amzn-1")
			w.Link(t, "u-1", alexa.NA, "amzn-2")
			topic := new(letters)
			first := deliverer(t, w)
			first.DeadLetters = topic
			w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.InvalidRequest})
			w.Sim.Script(simulator.Gateway(alexa.NA), simulator.Fault{Code: simulator.SkillNeverEnabled})
			first.Deliver(t.Context(), message(w, event))
			w.Sim.Clear()

			replay := push.Message{ID: "m-9", Data: topic.sent[0].Data, Attributes: topic.sent[0].Attributes, PublishTime: w.Now()}
			want := map[string]delivery.OutcomeName{dead: delivery.Accepted}
			if diff := cmp.Diff(want, names(deliverer(t, w).Deliver(t.Context(), replay))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestExpiryKnowsWhatWasDelivered: an event that comes back too late has expired
// for those only that did not get it.
func TestExpiryKnowsWhatWasDelivered(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	took := w.Link(t, "u-1", alexa.EU, "amzn-1")
	late := w.Link(t, "u-1", alexa.NA, "amzn-2")
	gone := w.Link(t, "u-1", alexa.FE, "amzn-3")
	w.Change(t, "u-1", func(r *grant.Record) {
		r.Revoke(gone, grant.ReasonInvalidGrant, w.Now())
		r.Announced(r.Announce, w.Now())
	})
	w.Sim.Script(simulator.Gateway(alexa.NA), simulator.Fault{Code: simulator.SkillNeverEnabled})
	m := message(w, doorbell)
	deliverer(t, w).Deliver(t.Context(), m)
	w.Forward(6 * time.Minute)
	m.Attempt = 7
	d := deliverer(t, w)
	topic := announced(w, d)
	want := map[string]delivery.OutcomeName{took: delivery.Duplicate, late: delivery.Expired, gone: delivery.Revoked}
	if diff := cmp.Diff(want, names(d.Deliver(t.Context(), m))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := told(t, topic); len(got) != 0 {
		t.Errorf("told: %v", got)
	}
}

// TestAnswerWaitsForTheRightAccount: while one grant may still accept an answer
// to a directive, the others' refusals are nothing to look at.
func TestAnswerWaitsForTheRightAccount(t *testing.T) {
	t.Parallel()
	const answer = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"Response","correlationToken":"c"},"endpoint":{"endpointId":"d"},"payload":{}},"context":{"properties":[]}}`
	w := accesstest.New(t, simulator.Options{})
	right := w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Link(t, "u-1", alexa.NA, "amzn-2")
	w.Sim.Always(simulator.Gateway(alexa.NA), simulator.Fault{Code: simulator.InvalidRequest})
	w.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.SkillNeverEnabled})
	d := deliverer(t, w)
	topic := new(letters)
	d.DeadLetters = topic
	m := message(w, answer)
	for _, want := range []delivery.OutcomeName{delivery.Redeliver, delivery.Accepted} {
		if diff := cmp.Diff(map[string]delivery.OutcomeName{right: want}, names(d.Deliver(t.Context(), m))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		m.Attempt++
	}
	if len(topic.sent) != 0 {
		t.Errorf("%d dead letters", len(topic.sent))
	}
}
