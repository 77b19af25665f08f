package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/delivery"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

const report = `{"userId":"u-1","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION","changed":[{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}`

// letters is a dead-letter topic.
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

// deliverer is a Deliverer for the given regions, or for all.
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

func message(w *accesstest.World, data string) push.Message {
	return push.Message{ID: "m-1", Data: []byte(data), PublishTime: w.Now(), Attempt: 1}
}

// names are the outcomes, by grant.
func names(results []delivery.Result) map[string]delivery.OutcomeName {
	got := make(map[string]delivery.OutcomeName)
	for _, r := range results {
		got[r.GrantID] = r.Name
	}
	return got
}

// seen is what the simulator's gateways were asked and answered, in order.
func seen(w *accesstest.World) []string {
	var list []string
	for _, r := range w.Sim.Requests() {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %d %s", r.Target, r.Status, r.Code)))
	}
	return list
}

// since drops the exchange that every test begins with.
func since(list []string, exchanges int) []string { return list[exchanges:] }

func TestDeliverToOneGrant(t *testing.T) {
	t.Parallel()
	eu := simulator.Gateway(alexa.EU)
	script := func(faults ...simulator.Fault) func(*testing.T, *accesstest.World) {
		return func(_ *testing.T, w *accesstest.World) { w.Sim.Script(eu, faults...) }
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, w *accesstest.World)
		want    delivery.OutcomeName
		state   grant.State
		reason  string
		seen    []string
	}{
		{"accepted", script(), delivery.Accepted, grant.Active, "", []string{"gateway/EU 202"}},
		{"refreshed before use", func(_ *testing.T, w *accesstest.World) { w.Forward(59*time.Minute + 30*time.Second) }, delivery.Accepted, grant.Active, "", []string{"lwa/refresh 200", "gateway/EU 202"}},
		{"token refused", func(_ *testing.T, w *accesstest.World) { w.Sim.ExpireAccessTokens(alexa.EU, "amzn-1") }, delivery.Accepted, grant.Active, "",
			[]string{"gateway/EU 401 INVALID_ACCESS_TOKEN_EXCEPTION", "lwa/refresh 200", "gateway/EU 202"}},
		{"bare 403", script(simulator.Fault{Status: 403, Body: "<html>no</html>"}), delivery.Accepted, grant.Active, "", []string{"gateway/EU 403", "lwa/refresh 200", "gateway/EU 202"}},
		{"403 with an unknown code", script(simulator.Fault{Status: 403, Code: "NEW_EXCEPTION"}), delivery.Accepted, grant.Active, "", []string{"gateway/EU 403 NEW_EXCEPTION", "lwa/refresh 200", "gateway/EU 202"}},
		{"fresh token refused too", script(simulator.Fault{Status: 401, Times: 4}), delivery.Redeliver, grant.Suspect, "unauthorized",
			[]string{"gateway/EU 401", "lwa/refresh 200", "gateway/EU 401", "gateway/EU 401", "gateway/EU 401"}},
		{"token refused, grant gone", func(_ *testing.T, w *accesstest.World) {
			w.Sim.Disable(alexa.EU, "amzn-1")
			w.Sim.Script(eu, simulator.Fault{Status: 401})
		}, delivery.Revoked, grant.Revoked, "invalid_grant", []string{"gateway/EU 401", "lwa/refresh 400 invalid_grant"}},
		{"skill disabled", func(_ *testing.T, w *accesstest.World) { w.Sim.Disable(alexa.EU, "amzn-1") }, delivery.Revoked, grant.Revoked, "invalid_grant",
			[]string{"gateway/EU 403 SKILL_DISABLED_EXCEPTION", "lwa/refresh 400 invalid_grant"}},
		{"skill disabled, says only the gateway", script(simulator.Fault{Code: simulator.SkillDisabled, Times: 2}), delivery.Redeliver, grant.Suspect, "skill_disabled",
			[]string{"gateway/EU 403 SKILL_DISABLED_EXCEPTION", "lwa/refresh 200", "gateway/EU 403 SKILL_DISABLED_EXCEPTION"}},
		{"500 that means disabled", script(simulator.Fault{Code: simulator.InternalService, Description: "no SkillIdentifier found", Times: 2}), delivery.Redeliver, grant.Suspect, "skill_disabled",
			[]string{"gateway/EU 500 INTERNAL_SERVICE_EXCEPTION", "lwa/refresh 200", "gateway/EU 500 INTERNAL_SERVICE_EXCEPTION"}},
		{"never enabled, just linked", script(simulator.Fault{Code: simulator.SkillNeverEnabled}), delivery.Redeliver, grant.Active, "", []string{"gateway/EU 403 SKILL_NEVER_ENABLED_EXCEPTION"}},
		{"never enabled, linked long ago", func(_ *testing.T, w *accesstest.World) {
			w.Forward(11 * time.Minute)
			w.Sim.Script(eu, simulator.Fault{Code: simulator.SkillNeverEnabled, Times: 2})
		}, delivery.Redeliver, grant.Suspect, "skill_never_enabled",
			[]string{"gateway/EU 403 SKILL_NEVER_ENABLED_EXCEPTION", "gateway/EU 403 SKILL_NEVER_ENABLED_EXCEPTION"}},
		{"no permission", script(simulator.Fault{Code: simulator.InsufficientPermission, Times: 2}), delivery.Redeliver, grant.Suspect, "insufficient_permission",
			[]string{"gateway/EU 403 INSUFFICIENT_PERMISSION_EXCEPTION", "gateway/EU 403 INSUFFICIENT_PERMISSION_EXCEPTION"}},
		{"skill not found", script(simulator.Fault{Code: simulator.SkillNotFound, Times: 2}), delivery.Redeliver, grant.Suspect, "skill_not_found",
			[]string{"gateway/EU 404 SKILL_NOT_FOUND_EXCEPTION", "gateway/EU 404 SKILL_NOT_FOUND_EXCEPTION"}},
		{"LWA ill when a token is refused", func(_ *testing.T, w *accesstest.World) {
			w.Sim.ExpireAccessTokens(alexa.EU, "amzn-1")
			w.Sim.Script(simulator.Refresh, simulator.Fault{Status: 503})
		}, delivery.Redeliver, grant.Active, "", []string{"gateway/EU 401 INVALID_ACCESS_TOKEN_EXCEPTION", "lwa/refresh 503"}},
		{"malformed, says the gateway", script(simulator.Fault{Code: simulator.InvalidRequest}), delivery.Dead, grant.Active, "", []string{"gateway/EU 400 INVALID_REQUEST_EXCEPTION"}},
		{"account not found", script(simulator.Fault{Code: simulator.AccountNotFound}), delivery.Dead, grant.Active, "", []string{"gateway/EU 404 ACCOUNT_NOT_FOUND_EXCEPTION"}},
		{"too large, and no halves", script(simulator.Fault{Code: simulator.TooLarge}), delivery.Dead, grant.Active, "", []string{"gateway/EU 413 REQUEST_ENTITY_TOO_LARGE_EXCEPTION"}},
		{"suspended", func(t *testing.T, w *accesstest.World) {
			w.Change(t, "u-1", func(r *grant.Record) {
				for id := range r.Grants {
					r.Suspect(id, "x", w.Now())
				}
			})
		}, delivery.Suspended, grant.Suspect, "x", []string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			id := w.Link(t, "u-1", alexa.EU, "amzn-1")
			test.prepare(t, w)
			d, m := deliverer(t, w), message(w, report)
			results := d.Deliver(t.Context(), m)
			if test.state == grant.Suspect && test.want == delivery.Redeliver {
				// The first refusal is handed back. The next one is the reason.
				if g := w.Read(t, "u-1").Grants[id]; g.State != grant.Active || results[0].Decision != delivery.Retry {
					t.Errorf("after one refusal the grant is %s and the outcome %+v", g.State, results[0])
				}
				w.Forward(5 * time.Second)
				m.Attempt = 2
				results = d.Deliver(t.Context(), m)
			}
			if diff := cmp.Diff(map[string]delivery.OutcomeName{id: test.want}, names(results)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s\n%v", diff, results[0].Err)
			}
			if diff := cmp.Diff(test.seen, since(seen(w), 1)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if g := w.Read(t, "u-1").Grants[id]; g.State != test.state || g.Reason != test.reason {
				t.Errorf("grant is %s %s, want %s %s", g.State, g.Reason, test.state, test.reason)
			}
		})
	}
}

