package sendevent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/functions/sendevent"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// given is a deliverer with given results.
type given struct {
	results []delivery.Result
	got     push.Message
}

func (g *given) Deliver(_ context.Context, m push.Message) []delivery.Result {
	g.got = m
	return g.results
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	result := func(id string, err error) delivery.Result {
		return delivery.Result{GrantID: id, Outcome: delivery.OutcomeOf(err), Err: err}
	}
	accepted, suspended := result("g-1", nil), result("g-2", delivery.ErrSuspended)
	again := result("g-3", errors.New("secret cause"))
	malformed := result("", &alexa.FieldError{Path: "userId", Problem: "missing"})
	nowhere := result("", delivery.ErrUnknownRegion)
	const (
		took, waits = `{"grantId":"g-1","outcome":"accepted"}`, `{"grantId":"g-2","outcome":"suspended"}`
		retry       = `{"grantId":"g-3","outcome":"retry","code":"INTERNAL"}`
		invalid     = `{"outcome":"dead_letter","code":"INVALID_EVENT"}`
		noRegion    = `{"outcome":"dead_letter","code":"UNKNOWN_REGION"}`
		why         = `,"error":"userId: missing"`
	)
	of := func(results ...delivery.Result) []delivery.Result { return results }
	tests := []struct {
		name    string
		keeps   bool
		results []delivery.Result
		status  int
		body    string
	}{
		{"nothing to do", false, of(result("", delivery.ErrNoGrant)), 200, `{"outcomes":[]}`},
		{"nothing to do here", false, of(result("", delivery.ErrElsewhere)), 200, `{"outcomes":[]}`},
		{"accepted", false, of(accepted, suspended), 200, `{"outcomes":[` + took + `,` + waits + `]}`},
		{"one must be resent", false, of(accepted, again), 503, `{"outcomes":[` + took + `,` + retry + `]}`},
		{"malformed", false, of(malformed), 422, `{"outcomes":[` + invalid + `]` + why + `}`},
		{"malformed, dead-lettered", true, of(malformed), 200, `{"outcomes":[` + invalid + `]` + why + `}`},
		{"no such region", false, of(nowhere), 422, `{"outcomes":[` + noRegion + `],"error":"attribute region: must be NA, EU or FE"}`},
		{"again before dead", false, of(again, malformed), 503, `{"outcomes":[` + retry + `,` + invalid + `]` + why + `}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := &given{results: test.results}
			f := &sendevent.Function{Deliverer: d, KeepsDeadLetters: test.keeps}
			const pushed = `{"message":{"messageId":"7","data":"aGk=","orderingKey":"k"},"deliveryAttempt":2}`
			answer := f.Handle(t.Context(), handler.Request{Body: []byte(pushed)})
			if answer.Status != test.status || string(answer.Body) != test.body {
				t.Errorf("answer = %d %s\nwant %d %s", answer.Status, answer.Body, test.status, test.body)
			}
			if d.got.ID != "7" || string(d.got.Data) != "hi" || d.got.OrderingKey != "k" || d.got.Attempt != 2 {
				t.Errorf("delivered %+v", d.got)
			}
		})
	}
}

// TestLine compares the log lines of an event with its publisher's fields and of an
// event without a grant.
func TestLine(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	id := w.Link(t, "u-1", alexa.EU, "amzn-1")
	d := delivery.New(delivery.Options{
		Skill: accesstest.Skill, Store: w.Store, Tokens: w.Process("p"), Announcer: w.Announcer(),
		Gateways:    map[alexa.Region]delivery.Gateway{alexa.EU: w.Gateway(t, alexa.EU)},
		MaxEventAge: 5 * time.Minute, Draw: func() float64 { return 0 }, Now: w.Now,
	})
	line := func(userID string) map[string]any {
		body, err := push.Encode(push.Message{
			ID: "7", PublishTime: w.Now().Add(-time.Second), Attempt: 1,
			Data: fmt.Appendf(nil, `{"userId":%q,"endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION","changed":[`+
				`{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:04Z"},`+
				`{"namespace":"Alexa.BrightnessController","name":"brightness","value":55,"timeOfSample":"2026-01-02T03:04:04Z"}],"unchanged":[`+
				`{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":"2026-01-02T03:04:04Z"}]}`, userID),
		})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		ctx, line := logging.Begin(t.Context())
		(&sendevent.Function{Deliverer: d}).Handle(ctx, handler.Request{Body: body})
		line.Write(ctx, logging.New(&out), "SendEvent")
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		delete(got, "time")
		return got
	}
	common := func(userID string) map[string]any {
		return map[string]any{
			"severity": "INFO", "message": "SendEvent", "event_id": "7", "attempt": 1.0, "customer": grant.CustomerHash(userID),
			"endpoint_id": "lamp-1", "kind": "Alexa.ChangeReport",
			"changed":         "Alexa.PowerController.powerState Alexa.BrightnessController.brightness",
			"event_published": "2026-01-02T03:04:04Z", "event_age_ms": 1000.0, "decision": "ack",
		}
	}
	got, want := line("u-1"), common("u-1")
	sent := w.Sim.Events(alexa.EU)[0]
	maps.Copy(want, map[string]any{
		"outcome": "accepted", "grants": 1.0, "grant_id": id, "region": "EU",
		"message_id": sent.MessageID, "gateway_tries": 1.0, "gateway_status": 202.0, "gateway_id": got["gateway_id"],
		"gateway_ms": 0.0, "delivered_ms": 1000.0, // the clock stands still
	})
	if diff := cmp.Diff(want, got); diff != "" || got["gateway_id"] == nil {
		t.Errorf("line of an accepted event differs (-want +got):\n%s", diff)
	}
	got, want = line("u-2"), common("u-2")
	maps.Copy(want, map[string]any{
		"outcome": "no_grant", "reason": "no grant: no customer with this userId has linked the skill in this stack",
	})
	expect.Equal(t, "line of an event without a grant", want, got)
}

// TestLineOfSeveralGrants: a JSON reader keeps only one of two equal field names.
func TestLineOfSeveralGrants(t *testing.T) {
	t.Parallel()
	d := &given{results: []delivery.Result{
		{GrantID: "g-1", Region: alexa.NA, Outcome: delivery.OutcomeOf(errors.New("why")), Err: errors.New("why")},
		{
			GrantID: "g-2", Region: alexa.EU, Outcome: delivery.OutcomeOf(nil),
			Sent: delivery.Sent{
				MessageID: "m-2", Tries: 2, Status: 202, RequestID: "r-2", Took: 30 * time.Millisecond, Delivered: 2 * time.Second,
			},
		},
	}}
	var out bytes.Buffer
	ctx, line := logging.Begin(t.Context())
	(&sendevent.Function{Deliverer: d}).Handle(ctx, handler.Request{Body: []byte(`{"message":{"messageId":"7"}}`)})
	line.Write(ctx, logging.New(&out), "SendEvent")
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"severity": "WARNING", "message": "SendEvent",
		"outcome": "retry", "decision": "retry", "grant_id": "g-1", "region": "NA", "alexa_code": "INTERNAL", "error": "why",
		"deliveries": []any{
			map[string]any{"outcome": "retry", "decision": "retry", "grant_id": "g-1", "region": "NA", "alexa_code": "INTERNAL", "error": "why"},
			map[string]any{
				"outcome": "accepted", "decision": "ack", "grant_id": "g-2", "region": "EU",
				"message_id": "m-2", "gateway_tries": 2.0, "gateway_status": 202.0, "gateway_id": "r-2",
				"gateway_ms": 30.0, "delivered_ms": 2000.0,
			},
		},
	}
	expect.Equal(t, "line", want, got)
}
