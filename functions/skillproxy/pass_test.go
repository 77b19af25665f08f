package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestRouting(t *testing.T) {
	t.Parallel()
	w := newCloud(t)
	l := start(t, w)
	for _, test := range []struct {
		name, message string
		to            *backend
		authenticated bool
	}{
		{"AcceptGrant", accept, &w.acceptGrant, true},
		{"another authorization", strings.Replace(accept, `"AcceptGrant"`, `"Later"`, 1), &w.acceptGrant, true},
		{"skill event", disabled, &w.skillEvent, true},
		{"directive", turnOn, &w.directive, false},
		{"discovery", discover, &w.directive, false},
		{"custom skill's request", `{"version":"1.0","request":{"type":"LaunchRequest"}}`, &w.directive, false},
		{"something else", `{"key1":"value1"}`, &w.directive, false},
		{"no object", `[1]`, &w.directive, false},
	} {
		before := len(test.to.got())
		wantSuccess(t, l, test.message)
		got := test.to.got()
		if len(got) != before+1 {
			t.Errorf("%s: the backend got no request", test.name)
			continue
		}
		last := got[before]
		if last.body != test.message || last.header.Get("X-Alexa-Region") != "EU" || last.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: request = %q with %v, want the message unchanged", test.name, last.body, last.header)
		}
		if got, want := last.header.Get("Traceparent"), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"; got != want {
			t.Errorf("%s: Traceparent is %q, want Lambda's trace %q", test.name, got, want)
		}
		authorization := last.header.Get("Authorization")
		if test.authenticated != w.google.Accepts(authorization, w.url) || !test.authenticated && authorization != "" {
			t.Errorf("%s: Authorization = %q, want an ID token: %v", test.name, authorization, test.authenticated)
		}
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	for at, region := range map[string]string{"us-east-1": "NA", "eu-west-1": "EU", "us-west-2": "FE"} {
		inBubble(t, map[string]string{"AWS_REGION": at}, func(t *testing.T, w *cloud, l *instance) {
			wantSuccess(t, l, turnOn)
			if got := w.directive.got()[0].header.Get("X-Alexa-Region"); got != region {
				t.Errorf("%s: X-Alexa-Region = %s, want %s", at, got, region)
			}
		})
	}
}

// TestFaultsAreWarnings: Alexa reports a fault of an accepted event in a directive,
// which is logged as a warning.
func TestFaultsAreWarnings(t *testing.T) {
	t.Parallel()
	directive := func(namespace, name string) string {
		return `{"directive":{"header":{"namespace":"` + namespace + `","name":"` + name + `","payloadVersion":"1.0","messageId":"m-1"},` +
			`"endpoint":{"scope":{"type":"BearerToken","token":"fake-canary"},"endpointId":"plug-1"},"payload":{"code":"TOO_HIGH"}}}`
	}
	inBubble(t, nil, func(t *testing.T, _ *cloud, l *instance) {
		for i, test := range []struct{ namespace, name, severity string }{
			{"Alexa.DeviceUsage.Meter", "InvalidMeasurementError", "WARNING"},
			{"Alexa.DeviceUsage.Meter", "ReduceResolution", "WARNING"},
			{"Alexa.New", "InvalidThingError", "WARNING"},
			{"Alexa.DeviceUsage.Meter", "ReportMeasurements", "INFO"},
		} {
			wantSuccess(t, l, directive(test.namespace, test.name))
			line := l.logged(t, i+1)
			told := line["fault"] == `{"code":"TOO_HIGH"}` && line["endpoint_id"] == "plug-1"
			if line["severity"] != test.severity || line["outcome"] != "passed" || told != (test.severity == "WARNING") {
				t.Errorf("%s: line = %v, want severity %s", test.name, line, test.severity)
			}
		}
	})
}

