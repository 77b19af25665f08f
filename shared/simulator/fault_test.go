package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// TestCodedFaults checks that each code is answered as Amazon would.
func TestCodedFaults(t *testing.T) {
	t.Parallel()
	gateway := simulator.Gateway(alexa.EU)
	tests := []struct {
		target      simulator.Target
		code        string
		status      int
		description string
	}{
		{gateway, simulator.InvalidRequest, 400, malformedText},
		{gateway, simulator.InvalidAccessToken, 401, badTokenText},
		{gateway, simulator.SkillDisabled, 403, disabledText},
		{gateway, simulator.SkillNeverEnabled, 403, "The user has never enabled the skill."},
		{gateway, simulator.InsufficientPermission, 403, "The token lacks a required permission."},
		{gateway, simulator.AccountNotFound, 404, "The account was not found."},
		{gateway, simulator.SkillNotFound, 404, "The skill was not found."},
		{gateway, simulator.TooLarge, 413, "The request is too large."},
		{gateway, simulator.Throttling, 429, "Request could not be processed due to throttling."},
		{gateway, simulator.InternalService, 500, "An internal error occurred."},
		{gateway, simulator.ServiceUnavailable, 503, "The service is unavailable."},
		{simulator.Exchange, simulator.LWAInvalidGrant, 400, codeRefused},
		{simulator.Refresh, simulator.LWAInvalidGrant, 400, refreshRefused},
		{simulator.Refresh, simulator.LWAInvalidClient, 401, "Client authentication failed"},
		{simulator.Refresh, simulator.LWAUnauthorizedClient, 400, "The client is not authorized to request an access token using this method"},
		{simulator.Refresh, simulator.LWAUnsupportedGrantType, 400, "The authorization grant type is not supported by the authorization server"},
		{simulator.Refresh, simulator.LWAInvalidRequest, 400, "The request is missing a required parameter or otherwise malformed"},
		{simulator.TokenInfo, simulator.LWAInvalidToken, 400, "The request has an invalid parameter : access_token"},
	}
	for _, test := range tests {
		t.Run(string(test.target)+" "+test.code, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.EU, "amzn-1")
			r.Script(test.target, simulator.Fault{Code: test.code})
			got := r.visit(test.target, p)
			if test.target == gateway {
				wantRefused(t, got, test.status, test.code, test.description)
			} else if body := got.json(t); got.status != test.status || body["error"] != test.code || body["error_description"] != test.description {
				t.Errorf("answered %d %s, want %d %s %s", got.status, got.body, test.status, test.code, test.description)
			}
			if again := r.visit(test.target, p); again.status > 202 {
				t.Errorf("the request after the fault answered %d %s", again.status, again.body)
			}
		})
	}
}

// visit sends a good request to a target.
func (r *rig) visit(target simulator.Target, p pair) reply {
	r.t.Helper()
	switch target {
	case simulator.Exchange:
		return r.exchange(r.Code(alexa.EU, "amzn-1").Reveal())
	case simulator.Refresh:
		return r.refresh(p.Refresh)
	case simulator.TokenInfo:
		return send(r.request("GET", r.LWATokenInfoURL+"?access_token="+strings.ReplaceAll(p.Access, "+", "%2B"), "", ""))
	}
	return r.report(alexa.Region(strings.TrimPrefix(string(target), "gateway/")), p.Access)
}

