package alexa_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

var published = time.Date(2026, 1, 2, 3, 4, 6, 789_000_000, time.UTC)

const (
	property = `{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:05.678Z",` +
		`"uncertaintyInMilliseconds":0}`
	bare  = `{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}`
	other = `{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},` +
		`"timeOfSample":"2026-01-02T03:04:05.678Z","uncertaintyInMilliseconds":0}`
	longForm = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport"},"endpoint":{"endpointId":"lamp-1"},` +
		`"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[` + property + `]}}},"context":{"properties":[` + other +
		`]}}`
	shortForm = `{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION","changed":[` + property + `],"unchanged":[` + other +
		`]}`
	doorbell = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},` +
		`"endpoint":{"endpointId":"door-1"},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}},"context":{}}`
	allCauses = "unknown, " + theCauses
	theCauses = "one of APP_INTERACTION, PHYSICAL_INTERACTION, PERIODIC_POLL, RULE_TRIGGER, VOICE_INTERACTION, " +
		"INVALID_CREDENTIALS, SUBSCRIPTION_EXPIRED"
	removal = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},` +
		`"payload":{"endpoints":[{"endpointId":"fan-1"}]}}}`
)

func encode(t *testing.T, event string) string {
	t.Helper()
	e, _, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckStrict)
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Append(nil, "m-1", sensitive.New("Atza|fake")))
}

