package simulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	p := r.link(alexa.EU, "amzn-1")
	r.report(alexa.EU, p.Access)
	send(r.event(alexa.EU, p.Access, withToken(response, p.Access)))
	r.report(alexa.NA, p.Access)
	r.refresh("Atzr|fake-unknown")
	client := simulator.DefaultClient().ID
	lwa := func(seq int64, target simulator.Target, form string) simulator.Request {
		return simulator.Request{Seq: seq, Time: r.clock.now(), Target: target, Client: client, Body: form}
	}
	exchange := lwa(1, simulator.Exchange, "client_id="+client+"&client_secret=[redacted]&code=[redacted]&grant_type=authorization_code")
	exchange.Region, exchange.User, exchange.Status, exchange.Accepted = alexa.EU, "amzn-1", 200, true
	refresh := lwa(5, simulator.Refresh, "client_id="+client+"&client_secret=[redacted]&grant_type=refresh_token&refresh_token=[redacted]")
	refresh.Status, refresh.Code = 400, "invalid_grant"
	report := simulator.Request{
		Seq: 2, Time: r.clock.now(), Target: "gateway/EU", Region: alexa.EU, User: "amzn-1",
		Namespace: "Alexa", Name: "ChangeReport", MessageID: "00000000-0000-4000-8000-000000000003", EndpointID: "fan-1",
		Body: withToken(changeReport, "[redacted]"), Status: 202, Accepted: true,
	}
	answer := report
	answer.Seq, answer.Name, answer.MessageID, answer.CorrelationToken = 3, "Response", "m-1", "opaque"
	answer.Body = withToken(response, "[redacted]")
	elsewhere := report
	elsewhere.Seq, elsewhere.Target, elsewhere.Region = 4, "gateway/NA", alexa.NA
	elsewhere.Status, elsewhere.Code, elsewhere.Accepted = 403, "SKILL_DISABLED_EXCEPTION", false

	withoutReason := cmpopts.IgnoreFields(simulator.Request{}, "Reason", "Answer")
	all := [][]simulator.Request{{exchange, report, answer, elsewhere, refresh}, {exchange, refresh}, {report, answer}, {elsewhere}, nil}
	got := [][]simulator.Request{r.Requests(), r.LWARequests(), r.Events(alexa.EU), r.Events(alexa.NA), r.Events(alexa.FE)}
	expect.Equal(t, "Requests, LWARequests, Events of EU, NA and FE", all, got, withoutReason)
	want := simulator.Counts{Exchanges: 1, Accepted: 2, Refused: 1, LWARefused: 1}
	expect.Equal(t, "Counts", want, r.Counts())
}

// watchful calls a function at the beginning of the answer.
type watchful struct {
	http.ResponseWriter
	begin func()
}

func (w watchful) WriteHeader(status int) {
	w.begin()
	w.ResponseWriter.WriteHeader(status)
}

// TestRecordComesBeforeTheAnswer: a test may read the journal as soon as its client
// returns.
func TestRecordComesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	var onRecord []int
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := func() { onRecord = append(onRecord, len(sim.Requests())) }
		sim.ServeHTTP(watchful{w, begin}, r)
	})
	directForm(handler, "")
	sim.Script(simulator.Refresh, simulator.Fault{Status: 503})
	directForm(handler, "grant_type=refresh_token")
	expect.Equal(t, "journal at the beginning of the answers", []int{1, 2}, onRecord)
}

