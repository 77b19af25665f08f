package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
)

const (
	deviceCloud = "BRIDGE_UNREACHABLE"
	internal    = "INTERNAL_ERROR"
)

// TestFailuresBehind: whatever is behind does, Alexa gets an answer that it
// understands, in time.
func TestFailuresBehind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handle  http.HandlerFunc
		typ     string // of the answer to what is not AcceptGrant
		outcome string
		status  any // of what is behind, as logged
	}{
		{"hangs", hang, deviceCloud, "timed_out", nil},
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
	for _, test := range tests {
		for name, message := range map[string]string{"AcceptGrant": accept, "directive": turnOn, "discovery": discover} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newPlace(t)
				l := serve(t, w.env(nil))
				if test.handle == nil {
					w.to(message).Close()
				} else {
					w.to(message).then(test.handle)
				}
				got := l.invoke(t, message, 2*time.Second) // Lambda's deadline is nearer than seven seconds
				wantError(t, got, message, test.typ)
				if got.took > 2*time.Second {
					t.Errorf("answered after %v", got.took)
				}
				line := l.logged(t, 1)
				if line["outcome"] != test.outcome || line["status"] != test.status {
					t.Errorf("logged %v, want %s and %v", line, test.outcome, test.status)
				}
				if severe := line["severity"] == "ERROR"; severe != (message == accept || test.typ == internal) {
					t.Errorf("severity %v", line["severity"])
				}
				if test.handle != nil {
					wantSuccess(t, l, message) // the process goes on, and on a connection that works
				}
			})
		}
	}
}

// TestSevenSeconds: without Lambda's deadline to help, and with everybody
// hanging that can.
func TestSevenSeconds(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(w *place) (message string){
		"the handler": func(w *place) string { w.directive.then(hang); return turnOn },
		"AcceptGrant": func(w *place) string { w.acceptGrant.then(hang); return accept },
		"AcceptGrant after a slow token": func(w *place) string {
			w.google.Fail(federationtest.STS, hang)
			return accept
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			l := start(t, w.env(nil))
			message := prepare(w)
			got := l.invoke(t, message, time.Minute)
			wantError(t, got, message, deviceCloud)
			if got.took > 7*time.Second {
				t.Errorf("answered after %v, want 7s at most", got.took)
			}
		})
	}
}

// TestAcceptGrantHasItsFiveSeconds: what answers late, but in time, is passed
// on, after the two round trips for a token as well.
func TestAcceptGrantHasItsFiveSeconds(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.acceptGrant.then(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(5 * time.Second):
			answering(200, done)(rw, r)
		case <-r.Context().Done():
		}
	})
	wantSuccess(t, start(t, w.env(nil)), accept)
}

func TestNoHandler(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	l := serve(t, w.env(map[string]string{"DIRECTIVE_URL": ""}))
	for _, message := range []string{turnOn, discover, `{"directive":7}`, `"?"`, `{"request":{"type":"LaunchRequest"}}`} {
		wantError(t, l.invoke(t, message, time.Minute), message, "INVALID_DIRECTIVE")
	}
	wantSuccess(t, l, accept)
}

// TestNoTimeLeft: an invocation that comes when it is nearly over.
func TestNoTimeLeft(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	l := serve(t, w.env(nil))
	wantError(t, l.invoke(t, turnOn, 100*time.Millisecond), turnOn, deviceCloud)
	wantSuccess(t, l, turnOn)
}

// TestPanic has a proxy without an HTTP client.
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
				t.Errorf("logged %s (%v)", log.String(), err)
			}
		})
	}
}

