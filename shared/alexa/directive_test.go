package alexa_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

const acceptGrant = `{"directive":{"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"m-1","payloadVersion":"3"},
 "payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":"fake-code"},"grantee":{"type":"BearerToken","token":"fake-grantee-token"}}}}`

func TestDecodeAcceptGrant(t *testing.T) {
	t.Parallel()
	withMore := strings.Replace(acceptGrant, `"name"`, `"correlationToken":"c","name"`, 1)
	for name, body := range map[string]string{"as documented": acceptGrant, "with what Amazon may add": withMore,
		"spread out": " \n" + strings.ReplaceAll(acceptGrant, ":", " : ") + "\n"} {
		got, err := alexa.DecodeAcceptGrant([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.MessageID != "m-1" || got.Code.Reveal() != "fake-code" || got.GranteeToken.Reveal() != "fake-grantee-token" {
			t.Errorf("%s: decoded message id %q and other secrets", name, got.MessageID)
		}
	}
}

func TestDecodeAcceptGrantNamesTheField(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, old, new, want string }{
		{"not JSON", acceptGrant, `{"directive":`, "not JSON (at byte 13)"},
		{"not an object", acceptGrant, `[]`, "must be a JSON object"},
		{"not UTF-8", "m-1", "\xff", "not UTF-8"},
		{"empty", acceptGrant, ``, "not JSON (at byte 0)"},
		{"no directive", `"directive"`, `"event"`, "directive: missing"},
		{"directive no object", acceptGrant, `{"directive":[]}`, "directive: must be an object"},
		{"no header", `"header"`, `"head"`, "directive.header: missing"},
		{"other name", `"AcceptGrant"`, `"Discover"`, `directive.header.name: must be "AcceptGrant"`},
		{"other namespace", `"Alexa.Authorization"`, `"Alexa"`, `directive.header.namespace: must be "Alexa.Authorization"`},
		{"name in another case", `"name"`, `"Name"`, "directive.header.name: missing"},
		{"version", `"3"`, `3`, "directive.header.payloadVersion: must be a string"},
		{"other version", `"3"`, `"2"`, `directive.header.payloadVersion: must be "3"`},
		{"empty message id", `"m-1"`, `""`, "directive.header.messageId: empty"},
		{"no payload", `"payload":`, `"load":`, "directive.payload: missing"},
		{"payload text", `"payload":{`, `"payload":"x","p":{`, "directive.payload: must be an object"},
		{"no grant", `"grant":`, `"grunt":`, "directive.payload.grant: missing"},
		{"grant type", `OAuth2.AuthorizationCode`, `Password`, `directive.payload.grant.type: must be "OAuth2.AuthorizationCode"`},
		{"no code", `"code"`, `"cod"`, "directive.payload.grant.code: missing"},
		{"code null", `"fake-code"`, `null`, "directive.payload.grant.code: null, which counts as missing"},
		{"code empty", `"fake-code"`, `""`, "directive.payload.grant.code: empty"},
		{"code twice", `"code"`, `"code":"a","code"`, "directive.payload.grant.code: appears twice"},
		{"no grantee", `"grantee":`, `"guarantee":`, "directive.payload.grantee: missing"},
		{"grantee type", `BearerToken`, `Basic`, `directive.payload.grantee.type: must be "BearerToken"`},
		{"grantee of a unit", `BearerToken`, `BearerTokenWithPartition`, alexa.ErrPartition.Error()},
		{"no token", `"token"`, `"tok"`, "directive.payload.grantee.token: missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := alexa.DecodeAcceptGrant([]byte(strings.Replace(acceptGrant, test.old, test.new, 1)))
			if field := (*alexa.FieldError)(nil); !errors.As(err, &field) && !errors.Is(err, alexa.ErrPartition) {
				t.Fatalf("got %v, want a FieldError", err)
			}
			if err.Error() != test.want {
				t.Errorf("got  %s\nwant %s", err, test.want)
			}
		})
	}
}

func TestDirectivesAnswers(t *testing.T) {
	t.Parallel()
	header := func(namespace, name, more string) string {
		return `{"event":{"header":{"namespace":"` + namespace + `","name":"` + name + `","messageId":"m-2",` + more + `"payloadVersion":"3"},`
	}
	failed := func(directive alexa.Envelope) []byte {
		return alexa.ErrorResponse(directive, "m-2", alexa.InternalError, "why")
	}
	for want, got := range map[string][]byte{
		header("Alexa.Authorization", "AcceptGrant.Response", "") + `"payload":{}}}`: alexa.AcceptGrantResponse("m-2"),
		header("Alexa.Authorization", "ErrorResponse", "") +
			`"payload":{"type":"ACCEPT_GRANT_FAILED","message":"no \"luck\""}}}`: alexa.AcceptGrantFailed("m-2", `no "luck"`),
		header("Alexa", "ErrorResponse", `"correlationToken":"c\"1",`) +
			`"endpoint":{"endpointId":"lamp-1"},"payload":{"type":"INTERNAL_ERROR","message":"why"}}}`: failed(
			alexa.Envelope{CorrelationToken: `c"1`, EndpointID: "lamp-1", MessageID: "not this"}),
		header("Alexa", "ErrorResponse", "") + `"payload":{"type":"INTERNAL_ERROR","message":"why"}}}`: failed(alexa.Envelope{}),
	} {
		if diff := cmp.Diff(want, string(got)); diff != "" || !json.Valid(got) {
			t.Errorf("JSON: %v (-want +got):\n%s", json.Valid(got), diff)
		}
	}
}

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