// TestFaultAnswers checks what replaces an answer.
func TestFaultAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		fault      simulator.Fault
		status     int
		body       string // unless it is in Amazon's shape
		kind       string
		retryAfter string
	}{
		{"status alone", simulator.Fault{Status: 503}, 503, "", "", ""},
		{"another success", simulator.Fault{Status: 200}, 200, "", "", ""},
		{"empty object", simulator.Fault{Status: 500, Body: "{}"}, 500, "{}", "application/json", ""},
		{"HTML", simulator.Fault{Status: 502, Body: "<html>Bad Gateway</html>"}, 502, "<html>Bad Gateway</html>", "text/html", ""},
		{"HTML with success", simulator.Fault{Body: "<html>Sign in</html>"}, 200, "<html>Sign in</html>", "text/html", ""},
		{"a type that lies", simulator.Fault{Status: 200, Body: "<html>", ContentType: "application/json"}, 200, "<html>", "application/json", ""},
		{"code with another status", simulator.Fault{Status: 400, Code: simulator.LWAInvalidClient}, 400, "", "application/json", ""},
		{"code unknown to the simulator", simulator.Fault{Status: 418, Code: "TEAPOT", Description: "short and stout"}, 418, "", "application/json", ""},
		{"retry after", simulator.Fault{Code: simulator.Throttling, RetryAfter: 2 * time.Second}, 429, "", "application/json", "2"},
		{"retry after, rounded up", simulator.Fault{Status: 429, RetryAfter: 1200 * time.Millisecond}, 429, "", "", "2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.EU, "amzn-1")
			for _, target := range []simulator.Target{simulator.Gateway(alexa.EU), simulator.Refresh} {
				r.Script(target, test.fault)
				got := r.visit(target, p)
				if got.status != test.status || got.header.Get("Content-Type") != test.kind || got.header.Get("Retry-After") != test.retryAfter {
					t.Errorf("%s: answered %d, Content-Type %q, Retry-After %q, want %d, %q, %q", target,
						got.status, got.header.Get("Content-Type"), got.header.Get("Retry-After"), test.status, test.kind, test.retryAfter)
				}
				if test.fault.Code == "" && got.body != test.body {
					t.Errorf("%s: body %q, want %q", target, got.body, test.body)
				}
				if !strings.Contains(got.body, test.fault.Code) || !strings.Contains(got.body, test.fault.Description) {
					t.Errorf("%s: body %q lacks code or description", target, got.body)
				}
			}
			if counts := r.Counts(); counts.Scripted != 2 || counts.Accepted+counts.Refreshes != 0 {
				t.Errorf("counts = %+v: a fault that answers must leave the work undone", counts)
			}
			if got := r.visit(simulator.Refresh, p); got.status != 200 {
				t.Errorf("the same refresh token answered %d afterwards, want 200", got.status)
			}
		})
	}
}

// TestFaultDelivery checks what the client gets, and whether the work was done.
func TestFaultDelivery(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		fault    simulator.Fault
		wantErr  error // of reading the answer
		wantDone bool
		status   int // on record
	}{
		{"reset", simulator.Fault{Reset: true}, io.EOF, false, 0},
		{"answer lost", simulator.Fault{AnswerLost: true}, io.EOF, true, 0},
		{"cut", simulator.Fault{CutBody: true}, io.ErrUnexpectedEOF, true, 200},
		{"cut error", simulator.Fault{CutBody: true, Status: 500, Body: `{"error":"server_error"}`}, io.ErrUnexpectedEOF, false, 500},
		{"cut nothing", simulator.Fault{CutBody: true, Status: 503}, io.ErrUnexpectedEOF, false, 503},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			p := r.link(alexa.EU, "amzn-1")
			r.Script(simulator.Refresh, test.fault)
			got := r.refresh(p.Refresh)
			if !errors.Is(got.err, test.wantErr) {
				t.Errorf("error %v, want %v", got.err, test.wantErr)
			}
			if test.fault.Body != "" && got.body != test.fault.Body[:len(test.fault.Body)/2] {
				t.Errorf("body %q, want half of %q", got.body, test.fault.Body)
			}
			seen := r.LWARequests()[1]
			if seen.Status != test.status || seen.Accepted != test.wantDone || !seen.Scripted {
				t.Errorf("record %+v, want status %d, accepted %v", seen, test.status, test.wantDone)
			}
			want := map[bool]int{true: 400, false: 200}[test.wantDone] // 400: its token has been rotated away
			if again := r.refresh(p.Refresh); again.status != want {
				t.Errorf("the same refresh token answered %d afterwards, want %d", again.status, want)
			}
		})
	}
	t.Run("an accepted event whose answer is lost", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, simulator.Options{})
		p := r.link(alexa.EU, "amzn-1")
		r.Script(simulator.Gateway(alexa.EU), simulator.Fault{AnswerLost: true}, simulator.Fault{CutBody: true})
		if got := r.report(alexa.EU, p.Access); !errors.Is(got.err, io.EOF) {
			t.Errorf("error %v, want EOF", got.err)
		}
		if got := r.report(alexa.EU, p.Access); got.status != 202 || !errors.Is(got.err, io.ErrUnexpectedEOF) {
			t.Errorf("answered %d, error %v, want 202 cut off", got.status, got.err)
		}
		if counts := r.Counts(); counts.Accepted != 2 {
			t.Errorf("counts = %+v, want 2 accepted", counts)
		}
	})
}

func TestTokenAnswerVariants(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	r.Script(simulator.Exchange, simulator.Fault{OmitExpiresIn: true})
	first := r.exchange(r.Code(alexa.EU, "amzn-1").Reveal())
	if strings.Contains(first.body, "expires_in") {
		t.Errorf("answer with expires_in: %s", first.body)
	}
	p := r.pair(first)
	r.Script(simulator.Refresh, simulator.Fault{OmitRefreshToken: true})
	second := r.refresh(p.Refresh)
	if strings.Contains(second.body, "refresh_token") {
		t.Errorf("answer with refresh_token: %s", second.body)
	}
	if got := r.report(alexa.EU, r.pair(second).Access); got.status != 202 {
		t.Errorf("its access token answered %d, want 202", got.status)
	}
	if third := r.pair(r.refresh(p.Refresh)); third.Refresh == p.Refresh || third.Refresh == "" {
		t.Error("without a new one the old refresh token must stay good, and the next refresh must rotate it")
	}
}