func TestEncodeEvents(t *testing.T) {
	t.Parallel()
	const scope = `"scope":{"type":"BearerToken","token":"Atza|fake"}`
	change := func(context string, properties ...string) string {
		return `{"event":{"header":{"namespace":"Alexa","name":"ChangeReport","messageId":"m-1","payloadVersion":"3"},"endpoint":{` + scope +
			`,"endpointId":"lamp-1"},` +
			`"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[` + strings.Join(properties, ",") + `]}}}` + context + `}`
	}
	second := strings.NewReplacer("powerState", "somethingElse").Replace(property)
	sampledAt := func(s string) string { return strings.Replace(property, "2026-01-02T03:04:05.678Z", s, 1) }
	tests := []struct{ name, event, want string }{
		{"long form", longForm, change(`,"context":{"properties":[`+other+`]}`, property)},
		{"short form is equal", shortForm, change(`,"context":{"properties":[`+other+`]}`, property)},
		{"short form without unchanged", strings.Replace(shortForm, `,"unchanged":[`+other+`]`, "", 1), change("", property)},
		{"two properties", strings.Replace(shortForm, `"changed":[`, `"changed":[`+second+` , `, 1),
			change(`,"context":{"properties":[`+other+`]}`, second, property)},
		{"empty context list", strings.Replace(longForm, `{"properties":[`+other+`]}}`, `{"properties":[]}}`, 1),
			change(`,"context":{"properties":[]}`, property)},
		{"defaults", strings.Replace(shortForm, property, bare, 1),
			change(`,"context":{"properties":[`+other+`]}`, sampledAt("2026-01-02T03:04:06.789Z"))},
		{"zone and microseconds", strings.Replace(shortForm, "2026-01-02T03:04:05.678Z", "2026-01-02T05:04:05.678999+02:00", 1),
			change(`,"context":{"properties":[`+other+`]}`, property)},
		{"values byte for byte", strings.Replace(strings.Replace(shortForm, "Alexa.PowerController", "Alexa.New", 1), `"ON"`,
			`{"b" : 1.50, "a":[1e3,"<&\u003c>"],"a":12345678901234567890}`, 1),
			change(`,"context":{"properties":[`+other+`]}`,
				strings.Replace(strings.Replace(property, "Alexa.PowerController", "Alexa.New", 1), `"ON"`,
					`{"b" : 1.50, "a":[1e3,"<&\u003c>"],"a":12345678901234567890}`, 1))},
		{"instance and unit", strings.Replace(strings.Replace(shortForm, "Alexa.PowerController", "Alexa.New", 1), `"value":"ON"`,
			`"instance":"Fan.Speed","unit":{"@type":"Volume"},"value":7`, 1),
			change(`,"context":{"properties":[`+other+`]}`,
				strings.Replace(strings.Replace(property, "Alexa.PowerController", "Alexa.New", 1), `"value":"ON"`,
					`"instance":"Fan.Speed","value":7,"unit":{"@type":"Volume"}`, 1))},
		{"an empty instance is none", strings.Replace(shortForm, `"value":"ON"`, `"instance":"","value":"ON"`, 1),
			change(`,"context":{"properties":[`+other+`]}`, property)},
		{"changed and in the context", strings.Replace(shortForm, `"unchanged":[`, `"unchanged":[`+strings.Replace(property, "ON", "OFF", 1)+`,`,
			1), change(`,"context":{"properties":[`+other+`]}`, property)},
		{"small letters in a time", strings.Replace(shortForm, "2026-01-02T03:04:05.678Z", "2026-01-02t03:04:05.678z", 1),
			change(`,"context":{"properties":[`+other+`]}`, property)},
		{"open payload", strings.Replace(longForm, `"change":{`, `"x" : [1], "change":{"y":null,`, 1),
			strings.Replace(change(`,"context":{"properties":[`+other+`]}`, property), `]}}}`, `],"y":null},"x":[1]}}`, 1)},
		{"doorbell keeps an empty context", doorbell,
			`{"event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress","messageId":"m-1",` +
				`"payloadVersion":"3"},"endpoint":{` + scope + `,"endpointId":"door-1"},` +
				`"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}},"context":{}}`},
		{"token in the payload", removal, `{"event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport","messageId":"m-1",` +
			`"payloadVersion":"3"},"payload":{` + scope + `,"endpoints":[{"endpointId":"fan-1"}]}}}`},
		{"token in an empty payload", `{"userId":"u","event":{"header":{"namespace":"Alexa.New","name":"Thing"},"payload":{ }}}`,
			`{"event":{"header":{"namespace":"Alexa.New","name":"Thing","messageId":"m-1","payloadVersion":"3"},"payload":{` + scope + `}}}`},
		{"no payload", `{"userId":"u","event":{"header":{"namespace":"Alexa","name":"Response","correlationToken":"c\"1"},` +
			`"endpoint":{"endpointId":"e","cookie":{"k": "v"}}}}`,
			`{"event":{"header":{"namespace":"Alexa","name":"Response","messageId":"m-1","correlationToken":"c\"1","payloadVersion":"3"},` +
				`"endpoint":{` + scope + `,"endpointId":"e","cookie":{"k": "v"}},"payload":{}}}`},
		{"version of the kind", `{"userId":"u","event":{"header":{"namespace":"Alexa.SimpleEventSource","name":"Event",` +
			`"instance":"Button.1"},"endpoint":{"endpointId":"e"},"payload":{"id":"Button.SinglePush","timestamp":"2026-01-02T03:04:05Z"}}}`,
			`{"event":{"header":{"namespace":"Alexa.SimpleEventSource","name":"Event","instance":"Button.1","messageId":"m-1",` +
				`"payloadVersion":"1.0"},"endpoint":{` + scope +
				`,"endpointId":"e"},"payload":{"id":"Button.SinglePush","timestamp":"2026-01-02T03:04:05Z"}}}`},
		{"measurements of an endpoint", `{"userId":"u","event":{"header":{"namespace":"Alexa.DeviceUsage.Meter",` +
			`"name":"MeasurementsReport"},"endpoint":{"endpointId":"e"},"payload":{"m":1}}}`,
			`{"event":{"header":{"namespace":"Alexa.DeviceUsage.Meter","name":"MeasurementsReport","messageId":"m-1","payloadVersion":"1.0"},` +
				`"endpoint":{` + scope + `,"endpointId":"e"},"payload":{"m":1}}}`},
		{"instance in the header", strings.Replace(longForm, `"name":"ChangeReport"`, `"name":"ChangeReport","instance":"Fan.1"`, 1),
			strings.Replace(change(`,"context":{"properties":[`+other+`]}`, property), `"name":"ChangeReport"`,
				`"name":"ChangeReport","instance":"Fan.1"`, 1)},
		{"null counts as absent", strings.NewReplacer(`"userId"`, `"cause":null,"userId"`, `"name":"ChangeReport"`,
			`"name":"ChangeReport","messageId":null,"instance":null`,
			`"endpointId"`, `"scope":null,"cookie":null,"endpointId"`, `"value":"ON"`, `"value":"ON","unit":null,"instance":null`).Replace(longForm),
			change(`,"context":{"properties":[`+other+`]}`, property)},
		{"null in place of a default", strings.NewReplacer(`"2026-01-02T03:04:05.678Z"`, `null`, `"uncertaintyInMilliseconds":0`,
			`"uncertaintyInMilliseconds":null`, `[`+other+`]`, `null`).
			Replace(shortForm), change("", sampledAt("2026-01-02T03:04:06.789Z"))},
		{"no payload, no scope", strings.Replace(removal, `"payload":{`, `"payload":{"scope":null,`, 1), encode(t, removal)},
		{"an uncertainty as text", strings.Replace(longForm, `"uncertaintyInMilliseconds":0}]}}`, `"uncertaintyInMilliseconds":"0"}]}}`, 1),
			change(`,"context":{"properties":[`+other+`]}`, property)},
		{"what a property and a cause do not have", strings.NewReplacer(`"PHYSICAL_INTERACTION"`, `"PHYSICAL_INTERACTION","why":1`,
			`"value":"ON"`, `"extra":[2],"value":"ON"`).Replace(longForm),
			strings.Replace(change(`,"context":{"properties":[`+other+`]}`, strings.Replace(property, `:0}`, `:0,"extra":[2]}`, 1)),
				`"PHYSICAL_INTERACTION"`, `"PHYSICAL_INTERACTION","why":1`, 1)},
		{"version given", strings.Replace(removal, `"name":"D`, `"payloadVersion":"3.1","name":"D`, 1),
			`{"event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport","messageId":"m-1","payloadVersion":"3.1"},"payload":{` + scope +
				`,"endpoints":[{"endpointId":"fan-1"}]}}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := encode(t, test.event)
			if !json.Valid([]byte(got)) {
				t.Errorf("not JSON: %s", got)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeEventNamesTheField(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, event, old, new, want string }{
		{"uncertainty of no number", longForm, `Milliseconds":0`, `Milliseconds":"some"`,
			"event.payload.change.properties[0].uncertaintyInMilliseconds: must be a number"},
		{"nearly a member", longForm, `"userId":"u-1"`, `"userID":"u-1"`,
			"userID: unknown field, one of userId, event, context, endpointId, cause, changed, unchanged: did you mean userId?"},
		{"nearly a cause", shortForm, `PHYSICAL_INTERACTION`, `PHYSICAL_INTERACTON`, "cause: " + allCauses +
			": did you mean PHYSICAL_INTERACTION?"},
		{"header null", longForm, `{"namespace":"Alexa","name":"ChangeReport"}`, `null`, "event.header: null, which counts as missing"},
		{"not JSON", longForm, longForm, "hello", "not JSON (at byte 1)"},
		{"array", longForm, longForm, "[]", "must be a JSON object"},
		{"no customer", longForm, `"userId":"u-1",`, ``, "userId: missing"},
		{"customer number", longForm, `"u-1"`, `7`, "userId: must be a string"},
		{"customer empty", longForm, `"u-1"`, `""`, "userId: empty"},
		{"customer twice", longForm, `"userId"`, `"userId":"x","userId"`, "userId: appears twice"},
		{"escaped name twice", longForm, `"userId"`, `"user\u0049d":"x","userId"`, "userId: appears twice"},
		{"unknown at the top", longForm, `"userId"`, `"region":"EU","userId"`,
			"region: unknown field, one of userId, event, context, endpointId, cause, changed, unchanged"},
		{"unprintable", longForm, `"userId"`, `"a\u0000\u202eb":1,"userId"`,
			"a??b: unknown field, one of userId, event, context, endpointId, cause, changed, unchanged"},
		{"neither form", longForm, longForm, `{"userId":"u"}`, "event: missing (the short form has endpointId, cause and changed instead)"},
		{"both forms", longForm, `"userId"`, `"cause":"X","userId"`, "cause: belongs to the short form, which has no event"},
		{"short form with context", shortForm, `"unchanged":[` + other + `]`, `"context":{}`,
			`context: belongs to an event, which is missing (the short form has "unchanged")`},
		{"unknown in event", longForm, `"payload":`, `"extra":1,"payload":`, "event.extra: unknown field, one of header, endpoint, payload"},
		{"no header", longForm, `"header":{"namespace":"Alexa","name":"ChangeReport"},`, ``, "event.header: missing"},
		{"no namespace", longForm, `"namespace":"Alexa",`, ``, "event.header.namespace: missing"},
		{"unknown in header", longForm, `"name":"ChangeReport"`, `"name":"ChangeReport","x":1`,
			"event.header.x: unknown field, one of namespace, name, payloadVersion, instance, correlationToken"},
		{"message id", longForm, `"name":"ChangeReport"`, `"name":"ChangeReport","messageId":"m"`,
			"event.header.messageId: leave it out, Gatepost sets it"},
		{"no endpoint", longForm, `"endpoint":{"endpointId":"lamp-1"},`, ``, "event.endpoint: missing"},
		{"endpoint null", longForm, `{"endpointId":"lamp-1"}`, `null`, "event.endpoint: null, which counts as missing"},
		{"unknown in endpoint", longForm, `"endpointId"`, `"id":1,"endpointId"`,
			"event.endpoint.id: unknown field, one of endpointId, cookie"},
		{"scope in endpoint", longForm, `"endpointId"`, `"scope":{"type":"BearerToken","token":"fake"},"endpointId"`,
			"event.endpoint.scope: leave it out, Gatepost sets it"},
		{"scope in payload", removal, `"payload":{`, `"payload":{"scope":{},`, "event.payload.scope: leave it out, Gatepost sets it"},
		{"endpoint beside discovery", removal, `"payload":`, `"endpoint":{"endpointId":"x"},"payload":`,
			"event.endpoint: leave it out, this kind of event is about none"},
		{"endpoint id with a slash", longForm, `lamp-1`, `light/kitchen`,
			"event.endpoint.endpointId: has a character other than letters, digits, spaces and _ - = # ; : ? @ &"},
		{"endpoint id too long", longForm, `lamp-1`, strings.Repeat("x", 257), "event.endpoint.endpointId: longer than 256 characters"},
		{"short form endpoint id", shortForm, `lamp-1`, `a\\b`,
			"endpointId: has a character other than letters, digits, spaces and _ - = # ; : ? @ &"},
		{"payload text", longForm, `"payload":{`, `"payload":"","p":{`, "event.p: unknown field, one of header, endpoint, payload"},
		{"payload not an object", removal, `{"endpoints":[{"endpointId":"fan-1"}]}`, `[]`, "event.payload: must be an object"},
		{"no change", longForm, `"change"`, `"changes"`, "event.payload.change: missing"},
		{"no cause", longForm, `"cause":{"type":"PHYSICAL_INTERACTION"},`, ``,
			"event.payload.change.cause: missing, an object with type, " + theCauses},
		{"unknown cause", longForm, `PHYSICAL_INTERACTION`, `ALEXA_INTERACTION`, "event.payload.change.cause.type: " + allCauses},
		{"unknown cause, short", shortForm, `PHYSICAL_INTERACTION`, `x`, "cause: " + allCauses},
		{"no cause, short", shortForm, `"cause":"PHYSICAL_INTERACTION",`, ``, "cause: missing, " + theCauses},
		{"null cause, short", shortForm, `"PHYSICAL_INTERACTION"`, `null`, "cause: null, which counts as missing, " + theCauses},
		{"null event", shortForm, shortForm, `{"userId":"u-1","event":null}`,
			"event: null, which counts as missing (the short form has endpointId, cause and changed instead)"},
		{"nearly what Gatepost sets", longForm, `"name":"ChangeReport"`, `"name":"ChangeReport","messageID":"m-1"`,
			"event.header.messageID: unknown field, one of namespace, name, payloadVersion, instance, correlationToken"},
		{"no changed", shortForm, `"changed"`, `"unknown"`,
			"unknown: unknown field, one of userId, event, context, endpointId, cause, changed, unchanged"},
		{"changed not an array", shortForm, `"changed":[`, `"changed":{},"x":[`,
			"x: unknown field, one of userId, event, context, endpointId, cause, changed, unchanged"},
		{"changed an object", longForm, `"properties":[` + property + `]}}}`, `"properties":{}}}}`,
			"event.payload.change.properties: must be an array"},
		{"nothing changed", longForm, `"properties":[` + property + `]}}}`, `"properties":[]}}}`, "event.payload.change.properties: empty"},
		{"nothing changed, short", shortForm, `"changed":[` + property + `]`, `"changed":[]`, "changed: empty"},
		{"property not an object", shortForm, `"changed":[`, `"changed":[3,`, "changed[0]: must be an object"},
		{"no value", longForm, `"value":"ON",`, ``, "event.payload.change.properties[0].value: missing"},
		{"null value", longForm, `"ON"`, `null`, "event.payload.change.properties[0].value: null, which counts as missing"},
		{"second property", shortForm, `"changed":[`, `"changed":[` + property + `,{"namespace":"A"},`, "changed[1].name: missing"},
		{"bad time", longForm, `03:04:05.678Z`, `yesterday`, "event.payload.change.properties[0].timeOfSample: must be an RFC 3339 time"},
		{"time that leaves the years of RFC 3339", longForm, `2026-01-02T03:04:05.678Z`, `9999-12-31T23:59:59-23:59`,
			"event.payload.change.properties[0].timeOfSample: must be a time of the years 1000 to 9999"},
		{"unknown in context", longForm, `"context":{`, `"context":{"x":1,`, "context.x: unknown field, one of properties"},
		{"fault in context", longForm, `"context":{"properties":[`, `"context":{"properties":[{},`, "context.properties[0].namespace: missing"},
		{"fault in unchanged", shortForm, `"unchanged":[`, `"unchanged":[{},`, "unchanged[0].namespace: missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := strings.Replace(test.event, test.old, test.new, 1)
			if event == test.event {
				t.Fatalf("the case changes nothing: %q is not in the event", test.old)
			}
			_, _, err := alexa.DecodeEvent([]byte(event), published, alexa.CheckStrict)
			var field *alexa.FieldError
			if !errors.As(err, &field) {
				t.Fatalf("got %v, want a FieldError", err)
			}
			if got := field.Path + ": " + field.Problem; strings.TrimPrefix(got, ": ") != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestTimesInAlexasForm: a payload's timestamp is brought into the form of its
// kind, never to another instant, and what is in that form is not touched.
func TestTimesInAlexasForm(t *testing.T) {
	t.Parallel()
	const bell, scene, button = "Alexa.DoorbellEventSource.DoorbellPress", "Alexa.SceneController.ActivationStarted",
		"Alexa.SimpleEventSource.Event"
	tests := []struct{ name, example, given, want string }{
		{"press, as it should be", bell, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"},
		{"press with a fraction", bell, "2026-01-02T03:04:05.999Z", "2026-01-02T03:04:05Z"},
		{"press in another zone", bell, "2026-01-02T04:34:05+01:30", "2026-01-02T03:04:05Z"},
		{"press with an escape", bell, `2026-01-02T03:04:05\u005A`, `2026-01-02T03:04:05\u005A`},
		{"scene, as it should be", scene, "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"},
		{"scene in whole seconds", scene, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"},
		{"scene in tenths", scene, "2026-01-02T03:04:05.6Z", "2026-01-02T03:04:05.6Z"},
		{"scene in nanoseconds", scene, "2026-01-02T03:04:05.678999999Z", "2026-01-02T03:04:05.678Z"},
		{"scene in another zone", scene, "2026-01-01T23:04:05-04:00", "2026-01-02T03:04:05.000Z"},
		{"scene at +00:00", scene, "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.000Z"},
		{"press in small letters", bell, "2026-01-02t03:04:05z", "2026-01-02T03:04:05Z"},
		{"scene in small letters", scene, "2026-01-02t03:04:05.5z", "2026-01-02T03:04:05.500Z"},
		{"scene in a leap second", scene, "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
		{"press in a leap second of Paris", bell, "2017-01-01T00:59:60.25+01:00", "2017-01-01T00:00:00Z"},
		{"button in microseconds", button, "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678Z"},
		{"button, as it should be", button, "2026-01-02T03:04:05.67Z", "2026-01-02T03:04:05.67Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event := example(t, test.example)
			old := decodeAny(t, []byte(event)).(map[string]any)["event"].(map[string]any)["payload"].(map[string]any)["timestamp"].(string)
			payload := string(decode(t, event).Payload)
			// Space between the parts shows whether they are touched.
			given := strings.Replace(strings.Replace(event, `"`+old+`"`, ` "`+test.given+`" `, 1), `"payload":{`, `"payload":{  `, 1)
			e := decode(t, given)
			want := strings.Replace(strings.Replace(payload, `"`+old+`"`, ` "`+test.want+`" `, 1), `{`, `{  `, 1)
			if got := string(e.Payload); got != want {
				t.Errorf("the payload is\n%s, want\n%s", got, want)
			}
			if test.given == test.want {
				return
			}
			for _, checks := range []alexa.Checks{alexa.CheckWarn, alexa.CheckOff} {
				e, _, err := alexa.DecodeEvent([]byte(given), published, checks)
				if err != nil || string(e.Payload) != want {
					t.Errorf("checks %d: %v, the payload is\n%s, want\n%s", checks, err, e.Payload, want)
				}
			}
		})
	}
}

// TestEmptyContext: a publisher who always writes a context loses no event by
// it, and an event that has none is sent without.
func TestEmptyContext(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Alexa.ErrorResponse", "Alexa.Cooking.ErrorResponse", "Alexa.SimpleEventSource.Event",
		"Alexa.Discovery.DeleteReport", "Alexa.Discovery.AddOrUpdateReport"} {
		without := example(t, name)
		for _, context := range []string{`{}`, `{"properties":[]}`} {
			with := strings.Replace(without, `{"userId":"u-1"`, `{"context":`+context+`,"userId":"u-1"`, 1)
			for _, checks := range []alexa.Checks{alexa.CheckStrict, alexa.CheckWarn, alexa.CheckOff} {
				e, warnings, err := alexa.DecodeEvent([]byte(with), published, checks)
				if err != nil || len(warnings) > 0 {
					t.Errorf("%s with %s, checks %d: error %v, warnings %q", name, context, checks, err, problems(warnings))
					continue
				}
				if diff := cmp.Diff(encode(t, without), string(e.Append(nil, "m-1", fakeToken))); diff != "" {
					t.Errorf("%s with %s, checks %d (-without +with):\n%s", name, context, checks, diff)
				}
			}
		}
	}
	if sent := encode(t, doorbell); !strings.HasSuffix(sent, `"context":{}}`) {
		t.Errorf("a press, which has a context, is sent as %s", sent)
	}
}

// TestUnknownIsCarried: the lists of kinds and properties are open, and what is
// not in them passes; only the version of its messages nobody can know.
func TestUnknownIsCarried(t *testing.T) {
	t.Parallel()
	const event = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.New","name":"Thing","instance":"I.1","correlationToken":"c"},` +
		`"endpoint":{"endpointId":"e-1"},"payload":{"any":["thing",{"scope":1}]}},` +
		`"context":{"properties":[{"namespace":"Alexa.New","name":"new","instance":"I.2","unit":{"a":1},"value":[{}]},` +
		`{"namespace":"Alexa.LockController","name":"lastUser","value":0}]}}`
	for _, checks := range []alexa.Checks{alexa.CheckStrict, alexa.CheckWarn, alexa.CheckOff} {
		e, warnings, err := alexa.DecodeEvent([]byte(event), published, checks)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{`event.header.payloadVersion: missing: "3" is sent, name the version of the interface's messages`}
		if checks == alexa.CheckOff {
			want = nil
		}
		if diff := cmp.Diff(want, problems(warnings)); diff != "" {
			t.Errorf("checks %d: warnings (-want +got):\n%s", checks, diff)
		}
		if got := string(e.Payload); got != `{"any":["thing",{"scope":1}]}` || e.Header.PayloadVersion != "3" {
			t.Errorf("checks %d: version %s, payload %s", checks, e.Header.PayloadVersion, got)
		}
	}
}