// TestRecordHoldsNoSecret sends secrets in every place where a client could put
// them.
func TestRecordHoldsNoSecret(t *testing.T) {
	t.Parallel()
	const canary = "canary-8f1c"
	r := newRig(t, simulator.Options{})
	p := r.link(alexa.EU, "amzn-1")
	secret := "Atza|" + canary
	inHeader := func(body string) { send(r.event(alexa.EU, secret, body)) }
	inHeader(withToken(changeReport, secret))
	inHeader(withToken(addOrUpdate, secret))
	inHeader(withToken(changeReport, `\u0041tza|`+canary))             // escaped
	inHeader(withToken(changeReport, "grantee-"+canary))               // no token of Amazon's
	inHeader(withToken(changeReport, secret)[:200])                    // cut off
	inHeader(`{"token":"` + secret + `"}`)                             // in an unknown place
	inHeader(`{"token":"Atzr\u007c` + canary + `"`)                    // the same, escaped and cut off
	send(r.event(alexa.EU, canary, `{"note":"`+canary+`"}`))           // any bearer text
	send(r.event(alexa.EU, p.Access, withToken(changeReport, secret))) // only in the body
	r.postForm(form("grant_type", "refresh_token", "refresh_token", canary, "code", canary, "client_secret", canary,
		"redirect_uri", canary, canary, canary))
	send(r.request("POST", r.LWATokenURL, formType, `{"refresh_token":"`+canary+`"}`))
	send(r.request("POST", r.LWATokenURL+"?refresh_token="+canary, formType, canary+"=1"))
	send(r.request("GET", r.LWATokenInfoURL+"?access_token="+canary, "", ""))

	seen := r.Requests()
	if len(seen) != 14 {
		t.Fatalf("requests in the journal = %d, want 14", len(seen))
	}
	for _, request := range seen {
		encoded, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(encoded) + fmt.Sprintf("%+v", request); strings.Contains(text, canary) || strings.Contains(text, p.Access) {
			t.Errorf("the journal of request %d contains a secret: %s", request.Seq, encoded)
		}
	}
	if body := seen[1].Body; body != withToken(changeReport, "[redacted]") {
		t.Errorf("body = %s, want it unchanged except for the token", body)
	}
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		keep        int
		body        string
		requests    int
		wantKept    int
		wantDropped int64
	}{
		{"by number", 3, `{}`, 5, 3, 2},
		{"none kept", -1, `{}`, 5, 0, 5},
		{"by size", 0, strings.Repeat("x", 256<<10), 300, 256, 44},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sim := simulator.New(simulator.Options{KeepRequests: test.keep})
			for range test.requests {
				direct(t.Context(), sim.GatewayHandler(alexa.EU), test.body, "Atza|fake")
			}
			seen, counts := sim.Requests(), sim.Counts()
			if len(seen) != test.wantKept || counts.Dropped != test.wantDropped || counts.Refused != int64(test.requests) {
				t.Fatalf("kept = %d, counts = %+v, want %d kept, %d dropped", len(seen), counts, test.wantKept, test.wantDropped)
			}
			for i, request := range seen {
				if want := test.wantDropped + int64(i) + 1; request.Seq != want {
					t.Fatalf("seq of request %d = %d, want %d", i, request.Seq, want)
				}
			}
		})
	}
}

func TestWaitAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		token := directPair(t, sim).Access
		if err := sim.WaitAccepted(t.Context(), 0); err != nil {
			t.Errorf("WaitAccepted(0) = %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make([]bool, 4)
		for n := 1; n < len(done); n++ {
			go func() {
				err := sim.WaitAccepted(ctx, n)
				if n == 3 && !errors.Is(err, errEnough) || n < 3 && err != nil {
					t.Errorf("WaitAccepted(%d) = %v", n, err)
				}
				done[n] = true
			}()
		}
		for _, step := range []struct {
			what string
			do   func()
			want []bool
		}{
			{"nothing", func() {}, []bool{false, false, false, false}},
			{"a refused event", func() { direct(ctx, sim.GatewayHandler(alexa.NA), changeReport, token) }, []bool{false, false, false, false}},
			{"an event", func() { direct(ctx, sim.GatewayHandler(alexa.EU), changeReport, token) }, []bool{false, true, false, false}},
			{"another", func() { direct(ctx, sim.GatewayHandler(alexa.EU), changeReport, token) }, []bool{false, true, true, false}},
			{"the end", func() { cancel(errEnough) }, []bool{false, true, true, true}},
		} {
			step.do()
			synctest.Wait()
			if diff := cmp.Diff(step.want, done); diff != "" {
				t.Fatalf("after %s: returned waiters differ (-want +got):\n%s", step.what, diff)
			}
		}
	})
}

var errEnough = errors.New("enough")