// TestFaultChoice checks which request takes which fault.
func TestFaultChoice(t *testing.T) {
	t.Parallel()
	eu := simulator.Gateway(alexa.EU)
	fault := func(status int) simulator.Fault { return simulator.Fault{Status: status} }
	tests := []struct {
		name   string
		script func(*simulator.Simulator)
		want   []int // statuses of: EU by amzn-1, EU by amzn-2, EU by amzn-1, NA by amzn-1
	}{
		{"none", func(*simulator.Simulator) {}, []int{202, 202, 202, 202}},
		{"in order", func(s *simulator.Simulator) { s.Script(eu, fault(500), fault(503)) }, []int{500, 503, 202, 202}},
		{"added later", func(s *simulator.Simulator) { s.Script(eu, fault(500)); s.Script(eu, fault(503)) }, []int{500, 503, 202, 202}},
		{"times", func(s *simulator.Simulator) { s.Script(eu, simulator.Fault{Status: 500, Times: 2}, fault(503)) }, []int{500, 500, 503, 202}},
		{"user", func(s *simulator.Simulator) { s.Script(eu, simulator.Fault{Status: 500, User: "amzn-2"}) }, []int{202, 500, 202, 202}},
		{"user, others pass it", func(s *simulator.Simulator) { s.Script(eu, simulator.Fault{Status: 500, User: "amzn-2"}, fault(503)) }, []int{503, 500, 202, 202}},
		{"endpoint", func(s *simulator.Simulator) { s.Script(eu, simulator.Fault{Status: 500, EndpointID: "fan-1"}) }, []int{500, 202, 202, 202}},
		{"another endpoint", func(s *simulator.Simulator) { s.Script(eu, simulator.Fault{Status: 500, EndpointID: "fan-2"}) }, []int{202, 202, 202, 202}},
		{"func", func(s *simulator.Simulator) {
			s.Script(eu, simulator.Fault{Status: 500, Match: func(r simulator.Request) bool {
				return r.User == "amzn-2" && r.Name == "ChangeReport" && r.Status == 0
			}})
		}, []int{202, 500, 202, 202}},
		{"other region", func(s *simulator.Simulator) { s.Script(simulator.Gateway(alexa.NA), fault(500)) }, []int{202, 202, 202, 500}},
		{"always", func(s *simulator.Simulator) { s.Always(eu, fault(500)) }, []int{500, 500, 500, 202}},
		{"always, newest", func(s *simulator.Simulator) {
			s.Always(eu, fault(500))
			s.Always(eu, simulator.Fault{Status: 503, User: "amzn-2"})
		}, []int{500, 503, 500, 202}},
		{"queued before always", func(s *simulator.Simulator) { s.Always(eu, fault(500)); s.Script(eu, fault(503)) }, []int{503, 500, 500, 202}},
		{"cleared", func(s *simulator.Simulator) { s.Always(eu, fault(500)); s.Script(eu, fault(503)); s.Clear() }, []int{202, 202, 202, 202}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Options{})
			one, two, na := r.link(alexa.EU, "amzn-1"), r.link(alexa.EU, "amzn-2"), r.link(alexa.NA, "amzn-1")
			test.script(r.Simulator)
			got := []int{
				r.report(alexa.EU, one.Access).status, r.report(alexa.EU, two.Access).status,
				r.report(alexa.EU, one.Access).status, r.report(alexa.NA, na.Access).status,
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultsOfLWAKnowTheUser(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	one, two := r.link(alexa.EU, "amzn-1"), r.link(alexa.EU, "amzn-2")
	for _, target := range []simulator.Target{simulator.Exchange, simulator.Refresh, simulator.TokenInfo} {
		r.Script(target, simulator.Fault{Status: 503, User: "amzn-1", Times: 9})
	}
	got := []int{
		r.refresh(one.Refresh).status, r.refresh(two.Refresh).status,
		r.visit(simulator.TokenInfo, one).status, r.visit(simulator.TokenInfo, two).status,
		r.exchange(r.Code(alexa.EU, "amzn-1").Reveal()).status, r.exchange(r.Code(alexa.EU, "amzn-2").Reveal()).status,
	}
	if diff := cmp.Diff([]int{503, 200, 503, 200, 503, 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestSenselessFaultsPanic(t *testing.T) {
	t.Parallel()
	eu := simulator.Gateway(alexa.EU)
	tests := []struct {
		name   string
		target simulator.Target
		fault  simulator.Fault
	}{
		{"target", "gateway/XX", simulator.Fault{Status: 500}},
		{"status", eu, simulator.Fault{Status: 99}},
		{"code without status", eu, simulator.Fault{Code: "TEAPOT"}},
		{"times", eu, simulator.Fault{Status: 500, Times: -1}},
		{"delay", eu, simulator.Fault{Delay: -1}},
		{"retry after", eu, simulator.Fault{Status: 500, RetryAfter: -1}},
		{"answer lost of no work", eu, simulator.Fault{Status: 500, AnswerLost: true}},
		{"endpoint at LWA", simulator.Refresh, simulator.Fault{Status: 500, EndpointID: "fan-1"}},
		{"token variant at the gateway", eu, simulator.Fault{OmitRefreshToken: true}},
	}
	for _, test := range tests {
		for name, add := range map[string]func(*simulator.Simulator){
			"Script": func(s *simulator.Simulator) { s.Script(test.target, test.fault) },
			"Always": func(s *simulator.Simulator) { s.Always(test.target, test.fault) },
		} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				t.Parallel()
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				add(simulator.New(simulator.Options{}))
			})
		}
	}
}

// direct calls the handler without a network, so that it can run in a bubble
// with a clock of its own. It reports whether the handler was aborted.
func direct(ctx context.Context, handler http.Handler, body, token string) (recorder *httptest.ResponseRecorder, aborted bool) {
	request := httptest.NewRequestWithContext(ctx, "POST", "/v3/events", strings.NewReader(withToken(body, token)))
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	recorder = httptest.NewRecorder()
	defer func() {
		if recovered := recover(); recovered != nil {
			if recovered != http.ErrAbortHandler {
				panic(recovered)
			}
			aborted = true
		}
	}()
	handler.ServeHTTP(recorder, request)
	return recorder, false
}

func TestDelay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		fault       simulator.Fault
		patience    time.Duration // of the client
		wantElapsed time.Duration
		wantAborted bool
		wantDone    bool
	}{
		{"then the work", simulator.Fault{Delay: 2 * time.Second}, time.Hour, 2 * time.Second, false, true},
		{"then an error", simulator.Fault{Delay: 2 * time.Second, Code: simulator.Throttling}, time.Hour, 2 * time.Second, false, false},
		{"client gone", simulator.Fault{Delay: 2 * time.Second}, time.Second, time.Second, true, false},
		{"then reset", simulator.Fault{Delay: 2 * time.Second, Reset: true}, time.Hour, 2 * time.Second, true, false},
		{"answer lost", simulator.Fault{Delay: 2 * time.Second, AnswerLost: true}, time.Hour, 2 * time.Second, true, true},
		{"answer lost, client gone", simulator.Fault{Delay: 2 * time.Second, AnswerLost: true}, time.Second, time.Second, true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sim := simulator.New(simulator.Options{})
				token := directPair(t, sim).Access
				sim.Script(simulator.Gateway(alexa.EU), test.fault)
				ctx, cancel := context.WithTimeout(t.Context(), test.patience)
				defer cancel()
				start := time.Now()
				_, aborted := direct(ctx, sim.GatewayHandler(alexa.EU), changeReport, token)
				if elapsed := time.Since(start); elapsed != test.wantElapsed || aborted != test.wantAborted {
					t.Errorf("took %v, aborted %v, want %v, %v", elapsed, aborted, test.wantElapsed, test.wantAborted)
				}
				if seen := sim.Events(alexa.EU); len(seen) != 1 || seen[0].Accepted != test.wantDone {
					t.Errorf("record %+v, want one with accepted %v", seen, test.wantDone)
				}
			})
		})
	}
}

// TestDelayEndsWithTheClient does the same with a connection: httptest's Close
// returns only when the handler has.
func TestDelayEndsWithTheClient(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	token := directPair(t, sim).Access
	server := httptest.NewServer(sim.GatewayHandler(alexa.EU))
	arrived := make(chan struct{})
	sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Delay: time.Hour, Match: func(simulator.Request) bool {
		close(arrived)
		return true
	}})
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/v3/events", strings.NewReader(withToken(changeReport, token)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if got := send(request); !errors.Is(got.err, context.Canceled) {
			t.Errorf("error %v, want canceled", got.err)
		}
	})
	<-arrived
	cancel()
	waiting.Wait()
	server.Close()
	if seen := sim.Events(alexa.EU); len(seen) != 1 || seen[0].Status != 0 || seen[0].Accepted {
		t.Errorf("record %+v, want one without answer", seen)
	}
}
