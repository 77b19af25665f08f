package simulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestCodedFaults: each code is answered as Amazon does.
func TestCodedFaults(t *testing.T) {
	t.Parallel()
	eu := simulator.Gateway(alexa.EU)
	for _, test := range []struct {
		target      simulator.Target
		code        string
		status      int
		description string
	}{
		{eu, simulator.InvalidRequest, 400, malformedText},
		{eu, simulator.InvalidAccessToken, 401, badTokenText},
		{eu, simulator.SkillDisabled, 403, disabledText},
		{eu, simulator.SkillNeverEnabled, 403, "The user has never enabled the skill."},
		{eu, simulator.InsufficientPermission, 403, "The token lacks a required permission."},
		{eu, simulator.AccountNotFound, 404, "The account was not found."},
		{eu, simulator.SkillNotFound, 404, "The skill was not found."},
		{eu, simulator.TooLarge, 413, "The request is too large."},
		{eu, simulator.Throttling, 429, "Request could not be processed due to throttling."},
		{eu, simulator.InternalService, 500, "An internal error occurred."},
		{eu, simulator.ServiceUnavailable, 503, "The service is unavailable."},
		{simulator.Exchange, simulator.LWAInvalidGrant, 400, codeRefused},
		{simulator.Refresh, simulator.LWAInvalidGrant, 400, refreshRefused},
		{simulator.Refresh, simulator.LWAInvalidClient, 401, "Client authentication failed"},
		{simulator.Refresh, simulator.LWAUnauthorizedClient, 400,
			"The client is not authorized to request an access token using this method"},
		{simulator.Refresh, simulator.LWAUnsupportedGrantType, 400,
			"The authorization grant type is not supported by the authorization server"},
		{simulator.Refresh, simulator.LWAInvalidRequest, 400, "The request is missing a required parameter or otherwise malformed"},
		{simulator.TokenInfo, simulator.LWAInvalidToken, 400, "The request has an invalid parameter : access_token"},
	} {
		t.Run(string(test.target)+" "+test.code, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.EU, "amzn-1")
			r.Script(test.target, simulator.Fault{Code: test.code})
			got := r.visit(test.target, p)
			if test.target == eu {
				wantRefused(t, got, test.status, test.code, test.description)
			} else if body := got.json(t); got.status != test.status || body["error"] != test.code || body["error_description"] != test.description {
				t.Errorf("answer = %d %s, want %d %s %s", got.status, got.body, test.status, test.code, test.description)
			}
			if again := r.visit(test.target, p); again.status > 202 {
				t.Errorf("answer after the fault = %d %s", again.status, again.body)
			}
		})
	}
}

// visit sends a valid request to a target.
func (r *rig) visit(target simulator.Target, p pair) reply {
	r.t.Helper()
	switch target {
	case simulator.Exchange:
		return r.exchange(r.Code(alexa.EU, "amzn-1").Reveal())
	case simulator.Refresh:
		return r.refresh(p.Refresh)
	case simulator.TokenInfo:
		return send(r.request("GET", r.LWATokenInfoURL+"?access_token="+url.QueryEscape(p.Access), "", ""))
	}
	return r.report(alexa.Region(strings.TrimPrefix(string(target), "gateway/")), p.Access)
}

