package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRouting(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	l := start(t, w.env(nil))
	for _, test := range []struct {
		name, message string
		to            *behind
		authenticated bool
	}{
		{"AcceptGrant", accept, w.acceptGrant, true},
		{"another authorization", strings.Replace(accept, `"AcceptGrant"`, `"Later"`, 1), w.acceptGrant, true},
		{"skill event", disabled, w.skillEvent, true},
		{"directive", turnOn, w.directive, false},
		{"discovery", discover, w.directive, false},
		{"custom skill's request", `{"version":"1.0","request":{"type":"LaunchRequest"}}`, w.directive, false},
		{"something else", `{"key1":"value1"}`, w.directive, false},
		{"no object", `[1]`, w.directive, false},
	} {
		before := len(test.to.got())
		wantSuccess(t, l, test.message)
		got := test.to.got()
		if len(got) != before+1 {
			t.Errorf("%s: went elsewhere", test.name)
			continue
		}
		last := got[before]
		if last.body != test.message || last.header.Get("X-Alexa-Region") != "EU" || last.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: arrived as %q with %v", test.name, last.body, last.header)
		}
		authorization := last.header.Get("Authorization")
		if test.authenticated != w.google.Accepts(authorization, test.to.URL) || !test.authenticated && authorization != "" {
			t.Errorf("%s: with Authorization %q, want an ID token: %v", test.name, authorization, test.authenticated)
		}
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	for at, region := range map[string]string{"us-east-1": "NA", "eu-west-1": "EU", "us-west-2": "FE"} {
		t.Run(region, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			wantSuccess(t, serve(t, w.env(map[string]string{"AWS_REGION": at})), turnOn)
			if got := w.directive.got()[0].header.Get("X-Alexa-Region"); got != region {
				t.Errorf("X-Alexa-Region: %s, want %s", got, region)
			}
		})
	}
}

// TestFaultsAreWarnings: what Alexa says of an event after its 202 is said in one
// directive, which a person should see.
func TestFaultsAreWarnings(t *testing.T) {
	t.Parallel()
	directive := func(namespace, name string) string {
		return `{"directive":{"header":{"namespace":"` + namespace + `","name":"` + name + `","payloadVersion":"1.0","messageId":"m-1"},` +
			`"endpoint":{"scope":{"type":"BearerToken","token":"fake-canary"},"endpointId":"plug-1"},"payload":{"code":"TOO_HIGH"}}}`
	}
	w := newPlace(t)
	l := serve(t, w.env(nil))
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
			t.Errorf("%s: %v", test.name, line)
		}
	}
}

// TestByteExact: numbers, escapes, spaces and the order of members would not
// survive a decoder and an encoder.
func TestByteExact(t *testing.T) {
	t.Parallel()
	const odd = " {\n\"x\" : 1.0e+2, \"a\":\"\\u00e9 \\/ é <&>\", \"big\":123456789012345678901234567890,\t\"z\":[ ]\r\n"
	long := strings.Repeat(`{"endpointId":"lamp-canary"},`, 1<<20/29)
	for _, test := range []struct {
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
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			w.directive.then(func(rw http.ResponseWriter, r *http.Request) {
				if !test.compressed {
					_, _ = io.WriteString(rw, test.answer)
					return
				}
				if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
					t.Error("the proxy takes no gzip")
				}
				rw.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(rw)
				_, _ = io.WriteString(z, test.answer)
				_ = z.Close()
			})
			got := start(t, w.env(nil)).invoke(t, test.message, time.Minute)
			if got.failed || string(got.body) != test.answer {
				t.Errorf("answer of %d bytes, want %d; it begins %.300s", len(got.body), len(test.answer), got.body)
			}
			if sent := w.directive.got()[0].body; sent != test.message {
				t.Errorf("%d bytes went behind, want %d; they begin %.300s", len(sent), len(test.message), sent)
			}
		})
	}
}

func TestSkillEvents(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		changes map[string]string
		handle  http.HandlerFunc
		want    string // empty: the invocation fails
		log     string
	}{
		{"taken", nil, answering(200, `{"ok":true}`), `{"ok":true}`, "passed"},
		{"taken without a body", nil, answering(204, ``), `{}`, "passed"},
		{"taken with nonsense", nil, answering(200, `OK`), `{}`, "passed"},
		{"not taken", nil, answering(503, ``), ``, "unavailable"},
		{"refused for ever", nil, answering(400, `{"error":"canary"}`), `{}`, "refused"},
		{"too large for ever", nil, answering(413, ``), `{}`, "refused"},
		{"not understood for ever", nil, answering(422, done), `{}`, "refused"},
		{"unauthorized", nil, answering(401, ``), ``, "refused"},
		{"forbidden", nil, answering(403, ``), ``, "refused"},
		{"not there", nil, answering(404, ``), ``, "refused"},
		{"throttled", nil, answering(429, ``), ``, "refused"},
		{"failed", nil, answering(500, ``), ``, "refused"},
		{"hung up", nil, hijack("", false), ``, "unreachable"},
		{"hung", nil, hang, ``, "timed_out"},
		{"nobody wants it", map[string]string{"SKILL_EVENT_URL": ""}, nil, `{}`, "acknowledged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			if test.handle != nil {
				w.skillEvent.then(test.handle)
			}
			l := serve(t, w.env(test.changes))
			got := l.invoke(t, disabled, time.Second)
			if got.failed != (test.want == "") || !got.failed && string(got.body) != test.want {
				t.Errorf("failed: %v, answer %s, want %s", got.failed, got.body, test.want)
			}
			if got.failed && string(got.body) != "the skill event was not taken" {
				t.Errorf("failed with %s", got.body)
			}
			line := l.logged(t, 1)
			severe := line["severity"] == "ERROR"
			if line["outcome"] != test.log || line["kind"] != "AlexaSkillEvent.SkillDisabled" || severe != (test.log == "refused") {
				t.Errorf("logged %v, want %s", line, test.log)
			}
			wantSuccess(t, l, turnOn) // the process goes on
		})
	}
}

// TestCustomSkill: a maker's handler may be that of a custom skill as well,
// whose answers have another form.
func TestCustomSkill(t *testing.T) {
	t.Parallel()
	const answer = `{"version":"1.0","response":{}}`
	w := newPlace(t)
	l := serve(t, w.env(nil))
	for _, form := range []string{answer, "\uFEFF" + answer} {
		w.directive.then(answering(200, form))
		if got := l.invoke(t, `{"version":"1.0","request":{"type":"LaunchRequest"}}`, time.Minute); string(got.body) != form {
			t.Errorf("answer %s", got.body)
		}
	}
	w.directive.then(answering(200, answer))
	wantError(t, l.invoke(t, turnOn, time.Minute), turnOn, internal)
}

// TestLogLine holds whole lines against what they should be.
func TestLogLine(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	l := start(t, w.env(nil))
	w.directive.then(answering(500, "canary"))
	for _, message := range []string{turnOn, accept, strings.ReplaceAll(turnOn, `"m-1"`, `"fake token canary"`)} {
		l.invoke(t, message, time.Minute)
	}
	w.skillEvent.then(answering(503, "canary"))
	const notTaken = `{"errorMessage":"the skill event was not taken","errorType":"errorString"}`
	if got := l.invoke(t, disabled, time.Minute); string(got.body) != notTaken {
		t.Errorf("a skill event that was not taken failed with %s, want %s", got.body, notTaken)
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
			t.Errorf("no time or duration in %v", got)
		}
		delete(got, "time")
		delete(got, "duration_ms")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("line %d (-want +got):\n%s", i+1, diff)
		}
	}
}
