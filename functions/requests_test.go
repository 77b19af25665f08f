package functions_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// The tests of this package use the program as Google does: it is built from the
// root package, started with an environment, called over HTTP and ended by a
// signal. The functions' packages test the rest.

// The last check is for secrets in everything the programs wrote.
func TestMain(m *testing.M) { testkit.Main(m, world.Leaks) }

// post makes a request that must be answered.
func post(t *testing.T, url, body string) world.Answer {
	t.Helper()
	a, err := world.Post(testkit.Context(t), url, nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// deliver pushes an event to a process's SendEvent, and returns the answer.
func deliver(t *testing.T, p *binary.Process, m push.Message) string {
	t.Helper()
	answer, err := world.Deliver(testkit.Context(t), p.URL()+"/SendEvent", m)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// link has a customer enable the skill, at a process that serves all functions.
func link(t *testing.T, w *world.World, p *binary.Process, name string, region alexa.Region) world.Customer {
	t.Helper()
	return w.Link(t, p.URL()+"/AcceptGrant", name, region)
}

// decode reads JSON.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return value
}

// Two properties of a lamp: a changed one and an unchanged one.
const (
	powerState = `{"namespace":"Alexa.PowerController","name":"powerState","value":"ON",
		"timeOfSample":"2026-01-02T03:04:05.678Z","uncertaintyInMilliseconds":0}`
	connectivity = `{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},
		"timeOfSample":"2026-01-02T03:04:05.000Z","uncertaintyInMilliseconds":200}`
)

// report is a device event: a customer's lamp is on.
func report(c world.Customer, lamp string) string {
	return fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa","name":"ChangeReport"},"endpoint":{"endpointId":%q},
		"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[%s]}}},"context":{"properties":[%s]}}`,
		c.UserID, lamp, powerState, connectivity)
}

// shortReport is the same event in the short form.
func shortReport(c world.Customer, lamp string) string {
	return fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":"PHYSICAL_INTERACTION","changed":[%s],"unchanged":[%s]}`,
		c.UserID, lamp, powerState, connectivity)
}

// TestExamples publishes every example of a device event. Makers copy the examples,
// so the gateway must accept each at the first attempt.
func TestExamples(t *testing.T) {
	t.Parallel()
	events := make(map[string]json.RawMessage)
	paths, err := filepath.Glob("../shared/alexa/examples/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples (%v)", err)
	}
	for _, path := range append(paths, "../shared/alexa/testdata/bodies.json") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) != "bodies.json" {
			events[strings.TrimSuffix(filepath.Base(path), ".json")] = data
			continue
		}
		for i, body := range decode[[]json.RawMessage](t, string(data)) {
			events[fmt.Sprint("body-", i)] = body
		}
	}
	w := world.New(t, simulator.Options{})
	p := w.Launch(t, "")
	for name, data := range events {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := link(t, w, p, name, alexa.EU) // its own customer, to find its requests
			event := decode[map[string]any](t, string(data))
			event["userId"] = c.UserID
			published, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			decoded, _, err := alexa.DecodeEvent(published, time.Now(), alexa.CheckStrict)
			if err != nil && !strings.HasPrefix(name, "body-") {
				t.Fatal(err)
			}
			if got := deliver(t, p, world.Message(string(published), nil)); got != "200 accepted" {
				t.Errorf("answer = %q, want %q", got, "200 accepted")
			}
			var got []string
			for _, r := range w.Events(alexa.EU) {
				if r.User == c.AmazonUser {
					got = append(got, fmt.Sprint(r.Status, r.Reason, " ", r.Namespace, " ", r.Name, " ", r.EndpointID))
				}
			}
			header := decoded.Header
			want := fmt.Sprint(202, " ", header.Namespace, " ", header.Name, " ", decoded.EndpointID())
			if len(got) != 1 || err == nil && got[0] != want {
				t.Errorf("requests at the gateway = %q, want %q", got, want)
			}
		})
	}
}

// TestRequests checks what each path refuses, and with which answer. The functions'
// packages test the other faults of a body.
func TestRequests(t *testing.T) {
	t.Parallel()
	p := world.New(t, simulator.Options{}).Launch(t, "")
	directive := world.Directive("ANfake-1", "grantee-u-1")
	large := func(size int) string { return `{"x":"` + strings.Repeat("x", size-len(`{"x":""}`)) + `"}` }
	tests := []struct {
		name, method, path, body string
		status                   int
		says                     string // part of the answer
	}{
		{"AcceptGrant, GET", "GET", "/AcceptGrant", "", 405, "POST only"},
		{"AcceptGrant, PUT", "PUT", "/AcceptGrant", directive, 405, "POST only"},
		{"AcceptGrant, empty", "POST", "/AcceptGrant", "", 400, "not JSON"},
		{"AcceptGrant, no directive", "POST", "/AcceptGrant", "{}", 400, "not an AcceptGrant directive: directive: missing"},
		{"AcceptGrant, largest", "POST", "/AcceptGrant", large(64 << 10), 400, "directive: missing"},
		{"AcceptGrant, too large", "POST", "/AcceptGrant", large(64<<10 + 1), 413, "too large"},

		{"RefreshTokens, GET", "GET", "/RefreshTokens", "", 405, "POST only"},
		{"RefreshTokens, empty", "POST", "/RefreshTokens", "", 200, `"refreshed":0`},
		{"RefreshTokens, too large", "POST", "/RefreshTokens", large(64<<10 + 1), 413, "too large"},

		{"RefreshShard, GET", "GET", "/RefreshShard", "", 405, "POST only"},
		{"RefreshShard, not JSON", "POST", "/RefreshShard", "shard", 400, "not a Pub/Sub message: not JSON"},
		{"RefreshShard, too large", "POST", "/RefreshShard", large(64<<10 + 1), 413, "too large"},
		{"RefreshShard", "POST", "/RefreshShard", pushed(t, `{"shard":3,"shards":4}`), 200, `"refreshed":0`},

		{"SendEvent, GET", "GET", "/SendEvent", "", 405, "POST only"},
		{"SendEvent, not JSON", "POST", "/SendEvent", "event", 400, "not a Pub/Sub message"},
		{"SendEvent, largest", "POST", "/SendEvent", large(15 << 20), 400, "message: missing"},
		{"SendEvent, too large", "POST", "/SendEvent", large(15<<20 + 1), 413, "too large"},

		{"SkillEvent, GET", "GET", "/SkillEvent", "", 405, "POST only"},
		{"SkillEvent, a directive", "POST", "/SkillEvent", directive, 400, "not a skill event: request: missing"},
		{"SkillEvent, unheard of", "POST", "/SkillEvent", `{"request":{"type":"AlexaSkillEvent.SkillAdmired"}}`, 200, `{"outcome":"ignored"}`},
		{"SkillEvent, too large", "POST", "/SkillEvent", large(64<<10 + 1), 413, "too large"},

		{"root", "POST", "/", "{}", 404, "not found"},
		{"another name", "POST", "/sendevent", "{}", 404, "not found"},
		{"below a function", "POST", "/SendEvent/1", "{}", 404, "not found"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := world.Send(testkit.Context(t), test.method, p.URL()+test.path, nil, test.body)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != test.status || !strings.Contains(got.Body, test.says) {
				t.Errorf("answer = %d %s, want %d with %q", got.Status, got.Body, test.status, test.says)
			}
		})
	}
}

// pushed is the body of Pub/Sub's push request for a message.
func pushed(t *testing.T, data string) string {
	t.Helper()
	body, err := push.Encode(world.Message(data, nil))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
