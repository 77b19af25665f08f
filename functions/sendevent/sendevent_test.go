package sendevent_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gatepostdev/gatepost/functions/sendevent"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/outcome"
	"github.com/gatepostdev/gatepost/shared/push"
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

func TestNoMessage(t *testing.T) {
	t.Parallel()
	f := &sendevent.Function{Deliverer: new(given)}
	answer := f.Handle(t.Context(), host.Request{Body: []byte(`{"message":{}}`)})
	if answer.Status != 400 || string(answer.Body) != `{"error":"not a Pub/Sub message: message.messageId: missing"}` {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
}
