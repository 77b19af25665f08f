package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// atEndpoint returns an event with the scope in its endpoint.
func atEndpoint(kind, payload string) string {
	const endpoint = `"endpoint":{"scope":{"type":"BearerToken","token":"TOKEN"},"endpointId":"fan-1"}`
	return `{"event":{` + headerOf(kind) + `,` + endpoint + `,"payload":` + payload + `}}`
}

// inPayload returns an event with the scope in its payload.
func inPayload(kind, payload string) string {
	return `{"event":{` + headerOf(kind) + `,"payload":{` + payload + `,"scope":{"type":"BearerToken","token":"TOKEN"}}}}`
}

// headerOf returns a header of a namespace, a name, a version, and perhaps more
// fields.
func headerOf(kind string) string {
	words := append(strings.SplitN(kind, " ", 4), "")
	return fmt.Sprintf(`"header":{"namespace":%q,"name":%q,"messageId":"m-1","payloadVersion":%q%s}`, words[0], words[1], words[2], words[3])
}

// endpointsOf returns n discovered endpoints.
func endpointsOf(n int) string {
	endpoints := make([]string, n)
	for i := range endpoints {
		endpoints[i] = fmt.Sprintf(`{"endpointId":"fan-%d","manufacturerName":"Example Co","friendlyName":"Fan","description":"Example fan",`+
			`"displayCategories":["FAN"],"capabilities":[{"type":"AlexaInterface","interface":"Alexa","version":"3"}]}`, i)
	}
	return `"endpoints":[` + strings.Join(endpoints, ",") + `]`
}

const (
	correlated = ` ,"correlationToken":"opaque"`
	property   = `{"namespace":"Alexa.PowerController","name":"powerState","value":"ON",` +
		`"timeOfSample":"2026-01-02T03:04:05Z","uncertaintyInMilliseconds":0}`
	byHand = `"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05`
)

var (
	addOrUpdate   = inPayload("Alexa.Discovery AddOrUpdateReport 3", endpointsOf(2))
	deleteReport  = inPayload("Alexa.Discovery DeleteReport 3", `"endpoints":[{"endpointId":"fan-1"}]`)
	doorbell      = atEndpoint("Alexa.DoorbellEventSource DoorbellPress 3", `{`+byHand+`Z"}`)
	scene         = atEndpoint("Alexa.SceneController ActivationStarted 3"+correlated, `{`+byHand+`.678Z"}`)
	simpleEvent   = atEndpoint(`Alexa.SimpleEventSource Event 1.0 ,"instance":"B.1"`, `{"id":"B.Push","timestamp":"2026-01-02T03:04:05.678Z"}`)
	response      = atEndpoint("Alexa Response 3"+correlated, `{}`)
	errorResponse = atEndpoint("Alexa ErrorResponse 3"+correlated, `{"type":"ENDPOINT_UNREACHABLE","message":"no answer"}`)
	session       = atEndpoint("Alexa.RTCSessionController SessionConnected 3"+correlated, `{"sessionId":"s-1"}`)
)

