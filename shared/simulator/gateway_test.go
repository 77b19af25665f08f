package simulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// headerOf, endpointScope and payloadScope are the parts most events are made of.
func headerOf(namespace, name, version, more string) string {
	return fmt.Sprintf(`"header":{"namespace":%q,"name":%q,"messageId":"m-1","payloadVersion":%q%s}`, namespace, name, version, more)
}

const (
	endpointScope = `"endpoint":{"scope":{"type":"BearerToken","token":"TOKEN"},"endpointId":"fan-1"}`
	payloadScope  = `"scope":{"type":"BearerToken","token":"TOKEN"}`
	correlated    = `,"correlationToken":"opaque"`
	property      = `{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:05Z","uncertaintyInMilliseconds":0}`
)

func atEndpoint(header, payload string) string {
	return `{"event":{` + header + `,` + endpointScope + `,"payload":` + payload + `}}`
}

func inPayload(header, payload string) string {
	return `{"event":{` + header + `,"payload":{` + payload + `,` + payloadScope + `}}}`
}

// endpointsOf lists n discovered endpoints.
func endpointsOf(n int) string {
	endpoints := make([]string, n)
	for i := range endpoints {
		endpoints[i] = fmt.Sprintf(`{"endpointId":"fan-%d","manufacturerName":"Example Co","friendlyName":"Fan","description":"Example fan",`+
			`"displayCategories":["FAN"],"capabilities":[{"type":"AlexaInterface","interface":"Alexa","version":"3"}]}`, i)
	}
	return `"endpoints":[` + strings.Join(endpoints, ",") + `]`
}

var (
	addOrUpdate   = inPayload(headerOf("Alexa.Discovery", "AddOrUpdateReport", "3", ""), endpointsOf(2))
	deleteReport  = inPayload(headerOf("Alexa.Discovery", "DeleteReport", "3", ""), `"endpoints":[{"endpointId":"fan-1"}]`)
	doorbell      = atEndpoint(headerOf("Alexa.DoorbellEventSource", "DoorbellPress", "3", ""), `{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}`)
	scene         = atEndpoint(headerOf("Alexa.SceneController", "ActivationStarted", "3", correlated), `{"cause":{"type":"VOICE_INTERACTION"},"timestamp":"2026-01-02T03:04:05.678Z"}`)
	simpleEvent   = atEndpoint(headerOf("Alexa.SimpleEventSource", "Event", "1.0", `,"instance":"Button.1"`), `{"id":"Button.SinglePush","timestamp":"2026-01-02T03:04:05.678Z"}`)
	response      = atEndpoint(headerOf("Alexa", "Response", "3", correlated), `{}`)
	errorResponse = atEndpoint(headerOf("Alexa", "ErrorResponse", "3", correlated), `{"type":"ENDPOINT_UNREACHABLE","message":"no answer"}`)
	session       = atEndpoint(headerOf("Alexa.RTCSessionController", "SessionConnected", "3", correlated), `{"sessionId":"s-1"}`)
	mediaDeleted  = inPayload(headerOf("Alexa.MediaMetadata", "MediaDeleted", "3", ""), `"mediaIds":["m-1"]`)
)

