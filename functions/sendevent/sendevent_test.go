package sendevent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/functions/sendevent"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/outcome"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// given is a deliverer whose results are given.
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
		return delivery.Result{GrantID: id, Outcome: outcome.Of(err), Err: err}
	}
	accepted, suspended := result("g-1", nil), result("g-2", outcome.ErrSuspended)
	again := result("g-3", errors.New("secret cause"))
	malformed := result("", &alexa.FieldError{Path: "userId", Problem: "missing"})
	nowhere := result("", outcome.ErrUnknownRegion)
	tests := []struct {
		name    string
		keeps   bool
		results []delivery.Result
		status  int
		body    string
	}{
		{"nothing to do", false, nil, 200, `{"outcomes":[]}`},
		{"accepted", false, []delivery.Result{accepted, suspended}, 200, `{"outcomes":[{"grantId":"g-1","outcome":"accepted"},{"grantId":"g-2","outcome":"suspended"}]}`},
		{"one has to be sent again", false, []delivery.Result{accepted, again}, 503, `{"outcomes":[{"grantId":"g-1","outcome":"accepted"},{"grantId":"g-3","outcome":"retry","code":"INTERNAL"}]}`},
		{"malformed", false, []delivery.Result{malformed}, 422, `{"outcomes":[{"outcome":"dead_letter","code":"INVALID_EVENT"}],"error":"userId: missing"}`},
		{"malformed, put aside", true, []delivery.Result{malformed}, 200, `{"outcomes":[{"outcome":"dead_letter","code":"INVALID_EVENT"}],"error":"userId: missing"}`},
		{"no such region", false, []delivery.Result{nowhere}, 422, `{"outcomes":[{"outcome":"dead_letter","code":"UNKNOWN_REGION"}],"error":"attribute region: must be NA, EU or FE"}`},
		{"again before dead", false, []delivery.Result{again, malformed}, 503, `{"outcomes":[{"grantId":"g-3","outcome":"retry","code":"INTERNAL"},{"outcome":"dead_letter","code":"INVALID_EVENT"}],"error":"userId: missing"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := &given{results: test.results}
			f := &sendevent.Function{Deliverer: d, KeepsDeadLetters: test.keeps}
			answer := f.Handle(t.Context(), host.Request{Body: []byte(`{"message":{"messageId":"7","data":"aGk=","orderingKey":"k"},"deliveryAttempt":2}`)})
			if answer.Status != test.status || string(answer.Body) != test.body {
				t.Errorf("got  %d %s\nwant %d %s", answer.Status, answer.Body, test.status, test.body)
			}
			if d.got.ID != "7" || string(d.got.Data) != "hi" || d.got.OrderingKey != "k" || d.got.Attempt != 2 {
				t.Errorf("delivered %+v", d.got)
			}
		})
	}
}

// TestLineOfSeveralGrants: a reader of JSON keeps one of two fields of a name.
func TestLineOfSeveralGrants(t *testing.T) {
	t.Parallel()
	d := &given{results: []delivery.Result{
		{GrantID: "g-1", Outcome: outcome.Of(errors.New("why")), Err: errors.New("why")},
		{GrantID: "g-2", Outcome: outcome.Of(nil)},
	}}
	var out bytes.Buffer
	ctx, line := telemetry.Begin(t.Context())
	(&sendevent.Function{Deliverer: d}).Handle(ctx, host.Request{Body: []byte(`{"message":{"messageId":"7"}}`)})
	line.Write(ctx, telemetry.New(&out), "SendEvent")
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"severity": "WARNING", "message": "SendEvent", "outcome": "retry", "decision": "retry", "grant_id": "g-1", "alexa_code": "INTERNAL", "error": "why",
		"deliveries": []any{
			map[string]any{"outcome": "retry", "decision": "retry", "grant_id": "g-1", "alexa_code": "INTERNAL", "error": "why"},
			map[string]any{"outcome": "accepted", "decision": "ack", "grant_id": "g-2"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoMessage(t *testing.T) {
	t.Parallel()
	f := &sendevent.Function{Deliverer: new(given)}
	answer := f.Handle(t.Context(), host.Request{Body: []byte(`{"message":{}}`)})
	if answer.Status != 400 || string(answer.Body) != `{"error":"not a Pub/Sub message: message.messageId: missing"}` {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
}