func TestFanOut(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	eu1 := w.Link(t, "u-1", alexa.EU, "amzn-1")
	eu2 := w.Link(t, "u-1", alexa.EU, "amzn-2")
	na := w.Link(t, "u-1", alexa.NA, "amzn-3")
	w.Link(t, "u-2", alexa.EU, "amzn-4")
	w.Sim.Disable(alexa.EU, "amzn-2")
	w.Sim.Always(simulator.Gateway(alexa.EU), simulator.Fault{Status: 401, User: "amzn-2"})

	results := deliverer(t, w).Deliver(t.Context(), message(w, report))
	want := map[string]delivery.OutcomeName{eu1: delivery.Accepted, eu2: delivery.Revoked, na: delivery.Accepted}
	if diff := cmp.Diff(want, names(results)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	accepted := map[string]string{}
	for _, region := range alexa.Regions() {
		for _, r := range w.Sim.Events(region) {
			if r.Accepted {
				accepted[r.User] = string(r.Region)
			}
		}
	}
	if diff := cmp.Diff(map[string]string{"amzn-1": "EU", "amzn-3": "NA"}, accepted); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}

	// A region's attribute, and a process that serves one region, leave out the
	// others' grants.
	m := message(w, report)
	m.Attributes = map[string]string{"region": "NA"}
	for name, got := range map[string]map[string]delivery.OutcomeName{
		"attribute": names(deliverer(t, w).Deliver(t.Context(), m)),
		"process":   names(deliverer(t, w, alexa.NA).Deliver(t.Context(), message(w, report))),
	} {
		if diff := cmp.Diff(map[string]delivery.OutcomeName{na: delivery.Accepted}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestNoGrant: an event without a grant to go to is acknowledged, and the result says
// why.
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
		"unknown customer":        {"u-9", nil, delivery.NoGrant, "no customer with this userId has linked the skill"},
		"no grant in the region":  {"u-1", map[string]string{"region": "NA"}, delivery.NoGrant, "the customer has none in NA"},
		"no grant in any":         {"u-1", nil, delivery.NoGrant, "none in a region that is served here (EU, NA)"},
		"grant of a replay":       {"u-1", map[string]string{"gatepost-grant": "g-9"}, delivery.NoGrant, "the replay is for is gone"},
		"region served elsewhere": {"u-1", map[string]string{"region": "FE"}, delivery.Elsewhere, "region FE; here: EU, NA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(w, strings.Replace(report, "u-1", tt.userID, 1))
			m.Attributes = tt.attributes
			results := deliverer(t, w, alexa.EU, alexa.NA).Deliver(t.Context(), m)
			if len(results) != 1 || results[0].GrantID != "" || results[0].Decision != delivery.Ack || results[0].Name != tt.want {
				t.Fatalf("%+v, want %s", results, tt.want)
			}
			if got := results[0].Err.Error(); !strings.Contains(got, tt.reason) {
				t.Errorf("reason = %q, want it to say %q", got, tt.reason)
			}
		})
	}
}