func TestEventsAccepted(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body string }{
		{"ChangeReport", changeReport},
		{"ChangeReport, no context", edited(t, changeReport, edit{"context", gone})},
		{"ChangeReport, empty context", edited(t, changeReport, edit{"context", map[string]any{}})},
		{"ChangeReport, no context properties", edited(t, changeReport, edit{"context.properties", []any{}})},
		{"ChangeReport, unit", edited(t, changeReport, edit{changed + "unit", "GRAM"})},
		{"ChangeReport, value false", edited(t, changeReport, edit{"event.payload.change.properties.0.value", false})},
		{"ChangeReport, rare cause", edited(t, changeReport, edit{"event.payload.change.cause.type", "SUBSCRIPTION_EXPIRED"})},
		{"ChangeReport, longest ids", edited(t, changeReport,
			edit{"event.header.messageId", strings.Repeat("m", 127)},
			edit{"event.endpoint.endpointId", strings.Repeat("e", 248) + "_-=#;:?@"})},
		{"ChangeReport, endpointId with a space", edited(t, changeReport, edit{"event.endpoint.endpointId", "Hall light 2"})},
		{"ChangeReport, more in a property", edited(t, changeReport, edit{changed + "quality", "good"})},
		{"Response", response},
		{"Response with context", strings.Replace(response, `{"event"`, `{"context":{"properties":[`+property+`]},"event"`, 1)},
		{"StateReport", atEndpoint(headerOf("Alexa", "StateReport", "3", correlated), `{}`)},
		{"ErrorResponse", errorResponse},
		{"ErrorResponse of an interface", atEndpoint(headerOf("Alexa.ThermostatController", "ErrorResponse", "3", correlated), `{"type":"DUAL_SETPOINTS_UNSUPPORTED"}`)},
		{"ErrorResponse of DataController", atEndpoint(headerOf("Alexa.DataController", "ErrorResponse", "1.0", correlated), `{"type":"X","message":"x"}`)},
		{"AddOrUpdateReport", addOrUpdate},
		{"AddOrUpdateReport of 300", inPayload(headerOf("Alexa.Discovery", "AddOrUpdateReport", "3", ""), endpointsOf(300))},
		{"DeleteReport", deleteReport},
		{"DoorbellPress", doorbell},
		{"ActivationStarted", scene},
		{"ActivationStarted of nothing", edited(t, scene, edit{"event.payload", map[string]any{}})},
		{"InventoryConsumed", atEndpoint(headerOf("Alexa.InventoryUsageSensor", "InventoryConsumed", "3", `,"instance":"Pods"`),
			`{"usage":{"@type":"Count","value":1},"timeOfSample":"2026-01-02T03:04:05Z"}`)},
		{"MeasurementsReport", atEndpoint(headerOf("Alexa.DeviceUsage.Meter", "MeasurementsReport", "1.0", ""), `{"electricityIntervals":[]}`)},
		{"DeactivationStarted", edited(t, scene, edit{"event.header.name", "DeactivationStarted"})},
		{"SimpleEventSource", simpleEvent},
		{"AnswerGeneratedForSession", atEndpoint(headerOf("Alexa.RTCSessionController", "AnswerGeneratedForSession", "3", correlated), `{"answer":{"format":"SDP","value":"v=0"}}`)},
		{"SessionConnected", session},
		{"SessionDisconnected", edited(t, session, edit{"event.header.name", "SessionDisconnected"})},
		{"WakeUp", atEndpoint(headerOf("Alexa.WakeOnLANController", "WakeUp", "3", correlated), `{}`)},
		{"MediaDeleted", mediaDeleted},
		{"unknown kind, scope in the endpoint", atEndpoint(headerOf("Alexa.Future", "Happened", "2.7", ""), `{"events":[]}`)},
		{"unknown kind, scope in the payload", inPayload(headerOf("Alexa.Future", "Happened", "2.7", ""), `"events":[]`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			token := r.link(alexa.EU, "amzn-1").Access
			request := r.event(alexa.EU, token, withToken(test.body, token))
			request.Header.Set("Content-Type", "application/json;charset=UTF-8")
			got := send(request)
			if got.status != 202 || got.body != "" {
				t.Fatalf("answered %d %q (%s)", got.status, got.body, r.Events(alexa.EU)[0].Reason)
			}
			if got.header.Get("X-Amzn-Requestid") == "" {
				t.Error("no x-amzn-requestid")
			}
		})
	}
}

const (
	malformedText   = "The request was malformed."
	conversionText  = "Payload conversion failed."
	missingText     = "Event or endpoint is missing in the resquest."
	badTokenText    = "Access token is not valid."
	disabledText    = "The user does not have a valid enablement for your skill."
	changed         = "event.payload.change.properties.0."
	changedProperty = "event.payload.change.properties[0]"
)

// wantRefused checks an answer against Amazon's shape of an error.
func wantRefused(t *testing.T, got reply, status int, code, description string) {
	t.Helper()
	body := got.json(t)
	header, _ := body["header"].(map[string]any)
	if _, err := uuid.Parse(fmt.Sprint(header["messageId"])); err != nil {
		t.Errorf("header.messageId %v is no UUID", header["messageId"])
	}
	header["messageId"] = "any"
	want := map[string]any{
		"header":  map[string]any{"namespace": "System", "name": "Exception", "messageId": "any"},
		"payload": map[string]any{"code": code, "description": description},
	}
	if diff := cmp.Diff(want, body); diff != "" || got.status != status {
		t.Errorf("answered %d, want %d; body (-want +got):\n%s", got.status, status, diff)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type = %q", kind)
	}
	if got.header.Get("X-Amzn-Requestid") == "" {
		t.Error("no x-amzn-requestid")
	}
}