func TestEventsAccepted(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"ChangeReport":                        changeReport,
		"ChangeReport, no context":            edited(changeReport, "context", gone),
		"ChangeReport, empty context":         edited(changeReport, "context", map[string]any{}),
		"ChangeReport, no context properties": edited(changeReport, "context.properties", []any{}),
		"ChangeReport, more in a property":    edited(changeReport, changed+"unit", "GRAM", changed+"quality", "good"),
		"ChangeReport, value false":           edited(changeReport, changed+"value", false),
		"ChangeReport, rare cause":            edited(changeReport, "event.payload.change.cause.type", "SUBSCRIPTION_EXPIRED"),
		"ChangeReport, longest ids": edited(changeReport, "event.header.messageId", strings.Repeat("m", 127),
			"event.endpoint.endpointId", strings.Repeat("e", 248)+"_-=#;:?@"),
		"ChangeReport, endpointId with a space": edited(changeReport, "event.endpoint.endpointId", "Hall light 2"),
		"Response":                              response,
		"Response with context":                 strings.Replace(response, `{"event"`, `{"context":{"properties":[`+property+`]},"event"`, 1),
		"StateReport":                           atEndpoint("Alexa StateReport 3"+correlated, `{}`),
		"ErrorResponse":                         errorResponse,
		"ErrorResponse of an interface": atEndpoint("Alexa.ThermostatController ErrorResponse 3"+correlated,
			`{"type":"DUAL_SETPOINTS_UNSUPPORTED"}`),
		"ErrorResponse of DataController": atEndpoint("Alexa.DataController ErrorResponse 1.0"+correlated, `{"type":"X","message":"x"}`),
		"AddOrUpdateReport":               addOrUpdate,
		"AddOrUpdateReport of 300":        inPayload("Alexa.Discovery AddOrUpdateReport 3", endpointsOf(300)),
		"DeleteReport":                    deleteReport,
		"DoorbellPress":                   doorbell,
		"ActivationStarted":               scene,
		"ActivationStarted of nothing":    edited(scene, "event.payload", map[string]any{}),
		"DeactivationStarted":             edited(scene, "event.header.name", "DeactivationStarted"),
		"InventoryConsumed": atEndpoint(`Alexa.InventoryUsageSensor InventoryConsumed 3 ,"instance":"Pods"`,
			`{"usage":{"@type":"Count","value":1},"timeOfSample":"2026-01-02T03:04:05Z"}`),
		"MeasurementsReport": atEndpoint("Alexa.DeviceUsage.Meter MeasurementsReport 1.0", `{"electricityIntervals":[]}`),
		"SimpleEventSource":  simpleEvent,
		"AnswerGeneratedForSession": atEndpoint("Alexa.RTCSessionController AnswerGeneratedForSession 3"+correlated,
			`{"answer":{"format":"SDP","value":"v=0"}}`),
		"SessionConnected":                    session,
		"SessionDisconnected":                 edited(session, "event.header.name", "SessionDisconnected"),
		"WakeUp":                              atEndpoint("Alexa.WakeOnLANController WakeUp 3"+correlated, `{}`),
		"MediaDeleted":                        inPayload("Alexa.MediaMetadata MediaDeleted 3", `"mediaIds":["m-1"]`),
		"unknown kind, scope in the endpoint": atEndpoint("Alexa.Future Happened 2.7", `{"events":[]}`),
		"unknown kind, scope in the payload":  inPayload("Alexa.Future Happened 2.7", `"events":[]`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			token := r.link(alexa.EU, "amzn-1").Access
			request := r.event(alexa.EU, token, withToken(body, token))
			request.Header.Set("Content-Type", "application/json;charset=UTF-8")
			if got := send(request); got.status != 202 || got.body != "" || got.header.Get("X-Amzn-Requestid") == "" {
				t.Fatalf("answer = %d %q (%s) with %v, want 202", got.status, got.body, r.Events(alexa.EU)[0].Reason, got.header)
			}
		})
	}
}

const (
	malformedText   = "The request was malformed."
	badTokenText    = "Access token is not valid."
	disabledText    = "The user does not have a valid enablement for your skill."
	changed         = "event.payload.change.properties.0."
	changedProperty = "event.payload.change.properties[0]"
)

// wantRefused checks an answer in the form of Amazon's errors.
func wantRefused(t *testing.T, got reply, status int, code, description string) {
	t.Helper()
	body := got.json(t)
	header, _ := body["header"].(map[string]any)
	if _, err := uuid.Parse(fmt.Sprint(header["messageId"])); err != nil {
		t.Errorf("header.messageId = %v, want a UUID", header["messageId"])
	}
	header["messageId"] = "any"
	want := map[string]any{
		"header":  map[string]any{"namespace": "System", "name": "Exception", "messageId": "any"},
		"payload": map[string]any{"code": code, "description": description},
	}
	if diff := cmp.Diff(want, body); diff != "" || got.status != status {
		t.Errorf("status = %d, want %d; body differs (-want +got):\n%s", got.status, status, diff)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/json" || got.header.Get("X-Amzn-Requestid") == "" {
		t.Errorf("Content-Type %q, x-amzn-requestid %q", kind, got.header.Get("X-Amzn-Requestid"))
	}
}

// refusal is a valid event with one changed field, and the beginning of the
// refusal's reason: a case that fails for another reason proves nothing. Without a
// field the body itself is wrong.
type refusal struct {
	body, at string
	to       any
	reason   string
}

// verdict is the gateway's answer.
type verdict struct {
	status            int
	code, description string
}

