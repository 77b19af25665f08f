package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
)

var (
	anyID  = regexp.MustCompile(`"messageId":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"`)
	anyWhy = regexp.MustCompile(`"message":"the (device cloud|skill)[^"]*"`)
)

// wantError holds an answer of the proxy's own against what Alexa expects.
func wantError(t *testing.T, got result, message, typ string) {
	t.Helper()
	text := anyWhy.ReplaceAllString(anyID.ReplaceAllString(string(got.body), `"messageId":"ID"`), `"message":"WHY"`)
	if diff := cmp.Diff(errorResponse(message, typ), text); got.failed || diff != "" {
		t.Errorf("failed: %v, answer differs (-want +got):\n%s", got.failed, diff)
	}
}

// hijack writes raw bytes instead of an answer, and closes the connection; with
// reset, hard.
func hijack(text string, reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		if reset {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
	}
}

// half sends the beginning of a good answer, and then nothing.
func half(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, done[:20])
	_ = http.NewResponseController(w).Flush()
	hang(w, r)
}

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
		{"ends after half a gzip", hijack("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xaaV", false), deviceCloud, "unreachable", 200.0},
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
				w := newWorld(t)
				to := w.directive
				if message == accept {
					to = w.acceptGrant
				}
				to.then(test.handle)
				l := start(t, w.env(nil))
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
				wantSuccess(t, l, message) // the process goes on, and on a connection that works
			})
		}
	}
}

func TestNobodyBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := start(t, w.env(nil))
	w.directive.Close()
	wantError(t, l.invoke(t, turnOn, time.Minute), turnOn, deviceCloud)
	if line := l.logged(t, 1); line["error"] == nil || !strings.Contains(line["error"].(string), "connection refused") {
		t.Errorf("logged %v", line)
	}
}

// TestSevenSeconds: without Lambda's deadline to help, and with everybody
// hanging that can.
func TestSevenSeconds(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(w *world) (message string){
		"the handler": func(w *world) string { w.directive.then(hang); return turnOn },
		"AcceptGrant": func(w *world) string { w.acceptGrant.then(hang); return accept },
		"AcceptGrant after a slow token": func(w *world) string {
			w.google.Fail(federationtest.STS, hang)
			return accept
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
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
	w := newWorld(t)
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
	w := newWorld(t)
	l := start(t, w.env(map[string]string{"DIRECTIVE_URL": ""}))
	for _, message := range []string{turnOn, discover, `{"directive":7}`, `"?"`, `{"request":{"type":"LaunchRequest"}}`} {
		wantError(t, l.invoke(t, message, time.Minute), message, "INVALID_DIRECTIVE")
	}
	wantSuccess(t, l, accept)
}

// TestNoTimeLeft: an invocation that comes when it is nearly over.
func TestNoTimeLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := start(t, w.env(nil))
	wantError(t, l.invoke(t, turnOn, 100*time.Millisecond), turnOn, deviceCloud)
	wantSuccess(t, l, turnOn)
}

// TestOneDirectiveOnce: a connection that died while it was idle must not lead
// to a directive that is carried out twice, or to one that is lost.
func TestOneDirectiveOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := start(t, w.env(nil))
	wantSuccess(t, l, turnOn)
	w.directive.then(hijack("", false))
	wantError(t, l.invoke(t, turnOn, time.Minute), turnOn, deviceCloud)
	if n := len(w.directive.got()); n != 2 {
		t.Errorf("%d directives arrived, want 2", n)
	}
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
			if err := json.Unmarshal([]byte(log.String()), &line); err != nil || line["outcome"] != "panicked" || line["stack"] == nil || line["level"] != "ERROR" {
				t.Errorf("logged %s (%v)", log.String(), err)
			}
		})
	}
}
