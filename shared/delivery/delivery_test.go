package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

const (
	report = `{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION",` +
		`"changed":[{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}`
	doorbell = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},` +
		`"endpoint":{"endpointId":"d"},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}},"context":{}}`
	answer = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"Response","correlationToken":"c"},` +
		`"endpoint":{"endpointId":"d"},"payload":{}},"context":{"properties":[]}}`
	removal = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},` +
		`"payload":{"endpoints":[{"endpointId":"d"}]}}}`
)

// removalOf is a report that removes the endpoints e-0 to e-(n-1).
func removalOf(n int) string {
	endpoints := make([]string, n)
	for i := range endpoints {
		endpoints[i] = fmt.Sprintf(`{"endpointId":"e-%d"}`, i)
	}
	return strings.Replace(removal, `{"endpointId":"d"}`, strings.Join(endpoints, ","), 1)
}

var eu, na = simulator.Gateway(alexa.EU), simulator.Gateway(alexa.NA)

// letters is a topic that records its messages.
type letters struct {
	keys []string
	mu   sync.Mutex
	sent []push.Message
	fail error
}

func (l *letters) PublishOrdered(ctx context.Context, key string, data []byte, attributes map[string]string) error {
	l.mu.Lock()
	l.keys = append(l.keys, key)
	l.mu.Unlock()
	return l.Publish(ctx, data, attributes)
}

func (l *letters) Publish(_ context.Context, data []byte, attributes map[string]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.sent = append(l.sent, push.Message{Data: data, Attributes: attributes})
	return nil
}

// counting is a store that counts operations, and can fail.
type counting struct {
	grant.Store
	failReads, failWrites                      atomic.Bool
	reads, tries, writes                       atomic.Int64 // of records; writes are successful tries
	deliveryReads, deliveryWrites, regionMarks atomic.Int64
}

var errOutOfOrder = errors.New("out of order")

func (s *counting) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	s.reads.Add(1)
	if s.failReads.Load() {
		return grant.Record{}, errOutOfOrder
	}
	return s.Store.Read(ctx, key)
}

func (s *counting) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	s.tries.Add(1)
	if s.failWrites.Load() {
		return grant.Record{}, errOutOfOrder
	}
	written, err := s.Store.Write(ctx, was, now)
	if err == nil {
		s.writes.Add(1)
	}
	return written, err
}

func (s *counting) ReadDelivery(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
	s.deliveryReads.Add(1)
	return s.Store.ReadDelivery(ctx, key)
}

func (s *counting) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	s.deliveryWrites.Add(1)
	return s.Store.WriteDelivery(ctx, was, now)
}

func (s *counting) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	s.regionMarks.Add(1)
	return s.Store.WriteControl(ctx, was, now)
}

// inBubble runs a subtest in its own bubble.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	})
}

// linked returns a world in which the customer u-1 has one grant, in EU.
func linked(t *testing.T) (w *accesstest.World, id string) {
	t.Helper()
	w = accesstest.New(t, simulator.Options{})
	return w, w.Link(t, "u-1", alexa.EU, "amzn-1")
}

// deliverer returns a Deliverer for the given regions, or for all.
func deliverer(t *testing.T, w *accesstest.World, regions ...alexa.Region) *delivery.Deliverer {
	t.Helper()
	if len(regions) == 0 {
		regions = alexa.Regions()
	}
	gateways := make(map[alexa.Region]delivery.Gateway)
	for _, region := range regions {
		gateways[region] = w.Gateway(t, region)
	}
	return delivery.New(delivery.Options{
		Skill: accesstest.Skill, Store: w.Store, Tokens: w.Process("p"), Gateways: gateways, Announcer: w.Announcer(),
		MaxEventAge: 5 * time.Minute, Draw: func() float64 { return 0 }, Now: w.Now,
	})
}

func message(w *accesstest.World, data string) push.Message { return numbered(w, data, 1) }

func numbered(w *accesstest.World, data string, n int) push.Message {
	return push.Message{ID: fmt.Sprint("m-", n), Data: []byte(data), PublishTime: w.Now(), Attempt: 1}
}

// outcomes are the outcome names of results, by grant.
type outcomes map[string]delivery.OutcomeName

func names(results []delivery.Result) outcomes {
	got := make(outcomes)
	for _, r := range results {
		got[r.GrantID] = r.Name
	}
	return got
}

func (want outcomes) check(t *testing.T, when string, results []delivery.Result) {
	t.Helper()
	if diff := cmp.Diff(want, names(results)); diff != "" {
		t.Errorf("%s: outcomes differ (-want +got):\n%s\n%+v", when, diff, results)
	}
}

// requested returns the simulator's requests with the statuses of the answers, in
// order, without the exchanges of the links.
func requested(w *accesstest.World) string {
	list := []string{}
	for _, r := range w.Sim.Requests() {
		if r.Target != simulator.Exchange {
			list = append(list, fmt.Sprintf("%s %d", strings.TrimPrefix(string(r.Target), "gateway/"), r.Status))
		}
	}
	return strings.ReplaceAll(strings.Join(list, ", "), "lwa/refresh", "LWA")
}

// checkSent compares a result with the requests that the simulator got after the
// first seen.
func checkSent(t *testing.T, w *accesstest.World, seen int, result delivery.Result) {
	t.Helper()
	want := delivery.Sent{RequestID: result.Sent.RequestID}
	var ids []string
	for _, r := range w.Sim.Events(alexa.EU)[seen:] {
		ids = append(ids, r.MessageID)
		want.Tries, want.Status = want.Tries+1, r.Status
	}
	want.MessageID = strings.Join(slices.Compact(ids), " ")
	if diff := cmp.Diff(want, result.Sent); diff != "" || (want.RequestID != "") != (want.Status != 0) || result.Region != alexa.EU {
		t.Errorf("Sent for %s differs (-want +got):\n%s", result.Region, diff)
	}
}

func TestDeliverToOneGrant(t *testing.T) {
	t.Parallel()
	const accepted, revoked, retry, dead = delivery.Accepted, delivery.Revoked, delivery.Redeliver, delivery.Dead
	type prepare = func(t *testing.T, w *accesstest.World, id string)
	script := func(faults ...simulator.Fault) prepare {
		return func(_ *testing.T, w *accesstest.World, _ string) { w.Sim.Script(eu, faults...) }
	}
	code := func(code string) prepare { return script(simulator.Fault{Code: code}) }
	twice := func(code string) prepare { return script(simulator.Fault{Code: code, Times: 2}) }
	change := func(edit func(r *grant.Record, id string, now time.Time)) prepare {
		return func(t *testing.T, w *accesstest.World, id string) {
			w.Change(t, "u-1", func(r *grant.Record) { edit(r, id, w.Now()) })
		}
	}
	expire := func(_ *testing.T, w *accesstest.World, _ string) { w.Sim.ExpireAccessTokens(alexa.EU, "amzn-1") }
	disable := func(_ *testing.T, w *accesstest.World, _ string) { w.Sim.Disable(alexa.EU, "amzn-1") }
	tests := []struct {
		name      string
		prepare   prepare
		want      delivery.OutcomeName
		state     string // of the grant, with the reason
		requested string
	}{
		{"accepted", script(), accepted, "active", "EU 202"},
		{"refreshed before use", func(_ *testing.T, w *accesstest.World, _ string) { w.Forward(59*time.Minute + 30*time.Second) },
			accepted, "active", "LWA 200, EU 202"},
		{"token refused", expire, accepted, "active", "EU 401, LWA 200, EU 202"},
		{"bare 403", script(simulator.Fault{Status: 403, Body: "<html>no</html>"}), accepted, "active", "EU 403, LWA 200, EU 202"},
		{"403 with an unknown code", script(simulator.Fault{Status: 403, Code: "NEW_EXCEPTION"}), accepted, "active",
			"EU 403, LWA 200, EU 202"},
		{"fresh token refused too", script(simulator.Fault{Status: 401, Times: 4}), retry, "suspect unauthorized",
			"EU 401, LWA 200, EU 401, EU 401, EU 401"},
		{"token refused, grant gone", func(t *testing.T, w *accesstest.World, id string) {
			disable(t, w, id)
			w.Sim.Script(eu, simulator.Fault{Status: 401})
		}, revoked, "revoked invalid_grant", "EU 401, LWA 400"},
		{"token refused, LWA out of order", func(t *testing.T, w *accesstest.World, id string) {
			expire(t, w, id)
			w.Sim.Script(simulator.Refresh, simulator.Fault{Status: 503})
		}, retry, "active", "EU 401, LWA 503"},
		{"skill disabled", disable, revoked, "revoked invalid_grant", "EU 403, LWA 400"},
		{"skill disabled, and LWA had refused the grant", func(t *testing.T, w *accesstest.World, id string) {
			disable(t, w, id)
			_, _ = w.Process("sweep").Refresh(t.Context(), w.Read(t, "u-1"), id)
		}, revoked, "revoked invalid_grant", "LWA 400, EU 403, LWA 400"},
		{"skill disabled, says only the gateway", twice(simulator.SkillDisabled), retry, "suspect skill_disabled",
			"EU 403, LWA 200, EU 403"},
		{"500 that means disabled",
			script(simulator.Fault{Code: simulator.InternalService, Description: "no SkillIdentifier found", Times: 2}),
			retry, "suspect skill_disabled", "EU 500, LWA 200, EU 500"},
		{"never enabled, just linked", code(simulator.SkillNeverEnabled), retry, "active", "EU 403"},
		{"never enabled, linked long ago", func(t *testing.T, w *accesstest.World, id string) {
			w.Forward(11 * time.Minute)
			twice(simulator.SkillNeverEnabled)(t, w, id)
		}, retry, "suspect skill_never_enabled", "EU 403, EU 403"},
		{"no permission", twice(simulator.InsufficientPermission), retry, "suspect insufficient_permission", "EU 403, EU 403"},
		{"skill not found", twice(simulator.SkillNotFound), retry, "suspect skill_not_found", "EU 404, EU 404"},
		{"malformed, says the gateway", code(simulator.InvalidRequest), dead, "active", "EU 400"},
		{"account not found", code(simulator.AccountNotFound), dead, "active", "EU 404"},
		{"no answer", script(simulator.Fault{Reset: true}), retry, "active", "EU 0"},
		{"too large, and no halves", code(simulator.TooLarge), dead, "active", "EU 413"},
		{"suspended", change(func(r *grant.Record, id string, now time.Time) { r.Suspect(id, "x", now) }), delivery.Suspended, "suspect x", ""},
		// The refresh during the delivery proves the grant.
		{"restored", change(func(r *grant.Record, id string, now time.Time) {
			r.Revoke(id, grant.ReasonInvalidGrant, now)
			r.Restore(id, now)
		}), accepted, "active", "LWA 200, EU 202"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w, id := linked(t)
			test.prepare(t, w, id)
			state := func() string {
				g := w.Read(t, "u-1").Grants[id]
				return strings.TrimSpace(string(g.State) + " " + g.Reason)
			}
			d, m := deliverer(t, w), message(w, report)
			results, seen := d.Deliver(t.Context(), m), 0
			if strings.HasPrefix(test.state, "suspect") && test.want == retry {
				// The first refusal is handed back. The next one makes the grant
				// suspect.
				if got := state(); got != "active" || results[0].Decision != delivery.Retry {
					t.Errorf("after one refusal: grant = %s, result = %+v; want it active and retried", got, results[0])
				}
				w.Forward(5 * time.Second)
				m.Attempt, seen = 2, len(w.Sim.Events(alexa.EU))
				results = d.Deliver(t.Context(), m)
			}
			outcomes{id: test.want}.check(t, "at last", results)
			checkSent(t, w, seen, results[0])
			if got := requested(w); got != test.requested {
				t.Errorf("requests = %s, want %s", got, test.requested)
			}
			if got := state(); got != test.state {
				t.Errorf("grant = %s, want %s", got, test.state)
			}
		})
	}
}

// TestNoGrant: an event without a grant is acknowledged, and the result gives the
// reason.
func TestNoGrant(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.FE, "amzn-1")
	for name, tt := range map[string]struct {
		userID     string
		attributes map[string]string
		want       delivery.OutcomeName
		reason     string
	}{
		"unknown customer":        {"u-9", nil, delivery.NoGrant, "no customer with this userId has linked the skill in this stack"},
		"no grant in the region":  {"u-1", map[string]string{"region": "NA"}, delivery.NoGrant, "the customer has none in NA"},
		"no grant in any":         {"u-1", nil, delivery.NoGrant, "none in a region that is served here (EU, NA)"},
		"grant of a replay":       {"u-1", map[string]string{"gatepost-grant": "g-9"}, delivery.NoGrant, "the replay is for is gone"},
		"region served elsewhere": {"u-1", map[string]string{"region": "FE"}, delivery.Elsewhere, "region FE; here: EU, NA"},
	} {
		m := message(w, strings.Replace(report, "u-1", tt.userID, 1))
		m.Attributes = tt.attributes
		results := deliverer(t, w, alexa.EU, alexa.NA).Deliver(t.Context(), m)
		if len(results) != 1 || results[0].GrantID != "" || results[0].Decision != delivery.Ack || results[0].Name != tt.want {
			t.Fatalf("%s: results = %+v, want %s", name, results, tt.want)
		}
		if got := results[0].Err.Error(); !strings.Contains(got, tt.reason) {
			t.Errorf("%s: reason = %q, want %q in it", name, got, tt.reason)
		}
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	w, _ := linked(t)
	old := func(age time.Duration) func(*push.Message) {
		return func(m *push.Message) { m.PublishTime = w.Now().Add(-age) }
	}
	published := func(attribute string) func(*push.Message) {
		return func(m *push.Message) { m.Attributes = map[string]string{attribute: "2026-01-02T02:00:00.123456Z"} }
	}
	deviceOf1970 := strings.Replace(report, `"value"`, `"timeOfSample":"1970-01-01T00:00:00Z","value"`, 1)
	for _, test := range []struct {
		name, data string
		age        func(*push.Message)
		want       delivery.OutcomeName
	}{
		{"report in time", report, old(5 * time.Minute), delivery.Accepted},
		{"report too old", report, old(5*time.Minute + time.Millisecond), delivery.Expired},
		{"doorbell in time", doorbell, old(time.Minute), delivery.Accepted},
		{"doorbell too old", doorbell, old(61 * time.Second), delivery.Expired},
		{"answer too old", answer, old(61 * time.Second), delivery.Expired},
		{"discovery never", removal, old(24 * time.Hour), delivery.Accepted},
		{"moved by Pub/Sub", report, published("CloudPubSubDeadLetterSourceTopicPublishTime"), delivery.Expired},
		{"replayed", report, published("gatepost-published"), delivery.Expired},
		{"no publish time", report, func(m *push.Message) { m.PublishTime = time.Time{} }, delivery.Accepted},
		{"device clock of 1970", deviceOf1970, old(0), delivery.Accepted},
	} {
		m := message(w, test.data)
		m.ID = test.name
		test.age(&m)
		if r := deliverer(t, w).Deliver(t.Context(), m); len(r) != 1 || r[0].Name != test.want {
			t.Errorf("%s: result = %+v, want %s", test.name, r, test.want)
		}
	}
}

// TestWarnings: an event that Amazon accepts but discourages is sent. Its line is
// no warning: it counts the warnings, and shows each once an hour.
func TestWarnings(t *testing.T) {
	t.Parallel()
	const at = `"timeOfSample":"2026-01-02T03:04:05Z"}`
	const reachable = `{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},` + at
	odd := func(from, to int) (properties string) {
		for i := from; i < to; i++ {
			properties += fmt.Sprintf(`,{"namespace":"Alexa.RangeController","instance":"canary-%d","name":"rangeValue","value":1,`+
				`"unit":"canary",`+at, i)
		}
		return properties
	}
	many, few := reachable+odd(0, 20), odd(0, 2)[1:]
	w, _ := linked(t)
	w.Sim.Always(eu, simulator.Fault{Status: 202, Body: " "})
	d := deliverer(t, w)
	for i, step := range []struct {
		name    string
		forward time.Duration
		others  string // unchanged properties
		count   int
		shown   string // path of a warning
	}{
		{"sound", 0, reachable, 0, ""},
		{"many of one", 0, many, 20, "unchanged[1].unit"},
		{"the same", time.Minute, many, 20, ""},
		{"another besides", 0, few, 3, "unchanged"},
		{"the first again", 59 * time.Minute, many, 20, "unchanged[1].unit"},
		{"the other again", time.Minute, few, 3, "unchanged"},
	} {
		w.Forward(step.forward)
		ctx, line := logging.Begin(t.Context())
		m := numbered(w, strings.Replace(report, `"ON"}]`, `"ON",`+at+`],"unchanged":[`+step.others+`]`, 1), i)
		if got := d.Deliver(ctx, m); len(got) != 1 || got[0].Name != delivery.Accepted {
			t.Fatalf("%s: result = %+v, want accepted", step.name, got)
		}
		var written bytes.Buffer
		line.Write(ctx, logging.New(&written), "event")
		var logged struct {
			Severity string
			Shown    []string `json:"event_advice"`
			Count    int      `json:"event_advice_count"`
		}
		if err := json.Unmarshal(written.Bytes(), &logged); err != nil {
			t.Fatal(err)
		}
		shown, _, _ := strings.Cut(strings.Join(logged.Shown, "\n"), ": ")
		if shown != step.shown || len(logged.Shown) > 1 || logged.Count != step.count || logged.Severity != "INFO" {
			t.Errorf("%s: line = %+v, want INFO with %d warnings and %q shown", step.name, logged, step.count, step.shown)
		}
		if strings.Contains(written.String(), "canary") {
			t.Errorf("%s: the line contains a value of the event: %s", step.name, &written)
		}
	}
}
