package simulator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// control sends a control request, as curl would.
func (r *rig) control(method, path, body string) reply {
	r.t.Helper()
	return send(r.request(method, r.ControlURL+path, formType, body))
}

// TestControl walks through a life that is steered from another process.
func TestControl(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	made := r.control("POST", "/codes", `{"region":"EU","user":"amzn-1"}`)
	code, _ := made.json(t)["code"].(string)
	p := r.pair(r.exchange(code))
	steps := []struct {
		name               string
		method, path, body string
		wantEvent          int // status of the next event
		wantRefresh        int // status of the next refresh
	}{
		{"fault", "POST", "/faults", `{"target":"gateway/EU","status":503,"code":"SERVICE_UNAVAILABLE_EXCEPTION","retryAfter":"1s"}`, 503, 200},
		{"used up", "GET", "/counts", ``, 202, 200},
		{"times", "POST", "/faults", `{"target":"gateway/EU","code":"THROTTLING_EXCEPTION","times":2}`, 429, 200},
		{"second time", "GET", "/counts", ``, 429, 200},
		{"used up again", "GET", "/counts", ``, 202, 200},
		{"always", "POST", "/faults", `{"target":"lwa/refresh","always":true,"status":500,"body":"{}"}`, 202, 500},
		{"still", "GET", "/counts", ``, 202, 500},
		{"cleared", "DELETE", "/faults", ``, 202, 200},
		{"for another user", "POST", "/faults", `{"target":"gateway/EU","user":"amzn-2","status":500}`, 202, 200},
		{"for another endpoint", "POST", "/faults", `{"target":"gateway/EU","endpointId":"fan-2","status":500}`, 202, 200},
		{"expired", "POST", "/expire", `{"region":"EU","user":"amzn-1"}`, 401, 200},
		{"refreshed", "GET", "/counts", ``, 202, 200},
		{"disabled", "POST", "/disable", `{"region":"EU","user":"amzn-1"}`, 403, 400},
	}
	for _, step := range steps {
		if got := r.control(step.method, step.path, step.body); got.status != 200 && got.status != 204 || (got.status == 204) != (got.body == "") {
			t.Fatalf("%s: control answered %d %q", step.name, got.status, got.body)
		}
		event := r.report(alexa.EU, p.Access)
		refresh := r.refresh(p.Refresh)
		if refresh.status == 200 {
			p = r.pair(refresh)
		}
		if event.status != step.wantEvent || refresh.status != step.wantRefresh {
			t.Fatalf("%s: event answered %d, refresh %d, want %d, %d", step.name, event.status, refresh.status, step.wantEvent, step.wantRefresh)
		}
	}
}

// TestControlFaultFields checks that each field arrives, by what it does.
func TestControlFaultFields(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault string
		check func(got reply) bool
	}{
		{"description", `"code":"invalid_client","description":"mine"`, func(got reply) bool { return strings.Contains(got.body, `"mine"`) }},
		{"body", `"status":502,"body":"<p>"`, func(got reply) bool { return got.status == 502 && got.body == "<p>" }},
		{"contentType", `"status":502,"body":"<p>","contentType":"text/plain"`, func(got reply) bool { return got.header.Get("Content-Type") == "text/plain" }},
		{"retryAfter", `"status":429,"retryAfter":"90s"`, func(got reply) bool { return got.header.Get("Retry-After") == "90" }},
		{"delay", `"delay":"10ms"`, func(got reply) bool { return got.status == 200 }},
		{"reset", `"reset":true`, func(got reply) bool { return got.err != nil && got.status == 0 }},
		{"answerLost", `"answerLost":true`, func(got reply) bool { return got.err != nil && got.status == 0 }},
		{"cutBody", `"cutBody":true`, func(got reply) bool { return got.err != nil && got.status == 200 }},
		{"omitRefreshToken", `"omitRefreshToken":true`, func(got reply) bool { return got.status == 200 && !strings.Contains(got.body, "refresh_token") }},
		{"omitExpiresIn", `"omitExpiresIn":true`, func(got reply) bool { return got.status == 200 && !strings.Contains(got.body, "expires_in") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.EU, "amzn-1")
			if got := r.control("POST", "/faults", `{"target":"lwa/refresh",`+test.fault+`}`); got.status != 204 {
				t.Fatalf("control answered %d %s", got.status, got.body)
			}
			start := time.Now()
			if got := r.refresh(p.Refresh); !test.check(got) {
				t.Errorf("answered %d %q, error %v", got.status, got.body, got.err)
			}
			if test.name == "delay" && time.Since(start) < 10*time.Millisecond {
				t.Error("no delay")
			}
		})
	}
}

func TestControlRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	tests := []struct {
		name               string
		method, path, body string
		field              string
		problem            string // a part of it
	}{
		{"no JSON", "POST", "/codes", `region=EU`, "body", "invalid character"},
		{"nothing", "POST", "/codes", ``, "body", "EOF"},
		{"two values", "POST", "/codes", `{"region":"EU","user":"a"}{}`, "body", "more than one"},
		{"misspelt field", "POST", "/codes", `{"region":"EU","usr":"a"}`, "body", `"usr"`},
		{"wrong type", "POST", "/codes", `{"region":"EU","user":1}`, "user", "string"},
		{"no region", "POST", "/codes", `{"user":"a"}`, "region", "NA, EU or FE"},
		{"unknown region", "POST", "/codes", `{"region":"eu","user":"a"}`, "region", "NA, EU or FE"},
		{"no user", "POST", "/codes", `{"region":"EU"}`, "user", "missing"},
		{"disable a stranger", "POST", "/disable", `{"region":"EU","user":"amzn-9"}`, "user", "never enabled"},
		{"expire a stranger", "POST", "/expire", `{"region":"EU","user":"amzn-9"}`, "user", "never enabled"},
		{"no target", "POST", "/faults", `{"status":500}`, "target", "none of lwa/exchange"},
		{"unknown target", "POST", "/faults", `{"target":"gateway/eu","status":500}`, "target", "none of lwa/exchange"},
		{"status", "POST", "/faults", `{"target":"gateway/EU","status":1000}`, "status", "200 to 599"},
		{"status is a string", "POST", "/faults", `{"target":"gateway/EU","status":"500"}`, "status", "int"},
		{"unknown code", "POST", "/faults", `{"target":"gateway/EU","code":"THROTTLED"}`, "code", "needs a status"},
		{"times", "POST", "/faults", `{"target":"gateway/EU","status":500,"times":-1}`, "times", "1 or more"},
		{"delay", "POST", "/faults", `{"target":"gateway/EU","delay":"2"}`, "delay", `"1.5s"`},
		{"negative delay", "POST", "/faults", `{"target":"gateway/EU","delay":"-2s"}`, "delay", "negative"},
		{"retryAfter", "POST", "/faults", `{"target":"gateway/EU","status":429,"retryAfter":"soon"}`, "retryAfter", `"1.5s"`},
		{"lost answer of an error", "POST", "/faults", `{"target":"gateway/EU","status":500,"answerLost":true}`, "answerLost", "real work"},
		{"endpoint at LWA", "POST", "/faults", `{"target":"lwa/refresh","status":500,"endpointId":"fan-1"}`, "endpointId", "only events"},
		{"since", "GET", "/requests?since=x", ``, "since", "seq"},
		{"negative since", "GET", "/requests?since=-1", ``, "since", "seq"},
		{"state of no region", "GET", "/state?user=a", ``, "region", "NA, EU or FE"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := r.control(test.method, test.path, test.body)
			body := got.json(t)
			problem, _ := body["error"].(string)
			if got.status != 400 || body["field"] != test.field || !strings.Contains(problem, test.problem) {
				t.Errorf("answered %d %s, want 400 about %q: %s", got.status, got.body, test.field, test.problem)
			}
		})
	}
	if got := r.control("GET", "/codes", ``); got.status != 405 {
		t.Errorf("GET /codes answered %d, want 405", got.status)
	}
	if got := r.control("POST", "/nothing", ``); got.status != 404 {
		t.Errorf("POST /nothing answered %d, want 404", got.status)
	}
}

func TestControlViews(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{KeepRequests: 2})
	p := r.link(alexa.EU, "amzn-1")
	r.report(alexa.EU, p.Access)
	send(r.event(alexa.EU, p.Access, "no JSON"))

	view := r.control("GET", "/requests?since=2", "").json(t)
	want := map[string]any{
		"dropped": 1.0,
		"requests": []any{map[string]any{
			"seq": 3.0, "time": "2026-01-02T03:04:05Z", "target": "gateway/EU", "region": "EU", "user": "amzn-1",
			"status": 400.0, "code": "INVALID_REQUEST_EXCEPTION", "reason": "the body is no JSON object", "accepted": false, "body": "no JSON",
		}},
	}
	if diff := cmp.Diff(want, view); diff != "" {
		t.Errorf("requests since 2 (-want +got):\n%s", diff)
	}
	all, _ := r.control("GET", "/requests", "").json(t)["requests"].([]any)
	first, _ := all[0].(map[string]any)
	if diff := cmp.Diff(reply{body: withToken(changeReport, "[redacted]")}.json(t), first["body"]); len(all) != 2 || diff != "" {
		t.Errorf("%d requests, body of the first (-want +got):\n%s", len(all), diff)
	}
	if none, ok := r.control("GET", "/requests?since=3", "").json(t)["requests"].([]any); !ok || len(none) != 0 {
		t.Error("no requests must be an empty list, not null")
	}
	counts := map[string]any{
		"exchanges": 1.0, "refreshes": 0.0, "rotatedAway": 0.0, "lwaRefused": 0.0,
		"accepted": 1.0, "refused": 1.0, "scripted": 0.0, "dropped": 1.0,
	}
	if diff := cmp.Diff(counts, r.control("GET", "/counts", "").json(t)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	state := r.control("GET", "/state?region=EU&user=amzn-1", "").json(t)
	if properties, _ := state["fan-1"].([]any); len(properties) != 2 {
		t.Errorf("state %v, want two properties of fan-1", state)
	}
}
