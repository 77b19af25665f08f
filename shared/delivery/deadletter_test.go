package delivery_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestDeadLetterHoldsNoToken: makers who move from a sender of their own publish
// events with live tokens, which are refused for it and kept for days.
func TestDeadLetterHoldsNoToken(t *testing.T) {
	t.Parallel()
	const scope = `"scope":{"type":"BearerToken","token":"Atza|CANARY"}`
	event := func(endpoint, payload string) string {
		return `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport"},"endpoint":{"endpointId":"lamp-1"` + endpoint +
			`},"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[]}` + payload + `}}}`
	}
	tests := []struct{ name, data, keeps string }{
		{"in the endpoint", event(","+scope, ""), "lamp-1"},
		{"in the payload", event("", ","+scope), "lamp-1"},
		{"in both, and a number that no float holds", event(","+scope, `,"n":12345678901234567890,`+scope), "12345678901234567890"},
		{"of no known form", event(`,"scope":{"type":"BearerToken","token":"CANARY"}`, ""), "lamp-1"},
		{"by another spelling", event(`,"sc\u006fpe":{"token":"CANARY"},"Scope":{"token":"CANARY"}`, ""), "lamp-1"},
		{"escaped", event(`,"cookie":{"a<b":"Atza\u007cCANARY"}`, ""), "a<b"},
		{"as a cookie", event(`,"cookie":{"a":"x Atzr|CANARY y"}`, ""), "x [redacted] y"},
		{"as a name", event(`,"cookie":{"Atza|CANARY":"kept"}`, ""), "kept"},
		{"in a list", event("", `,"list":[1,["Atza|CANARY"]]`), "lamp-1"},
		{"in broken JSON", event(","+scope, "")[:150] + `"token": "Atza|CANARY`, "lamp-1"},
		{"in broken JSON, of no known form", `{"userId":"u-1","x":{"scope": {"type":"BearerToken","token" : "CANARY"},`, "u-1"},
		{"in broken JSON, escaped", `{"userId":"u-1","x":"Atza\u007cCANARY"`, "u-1"},
		{"after the event", event("", "") + " Atza|CANARY", "lamp-1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			d, topic := deliverer(t, w), new(letters)
			d.DeadLetters = topic
			m := message(w, test.data)
			m.OrderingKey = "u-1/lamp-1"
			m.Attributes = map[string]string{"mine": "Atza|CANARY"}
			if r := d.Deliver(t.Context(), m); len(r) != 1 || r[0].Decision != delivery.DeadLetter || len(topic.sent) != 1 {
				t.Fatalf("%+v and %d dead letters", r, len(topic.sent))
			}
			letter := topic.sent[0]
			if all := fmt.Sprint(string(letter.Data), letter.Attributes); strings.Contains(all, "CANARY") || !strings.Contains(all, test.keeps) {
				t.Errorf("the dead letter has a token, or lacks %q: %s", test.keeps, all)
			}
			if json.Valid([]byte(test.data)) != json.Valid(letter.Data) {
				t.Errorf("JSON before or after only: %s", letter.Data)
			}
			if topic.keys[0] != "u-1/lamp-1" {
				t.Errorf("ordering key %q", topic.keys[0])
			}
		})
	}
}

// TestTooLargeToLookAt: a message that Amazon would never take is put aside at
// its first push, with the reason, and not pushed a hundred times.
func TestTooLargeToLookAt(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	d, topic := deliverer(t, w), new(letters)
	d.DeadLetters = topic
	m := message(w, report+strings.Repeat(" ", 1<<20-len(report)))
	m.OrderingKey = "u-1/lamp-1"
	if r := d.Deliver(t.Context(), m); len(r) != 1 || r[0].Decision != delivery.DeadLetter || len(topic.sent) != 1 {
		t.Fatalf("%+v and %d dead letters", r, len(topic.sent))
	}
	const want = "data: 1048576 bytes, at most 786432 are taken"
	if got := topic.sent[0].Attributes; got["gatepost-description"] != want || got["gatepost-code"] != "INVALID_EVENT" || topic.keys[0] != m.OrderingKey {
		t.Errorf("%v with key %q", got, topic.keys[0])
	}
	if len(topic.sent[0].Data) != 1<<20 {
		t.Errorf("%d bytes are kept", len(topic.sent[0].Data))
	}
	if n := len(w.Sim.Events(alexa.EU)); n != 0 {
		t.Errorf("%d requests", n)
	}
}