// TestByteExact: decoding and encoding would change numbers, escapes, spaces and
// the order of members.
func TestByteExact(t *testing.T) {
	t.Parallel()
	const odd = " {\n\"x\" : 1.0e+2, \"a\":\"\\u00e9 \\/ é <&>\", \"big\":123456789012345678901234567890,\t\"z\":[ ]\r\n"
	long := strings.Repeat(`{"endpointId":"lamp-canary"},`, 1<<20/29)
	w := newCloud(t)
	l := start(t, w)
	for i, test := range []struct {
		name, message, answer string
		compressed            bool
	}{
		{"odd", odd + `,"directive":{"header":{"namespace":"Alexa","name":"A"}}}`, odd + `,"event":{}} ` + "\n", false},
		{"odd and compressed", turnOn, odd + `,"event":{}}`, true},
		{"1 MB", `{"directive":{"list":[` + long + `0]}}`, `{"event":{"list":[` + long + `0]}}`, false},
		{"1 MB, compressed", turnOn, `{"event":{"list":[` + long + `0]}}`, true},
		{"byte order mark", turnOn, "\uFEFF" + done, false},
		{"nearly 6 MB", turnOn, `{"event":{}}` + strings.Repeat(" ", maxAnswer-12), true},
	} {
		w.directive.then(func(rw http.ResponseWriter, r *http.Request) {
			if !test.compressed {
				_, _ = io.WriteString(rw, test.answer)
				return
			}
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("the proxy does not accept gzip")
			}
			rw.Header().Set("Content-Encoding", "gzip")
			z, _ := gzip.NewWriterLevel(rw, gzip.BestSpeed)
			_, _ = io.WriteString(z, test.answer)
			_ = z.Close()
		})
		got := l.invoke(t, test.message, time.Minute)
		if got.failed || string(got.body) != test.answer {
			t.Errorf("%s: answer has %d bytes, want %d; it begins %.300s", test.name, len(got.body), len(test.answer), got.body)
		}
		if sent := w.directive.got()[i].body; sent != test.message {
			t.Errorf("%s: request has %d bytes, want %d; it begins %.300s", test.name, len(sent), len(test.message), sent)
		}
	}
}

// TestCustomSkill: the maker's handler may also serve a custom skill, whose answers
// have another form.
func TestCustomSkill(t *testing.T) {
	t.Parallel()
	const answer = `{"version":"1.0","response":{}}`
	inBubble(t, nil, func(t *testing.T, w *cloud, l *instance) {
		for _, form := range []string{answer, "\uFEFF" + answer} {
			w.directive.then(answering(200, form))
			if got := l.invoke(t, `{"version":"1.0","request":{"type":"LaunchRequest"}}`, time.Minute); string(got.body) != form {
				t.Errorf("answer = %s, want %s", got.body, form)
			}
		}
		w.directive.then(answering(200, answer))
		wantError(t, l.invoke(t, turnOn, time.Minute), turnOn, internal)
	})
}

// TestLogLine compares whole log lines.
func TestLogLine(t *testing.T) {
	t.Parallel()
	w := newCloud(t)
	l := start(t, w)
	w.directive.then(answering(500, "canary"))
	for _, message := range []string{turnOn, accept, strings.ReplaceAll(turnOn, `"m-1"`, `"fake token canary"`)} {
		l.invoke(t, message, time.Minute)
	}
	w.skillEvent.then(answering(503, "canary"))
	const notTaken = `{"errorMessage":"the skill event was not taken","errorType":"errorString"}`
	if got := l.invoke(t, disabled, time.Minute); string(got.body) != notTaken {
		t.Errorf("failure of a refused skill event = %s, want %s", got.body, notTaken)
	}
	for i, want := range []map[string]any{
		{"severity": "ERROR", "kind": "Alexa.PowerController.TurnOn", "message_id": "m-1", "status": 500.0,
			"outcome": "refused", "alexa_code": "INTERNAL_ERROR"},
		{"severity": "INFO", "kind": "Alexa.Authorization.AcceptGrant", "message_id": "m-1", "status": 200.0,
			"outcome": "passed", "renewed": true},
		{"severity": "INFO", "kind": "Alexa.PowerController.TurnOn", "message_id": "unreadable", "status": 200.0, "outcome": "passed"},
	} {
		want["message"], want["function"], want["region"], want["request_id"] = "SkillProxy", "SkillProxy", "EU", fmt.Sprint("request-", i+1)
		got := l.logged(t, i+1)
		if got["time"] == nil || got["duration_ms"] == nil {
			t.Errorf("line %v, want a time and a duration", got)
		}
		delete(got, "time")
		delete(got, "duration_ms")
		expect.Equal(t, fmt.Sprintf("line %d", i+1), want, got)
	}
}