// TestEventsRefused has one case for each rule about the body. The reason is
// checked too: a case that fails for another reason proves nothing.
func TestEventsRefused(t *testing.T) {
	t.Parallel()
	const bad, tooLarge, unauthorized = "INVALID_REQUEST_EXCEPTION", "REQUEST_ENTITY_TOO_LARGE_EXCEPTION", "INVALID_ACCESS_TOKEN_EXCEPTION"
	change := func(edits ...edit) string { return edited(t, changeReport, edits...) }
	tests := []struct {
		name        string
		body        string
		code        string
		description string
		reason      string // the start of it
	}{
		{"no JSON", `{"event":`, bad, malformedText, "the body is no JSON"},
		{"nothing", ``, bad, malformedText, "the body is no JSON"},
		{"two values", changeReport + `{}`, bad, malformedText, "the body is no JSON"},
		{"an array", `[]`, bad, malformedText, "the body is no JSON"},
		{"null", `null`, bad, malformedText, "the body is no JSON"},
		{"a directive", `{"directive":{}}`, bad, missingText, "event is missing"},
		{"field names in another case", strings.Replace(changeReport, `"event"`, `"Event"`, 1), bad, missingText, "event is missing"},
		{"unknown field", change(edit{"userId", "u-1"}), bad, malformedText, "the body has an unknown"},
		{"unknown field in event", change(edit{"event.region", "EU"}), bad, malformedText, "event has an unknown"},
		{"unknown field in header", change(edit{"event.header.messageID", "m"}), bad, malformedText, "event.header has an unknown"},
		{"unknown field in endpoint", change(edit{"event.endpoint.name", "m"}), bad, malformedText, "event.endpoint has an unknown"},
		{"unknown field in scope", change(edit{"event.endpoint.scope.userId", "m"}), bad, malformedText, "event.endpoint.scope has an unknown"},
		{"unknown field in context", change(edit{"context.change", "m"}), bad, malformedText, "context has an unknown"},

		{"no header", change(edit{"event.header", gone}), bad, malformedText, "event.header is missing"},
		{"no namespace", change(edit{"event.header.namespace", gone}), bad, malformedText, "event.header.namespace or name"},
		{"no name", change(edit{"event.header.name", ""}), bad, malformedText, "event.header.namespace or name"},
		{"no messageId", change(edit{"event.header.messageId", gone}), bad, malformedText, "event.header.messageId"},
		{"messageId too long", change(edit{"event.header.messageId", strings.Repeat("m", 128)}), bad, malformedText, "event.header.messageId"},
		{"messageId with _", change(edit{"event.header.messageId", "a_b"}), bad, malformedText, "event.header.messageId"},
		{"no payloadVersion", change(edit{"event.header.payloadVersion", gone}), bad, malformedText, "event.header.payloadVersion"},
		{"payloadVersion is a number", change(edit{"event.header.payloadVersion", 3}), bad, malformedText, "event.header.payloadVersion"},
		{"payloadVersion of another kind", edited(t, simpleEvent, edit{"event.header.payloadVersion", "3"}), bad, malformedText, "event.header.payloadVersion"},
		{"correlationToken empty", change(edit{"event.header.correlationToken", ""}), bad, malformedText, "event.header.correlationToken is empty"},
		{"correlationToken null", change(edit{"event.header.correlationToken", nil}), bad, malformedText, "event.header.correlationToken is empty"},
		{"Response to nothing", edited(t, response, edit{"event.header.correlationToken", gone}), bad, malformedText, "event.header.correlationToken is missing"},
		{"AcceptGrant.Response", atEndpoint(headerOf("Alexa.Authorization", "AcceptGrant.Response", "3", ""), `{}`), bad, malformedText, "this is the answer of a Lambda"},
		{"Discover.Response", inPayload(headerOf("Alexa.Discovery", "Discover.Response", "3", ""), endpointsOf(1)), bad, malformedText, "this is the answer of a Lambda"},

		{"no payload", change(edit{"event.payload", gone}), bad, malformedText, "event.payload is missing"},
		{"no endpoint", change(edit{"event.endpoint", gone}), bad, missingText, "event.endpoint is missing"},
		{"no endpoint, unknown kind", edited(t, atEndpoint(headerOf("Alexa.Future", "Happened", "3", ""), `{}`), edit{"event.endpoint", gone}), bad, missingText, "event.endpoint is missing"},
		{"no endpointId", change(edit{"event.endpoint.endpointId", gone}), bad, malformedText, "event.endpoint.endpointId"},
		{"endpointId with a slash", change(edit{"event.endpoint.endpointId", "light/kitchen"}), bad, malformedText, "event.endpoint.endpointId"},
		{"endpointId too long", change(edit{"event.endpoint.endpointId", strings.Repeat("e", 257)}), bad, malformedText, "event.endpoint.endpointId"},
		{"endpoint where the payload has the scope", edited(t, addOrUpdate, edit{"event.endpoint", map[string]any{}}), bad, malformedText, "this event has no event.endpoint"},

		{"no scope", change(edit{"event.endpoint.scope", gone}), unauthorized, badTokenText, "event.endpoint.scope.token"},
		{"no scope in the payload", edited(t, addOrUpdate, edit{"event.payload.scope", gone}), unauthorized, badTokenText, "event.payload.scope.token"},
		{"scope in the wrong place", change(edit{"event.endpoint.scope", gone}, edit{"event.payload.scope", map[string]any{"type": "BearerToken", "token": "TOKEN"}}),
			unauthorized, badTokenText, "event.endpoint.scope.token"},
		{"scope in both places", change(edit{"event.payload.scope", map[string]any{"type": "BearerToken", "token": "TOKEN"}}), bad, malformedText, "the scope is in"},
		{"another token in the body", change(edit{"event.endpoint.scope.token", "Atza|fake-old"}), unauthorized, badTokenText, "event.endpoint.scope.token"},
		{"scope type", change(edit{"event.endpoint.scope.type", "Bearer"}), bad, malformedText, "event.endpoint.scope.type"},

		{"context is an array", change(edit{"context", []any{}}), bad, malformedText, "context is not"},
		{"context properties are an object", change(edit{"context.properties", map[string]any{}}), bad, malformedText, "context.properties is not"},
		{"bad property in the context", change(edit{"context.properties.0.value", gone}), bad, conversionText, "context.properties[0].value"},

		{"no change", change(edit{"event.payload.change", gone}), bad, malformedText, "event.payload.change is missing"},
		{"no cause", change(edit{"event.payload.change.cause", gone}), bad, malformedText, "event.payload.change.cause.type"},
		{"unknown cause", change(edit{"event.payload.change.cause.type", "ALEXA_INTERACTION"}), bad, malformedText, "event.payload.change.cause.type"},
		{"no properties", change(edit{"event.payload.change.properties", gone}), bad, malformedText, "event.payload.change.properties is missing"},
		{"empty properties", change(edit{"event.payload.change.properties", []any{}}), bad, malformedText, "event.payload.change.properties is missing"},
		{"property is a string", change(edit{"event.payload.change.properties.0", "ON"}), bad, malformedText, changedProperty},
		{"no property namespace", change(edit{changed + "namespace", gone}), bad, malformedText, changedProperty + ".namespace or name"},
		{"no property name", change(edit{changed + "name", gone}), bad, malformedText, changedProperty + ".namespace or name"},
		{"no value", change(edit{changed + "value", gone}), bad, conversionText, changedProperty + ".value"},
		{"value null", change(edit{changed + "value", nil}), bad, conversionText, changedProperty + ".value"},
		{"no uncertainty", change(edit{changed + "uncertaintyInMilliseconds", gone}), bad, malformedText, changedProperty + ".uncertainty"},
		{"uncertainty is a string", change(edit{changed + "uncertaintyInMilliseconds", "0"}), bad, malformedText, changedProperty + ".uncertainty"},
		{"no instance", change(edit{changed + "instance", gone}), bad, malformedText, changedProperty + ".instance"},
		{"no time", change(edit{changed + "timeOfSample", gone}), bad, malformedText, changedProperty + ".timeOfSample"},
		{"time with microseconds", change(edit{changed + "timeOfSample", "2026-01-02T03:04:05.678901Z"}), bad, malformedText, changedProperty + ".timeOfSample"},
		{"time with a zone", change(edit{changed + "timeOfSample", "2026-01-02T03:04:05+00:00"}), bad, malformedText, changedProperty + ".timeOfSample"},
		{"time with a comma", change(edit{changed + "timeOfSample", "2026-01-02T03:04:05,6Z"}), bad, malformedText, changedProperty + ".timeOfSample"},
		{"time that is none", change(edit{changed + "timeOfSample", "2026-02-30T03:04:05Z"}), bad, malformedText, changedProperty + ".timeOfSample"},

		{"ErrorResponse without type", edited(t, errorResponse, edit{"event.payload.type", gone}), bad, malformedText, "event.payload.type"},
		{"ErrorResponse without message", edited(t, errorResponse, edit{"event.payload.message", ""}), bad, malformedText, "event.payload.message"},
		{"session without id", edited(t, session, edit{"event.payload.sessionId", gone}), bad, malformedText, "event.payload.sessionId"},
		{"doorbell time with a fraction", edited(t, doorbell, edit{"event.payload.timestamp", "2026-01-02T03:04:05.678Z"}), bad, malformedText, "event.payload.timestamp has a fraction"},
		{"doorbell without time", edited(t, doorbell, edit{"event.payload.timestamp", gone}), bad, malformedText, "event.payload.timestamp"},
		{"button without instance", edited(t, simpleEvent, edit{"event.header.instance", gone}), bad, malformedText, "event.header.instance"},
		{"button without id", edited(t, simpleEvent, edit{"event.payload.id", gone}), bad, malformedText, "event.payload.id"},
		{"button without time", edited(t, simpleEvent, edit{"event.payload.timestamp", gone}), bad, malformedText, "event.payload.timestamp"},

		{"no endpoints", edited(t, deleteReport, edit{"event.payload.endpoints", []any{}}), bad, malformedText, "event.payload.endpoints"},
		{"endpoint is a string", edited(t, deleteReport, edit{"event.payload.endpoints.0", "fan-1"}), bad, malformedText, "event.payload.endpoints[0].endpointId"},
		{"301 endpoints", inPayload(headerOf("Alexa.Discovery", "AddOrUpdateReport", "3", ""), endpointsOf(301)), tooLarge, "The request is too large.", "more than 300"},
		{"supply of no instance", atEndpoint(headerOf("Alexa.InventoryUsageSensor", "InventoryConsumed", "3", ""), `{"usage":1}`), bad,
			malformedText,
			"event.header.instance"},
		{"snapshot's error of version 1.0", atEndpoint(headerOf("Alexa.SmartVision.SnapshotProvider", "ErrorResponse", "1.0", correlated),
			`{"type":"X"}`),
			bad, malformedText, "event.header.payloadVersion"},
		{"second endpoint's id", edited(t, addOrUpdate, edit{"event.payload.endpoints.1.endpointId", "a/b"}), bad, malformedText,
			"event.payload.endpoints[1].endpointId"},
		{"no manufacturerName", edited(t, addOrUpdate, edit{"event.payload.endpoints.0.manufacturerName", gone}), bad, malformedText, "event.payload.endpoints[0].manufacturerName"},
		{"no description", edited(t, addOrUpdate, edit{"event.payload.endpoints.0.description", ""}), bad, malformedText, "event.payload.endpoints[0].description"},
		{"no displayCategories", edited(t, addOrUpdate, edit{"event.payload.endpoints.0.displayCategories", []any{}}), bad, malformedText, "event.payload.endpoints[0].displayCategories"},
		{"no capabilities", edited(t, addOrUpdate, edit{"event.payload.endpoints.0.capabilities", gone}), bad, malformedText, "event.payload.endpoints[0].capabilities"},
		{"101 capabilities", edited(t, addOrUpdate, edit{"event.payload.endpoints.0.capabilities", make([]any, 101)}), bad, malformedText, "event.payload.endpoints[0].capabilities"},
		{"more than 256 KB", changeReport + strings.Repeat(" ", 256<<10), tooLarge, "The request is too large.", "the body is larger"},
	}
	statuses := map[string]int{bad: 400, unauthorized: 401, tooLarge: 413}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			token := r.link(alexa.EU, "amzn-1").Access
			got := send(r.event(alexa.EU, token, withToken(test.body, token)))
			wantRefused(t, got, statuses[test.code], test.code, test.description)
			seen := r.Events(alexa.EU)
			if len(seen) != 1 || !strings.HasPrefix(seen[0].Reason, test.reason) || seen[0].Accepted {
				t.Errorf("record %+v, want one refused for %q", seen, test.reason)
			}
		})
	}
}

