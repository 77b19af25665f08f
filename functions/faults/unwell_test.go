package faults_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// TestUnwellGateway is the gateway not being able to say anything about an
// event. It is sent again, three times at most, and then redelivered. Without an
// answer it may have been taken: redelivery is the resend, and a press is not sent
// again.
func TestUnwellGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	taken := func(statuses ...int) trace {
		return trace{Answers: []string{"200 accepted"}, Gateway: statuses, State: "active"}
	}
	later := func(code string, statuses ...int) trace {
		return trace{Answers: []string{words("503 retry", code), "200 accepted"}, Gateway: append(statuses, 202), State: "active"}
	}
	throttled, internal := simulator.Fault{Code: simulator.Throttling}, simulator.Fault{Code: simulator.InternalService}
	rows := []row{
		{name: "429", gateway: times(2, throttled), want: taken(429, 429, 202)},
		{name: "429, bare", gateway: times(1, simulator.Fault{Status: 429}), want: taken(429, 202)},
		{name: "429, always", gateway: times(4, throttled), want: later(simulator.Throttling, 429, 429, 429, 429)},
		{
			name: "429, wants two seconds", gateway: times(1, simulator.Fault{Code: simulator.Throttling, RetryAfter: 2 * time.Second}),
			want: taken(429, 202), pause: 2 * time.Second,
		},
		{
			name: "429, wants a minute", gateway: times(9, simulator.Fault{Code: simulator.Throttling, RetryAfter: time.Minute}),
			want: trace{
				Answers: []string{"503 retry " + simulator.Throttling, "503 retry HANDED_BACK"}, Gateway: []int{429}, State: "active",
			},
		},
		{name: "throttling as 500", gateway: times(1, simulator.Fault{Status: 500, Code: simulator.Throttling}), want: taken(500, 202)},
		{name: "503", gateway: times(1, simulator.Fault{Code: simulator.ServiceUnavailable}), want: taken(503, 202)},
		{name: "503, a page", gateway: times(4, simulator.Fault{Status: 503, Body: proxyPage}), want: later("INTERNAL", 503, 503, 503, 503)},
		{name: "500", gateway: times(3, internal), want: taken(500, 500, 500, 202)},
		{name: "500, bare", gateway: times(1, simulator.Fault{Status: 500}), want: taken(500, 202)},
		{name: "500, always", gateway: times(4, internal), want: later(simulator.InternalService, 500, 500, 500, 500)},
		{name: "500, cut", gateway: times(1, simulator.Fault{Code: simulator.InternalService, CutBody: true}), want: taken(500, 202)},
		{name: "502, a page", gateway: times(1, simulator.Fault{Status: 502, Body: proxyPage}), want: taken(502, 202)},
		{name: "404, no code", gateway: times(1, simulator.Fault{Status: 404}), want: taken(404, 202)},
		{name: "302", gateway: times(1, simulator.Fault{Status: 302}), want: taken(302, 202)},
		{name: "connection closed", gateway: times(1, simulator.Fault{Reset: true}), want: later("INTERNAL", 0)},
		{name: "answer lost", gateway: times(1, simulator.Fault{AnswerLost: true}), want: later("INTERNAL", 0)},
		{name: "hangs", gateway: times(1, simulator.Fault{Delay: 20 * time.Second}), want: later("INTERNAL", 0)},
		{name: "a press, answer lost", gateway: times(1, simulator.Fault{AnswerLost: true}), event: onceEvents["doorbell"], want: trace{
			Answers: []string{"200 unconfirmed", "200 duplicate"}, Gateway: []int{0}, State: "active",
		}},
		{name: "504, a page", gateway: times(1, simulator.Fault{Status: 504, Body: proxyPage}), want: later("INTERNAL", 504)},
		{name: "a press, 504", gateway: times(1, simulator.Fault{Status: 504}), event: onceEvents["doorbell"], want: trace{
			Answers: []string{"200 unconfirmed", "200 duplicate"}, Gateway: []int{504}, State: "active",
		}},
		{name: "a press, 503", gateway: times(1, simulator.Fault{Status: 503}), event: onceEvents["doorbell"], want: taken(503, 202)},
		{name: "202, cut", gateway: times(1, simulator.Fault{CutBody: true}), want: taken(202)},
	}
	for i := range rows {
		rows[i].pause = max(rows[i].pause, time.Second)
		rows[i].pause -= 20 * time.Millisecond // the first request took some of it to arrive
	}
	w.runApart(t, rows)
}