func TestState(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	p := r.link(alexa.EU, "amzn-1")
	other := r.link(alexa.EU, "amzn-2")
	r.report(alexa.EU, p.Access)
	for _, body := range []string{
		edited(changeReport, changed+"value", "OFF", changed+"timeOfSample", "2026-01-02T03:04:06Z"),
		edited(changeReport, changed+"instance", "Fan.Light"),
		edited(changeReport, "event.endpoint.endpointId", "fan-2"),
		doorbell,
		edited(changeReport, changed+"value", "LOST", "event.header.messageId", "_"), // refused
	} {
		send(r.event(alexa.EU, p.Access, withToken(body, p.Access)))
	}
	health := simulator.Property{
		Namespace: "Alexa.EndpointHealth", Name: "connectivity", Value: map[string]any{"value": "OK"}, TimeOfSample: "2026-01-02T03:00:00Z",
	}
	toggle := func(instance, value, at string) simulator.Property {
		return simulator.Property{Namespace: "Alexa.ToggleController", Name: "toggleState", Instance: instance, Value: value, TimeOfSample: at}
	}
	want := map[string][]simulator.Property{
		"fan-1": {health, toggle("Fan.Light", "ON", "2026-01-02T03:04:05.678Z"), toggle("Fan.Oscillate", "OFF", "2026-01-02T03:04:06Z")},
		"fan-2": {health, toggle("Fan.Oscillate", "ON", "2026-01-02T03:04:05.678Z")},
	}
	expect.Equal(t, "State", want, r.State(alexa.EU, "amzn-1"))
	send(r.event(alexa.EU, p.Access, withToken(deleteReport, p.Access)))
	delete(want, "fan-1")
	expect.Equal(t, "State after DeleteReport", want, r.State(alexa.EU, "amzn-1"))
	r.report(alexa.EU, other.Access)
	r.Disable(alexa.EU, "amzn-1")
	if state := r.State(alexa.EU, "amzn-1"); len(state) != 0 {
		t.Errorf("State after Disable = %v", state)
	}
	if state := r.State(alexa.EU, "amzn-2"); len(state) != 1 {
		t.Errorf("State of another user = %v, want fan-1", state)
	}
}

func TestStateIsBounded(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	token := directPair(t, sim).Access
	properties := make([]string, 301)
	for i := range properties {
		properties[i] = strings.Replace(property, "powerState", fmt.Sprintf("p%03d", i), 1)
	}
	many := `{"context":{"properties":[` + strings.Join(properties, ",") + `]},` + response[1:]
	direct(t.Context(), sim.GatewayHandler(alexa.EU), many, token)
	for i := range 301 {
		id := fmt.Sprintf("lamp-%03d", i)
		direct(t.Context(), sim.GatewayHandler(alexa.EU), strings.Replace(changeReport, "fan-1", id, 1), token)
	}
	state := sim.State(alexa.EU, "amzn-1")
	if len(state) != 300 || len(state["fan-1"]) != 300 || len(state["lamp-298"]) != 2 {
		t.Errorf("endpoints = %d, properties of the first = %d, of the last = %d, want 300, 300, 2",
			len(state), len(state["fan-1"]), len(state["lamp-298"]))
	}
}

// TestConcurrently runs everything concurrently, for the race detector, and checks
// that the counts add up.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	const workers, rounds = 8, 10
	r := newRig(t, simulator.Options{KeepRequests: 50})
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			user := fmt.Sprintf("amzn-%d", worker)
			p := r.link(alexa.EU, user)
			for range rounds {
				if got := r.report(alexa.EU, p.Access); got.status != 202 {
					t.Errorf("%s: status of an event = %d", user, got.status)
				}
				p = r.pair(r.refresh(p.Refresh))
				r.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.Throttling, User: user})
				if got := r.report(alexa.EU, p.Access); got.status != 429 {
					t.Errorf("%s: status of an event with a fault = %d", user, got.status)
				}
				r.Always(simulator.TokenInfo, simulator.Fault{Status: 503})
				r.visit(simulator.TokenInfo, p)
				_, _, _ = r.Requests(), r.State(alexa.EU, user), r.Counts()
			}
			r.ExpireAccessTokens(alexa.EU, user)
			r.Disable(alexa.EU, user)
		})
	}
	if err := r.WaitAccepted(t.Context(), workers*rounds); err != nil {
		t.Error(err)
	}
	group.Wait()
	want := simulator.Counts{
		Exchanges: workers, Refreshes: workers * rounds, LWARefused: workers * rounds, Accepted: workers * rounds,
		Refused: workers * rounds, Scripted: 2 * workers * rounds, Dropped: workers + 4*workers*rounds - 50,
	}
	expect.Equal(t, "Counts", want, r.Counts())
}
