package alexa_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

func TestReadEnvelope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, data string
		want       alexa.Envelope
	}{
		{
			"directive to an endpoint",
			`{"directive":{"header":{"namespace":"Alexa.PowerController","name":"TurnOn","payloadVersion":"3",
				"messageId":"m-1","correlationToken":"c\/1=="},
			  "endpoint":{"scope":{"type":"BearerToken","token":"fake"},"endpointId":"lamp-1","cookie":{"endpointId":"other"}},"payload":{}}}`,
			alexa.Envelope{Namespace: "Alexa.PowerController", Name: "TurnOn", MessageID: "m-1", CorrelationToken: "c/1==", EndpointID: "lamp-1",
				Payload: []byte("{}")},
		},
		{
			"directive without endpoint",
			`{"directive":{"header":{"namespace":"Alexa.Discovery","name":"Discover","messageId":"m-1"},"payload":{}}}`,
			alexa.Envelope{Namespace: "Alexa.Discovery", Name: "Discover", MessageID: "m-1", Payload: []byte("{}")},
		},
		{
			"skill event", `{"version":"1.0","context":{},"request":{"type":"AlexaSkillEvent.SkillDisabled"}}`,
			alexa.Envelope{RequestType: "AlexaSkillEvent.SkillDisabled"},
		},
		{
			"both", `{"request":{"type":"AlexaSkillEvent.SkillDisabled"},"directive":{"header":{"namespace":"Alexa"}}}`,
			alexa.Envelope{Namespace: "Alexa"},
		},
		{
			"other types", `{"directive":{"header":{"namespace":1,"name":null,"messageId":["m"],"correlationToken":{}},"endpoint":"lamp-1"}}`,
			alexa.Envelope{},
		},
		{
			"one given twice", `{"directive":{"header":{"namespace":"Alexa","name":"A","name":"B","messageId":"m-1"}}}`,
			alexa.Envelope{Namespace: "Alexa", MessageID: "m-1"},
		},
		{"header is no object", `{"directive":{"header":[]}}`, alexa.Envelope{}},
		{"directive is no object", `{"directive":7}`, alexa.Envelope{}},
		{"request is no object", `{"request":"AlexaSkillEvent"}`, alexa.Envelope{}},
		{"directive twice", `{"directive":{"header":{"name":"A"}},"directive":{}}`, alexa.Envelope{}},
		{"something else", `{"key1":"value1"}`, alexa.Envelope{}},
		{"array", `[{"directive":{}}]`, alexa.Envelope{}},
		{"cut", `{"directive":{"header":{"name":"A"}}`, alexa.Envelope{}},
		{"empty", ``, alexa.Envelope{}},
		{"not UTF-8", "{\"directive\":{\"header\":{\"name\":\"\xff\"}}}", alexa.Envelope{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, alexa.ReadEnvelope([]byte(test.data))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHasEvent(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]bool{
		`{"event":{"header":{}}}`:               true,
		" {\"context\":{},\"event\":{}}\r\n":    true,
		`{"event":{}} {"event":{}}`:             false,
		`{"event":null}`:                        false,
		`{"event":[]}`:                          false,
		`{"context":{"event":{}}}`:              false,
		`{"event":{},"event":{}}`:               false,
		`[{"event":{}}]`:                        false,
		`"event"`:                               false,
		`null`:                                  false,
		``:                                      false,
		`{"event":{"header":`:                   false,
		`<html><body>Bad Gateway</body></html>`: false,
	} {
		if got := alexa.HasEvent([]byte(data)); got != want {
			t.Errorf("HasEvent(%s) = %v", data, got)
		}
	}
}

func TestErrorResponse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		directive alexa.Envelope
		want      string
	}{
		{
			"everything", alexa.Envelope{CorrelationToken: `c"1`, EndpointID: "lamp-1", MessageID: "not this"},
			`{"event":{"header":{"namespace":"Alexa","name":"ErrorResponse","messageId":"m-2","correlationToken":"c\"1","payloadVersion":"3"},` +
				`"endpoint":{"endpointId":"lamp-1"},"payload":{"type":"INTERNAL_ERROR","message":"why"}}}`,
		},
		{
			"nothing to repeat", alexa.Envelope{},
			`{"event":{"header":{"namespace":"Alexa","name":"ErrorResponse","messageId":"m-2","payloadVersion":"3"},` +
				`"payload":{"type":"INTERNAL_ERROR","message":"why"}}}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := alexa.ErrorResponse(test.directive, "m-2", alexa.InternalError, "why")
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzReadEnvelope feeds anything at all to the one decoder that must cope
// with it. What it read must come back from the answer that repeats it.
func FuzzReadEnvelope(f *testing.F) {
	for _, seed := range []string{
		`{"directive":{"header":{"namespace":"Alexa","name":"ReportState","messageId":"m","correlationToken":"c"},` +
			`"endpoint":{"endpointId":"e"}}}`,
		`{"request":{"type":"AlexaSkillEvent.SkillDisabled"}}`, `{"directive":{"header":{"correlationToken":"\ud800"}}}`, `{}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		read := alexa.ReadEnvelope(data)
		answer := alexa.ErrorResponse(read, "m", alexa.InternalError, "why")
		if !alexa.HasEvent(answer) {
			t.Fatalf("no answer: %s", answer)
		}
		back := alexa.ReadEnvelope([]byte(strings.Replace(string(answer), `{"event":`, `{"directive":`, 1)))
		if back.CorrelationToken != read.CorrelationToken || back.EndpointID != read.EndpointID {
			t.Errorf("%+v became %+v", read, back)
		}
	})
}