// TestFaultAnswers checks answers that replace Amazon's, scripted by control
// requests as from another process.
func TestFaultAnswers(t *testing.T) {
	t.Parallel()
	const html, json = "text/html", "application/json"
	for _, test := range []struct {
		name, fault            string
		status                 int
		body, kind, retryAfter string // part of the body
	}{
		{"status alone", `"status":503`, 503, "", "", ""},
		{"another success", `"status":200`, 200, "", "", ""},
		{"empty object", `"status":500,"body":"{}"`, 500, "{}", json, ""},
		{"HTML", `"status":502,"body":"<html>Bad Gateway</html>"`, 502, "<html>Bad Gateway</html>", html, ""},
		{"HTML with success", `"body":"<html>Sign in</html>"`, 200, "<html>Sign in</html>", html, ""},
		{"a type that lies", `"status":200,"body":"<html>","contentType":"application/json"`, 200, "<html>", json, ""},
		{"code with another status", `"status":400,"code":"invalid_client"`, 400, `"invalid_client"`, json, ""},
		{"code unknown to the simulator", `"status":418,"code":"TEAPOT"`, 418, `"TEAPOT"`, json, ""},
		{"description", `"code":"invalid_client","description":"mine"`, 401, `"mine"`, json, ""},
		{"retry after", `"code":"THROTTLING_EXCEPTION","retryAfter":"2s"`, 429, "", json, "2"},
		{"retry after, rounded up", `"status":429,"retryAfter":"1200ms"`, 429, "", "", "2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.EU, "amzn-1")
			for _, target := range []simulator.Target{simulator.Gateway(alexa.EU), simulator.Refresh} {
				r.fault(target, test.fault)
				got := r.visit(target, p)
				kind, retryAfter := got.header.Get("Content-Type"), got.header.Get("Retry-After")
				if got.status != test.status || kind != test.kind || retryAfter != test.retryAfter {
					t.Errorf("%s: status = %d, Content-Type = %q, Retry-After = %q, want %d, %q, %q",
						target, got.status, kind, retryAfter, test.status, test.kind, test.retryAfter)
				}
				coded := strings.Contains(test.fault, `"code"`)
				if !strings.Contains(got.body, test.body) || !coded && got.body != test.body {
					t.Errorf("%s: body = %q, want %q in it", target, got.body, test.body)
				}
			}
			if counts := r.Counts(); counts.Scripted != 2 || counts.Accepted+counts.Refreshes != 0 {
				t.Errorf("counts = %+v, want no work done by a fault that answers", counts)
			}
			if got := r.visit(simulator.Refresh, p); got.status != 200 {
				t.Errorf("status of the same refresh token afterwards = %d, want 200", got.status)
			}
		})
	}
}

// TestFaultDelivery checks a client's result for a refresh and for an event, and
// whether the work was done.
func TestFaultDelivery(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, fault string
		wantErr     error // when reading the answer
		wantBody    string
		wantDone    bool
		status      int // in the journal; 0 for no answer
	}{
		{"reset", `"reset":true`, io.EOF, "", false, 0},
		{"answer lost", `"answerLost":true`, io.EOF, "", true, 0},
		{"cut", `"cutBody":true`, io.ErrUnexpectedEOF, "", true, 200},
		{"cut error", `"cutBody":true,"status":500,"body":"{\"error\":1}"`, io.ErrUnexpectedEOF, `{"err`, false, 500},
		{"cut nothing", `"cutBody":true,"status":503`, io.ErrUnexpectedEOF, "", false, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.EU, "amzn-1")
			for _, target := range []simulator.Target{simulator.Gateway(alexa.EU), simulator.Refresh} {
				r.fault(target, test.fault)
				got, seen := r.visit(target, p), r.Requests()
				if !errors.Is(got.err, test.wantErr) || test.wantBody != "" && got.body != test.wantBody {
					t.Errorf("%s: body = %q, error = %v, want %q, %v", target, got.body, got.err, test.wantBody, test.wantErr)
				}
				status := test.status
				if status == 200 && target != simulator.Refresh {
					status = 202
				}
				if last := seen[len(seen)-1]; last.Status != status || last.Accepted != test.wantDone || !last.Scripted {
					t.Errorf("%s: journal = %+v, want status %d, accepted %v", target, last, status, test.wantDone)
				}
			}
			want := map[bool]int{true: 400, false: 200}[test.wantDone] // 400: its token was replaced
			if again := r.refresh(p.Refresh); again.status != want {
				t.Errorf("status of the same refresh token afterwards = %d, want %d", again.status, want)
			}
		})
	}
}

// fault scripts a fault as curl would.
func (r *rig) fault(target simulator.Target, fields string) {
	r.t.Helper()
	if got := r.control("POST", "/faults", `{"target":"`+string(target)+`",`+fields+`}`); got.status != 204 {
		r.t.Fatalf("control: status = %d %s", got.status, got.body)
	}
}