// TestSender has one case for each rule about who sends.
func TestSender(t *testing.T) {
	t.Parallel()
	const unauthorized, disabled = "INVALID_ACCESS_TOKEN_EXCEPTION", "SKILL_DISABLED_EXCEPTION"
	tests := []struct {
		name    string
		request func(r *rig, p pair) *http.Request
		status  int
		code    string
		text    string
	}{
		{"no Authorization", func(r *rig, p pair) *http.Request {
			request := r.event(alexa.EU, "", withToken(changeReport, p.Access))
			request.Header.Del("Authorization")
			return request
		}, 401, unauthorized, badTokenText},
		{"another scheme", func(r *rig, p pair) *http.Request {
			request := r.event(alexa.EU, "", withToken(changeReport, p.Access))
			request.Header.Set("Authorization", "bearer "+p.Access)
			return request
		}, 401, unauthorized, badTokenText},
		{"the grantee token", func(r *rig, _ pair) *http.Request {
			return r.event(alexa.EU, "grantee-u-1", withToken(changeReport, "grantee-u-1"))
		}, 401, unauthorized, badTokenText},
		{"the refresh token", func(r *rig, p pair) *http.Request {
			return r.event(alexa.EU, p.Refresh, withToken(changeReport, p.Refresh))
		}, 401, unauthorized, badTokenText},
		{"expired by time", func(r *rig, p pair) *http.Request {
			r.clock.advance(time.Hour)
			return r.event(alexa.EU, p.Access, withToken(changeReport, p.Access))
		}, 401, unauthorized, badTokenText},
		{"expired by request", func(r *rig, p pair) *http.Request {
			r.ExpireAccessTokens(alexa.EU, "amzn-1")
			return r.event(alexa.EU, p.Access, withToken(changeReport, p.Access))
		}, 401, unauthorized, badTokenText},
		{"of another region", func(r *rig, p pair) *http.Request {
			return r.event(alexa.NA, p.Access, withToken(changeReport, p.Access))
		}, 403, disabled, disabledText},
		{"disabled", func(r *rig, p pair) *http.Request {
			r.Disable(alexa.EU, "amzn-1")
			return r.event(alexa.EU, p.Access, withToken(changeReport, p.Access))
		}, 403, disabled, disabledText},
		{"disabled and expired", func(r *rig, p pair) *http.Request {
			r.Disable(alexa.EU, "amzn-1")
			r.ExpireAccessTokens(alexa.EU, "amzn-1")
			return r.event(alexa.EU, p.Access, withToken(changeReport, p.Access))
		}, 401, unauthorized, badTokenText},
		{"disabled and enabled again", func(r *rig, p pair) *http.Request {
			r.Disable(alexa.EU, "amzn-1")
			r.link(alexa.EU, "amzn-1")
			return r.event(alexa.EU, p.Access, withToken(changeReport, p.Access))
		}, 403, disabled, disabledText},
		{"no content type", func(r *rig, p pair) *http.Request {
			request := r.event(alexa.EU, p.Access, withToken(changeReport, p.Access))
			request.Header.Del("Content-Type")
			return request
		}, 400, "INVALID_REQUEST_EXCEPTION", malformedText},
		{"form content type", func(r *rig, p pair) *http.Request {
			request := r.event(alexa.EU, p.Access, withToken(changeReport, p.Access))
			request.Header.Set("Content-Type", formType)
			return request
		}, 400, "INVALID_REQUEST_EXCEPTION", malformedText},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			got := send(test.request(r, r.link(alexa.EU, "amzn-1")))
			wantRefused(t, got, test.status, test.code, test.text)
			if counts := r.Counts(); counts.Refused != 1 || counts.Accepted != 0 {
				t.Errorf("counts = %+v", counts)
			}
		})
	}
}

func TestAccessTokensLiveOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	first := r.link(alexa.EU, "amzn-1")
	r.clock.advance(59 * time.Minute)
	second := r.pair(r.refresh(first.Refresh))
	if got := r.report(alexa.EU, first.Access); got.status != 202 {
		t.Errorf("a refresh ended the older access token: %d", got.status)
	}
	r.clock.advance(time.Minute)
	if got := r.report(alexa.EU, first.Access); got.status != 401 {
		t.Errorf("the older access token after its hour: %d, want 401", got.status)
	}
	if got := r.report(alexa.EU, second.Access); got.status != 202 {
		t.Errorf("the newer access token: %d, want 202", got.status)
	}
	r.ExpireAccessTokens(alexa.EU, "amzn-1")
	if third := r.pair(r.refresh(second.Refresh)); r.report(alexa.EU, third.Access).status != 202 {
		t.Error("a refresh after ExpireAccessTokens must give a good token")
	}
	if r.ExpireAccessTokens(alexa.NA, "amzn-1") || r.Disable(alexa.EU, "amzn-2") {
		t.Error("nobody to expire or disable must be reported")
	}
}

// TestHosts drives one listener, as a proxy that keeps the Host header would.
func TestHosts(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	gateways := map[alexa.Region]string{}
	for _, region := range alexa.Regions() {
		one := httptest.NewServer(sim.GatewayHandler(region))
		t.Cleanup(one.Close)
		gateways[region] = one.URL
	}
	tests := []struct {
		name, method, host, path string
		status                   int
		allow                    string
		target                   simulator.Target
	}{
		{"NA", "POST", "api.amazonalexa.com", "/v3/events", 401, "", "gateway/NA"},
		{"EU", "POST", "api.eu.amazonalexa.com", "/v3/events", 401, "", "gateway/EU"},
		{"FE", "POST", "api.fe.amazonalexa.com", "/v3/events", 401, "", "gateway/FE"},
		{"with a port", "POST", "API.EU.amazonalexa.com:443", "/v3/events", 401, "", "gateway/EU"},
		{"LWA", "POST", "api.amazon.com", "/auth/o2/token", 500, "", "lwa/token"},
		{"unnamed", "GET", "", "/auth/o2/tokeninfo", 400, "", "lwa/tokeninfo"},
		{"event to LWA", "POST", "api.amazon.com", "/v3/events", 404, "", ""},
		{"token request to a gateway", "POST", "api.amazonalexa.com", "/auth/o2/token", 404, "", ""},
		{"control at a gateway", "GET", "api.amazonalexa.com", "/simulator/counts", 404, "", ""},
		{"unknown path", "POST", "api.amazonalexa.com", "/v2/events", 404, "", ""},
		{"GET event", "GET", "api.amazonalexa.com", "/v3/events", 405, "POST", ""},
		{"GET token", "GET", "", "/auth/o2/token", 405, "POST", ""},
		{"POST tokeninfo", "POST", "", "/auth/o2/tokeninfo", 405, "GET, HEAD", ""},
		{"handler of NA", "POST", gateways[alexa.NA], "/v3/events", 401, "", "gateway/NA"},
		{"handler of EU", "POST", gateways[alexa.EU], "/v3/events", 401, "", "gateway/EU"},
		{"handler of FE", "POST", gateways[alexa.FE], "/v3/events", 401, "", "gateway/FE"},
	}
	for _, test := range tests { // in order: each looks at the record's last request
		base := server.URL
		if strings.HasPrefix(test.host, "http://") {
			base, test.host = test.host, ""
		}
		request, err := http.NewRequestWithContext(t.Context(), test.method, base+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		before := len(sim.Requests())
		got := send(request)
		if got.status != test.status || got.header.Get("Allow") != test.allow {
			t.Errorf("%s: answered %d, Allow %q, want %d, %q", test.name, got.status, got.header.Get("Allow"), test.status, test.allow)
		}
		var target simulator.Target
		if seen := sim.Requests(); len(seen) > before {
			target = seen[len(seen)-1].Target
		}
		if target != test.target {
			t.Errorf("%s: recorded as %q, want %q", test.name, target, test.target)
		}
	}
	recorder := httptest.NewRecorder()
	sim.GatewayHandler("XX").ServeHTTP(recorder, httptest.NewRequest("POST", "/v3/events", nil))
	if recorder.Code != 404 {
		t.Errorf("gateway of an unknown region answered %d, want 404", recorder.Code)
	}
}
