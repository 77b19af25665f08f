package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	deviceCloud = "BRIDGE_UNREACHABLE"
	internal    = "INTERNAL_ERROR"
	notGranted  = "ACCEPT_GRANT_FAILED"
)

// TestBackendFailures: after every failure of a backend Alexa gets a valid answer
// in time.
func TestBackendFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handle  http.HandlerFunc
		typ     string // of the error, except for AcceptGrant
		outcome string
		status  any // of the backend, as logged
	}{
		{"hangs after half a body", half, deviceCloud, "timed_out", 200.0},
		{"hangs up", hijack("", false), deviceCloud, "unreachable", nil},
		{"resets", hijack("", true), deviceCloud, "unreachable", nil},
		{"resets after half a body", hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+done[:20], true), deviceCloud, "unreachable", 200.0},
		{"ends after half a body", hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+done[:20], false), deviceCloud, "unreachable", 200.0},
		{"ends after half a gzip", hijack("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n"+
			"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xaaV", false), deviceCloud, "unreachable", 200.0},
		{"is not there", nil, deviceCloud, "unreachable", nil},
		{"is no HTTP server", hijack("canary canary\r\n\r\n", false), deviceCloud, "unreachable", nil},
		{"answers 401", answering(401, `canary`), internal, "refused", 401.0},
		{"answers 403", answering(403, `canary`), internal, "refused", 403.0},
		{"answers 404", answering(404, done), internal, "refused", 404.0},
		{"answers 429", answering(429, `canary`), internal, "refused", 429.0},
		{"answers 500", answering(500, done), internal, "refused", 500.0},
		{"answers 502", answering(502, `<html>canary`), deviceCloud, "unavailable", 502.0},
		{"answers 503", answering(503, ``), deviceCloud, "unavailable", 503.0},
		{"answers 504", answering(504, ``), deviceCloud, "unavailable", 504.0},
		{"answers 204", answering(204, ``), internal, "refused", 204.0},
		{"redirects", http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, internal, "refused", 307.0},
		{"answers HTML", answering(200, `<html>canary</html>`), internal, "unusable", 200.0},
		{"answers half a JSON", answering(200, done[:20]), internal, "unusable", 200.0},
		{"answers nothing", answering(200, ``), internal, "unusable", 200.0},
		{"answers null", answering(200, `null`), internal, "unusable", 200.0},
		{"answers no event", answering(200, `{"error":"canary"}`), internal, "unusable", 200.0},
		{"answers twice", answering(200, done+done), internal, "unusable", 200.0},
		{"answers over 6 MB", answering(200, done+strings.Repeat(" ", maxAnswer)), internal, "unusable", 200.0},
	}
	alarmed := alarmFilter(t)
	for _, test := range tests {
		for name, message := range map[string]string{"AcceptGrant": accept, "directive": turnOn, "discovery": discover} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				w, changes := newCloud(t), map[string]string{}
				if test.handle == nil {
					changes["ACCEPT_GRANT_URL"], changes["DIRECTIVE_URL"] = "http://127.0.0.1:1", "http://127.0.0.1:1"
				} else {
					w.to(message).then(test.handle)
				}
				l := serve(t, w, changes)
				deadline := 4 * time.Second // too short for a retry
				if test.outcome == "timed_out" {
					deadline = 2 * time.Second
				}
				wantError(t, l.invoke(t, message, deadline), message, test.typ)
				line := l.logged(t, 1)
				if line["outcome"] != test.outcome || line["status"] != test.status {
					t.Errorf("line = %v, want outcome %s and status %v", line, test.outcome, test.status)
				}
				if severe := alarmed(line); severe != (message == accept || test.typ == internal) {
					t.Errorf("severity = %v, want an alarm: %v", line["severity"], !severe)
				}
				if test.handle != nil {
					wantSuccess(t, l, message) // the process goes on, with a new connection
				}
			})
		}
	}
}

// alarmFilter returns whether a line matches the filter of the alarm ErrorLines.
func alarmFilter(t *testing.T) func(line map[string]any) bool {
	t.Helper()
	text, err := os.ReadFile("../../infra/modules/skill-proxy/alarms.tf")
	if err != nil {
		t.Fatal(err)
	}
	term := regexp.MustCompile(`pattern += "\{ \$\.(\w+) = \\"(\w+)\\" \}"`).FindSubmatch(text)
	if term == nil {
		t.Fatal("alarms.tf has no filter of the form that this test knows")
	}
	return func(line map[string]any) bool { return line[string(term[1])] == string(term[2]) }
}

// slow answers with a status after a delay.
func slow(after time.Duration, status int) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(after):
			answering(status, done)(rw, r)
		case <-r.Context().Done():
		}
	}
}