// TestTokenAnswerVariants omits fields from token answers, and uses the others.
func TestTokenAnswerVariants(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	r.fault(simulator.Exchange, `"omitExpiresIn":true`)
	first := r.exchange(r.Code(alexa.EU, "amzn-1").Reveal())
	p := r.pair(first)
	r.fault(simulator.Refresh, `"omitRefreshToken":true`)
	second := r.refresh(p.Refresh)
	if strings.Contains(first.body, "expires_in") || strings.Contains(second.body, "refresh_token") {
		t.Errorf("answers = %s %s, want no expires_in or refresh_token", first.body, second.body)
	}
	if got := r.report(alexa.EU, r.pair(second).Access); got.status != 202 {
		t.Errorf("status with its access token = %d, want 202", got.status)
	}
	if third := r.pair(r.refresh(p.Refresh)); third.Refresh == p.Refresh || third.Refresh == "" {
		t.Error("without a new refresh token the old one must stay valid, and the next refresh must replace it")
	}
}

// TestFaultChoice checks which request gets which fault.
func TestFaultChoice(t *testing.T) {
	t.Parallel()
	eu := simulator.Gateway(alexa.EU)
	for _, test := range []struct {
		name   string
		script func(r *rig)
		want   []int // statuses: EU by amzn-1, EU by amzn-2, EU by amzn-1, NA by amzn-1
	}{
		{"none", func(*rig) {}, []int{202, 202, 202, 202}},
		{"in order", func(r *rig) { r.Script(eu, simulator.Fault{Status: 500}, simulator.Fault{Status: 503}) }, []int{500, 503, 202, 202}},
		{"added later", func(r *rig) { r.fault(eu, `"status":500`); r.fault(eu, `"status":503`) }, []int{500, 503, 202, 202}},
		{"times", func(r *rig) { r.fault(eu, `"status":500,"times":2`); r.fault(eu, `"status":503`) }, []int{500, 500, 503, 202}},
		{"user", func(r *rig) { r.fault(eu, `"status":500,"user":"amzn-2"`) }, []int{202, 500, 202, 202}},
		{"user, others pass it", func(r *rig) {
			r.fault(eu, `"status":500,"user":"amzn-2"`)
			r.fault(eu, `"status":503`)
		}, []int{503, 500, 202, 202}},
		{"endpoint", func(r *rig) { r.fault(eu, `"status":500,"endpointId":"fan-1"`) }, []int{500, 202, 202, 202}},
		{"another endpoint", func(r *rig) { r.fault(eu, `"status":500,"endpointId":"fan-2"`) }, []int{202, 202, 202, 202}},
		{"func", func(r *rig) {
			r.Script(eu, simulator.Fault{Status: 500, Match: func(r simulator.Request) bool {
				return r.User == "amzn-2" && r.Name == "ChangeReport" && r.Status == 0
			}})
		}, []int{202, 500, 202, 202}},
		{"other region", func(r *rig) { r.fault(simulator.Gateway(alexa.NA), `"status":500`) }, []int{202, 202, 202, 500}},
		{"always", func(r *rig) { r.fault(eu, `"status":500,"always":true`) }, []int{500, 500, 500, 202}},
		{"always, newest", func(r *rig) {
			r.fault(eu, `"status":503,"always":true`)
			r.fault(eu, `"status":500,"always":true,"user":"amzn-2"`)
		}, []int{503, 500, 503, 202}},
		{"queued before always", func(r *rig) {
			r.fault(eu, `"status":500,"always":true`)
			r.fault(eu, `"status":503`)
		}, []int{503, 500, 500, 202}},
		{"cleared", func(r *rig) {
			r.fault(eu, `"status":500,"always":true`)
			r.fault(eu, `"status":503`)
			r.control("DELETE", "/faults", "")
		}, []int{202, 202, 202, 202}},
		{"removed by name", func(r *rig) {
			r.fault(eu, `"status":500,"always":true,"name":"a"`)
			r.fault(eu, `"status":503,"always":true,"name":"b"`)
			r.control("DELETE", "/faults?name=b", "")
		}, []int{500, 500, 500, 202}},
		{"share", func(r *rig) { r.fault(eu, `"status":500,"always":true,"share":50`) }, []int{202, 500, 202, 202}},
		{"ended", func(r *rig) { r.fault(eu, `"status":500,"always":true,"until":"2026-01-02T03:04:05Z"`) }, []int{202, 202, 202, 202}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			one, two, na := r.link(alexa.EU, "amzn-1"), r.link(alexa.EU, "amzn-2"), r.link(alexa.NA, "amzn-1")
			test.script(r)
			got := []int{
				r.report(alexa.EU, one.Access).status, r.report(alexa.EU, two.Access).status,
				r.report(alexa.EU, one.Access).status, r.report(alexa.NA, na.Access).status,
			}
			expect.Equal(t, "statuses", test.want, got)
		})
	}
}

