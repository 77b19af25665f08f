package functions_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// The tests of this package meet the program as Google does: built by way of
// the root package, started with an environment, spoken to over HTTP and ended
// by a signal. What is inside the functions has tests of its own.

// The last test is of what all others had the program show.
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

// deliver pushes an event to the SendEvent of a process, and returns the answer.
func deliver(t *testing.T, p *binary.Process, m push.Message) string {
	t.Helper()
	answer, err := world.Deliver(testkit.Context(t), p.URL()+"/SendEvent", m)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// link has a customer enable the skill by a process of all functions.
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

// Two properties of a lamp: one that changes, and one that is as it was.
const (
	powerState = `{"namespace":"Alexa.PowerController","name":"powerState","value":"ON",
		"timeOfSample":"2026-01-02T03:04:05.678Z","uncertaintyInMilliseconds":0}`
	connectivity = `{"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},
		"timeOfSample":"2026-01-02T03:04:05.000Z","uncertaintyInMilliseconds":200}`
)

// report is a device event: a customer's lamp was switched on.
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

// TestSendEvent pushes events as Pub/Sub does, and holds the acknowledgement
// against what the gateways saw.
func TestSendEvent(t *testing.T) {
	t.Parallel()
	w := world.New(t, simulator.Options{}).For(alexa.NA, alexa.EU)
	p := w.Launch(t, "")
	inEurope, inBoth := []alexa.Region{alexa.EU}, []alexa.Region{alexa.NA, alexa.EU}
	tests := []struct {
		name     string
		enabled  []alexa.Region // where the customer has enabled the skill
		event    func(c world.Customer, endpointID string) string
		region   string // attribute
		age      time.Duration
		want     string
		arrivals []alexa.Region // whose gateway saw the event
	}{
		{"long form", inEurope, report, "", 0, "200 accepted", inEurope},
		{"short form", inEurope, shortReport, "", 0, "200 accepted", inEurope},
		{"two regions", inBoth, report, "", 0, "200 accepted accepted", inBoth},
		{"one of two regions", inBoth, report, "EU", 0, "200 accepted", inEurope},
		{"unknown customer", nil, report, "", 0, "200", nil},
		{"region without a grant", inEurope, report, "NA", 0, "200", nil},
		{"region served elsewhere", inBoth, report, "FE", 0, "200", nil},
		{"old", inEurope, report, "", time.Hour, "200 expired", nil},
		{"never to be delivered", inEurope, report, "eu", 0, "422 dead_letter UNKNOWN_REGION", nil}, // there is no dead-letter topic
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, lamp := world.NewCustomer(test.name), fmt.Sprint("lamp-", i)
			for _, region := range test.enabled {
				c = link(t, w, p, test.name, region)
			}
			m := world.Message(test.event(c, lamp), nil)
			m.PublishTime = m.PublishTime.Add(-test.age)
			if test.region != "" {
				m.Attributes = map[string]string{"region": test.region}
			}
			if got := deliver(t, p, m); got != test.want {
				t.Errorf("answered %q, want %q", got, test.want)
			}
			var arrivals []alexa.Region
			for _, region := range alexa.Regions() {
				for _, seen := range w.Events(region) {
					if seen.EndpointID == lamp {
						arrivals = append(arrivals, region)
					}
				}
			}
			if diff := cmp.Diff(test.arrivals, arrivals); diff != "" {
				t.Errorf("the gateways that saw the event differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExamples publishes every example of a device event to the program, and what
// others send to it. The gateway takes each at the first try: the examples are what
// a maker copies.
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
			c := link(t, w, p, name, alexa.EU) // tells its requests from the others'
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
				t.Errorf("answered %q, want %q", got, "200 accepted")
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
				t.Errorf("at the gateway arrived %q, want %q", got, want)
			}
		})
	}
}

// TestAcceptGrantFails sends good directives that cannot be accepted because of
// how the program is configured, or the request is. Alexa knows one answer for all
// of them, and nothing may be left behind. What Login with Amazon may answer is in
// package faults.
func TestAcceptGrantFails(t *testing.T) {
	t.Parallel()
	w := world.New(t, simulator.Options{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hangs.Close)
	severalRegions := w.For(alexa.NA, alexa.EU).Launch(t, "")
	wrongSecret := w.For(alexa.EU).With(map[string]string{
		"LWA_CLIENT": `{"client_id":"amzn1.application-oa2-client.fake","client_secret":"amzn1.oa2-cs.v1.fake-wrong"}`,
	}).Launch(t, "")
	lostProvider := w.For(alexa.EU).With(map[string]string{"GRANTEE_RESOLVER": "userinfo:" + hangs.URL + "/userinfo"}).Launch(t, "")
	tests := []struct {
		name    string
		process *binary.Process
		region  alexa.Region // header
		grantee string       // empty: a good one
	}{
		{"no region", severalRegions, "", ""},
		{"no such region", severalRegions, "eu", ""},
		{"region not served", severalRegions, "FE", ""},
		{"region not served by one of one", wrongSecret, "NA", ""},
		{"grantee token of nobody", severalRegions, "EU", "expired-grantee-u-1"},
		{"identity provider hangs", lostProvider, "EU", ""},
		{"client secret wrong", wrongSecret, "EU", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := world.NewCustomer(test.name)
			grantee := c.GranteeToken()
			if test.grantee != "" {
				grantee = test.grantee
			}
			const most = 5 * time.Second // Alexa waits eight, and the skill proxy is on the way
			directive := world.Directive(w.Code(alexa.EU, c.AmazonUser).Reveal(), grantee)
			got, err := world.Accept(testkit.Within(t, most), test.process.URL()+"/AcceptGrant", test.region, directive)
			if err != nil || got != world.NotLinked {
				t.Errorf("answered %q (%v), want %q", got, err, world.NotLinked)
			}
			if got := deliver(t, test.process, world.Message(report(c, "lamp-1"), nil)); got != "200" {
				t.Errorf("an event for the customer was answered %q, want %q", got, "200")
			}
		})
	}
}

// TestRequests holds every path against what it must refuse, and how. What else may
// be wrong with a body is the functions' affair.
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
		{"AcceptGrant, no directive", "POST", "/AcceptGrant", "{}", 400, "directive: missing"},
		{"AcceptGrant, largest", "POST", "/AcceptGrant", large(64 << 10), 400, "directive: missing"},
		{"AcceptGrant, too large", "POST", "/AcceptGrant", large(64<<10 + 1), 413, "too large"},

		{"RefreshTokens, GET", "GET", "/RefreshTokens", "", 405, "POST only"},
		{"RefreshTokens, empty", "POST", "/RefreshTokens", "", 200, `"refreshed":0`},
		{"RefreshTokens, too large", "POST", "/RefreshTokens", large(64<<10 + 1), 413, "too large"},

		{"RefreshShard, GET", "GET", "/RefreshShard", "", 405, "POST only"},
		{"RefreshShard, not JSON", "POST", "/RefreshShard", "shard", 400, "not a Pub/Sub message"},
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
				t.Errorf("answered %d %s, want %d with %q", got.Status, got.Body, test.status, test.says)
			}
		})
	}
}

// pushed is the request body with which Pub/Sub delivers a message.
func pushed(t *testing.T, data string) string {
	t.Helper()
	body, err := push.Encode(world.Message(data, nil))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