// TestPassingFaultOfAcceptGrant: AcceptGrant alone is asked once more.
func TestPassingFaultOfAcceptGrant(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		handle http.HandlerFunc
		why    string // logged
	}{
		{"has no instance", answering(429, `canary`), "status 429"},
		{"is started", answering(503, ``), "status 503"},
		{"is behind an ill front end", answering(502, `<html>canary`), "status 502"},
		{"hangs up when it has stored", hijack("", false), "EOF"},
		{"resets when it has stored", hijack("", true), "reset by peer"},
		{"ends after half an answer", hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+done[:20], false), "unexpected EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			l := serve(t, w.env(nil))
			w.acceptGrant.then(test.handle)
			got := l.invoke(t, accept, time.Minute)
			if got.failed || string(got.body) != done || got.took < resendPause {
				t.Errorf("answer %s after %v, want the second of AcceptGrant's, after a pause", got.body, got.took)
			}
			line := l.logged(t, 1)
			why, _ := line["resent_after"].(string)
			if !strings.HasSuffix(why, test.why) || line["outcome"] != "passed" || line["severity"] != "INFO" {
				t.Errorf("logged %v, want %q", line, test.why)
			}
			requests := w.acceptGrant.got()
			if len(requests) != 2 {
				t.Fatalf("%d requests, want 2", len(requests))
			}
			if diff := cmp.Diff(requests[0], requests[1], cmp.AllowUnexported(request{})); diff != "" {
				t.Errorf("the second request differs (-first +second):\n%s", diff)
			}
			w.acceptGrant.then(test.handle)
			w.acceptGrant.then(test.handle)
			wantError(t, l.invoke(t, accept, time.Minute), accept, "")
			if n := len(w.acceptGrant.got()); n != 4 {
				t.Errorf("%d requests, want no third try", n)
			}
		})
	}
}

// TestNotSentTwice: what is no bad luck, or not AcceptGrant's, or too late. Nor does
// a connection that died while it was idle lead to a directive that is carried out
// twice.
func TestNotSentTwice(t *testing.T) {
	t.Parallel()
	slow := func(rw http.ResponseWriter, r *http.Request) {
		<-time.After(2100 * time.Millisecond)
		answering(503, ``)(rw, r)
	}
	for _, test := range []struct {
		name, message string
		handle        http.HandlerFunc
		deadline      time.Duration // Lambda's
	}{
		{"AcceptGrant, 400", accept, answering(400, ``), time.Minute},
		{"AcceptGrant, 403", accept, answering(403, ``), time.Minute},
		{"AcceptGrant, 500", accept, answering(500, ``), time.Minute},
		{"AcceptGrant, 504", accept, answering(504, ``), time.Minute},
		{"AcceptGrant, no answer of Alexa's form", accept, answering(200, `{}`), time.Minute},
		{"AcceptGrant, too large an answer", accept, answering(200, done+strings.Repeat(" ", maxAnswer)), time.Minute},
		{"AcceptGrant, late", accept, slow, time.Minute},
		{"AcceptGrant, in a Lambda with a short time-out", accept, answering(503, ``), 4 * time.Second},
		{"directive, 503", turnOn, answering(503, ``), time.Minute},
		{"directive, 429", turnOn, answering(429, ``), time.Minute},
		{"directive, reset", turnOn, hijack("", true), time.Minute},
		{"skill event, 503", disabled, answering(503, ``), time.Minute},
		{"skill event, hung up", disabled, hijack("", false), time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			l := serve(t, w.env(nil))
			wantSuccess(t, l, test.message)
			w.to(test.message).then(test.handle)
			l.invoke(t, test.message, test.deadline)
			if n := len(w.to(test.message).got()); n != 2 {
				t.Errorf("sent %d times, want the first message and the second once", n)
			}
		})
	}
}

// TestPauseIsRandom, and a connection that cannot be made is bad luck as well.
func TestPauseIsRandom(t *testing.T) {
	t.Parallel()
	for draw, want := range map[float64]time.Duration{0: 300 * time.Millisecond, 0.5: 400 * time.Millisecond, 1: 500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Duration
			started := time.Now()
			p := &proxy{settings: settings{acceptGrant: &target{url: "http://127.0.0.1:1"}}, log: slog.New(slog.DiscardHandler), now: time.Now,
				draw: func() float64 { return draw }, http: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					at = append(at, time.Since(started))
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
				})}}
			body, err := p.Invoke(t.Context(), []byte(accept))
			wantError(t, result{body: body, failed: err != nil}, accept, internal)
			if diff := cmp.Diff([]time.Duration{0, want}, at); diff != "" {
				t.Errorf("tries differ (-want +got):\n%s", diff)
			}
		})
	}
}

// roundTrip is a transport without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