// TestExchanges: each answer, its time to the millisecond, and the number of
// requests to the backend. The Lambda's timeout applies if it is shorter than seven
// seconds.
func TestExchanges(t *testing.T) {
	t.Parallel()
	const (
		lambda = time.Minute // a timeout that is never reached
		inTwo  = 2*time.Second - deadlineSpare
	)
	for _, test := range []struct {
		name, message string
		behind        http.HandlerFunc
		timeout       time.Duration // of Lambda
		want          string        // the backend's answer or the type of the proxy's error; empty if the invocation fails
		took          time.Duration
		outcome       string
		requests      int
	}{
		{"directive, hangs", turnOn, hang, lambda, deviceCloud, answerTime, "timed_out", 1},
		{"directive, hangs in a short Lambda", turnOn, hang, 2 * time.Second, deviceCloud, inTwo, "timed_out", 1},
		{"directive, no time is left", turnOn, hang, 100 * time.Millisecond, deviceCloud, 0, "timed_out", 1},
		{"directive, 503", turnOn, answering(503, ``), lambda, deviceCloud, 0, "unavailable", 1},
		{"directive, 429", turnOn, answering(429, ``), lambda, internal, 0, "refused", 1},
		{"discovery, hangs in a short Lambda", discover, hang, 2 * time.Second, deviceCloud, inTwo, "timed_out", 1},

		{"AcceptGrant, hangs", accept, hang, lambda, notGranted, answerTime, "timed_out", 1},
		{"AcceptGrant, hangs in a short Lambda", accept, hang, 2 * time.Second, notGranted, inTwo, "timed_out", 1},
		{"AcceptGrant, its five seconds", accept, slow(5*time.Second, 200), lambda, done, 5 * time.Second, "passed", 1},
		{"AcceptGrant, fails and has time", accept, slow(1600*time.Millisecond, 503), lambda, done, 1900 * time.Millisecond, "passed", 2},
		{"AcceptGrant, fails late", accept, slow(2100*time.Millisecond, 503), lambda, notGranted, 2100 * time.Millisecond, "unavailable", 1},
		{"AcceptGrant, fails in a short Lambda", accept, answering(503, ``), 4 * time.Second, notGranted, 0, "unavailable", 1},
		{"AcceptGrant, 400", accept, answering(400, ``), lambda, notGranted, 0, "refused", 1},
		{"AcceptGrant, 403", accept, answering(403, ``), lambda, notGranted, 0, "refused", 1},
		{"AcceptGrant, 500", accept, answering(500, ``), lambda, notGranted, 0, "refused", 1},
		{"AcceptGrant, 504", accept, answering(504, ``), lambda, notGranted, 0, "unavailable", 1},
		{"AcceptGrant, nothing of Alexa's", accept, answering(200, `{}`), lambda, notGranted, 0, "unusable", 1},
		{"AcceptGrant, over 6 MB", accept, answering(200, done+strings.Repeat(" ", maxAnswer)), lambda, notGranted, 0, "unusable", 1},

		{"event, accepted", disabled, answering(200, `{"ok":true}`), lambda, `{"ok":true}`, 0, "passed", 1},
		{"event, accepted without a body", disabled, answering(204, ``), lambda, `{}`, 0, "passed", 1},
		{"event, accepted with nonsense", disabled, answering(200, `OK`), lambda, `{}`, 0, "passed", 1},
		{"event, bad request", disabled, answering(400, `{"error":"canary"}`), lambda, `{}`, 0, "refused", 1},
		{"event, too large", disabled, answering(413, ``), lambda, `{}`, 0, "refused", 1},
		{"event, unprocessable", disabled, answering(422, done), lambda, `{}`, 0, "refused", 1},
		{"event, unauthorized", disabled, answering(401, ``), lambda, ``, 0, "refused", 1},
		{"event, forbidden", disabled, answering(403, ``), lambda, ``, 0, "refused", 1},
		{"event, not there", disabled, answering(404, ``), lambda, ``, 0, "refused", 1},
		{"event, throttled", disabled, answering(429, ``), lambda, ``, 0, "refused", 1},
		{"event, failed", disabled, answering(500, ``), lambda, ``, 0, "refused", 1},
		{"event, unavailable", disabled, answering(503, ``), lambda, ``, 0, "unavailable", 1},
		{"event, hung up", disabled, abort, lambda, ``, 0, "unreachable", 1},
		{"event, hung", disabled, hang, time.Second, ``, 500 * time.Millisecond, "timed_out", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(t *testing.T, w *cloud, l *instance) {
				w.to(test.message).then(test.behind)
				got, line := l.invoke(t, test.message, test.timeout), l.logged(t, 1)
				switch {
				case test.want == "":
					if !got.failed || string(got.body) != "the skill event was not taken" {
						t.Errorf("failed = %v with %s, want a skill event not taken", got.failed, got.body)
					}
				case strings.HasPrefix(test.want, "{"):
					if got.failed || string(got.body) != test.want {
						t.Errorf("failed = %v, answer = %s, want %s", got.failed, got.body, test.want)
					}
				default:
					wantError(t, got, test.message, test.want)
					if line["alexa_code"] != test.want {
						t.Errorf("line = %v, want code %s", line, test.want)
					}
				}
				if n := len(w.to(test.message).got()); got.took != test.took || n != test.requests {
					t.Errorf("%v and %d requests, want %v and %d requests", got.took, n, test.took, test.requests)
				}
				severe := test.outcome == "refused" || test.want == notGranted
				if line["outcome"] != test.outcome || severe != (line["severity"] == "ERROR") {
					t.Errorf("line = %v, want outcome %s, an error: %v", line, test.outcome, severe)
				}
				wantSuccess(t, l, test.message) // the process goes on
			})
		})
	}
}