// TestSomeGrants has the gateway fail for one of a customer's two grants. The
// other does not wait for it, and the maker will be asked on behalf of the one.
func TestSomeGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	p := w.start(t, "SendEvent")
	one := w.link(t, "two-accounts", alexa.EU)
	two := one
	two.amazonUser = "amzn-another"
	if err := w.enable(testkit.Context(t), &two, alexa.EU); err != nil {
		t.Fatal(err)
	}
	w.Always(simulator.Gateway(alexa.EU), simulator.Fault{User: two.amazonUser, Status: 500})
	// The outcomes are in the order of the grants' ids.
	want := "200 accepted behind"
	if one.grantID > two.grantID {
		want = "200 behind accepted"
	}
	for i := range 3 {
		answer, err := deliver(testkit.Context(t), p, one.message(report(one, fmt.Sprint("lamp-", i%2), i), fmt.Sprint("e-", i), 1))
		if err != nil || answer != want {
			t.Errorf("report %d: answered %q (%v), want %q", i, answer, err, want)
		}
	}
	if diff := cmp.Diff([]int{202, 202, 202}, statuses(w.eventsOf(one))); diff != "" {
		t.Errorf("requests for the grant that worked differ (-want +got):\n%s", diff)
	}
	if n := len(w.eventsOf(two)); n < 3 || n > 3*4 {
		t.Errorf("%d requests for the other", n)
	}
	if got := missed(w.grant(t, two).Behind) + "; " + missed(w.grant(t, one).Behind); got != "lamp-0 lamp-1; " {
		t.Errorf("missed: %s", got)
	}
	if told := w.grantEvents.say(t, 0, one.told); len(told) > 1 || len(told) == 1 && told[0] != "relinked" {
		t.Errorf("the maker is told %v", told)
	}
}

// TestAnswerToOneAccount sends an event that answers a directive. It is for
// one of the customer's two Amazon accounts, and which one it does not say.
func TestAnswerToOneAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{})
	p := w.start(t, "SendEvent")
	one := w.link(t, "answers", alexa.EU)
	two := one
	two.amazonUser = "amzn-answers-another"
	if err := w.enable(testkit.Context(t), &two, alexa.EU); err != nil {
		t.Fatal(err)
	}
	w.Script(simulator.Gateway(alexa.EU), simulator.Fault{User: two.amazonUser, Code: simulator.AccountNotFound})
	event := `{"userId":"` + one.userID + `","event":{"header":{"namespace":"Alexa","name":"Response","correlationToken":"fake-correlation"},
		"endpoint":{"endpointId":"lamp-1"},"payload":{}},"context":{"properties":[]}}`
	answer, err := deliver(testkit.Context(t), p, one.message(event, "e-1", 1))
	if err != nil || answer != "200 accepted" {
		t.Errorf("answered %q (%v)", answer, err)
	}
	got := slices.Concat(statuses(w.eventsOf(one)), statuses(w.eventsOf(two)))
	if diff := cmp.Diff([]int{202, 404}, got); diff != "" {
		t.Errorf("the requests differ (-want +got):\n%s", diff)
	}
	if dead := w.deadLetters.say(t, 0, one.buried); len(dead) != 0 {
		t.Errorf("dead letters: %v", dead)
	}
	if g := w.grant(t, two); g.State != grant.Active {
		t.Errorf("the grant that refused is %s %s", g.State, g.Reason)
	}
}