// TestSent: a result tells what was sent for it, as Alexa knows it.
func TestSent(t *testing.T) {
	t.Parallel()
	discovery := func(n int) string {
		endpoints := make([]string, n)
		for i := range endpoints {
			endpoints[i] = fmt.Sprintf(`{"endpointId":"e-%d"}`, i)
		}
		return `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},` +
			`"payload":{"endpoints":[` + strings.Join(endpoints, ",") + `]}}}`
	}
	for name, tt := range map[string]struct {
		event         string
		faults        []simulator.Fault
		tries, status int
		messages      int // with ids of their own
	}{
		"accepted":          {report, nil, 1, 202, 1},
		"refused":           {report, []simulator.Fault{{Code: "INVALID_REQUEST_EXCEPTION"}}, 1, 400, 1},
		"with a new token":  {report, []simulator.Fault{{Code: "INVALID_ACCESS_TOKEN_EXCEPTION"}}, 2, 202, 1},
		"no answer":         {report, []simulator.Fault{{Reset: true}}, 1, 0, 1},
		"in two parts":      {discovery(31), nil, 2, 202, 2},
		"whole, and halves": {discovery(2), []simulator.Fault{{Code: "REQUEST_ENTITY_TOO_LARGE_EXCEPTION"}}, 3, 202, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			w.Link(t, "u-1", alexa.EU, "amzn-1")
			w.Sim.Script(simulator.Gateway(alexa.EU), tt.faults...)
			results := deliverer(t, w).Deliver(t.Context(), message(w, tt.event))
			if len(results) != 1 || results[0].Region != alexa.EU {
				t.Fatalf("%+v", results)
			}
			got := results[0].Sent
			var ids []string
			for _, seen := range w.Sim.Events(alexa.EU) {
				if !slices.Contains(ids, seen.MessageID) {
					ids = append(ids, seen.MessageID)
				}
			}
			want := delivery.Sent{MessageID: strings.Join(ids, " "), Tries: tt.tries, Status: tt.status, RequestID: got.RequestID}
			if diff := cmp.Diff(want, got); diff != "" || len(ids) != tt.messages || (got.RequestID != "") != (tt.status != 0) {
				t.Errorf("%d messages, want %d; (-want +got):\n%s", len(ids), tt.messages, diff)
			}
		})
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	id := w.Link(t, "u-1", alexa.EU, "amzn-1")
	topic := new(letters)
	d := deliverer(t, w)
	d.DeadLetters = topic

	malformed := message(w, strings.Replace(report, "lamp-1", "lamp/1", 1))
	malformed.Attributes = map[string]string{"eventId": "e-1", "mine": "kept"}
	malformed.Attempt = 3
	misdirected := message(w, report)
	misdirected.Attributes = map[string]string{"region": "eu"}
	noJSON := message(w, "hello")
	w.Sim.Script(simulator.Gateway(alexa.EU), simulator.Fault{Code: simulator.InvalidRequest, Description: "Payload conversion failed."})
	for _, m := range []push.Message{malformed, misdirected, noJSON, message(w, report)} {
		if results := d.Deliver(t.Context(), m); len(results) != 1 || results[0].Decision != delivery.DeadLetter {
			t.Errorf("%s: %+v", m.Data, results)
		}
	}
	const customer, published = "a24a7f55f278dd49", "2026-01-02T03:04:05.000Z"
	want := []push.Message{
		{Data: malformed.Data, Attributes: map[string]string{"eventId": "e-1", "mine": "kept",
			"gatepost-reason": "dead_letter", "gatepost-code": "INVALID_EVENT", "gatepost-customer": customer, "gatepost-grant": "",
			"gatepost-description": "endpointId: has a character other than letters, digits, spaces and _ - = # ; : ? @ & " +
				"(developer.amazon.com/docs/device-apis/alexa-discovery-objects.html)",
			"gatepost-event-id": "e-1", "gatepost-published": published, "gatepost-attempt": "3"}},
		{Data: misdirected.Data, Attributes: map[string]string{"region": "eu",
			"gatepost-reason": "dead_letter", "gatepost-code": "UNKNOWN_REGION", "gatepost-customer": customer, "gatepost-grant": "",
			"gatepost-description": "attribute region: must be NA, EU or FE",
			"gatepost-event-id":    "m-1", "gatepost-published": published, "gatepost-attempt": "1"}},
		{Data: noJSON.Data, Attributes: map[string]string{
			"gatepost-reason": "dead_letter", "gatepost-code": "INVALID_EVENT", "gatepost-customer": "", "gatepost-grant": "",
			"gatepost-description": "not JSON (at byte 1)",
			"gatepost-event-id":    "m-1", "gatepost-published": published, "gatepost-attempt": "1"}},
		{Data: []byte(report), Attributes: map[string]string{
			"gatepost-reason": "dead_letter", "gatepost-code": "INVALID_REQUEST_EXCEPTION", "gatepost-customer": customer, "gatepost-grant": id,
			"gatepost-description": "Payload conversion failed.", "gatepost-region": "EU",
			"gatepost-event-id": "m-1", "gatepost-published": published, "gatepost-attempt": "1"}},
	}
	if diff := cmp.Diff(want, topic.sent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	topic.fail = errors.New("down")
	if results := d.Deliver(t.Context(), noJSON); results[0].Decision != delivery.Retry {
		t.Errorf("a dead letter that could not be put aside is acknowledged: %+v", results)
	}
}

func TestIdentityAndAge(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Link(t, "u-1", alexa.EU, "amzn-2")
	first := message(w, report)
	first.Attributes = map[string]string{"eventId": "e-1"}
	again := first
	again.ID, again.Attempt = "m-2", 2
	other := message(w, report)
	for _, m := range []push.Message{first, again, other} {
		deliverer(t, w).Deliver(t.Context(), m) // each a process of its own
	}
	ids := map[string]int{}
	for _, r := range w.Sim.Events(alexa.EU) {
		ids[r.MessageID]++
	}
	times := map[int]int{}
	for _, n := range ids {
		times[n]++
	}
	// Two grants: the repeated event has one id for each, sent twice; the other
	// event has two ids of its own.
	if diff := cmp.Diff(map[int]int{2: 2, 1: 2}, times); diff != "" {
		t.Errorf("message ids %v (-want +got):\n%s", ids, diff)
	}

	const doorbell = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.DoorbellEventSource","name":"DoorbellPress"},"endpoint":{"endpointId":"d"},"payload":{"cause":{"type":"PHYSICAL_INTERACTION"},"timestamp":"2026-01-02T03:04:05Z"}},"context":{}}`
	const answer = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"Response","correlationToken":"c"},"endpoint":{"endpointId":"d"},"payload":{}}}`
	const removal = `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},"payload":{"endpoints":[{"endpointId":"d"}]}}}`
	old := func(age time.Duration) func(*push.Message) {
		return func(m *push.Message) { m.PublishTime = w.Now().Add(-age) }
	}
	tests := []struct {
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
		{"moved by Pub/Sub", report, func(m *push.Message) {
			m.Attributes = map[string]string{"CloudPubSubDeadLetterSourceTopicPublishTime": "2026-01-02T02:00:00.123456Z"}
		}, delivery.Expired},
		{"replayed", report, func(m *push.Message) {
			m.Attributes = map[string]string{"gatepost-published": "2026-01-02T02:00:00.000Z"}
		}, delivery.Expired},
		{"no publish time", report, func(m *push.Message) { m.PublishTime = time.Time{} }, delivery.Accepted},
		{"device clock of 1970", strings.Replace(report, `"value"`, `"timeOfSample":"1970-01-01T00:00:00Z","value"`, 1), old(0), delivery.Accepted},
	}
	for _, test := range tests {
		m := message(w, test.data)
		m.ID = test.name
		test.age(&m)
		for _, r := range deliverer(t, w).Deliver(t.Context(), m) {
			if r.Name != test.want {
				t.Errorf("%s: %s, want %s: %v", test.name, r.Name, test.want, r.Err)
			}
		}
	}

	long := message(w, report)
	long.Attributes = map[string]string{"eventId": strings.Repeat("x", 129)}
	if r := deliverer(t, w).Deliver(t.Context(), long); len(r) != 1 || r[0].Name != delivery.Dead || r[0].Err.Error() != "attribute eventId: longer than 128 characters" {
		t.Errorf("long eventId: %+v", r)
	}
}