// TestNoTarget: messages without a configured target are answered, and the rest are
// forwarded.
func TestNoTarget(t *testing.T) {
	t.Parallel()
	inBubble(t, map[string]string{"DIRECTIVE_URL": "", "SKILL_EVENT_URL": ""}, func(t *testing.T, _ *cloud, l *instance) {
		for _, message := range []string{turnOn, discover, `{"directive":7}`, `"?"`, `{"request":{"type":"LaunchRequest"}}`} {
			wantError(t, l.invoke(t, message, time.Minute), message, "INVALID_DIRECTIVE")
		}
		got, line := l.invoke(t, disabled, time.Minute), l.logged(t, 6)
		if got.failed || string(got.body) != `{}` || line["outcome"] != "acknowledged" || line["kind"] != "AlexaSkillEvent.SkillDisabled" {
			t.Errorf("skill event: answer = %s, line = %v; want it acknowledged", got.body, line)
		}
		wantSuccess(t, l, accept)
	})
}

// TestPanic: a proxy without an HTTP client panics, and answers.
func TestPanic(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{"AcceptGrant": accept, "directive": turnOn} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			to := &target{url: "http://127.0.0.1:1"}
			p := &proxy{settings: settings{acceptGrant: to, directive: to}, log: slog.New(slog.NewJSONHandler(&log, nil)), now: time.Now}
			body, err := p.Invoke(context.Background(), []byte(message))
			wantError(t, result{body: body, failed: err != nil}, message, internal)
			var line map[string]any
			err = json.Unmarshal([]byte(log.String()), &line)
			if err != nil || line["outcome"] != "panicked" || line["stack"] == nil || line["level"] != "ERROR" {
				t.Errorf("line = %s (%v), want an error with outcome panicked", log.String(), err)
			}
		})
	}
}

// TestResentAcceptGrant: only AcceptGrant is retried, once, after a random pause.
func TestResentAcceptGrant(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		handle http.HandlerFunc
		cause  string // logged
		draw   float64
		pause  time.Duration
	}{
		{"has no instance", answering(429, `canary`), "status 429", 0, 300 * time.Millisecond},
		{"is started", answering(503, ``), "status 503", 0.5, 400 * time.Millisecond},
		{"has a broken front end", answering(502, `<html>canary`), "status 502", 1, 500 * time.Millisecond},
		{"hangs up when it has stored", abort, "unexpected EOF", 0, 300 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(t *testing.T, w *cloud, l *instance) {
				l.draw = test.draw
				wantRetry(t, w, l, test.handle, test.cause, test.pause)
				w.acceptGrant.then(test.handle, test.handle)
				wantError(t, l.invoke(t, accept, time.Minute), accept, "")
				if n := len(w.acceptGrant.got()); n != 4 {
					t.Errorf("requests = %d, want 4", n)
				}
			})
		})
	}
	t.Run("resets on the network", func(t *testing.T) {
		t.Parallel()
		w := newCloud(t)
		wantRetry(t, w, serve(t, w, nil), hijack("", true), "reset by peer", 0)
	})
}

// wantRetry has AcceptGrant fail once, and checks that the same request is repeated
// after a pause; 0 means any.
func wantRetry(t *testing.T, w *cloud, l *instance, handle http.HandlerFunc, cause string, pause time.Duration) {
	t.Helper()
	w.acceptGrant.then(handle)
	got := l.invoke(t, accept, time.Minute)
	if got.failed || string(got.body) != done || pause != 0 && got.took != pause {
		t.Errorf("answer = %s after %v, want AcceptGrant's second one after %v", got.body, got.took, pause)
	}
	line := l.logged(t, 1)
	after, _ := line["resent_after"].(string)
	if !strings.HasSuffix(after, cause) || line["outcome"] != "passed" || line["severity"] != "INFO" {
		t.Errorf("line = %v, want it resent after %q", line, cause)
	}
	requests := w.acceptGrant.got()
	if len(requests) != 2 {
		t.Fatalf("requests = %d, want 2", len(requests))
	}
	if diff := cmp.Diff(requests[0], requests[1], cmp.AllowUnexported(request{})); diff != "" {
		t.Errorf("the second request differs (-first +second):\n%s", diff)
	}
}

// TestIdleConnection: a dead idle connection does not make the proxy repeat a
// message that may have been handled.
func TestIdleConnection(t *testing.T) {
	t.Parallel()
	for message, handle := range map[string]http.HandlerFunc{turnOn: hijack("", true), disabled: hijack("", false)} {
		w := newCloud(t)
		l := serve(t, w, nil)
		wantSuccess(t, l, message)
		w.to(message).then(handle)
		l.invoke(t, message, time.Minute)
		if n := len(w.to(message).got()); n != 2 {
			t.Errorf("requests = %d, want one for each message", n)
		}
	}
}
