package main

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
			w := newWorld(t)
			l := start(t, w.env(nil))
			w.acceptGrant.then(test.handle)
			got := l.invoke(t, accept, time.Minute)
			if got.failed || string(got.body) != done || got.took < resendPause {
				t.Errorf("answer %s after %v, want the second of AcceptGrant's, after a pause", got.body, got.took)
			}
			line := l.logged(t, 1)
			if why, _ := line["resent_after"].(string); !strings.HasSuffix(why, test.why) || line["outcome"] != "passed" || line["severity"] != "INFO" {
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

// TestNotSentTwice: what is no bad luck, or not AcceptGrant's, or too late.
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
			w := newWorld(t)
			to := map[string]*behind{accept: w.acceptGrant, turnOn: w.directive, disabled: w.skillEvent}[test.message]
			to.then(test.handle)
			start(t, w.env(nil)).invoke(t, test.message, test.deadline)
			if n := len(to.got()); n != 1 {
				t.Errorf("sent %d times, want once", n)
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
			wantAnswer(t, p, accept, internal)
			if diff := cmp.Diff([]time.Duration{0, want}, at); diff != "" {
				t.Errorf("tries differ (-want +got):\n%s", diff)
			}
		})
	}
}

// roundTrip is a transport without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