var (
	malformed    = verdict{400, simulator.InvalidRequest, malformedText}
	conversion   = verdict{400, simulator.InvalidRequest, "Payload conversion failed."}
	missing      = verdict{400, simulator.InvalidRequest, "Event or endpoint is missing in the resquest."}
	unauthorized = verdict{401, simulator.InvalidAccessToken, badTokenText}
	tooLarge     = verdict{413, simulator.TooLarge, "The request is too large."}
)

// refusals has one case for each rule about the body.
func refusals() map[verdict][]refusal {
	scope := map[string]any{"type": "BearerToken", "token": "TOKEN"}
	future := atEndpoint("Alexa.Future Happened 3", `{}`)
	discovered := "event.payload.endpoints.0."
	return map[verdict][]refusal{
		missing: {
			{`{"directive":{}}`, "", nil, "event is missing"},
			{strings.Replace(changeReport, `"event"`, `"Event"`, 1), "", nil, "event is missing"},
			{changeReport, "event.endpoint", gone, "event.endpoint is missing"},
			{future, "event.endpoint", gone, "event.endpoint is missing"},
		},
		unauthorized: {
			{changeReport, "event.endpoint.scope", gone, "event.endpoint.scope.token"},
			{addOrUpdate, "event.payload.scope", gone, "event.payload.scope.token"},
			{edited(changeReport, "event.endpoint.scope", gone), "event.payload.scope", scope, "event.endpoint.scope.token"},
			{changeReport, "event.endpoint.scope.token", "Atza|fake-old", "event.endpoint.scope.token"},
		},
		tooLarge: {
			{inPayload("Alexa.Discovery AddOrUpdateReport 3", endpointsOf(301)), "", nil, "more than 300"},
			{changeReport + strings.Repeat(" ", 256<<10), "", nil, "the body is larger"},
		},
		conversion: {
			{changeReport, "context.properties.0.value", gone, "context.properties[0].value"},
			{changeReport, changed + "value", gone, changedProperty + ".value"},
			{changeReport, changed + "value", nil, changedProperty + ".value"},
		},
		malformed: {
			{`{"event":`, "", nil, "the body is not a JSON object"},
			{``, "", nil, "the body is not a JSON object"},
			{changeReport + `{}`, "", nil, "the body is not a JSON object"},
			{`[]`, "", nil, "the body is not a JSON object"},
			{`null`, "", nil, "the body is not a JSON object"},
			{changeReport, "userId", "u-1", "the body has an unknown"},
			{changeReport, "event.region", "EU", "event has an unknown"},
			{changeReport, "event.header.messageID", "m", "event.header has an unknown"},
			{changeReport, "event.endpoint.name", "m", "event.endpoint has an unknown"},
			{changeReport, "event.endpoint.scope.userId", "m", "event.endpoint.scope has an unknown"},
			{changeReport, "context.change", "m", "context has an unknown"},

			{changeReport, "event.header", gone, "event.header is missing"},
			{changeReport, "event.header.namespace", gone, "event.header.namespace or name"},
			{changeReport, "event.header.name", "", "event.header.namespace or name"},
			{changeReport, "event.header.messageId", gone, "event.header.messageId"},
			{changeReport, "event.header.messageId", strings.Repeat("m", 128), "event.header.messageId"},
			{changeReport, "event.header.messageId", "a_b", "event.header.messageId"},
			{changeReport, "event.header.payloadVersion", gone, "event.header.payloadVersion"},
			{changeReport, "event.header.payloadVersion", 3, "event.header.payloadVersion"},
			{simpleEvent, "event.header.payloadVersion", "3", "event.header.payloadVersion"}, // the version of another kind
			{changeReport, "event.header.correlationToken", "", "event.header.correlationToken is empty"},
			{changeReport, "event.header.correlationToken", nil, "event.header.correlationToken is empty"},
			{response, "event.header.correlationToken", gone, "event.header.correlationToken is missing"},
			{atEndpoint("Alexa.Authorization AcceptGrant.Response 3", `{}`), "", nil, "this is the answer of a Lambda"},
			{inPayload("Alexa.Discovery Discover.Response 3", endpointsOf(1)), "", nil, "this is the answer of a Lambda"},

			{changeReport, "event.payload", gone, "event.payload is missing"},
			{changeReport, "event.endpoint.endpointId", gone, "event.endpoint.endpointId"},
			{changeReport, "event.endpoint.endpointId", "light/kitchen", "event.endpoint.endpointId"},
			{changeReport, "event.endpoint.endpointId", strings.Repeat("e", 257), "event.endpoint.endpointId"},
			{addOrUpdate, "event.endpoint", map[string]any{}, "this event has no event.endpoint"},
			{changeReport, "event.payload.scope", scope, "the scope is in"},
			{changeReport, "event.endpoint.scope.type", "Bearer", "event.endpoint.scope.type"},
			{changeReport, "context", []any{}, "context is not"},
			{changeReport, "context.properties", map[string]any{}, "context.properties is not"},

			{changeReport, "event.payload.change", gone, "event.payload.change is missing"},
			{changeReport, "event.payload.change.cause", gone, "event.payload.change.cause.type"},
			{changeReport, "event.payload.change.cause.type", "ALEXA_INTERACTION", "event.payload.change.cause.type"},
			{changeReport, "event.payload.change.properties", gone, "event.payload.change.properties is missing"},
			{changeReport, "event.payload.change.properties", []any{}, "event.payload.change.properties is missing"},
			{changeReport, "event.payload.change.properties.0", "ON", changedProperty},
			{changeReport, changed + "namespace", gone, changedProperty + ".namespace or name"},
			{changeReport, changed + "name", gone, changedProperty + ".namespace or name"},
			{changeReport, changed + "uncertaintyInMilliseconds", gone, changedProperty + ".uncertainty"},
			{changeReport, changed + "uncertaintyInMilliseconds", "0", changedProperty + ".uncertainty"},
			{changeReport, changed + "instance", gone, changedProperty + ".instance"},
			{changeReport, changed + "timeOfSample", gone, changedProperty + ".timeOfSample"},
			{changeReport, changed + "timeOfSample", "2026-01-02T03:04:05.678901Z", changedProperty + ".timeOfSample"},
			{changeReport, changed + "timeOfSample", "2026-01-02T03:04:05+00:00", changedProperty + ".timeOfSample"},
			{changeReport, changed + "timeOfSample", "2026-01-02T03:04:05,6Z", changedProperty + ".timeOfSample"},
			{changeReport, changed + "timeOfSample", "2026-02-30T03:04:05Z", changedProperty + ".timeOfSample"},

			{errorResponse, "event.payload.type", gone, "event.payload.type"},
			{errorResponse, "event.payload.message", "", "event.payload.message"},
			{session, "event.payload.sessionId", gone, "event.payload.sessionId"},
			{doorbell, "event.payload.timestamp", "2026-01-02T03:04:05.678Z", "event.payload.timestamp has a fraction"},
			{doorbell, "event.payload.timestamp", gone, "event.payload.timestamp"},
			{simpleEvent, "event.header.instance", gone, "event.header.instance"},
			{simpleEvent, "event.payload.id", gone, "event.payload.id"},
			{simpleEvent, "event.payload.timestamp", gone, "event.payload.timestamp"},
			{atEndpoint("Alexa.InventoryUsageSensor InventoryConsumed 3", `{"usage":1}`), "", nil, "event.header.instance"},
			{atEndpoint("Alexa.SmartVision.SnapshotProvider ErrorResponse 1.0"+correlated, `{"type":"X"}`), "", nil, "event.header.payloadVersion"},

			{deleteReport, "event.payload.endpoints", []any{}, "event.payload.endpoints"},
			{deleteReport, "event.payload.endpoints.0", "fan-1", "event.payload.endpoints[0].endpointId"},
			{addOrUpdate, "event.payload.endpoints.1.endpointId", "a/b", "event.payload.endpoints[1].endpointId"},
			{addOrUpdate, discovered + "manufacturerName", gone, "event.payload.endpoints[0].manufacturerName"},
			{addOrUpdate, discovered + "description", "", "event.payload.endpoints[0].description"},
			{addOrUpdate, discovered + "displayCategories", []any{}, "event.payload.endpoints[0].displayCategories"},
			{addOrUpdate, discovered + "capabilities", gone, "event.payload.endpoints[0].capabilities"},
			{addOrUpdate, discovered + "capabilities", make([]any, 101), "event.payload.endpoints[0].capabilities"},
		},
	}
}