// TestSenselessFaultsPanic: faults that the control interface refuses panic in Go.
func TestSenselessFaultsPanic(t *testing.T) {
	t.Parallel()
	sim, senseless := simulator.New(simulator.Options{}), simulator.Fault{Status: 99}
	for name, add := range map[string]func(){
		"Script": func() { sim.Script(simulator.Refresh, senseless) },
		"Always": func() { sim.Always(simulator.Refresh, senseless) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic, want one", name)
				}
			}()
			add()
		}()
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, fault string
		patience    time.Duration // of the client
		wantElapsed time.Duration
		wantAborted bool
		wantDone    bool
	}{
		{"then the work", `"delay":"2s"`, time.Hour, 2 * time.Second, false, true},
		{"then an error", `"delay":"2s","code":"THROTTLING_EXCEPTION"`, time.Hour, 2 * time.Second, false, false},
		{"client gone", `"delay":"2s"`, time.Second, time.Second, true, false},
		{"then reset", `"delay":"2s","reset":true`, time.Hour, 2 * time.Second, true, false},
		{"answer lost", `"delay":"2s","answerLost":true`, time.Hour, 2 * time.Second, true, true},
		{"answer lost, client gone", `"delay":"2s","answerLost":true`, time.Second, time.Second, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sim := simulator.New(simulator.Options{})
				token := directPair(t, sim).Access
				fault := strings.NewReader(`{"target":"gateway/EU",` + test.fault + `}`)
				sim.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/simulator/faults", fault))
				ctx, cancel := context.WithTimeout(t.Context(), test.patience)
				defer cancel()
				start := time.Now()
				aborted := direct(ctx, sim.GatewayHandler(alexa.EU), changeReport, token)
				if elapsed := time.Since(start); elapsed != test.wantElapsed || aborted != test.wantAborted {
					t.Errorf("took, aborted = %v, %v, want %v, %v", elapsed, aborted, test.wantElapsed, test.wantAborted)
				}
				if seen := sim.Events(alexa.EU); len(seen) != 1 || seen[0].Accepted != test.wantDone {
					t.Errorf("journal = %+v, want one with accepted %v", seen, test.wantDone)
				}
			})
		})
	}
}

// control sends a control request, as curl would.
func (r *rig) control(method, path, body string) reply {
	r.t.Helper()
	return send(r.request(method, r.ControlURL+path, formType, body))
}

// TestControl steers a customer's life from another process.
func TestControl(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	const account = `{"region":"EU","user":"amzn-1"}`
	code, _ := r.control("POST", "/codes", account).json(t)["code"].(string)
	p := r.pair(r.exchange(code))
	for _, step := range []struct {
		method, path, body string
		event, refresh     int // statuses of the next event and refresh
	}{
		{"POST", "/expire", account, 401, 200},
		{"GET", "/counts", "", 202, 200}, // with the new token
		{"POST", "/disable", account, 403, 400},
	} {
		got := r.control(step.method, step.path, step.body)
		if got.status != 200 && got.status != 204 || (got.status == 204) != (got.body == "") {
			t.Fatalf("%s: control: status = %d %q", step.path, got.status, got.body)
		}
		event, refresh := r.report(alexa.EU, p.Access), r.refresh(p.Refresh)
		if event.status != step.event || refresh.status != step.refresh {
			t.Fatalf("%s: statuses of event, refresh = %d, %d, want %d, %d", step.path, event.status, refresh.status, step.event, step.refresh)
		}
		if refresh.status == 200 {
			p = r.pair(refresh)
		}
	}
}

func TestControlRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	tests := []struct {
		name               string
		method, path, body string
		field              string
		problem            string // part of it
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
		{"negative retryAfter", "POST", "/faults", `{"target":"gateway/EU","status":429,"retryAfter":"-1s"}`, "retryAfter", "negative"},
		{"code without status", "POST", "/faults", `{"target":"gateway/EU","code":"TEAPOT"}`, "code", "needs a status"},
		{"token variant", "POST", "/faults", `{"target":"gateway/EU","omitExpiresIn":true}`, "omitRefreshToken, omitExpiresIn", "only for"},
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
				t.Errorf("answer = %d %s, want 400 with %q: %s", got.status, got.body, test.field, test.problem)
			}
		})
	}
	if got := r.control("GET", "/codes", ``); got.status != 405 {
		t.Errorf("status of GET /codes = %d, want 405", got.status)
	}
	if got := r.control("POST", "/nothing", ``); got.status != 404 {
		t.Errorf("status of POST /nothing = %d, want 404", got.status)
	}
}

func TestControlViews(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{KeepRequests: 2})
	fault := map[string]any{
		"target": "lwa/refresh", "always": true, "user": "amzn-1", "name": "a", "share": 50.0, "until": "2030-01-02T03:04:05Z",
		"status": 429.0, "retryAfter": "1s", "delay": "2s",
	}
	encoded, _ := json.Marshal(fault)
	r.control("POST", "/faults", string(encoded))
	if diff := cmp.Diff(map[string]any{"faults": []any{fault}}, r.control("GET", "/faults", "").json(t)); diff != "" {
		t.Errorf("faults differ (-want +got):\n%s", diff)
	}
	p := r.link(alexa.EU, "amzn-1")
	r.report(alexa.EU, p.Access)
	send(r.event(alexa.EU, p.Access, "no JSON"))

	view := r.control("GET", "/requests?since=2", "").json(t)
	want := map[string]any{
		"dropped": 1.0,
		"requests": []any{map[string]any{
			"seq": 3.0, "time": "2026-01-02T03:04:05Z", "target": "gateway/EU", "region": "EU", "user": "amzn-1",
			"status": 400.0, "code": "INVALID_REQUEST_EXCEPTION", "reason": "the body is not a JSON object", "accepted": false, "body": "no JSON",
		}},
	}
	for _, seen := range view["requests"].([]any) {
		if answer, _ := seen.(map[string]any)["answer"].(string); !strings.Contains(answer, "INVALID_REQUEST_EXCEPTION") {
			t.Errorf("answer = %s", answer)
		}
		delete(seen.(map[string]any), "answer") // has a random id
	}
	expect.Equal(t, "requests since 2", want, view)
	all, _ := r.control("GET", "/requests", "").json(t)["requests"].([]any)
	first, _ := all[0].(map[string]any)
	if diff := cmp.Diff(reply{body: withToken(changeReport, "[redacted]")}.json(t), first["body"]); len(all) != 2 || diff != "" {
		t.Errorf("requests = %d, body of the first differs (-want +got):\n%s", len(all), diff)
	}
	if none, ok := r.control("GET", "/requests?since=3", "").json(t)["requests"].([]any); !ok || len(none) != 0 {
		t.Error("the empty list of requests is null")
	}
	counts := map[string]any{
		"exchanges": 1.0, "refreshes": 0.0, "rotatedAway": 0.0, "lwaRefused": 0.0,
		"accepted": 1.0, "refused": 1.0, "scripted": 0.0, "dropped": 1.0,
	}
	expect.Equal(t, "counts", counts, r.control("GET", "/counts", "").json(t))
	state := r.control("GET", "/state?region=EU&user=amzn-1", "").json(t)
	if properties, _ := state["fan-1"].([]any); len(properties) != 2 {
		t.Errorf("state = %v, want two properties of fan-1", state)
	}
}

var documented = regexp.MustCompile(`(?m)^curl(?: -X (\w+))?(?: -d '(.*)')? '?http://127\.0\.0\.1:8090/simulator(/.*?)'?$`)

// TestReadme sends every control request of the README, in order.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, simulator.Options{})
	found := documented.FindAllStringSubmatch(string(readme), -1)
	if lines := strings.Count(string(readme), "\ncurl "); len(found) != lines || lines == 0 {
		t.Fatalf("parsed curl lines = %d of %d", len(found), lines)
	}
	for _, match := range found {
		method, data, path := match[1], match[2], match[3]
		switch {
		case method == "" && data != "":
			method = "POST"
		case method == "":
			method = "GET"
		}
		if got := r.control(method, path, data); got.status != 200 && got.status != 204 {
			t.Errorf("%s\nanswer = %d %s", match[0], got.status, got.body)
		}
	}
}
