package delivery_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	w, id := linked(t)
	topic := new(letters)
	d := deliverer(t, w)
	d.DeadLetters = topic
	with := func(data string, attempt int, attributes map[string]string) push.Message {
		m := message(w, data)
		m.Attempt, m.Attributes = attempt, attributes
		return m
	}
	longID, padded := strings.Repeat("x", 129), report+strings.Repeat(" ", 1<<20-len(report))
	w.Sim.Script(eu, simulator.Fault{Code: simulator.InvalidRequest, Description: "Payload conversion failed."})
	const dead, invalid = "gatepost-description", "INVALID_EVENT"
	tests := []struct {
		name string
		m    push.Message
		want map[string]string // attributes that differ from the common ones
	}{
		{"malformed", with(strings.Replace(report, "lamp-1", "lamp/1", 1), 3, map[string]string{"eventId": "e-1", "mine": "kept"}),
			map[string]string{"eventId": "e-1", "mine": "kept", "gatepost-event-id": "e-1", "gatepost-attempt": "3",
				dead: "endpointId: has a character other than letters, digits, spaces and _ - = # ; : ? @ & " +
					"(developer.amazon.com/docs/device-apis/alexa-discovery-objects.html)"}},
		{"for no region", with(report, 1, map[string]string{"region": "eu"}),
			map[string]string{"region": "eu", "gatepost-code": "UNKNOWN_REGION", dead: "attribute region: must be NA, EU or FE"}},
		{"no JSON", message(w, "hello"), map[string]string{"gatepost-customer": "", dead: "not JSON (at byte 1)"}},
		{"of a long id", with(report, 1, map[string]string{"eventId": longID}),
			map[string]string{"eventId": longID, dead: "attribute eventId: longer than 128 characters"}},
		// It is dead-lettered at its first push, before its attempts are used up.
		{"larger than Amazon takes", message(w, padded), map[string]string{dead: "data: 1048576 bytes, at most 786432 are allowed"}},
		{"refused by the gateway", message(w, report), map[string]string{"gatepost-code": "INVALID_REQUEST_EXCEPTION",
			"gatepost-grant": id, "gatepost-region": "EU", dead: "Payload conversion failed."}},
	}
	for n, test := range tests {
		test.m.OrderingKey = fmt.Sprint("key-", n)
		if r := d.Deliver(t.Context(), test.m); len(r) != 1 || r[0].Decision != delivery.DeadLetter || len(topic.sent) != n+1 {
			t.Fatalf("%s: result = %+v with %d dead letters", test.name, r, len(topic.sent))
		}
		want := map[string]string{"gatepost-reason": "dead_letter", "gatepost-code": invalid, "gatepost-customer": "a24a7f55f278dd49",
			"gatepost-grant": "", "gatepost-event-id": "m-1", "gatepost-published": "2026-01-02T03:04:05.000Z", "gatepost-attempt": "1"}
		maps.Copy(want, test.want)
		if diff := cmp.Diff(want, topic.sent[n].Attributes); diff != "" || string(topic.sent[n].Data) != string(test.m.Data) {
			t.Errorf("%s: %d bytes of %d; attributes differ (-want +got):\n%s", test.name, len(topic.sent[n].Data), len(test.m.Data), diff)
		}
		if topic.keys[n] != test.m.OrderingKey {
			t.Errorf("%s: ordering key = %q, want none", test.name, topic.keys[n])
		}
	}
	if got := requested(w); got != "EU 400" {
		t.Errorf("requests = %s, want none", got)
	}
	topic.fail = errors.New("down")
	if r := d.Deliver(t.Context(), message(w, "hello")); r[0].Decision != delivery.Retry {
		t.Errorf("result without a published dead letter = %+v, want a retry", r)
	}
}

// TestDeadLetterHoldsNoToken: makers who migrate from a sender of their own publish
// events with live tokens. These are refused, and the dead letters are kept for
// days.
func TestDeadLetterHoldsNoToken(t *testing.T) {
	t.Parallel()
	const scope = `"scope":{"type":"BearerToken","token":"Atza|CANARY"}`
	event := func(endpoint, payload string) string {
		return `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport"},"endpoint":{"endpointId":"lamp-1"` + endpoint +
			`},"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[]}` + payload + `}}}`
	}
	w, _ := linked(t)
	for _, test := range []struct{ name, data, keeps string }{
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
	} {
		d, topic := deliverer(t, w), new(letters)
		d.DeadLetters = topic
		m := message(w, test.data)
		m.Attributes = map[string]string{"mine": "Atza|CANARY"}
		if r := d.Deliver(t.Context(), m); len(r) != 1 || r[0].Decision != delivery.DeadLetter || len(topic.sent) != 1 {
			t.Fatalf("%s: result = %+v with %d dead letters", test.name, r, len(topic.sent))
		}
		letter := topic.sent[0]
		if all := fmt.Sprint(string(letter.Data), letter.Attributes); strings.Contains(all, "CANARY") || !strings.Contains(all, test.keeps) {
			t.Errorf("%s: dead letter with a token, or without %q: %s", test.name, test.keeps, all)
		}
		if json.Valid([]byte(test.data)) != json.Valid(letter.Data) {
			t.Errorf("%s: only one of event and dead letter is JSON: %s", test.name, letter.Data)
		}
	}
}