func TestEventsRefused(t *testing.T) {
	t.Parallel()
	for verdict, cases := range refusals() {
		for _, test := range cases {
			body := test.body
			if test.at != "" {
				body = edited(body, test.at, test.to)
			}
			to, _ := json.Marshal(test.to)
			t.Run(fmt.Sprintf("%s, %s=%.30s", test.reason, test.at, to), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, simulator.Options{})
				token := r.link(alexa.EU, "amzn-1").Access
				got := send(r.event(alexa.EU, token, withToken(body, token)))
				wantRefused(t, got, verdict.status, verdict.code, verdict.description)
				seen := r.Events(alexa.EU)
				if len(seen) != 1 || !strings.HasPrefix(seen[0].Reason, test.reason) || seen[0].Accepted {
					t.Errorf("journal = %+v, want one refused for %q", seen, test.reason)
				}
			})
		}
	}
}

// TestSender has one case for each rule about the sender: what happens before, and
// how the request differs from a valid one.
func TestSender(t *testing.T) {
	t.Parallel()
	disabled := verdict{403, simulator.SkillDisabled, disabledText}
	for _, test := range []struct {
		name   string
		before func(r *rig)
		region alexa.Region
		token  func(p pair) string // nil for the access token
		header string              // replaced
		value  string
		want   verdict
	}{
		{name: "no Authorization", header: "Authorization", want: unauthorized},
		{name: "another scheme", header: "Authorization", value: "bearer TOKEN", want: unauthorized},
		{name: "the grantee token", token: func(pair) string { return "grantee-u-1" }, want: unauthorized},
		{name: "the refresh token", token: func(p pair) string { return p.Refresh }, want: unauthorized},
		{name: "expired by time", before: func(r *rig) { r.clock.advance(time.Hour) }, want: unauthorized},
		{name: "expired by request", before: func(r *rig) { r.ExpireAccessTokens(alexa.EU, "amzn-1") }, want: unauthorized},
		{name: "of another region", region: alexa.NA, want: disabled},
		{name: "disabled", before: func(r *rig) { r.Disable(alexa.EU, "amzn-1") }, want: disabled},
		{name: "disabled and expired", before: func(r *rig) {
			r.Disable(alexa.EU, "amzn-1")
			r.ExpireAccessTokens(alexa.EU, "amzn-1")
		}, want: unauthorized},
		{name: "disabled and enabled again", before: func(r *rig) {
			r.Disable(alexa.EU, "amzn-1")
			r.link(alexa.EU, "amzn-1")
		}, want: disabled},
		{name: "no content type", header: "Content-Type", want: malformed},
		{name: "form content type", header: "Content-Type", value: formType, want: malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.EU, "amzn-1")
			if test.before != nil {
				test.before(r)
			}
			token, region := p.Access, alexa.EU
			if test.token != nil {
				token = test.token(p)
			}
			if test.region != "" {
				region = test.region
			}
			request := r.event(region, token, withToken(changeReport, token))
			if test.header != "" {
				request.Header.Del(test.header)
			}
			if test.value != "" {
				request.Header.Set(test.header, withToken(test.value, token))
			}
			wantRefused(t, send(request), test.want.status, test.want.code, test.want.description)
			if counts := r.Counts(); counts.Refused != 1 || counts.Accepted != 0 {
				t.Errorf("counts = %+v", counts)
			}
		})
	}
}

// TestAccessTokensLiveOn: a refresh keeps older access tokens valid, and expiring
// all of them does not affect later ones.
func TestAccessTokensLiveOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	first := r.link(alexa.EU, "amzn-1")
	r.clock.advance(59 * time.Minute)
	second := r.pair(r.refresh(first.Refresh))
	got := []int{r.report(alexa.EU, first.Access).status}
	r.clock.advance(time.Minute)
	got = append(got, r.report(alexa.EU, first.Access).status, r.report(alexa.EU, second.Access).status)
	r.ExpireAccessTokens(alexa.EU, "amzn-1")
	third := r.pair(r.refresh(second.Refresh))
	got = append(got, r.report(alexa.EU, second.Access).status, r.report(alexa.EU, third.Access).status)
	want := []int{http.StatusAccepted, http.StatusUnauthorized, http.StatusAccepted, http.StatusUnauthorized, http.StatusAccepted}
	expect.Equal(t, "statuses with the first token twice, the second twice, and the third", want, got)
	if r.ExpireAccessTokens(alexa.NA, "amzn-1") || r.Disable(alexa.EU, "amzn-2") {
		t.Error("expiring or disabling an unknown user succeeded, want false")
	}
}
