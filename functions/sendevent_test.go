package functions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// sent is what is expected of an event for one of a customer's grants.
type sent struct {
	region  alexa.Region // of the grant
	outcome string
}

// TestSendEvent pushes events as Pub/Sub does, and holds the acknowledgement
// against what the gateways saw.
func TestSendEvent(t *testing.T) {
	t.Parallel()
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, amazon.env(alexa.NA, alexa.EU))
	inEurope, inBoth := []alexa.Region{alexa.EU}, []alexa.Region{alexa.NA, alexa.EU}
	tests := []struct {
		name       string
		enabled    []alexa.Region // where the customer has enabled the skill
		event      func(c customer, endpointID string) string
		attributes map[string]string
		age        time.Duration
		want       []sent
		arrivals   []alexa.Region // whose gateway saw the event
	}{
		{name: "long form", enabled: inEurope, event: customer.report, want: []sent{{alexa.EU, "accepted"}}, arrivals: inEurope},
		{name: "short form", enabled: inEurope, event: customer.shortReport, want: []sent{{alexa.EU, "accepted"}}, arrivals: inEurope},
		{name: "two regions", enabled: inBoth, event: customer.report, want: []sent{{alexa.NA, "accepted"}, {alexa.EU, "accepted"}}, arrivals: inBoth},
		{
			name: "one of two regions", enabled: inBoth, event: customer.report, attributes: map[string]string{"region": "EU"},
			want: []sent{{alexa.EU, "accepted"}}, arrivals: inEurope,
		},
		{name: "unknown customer", event: customer.report},
		{name: "region without a grant", enabled: inEurope, event: customer.report, attributes: map[string]string{"region": "NA"}},
		{name: "region served elsewhere", enabled: inBoth, event: customer.report, attributes: map[string]string{"region": "FE"}},
		{name: "old", enabled: inEurope, event: customer.report, age: time.Hour, want: []sent{{alexa.EU, "expired"}}},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, lamp := newCustomer(test.name), fmt.Sprint("lamp-", i)
			grants := make(map[alexa.Region]string)
			for _, region := range test.enabled {
				grants[region] = grant.ID(region, "default", amazon.link(t, p.URL()+"/AcceptGrant", c, region).Reveal())
			}
			got := post(t, p.URL()+"/SendEvent", nil, pushedAt(t, time.Now().Add(-test.age), test.event(c, lamp), test.attributes))
			want := outcomes{Outcomes: []grantOutcome{}}
			for _, s := range test.want {
				want.Outcomes = append(want.Outcomes, grantOutcome{GrantID: grants[s.region], Outcome: s.outcome})
			}
			byGrant := cmpopts.SortSlices(func(a, b grantOutcome) bool { return a.GrantID < b.GrantID })
			if diff := cmp.Diff(want, decode[outcomes](t, got.Body), byGrant); diff != "" || got.Status != 200 {
				t.Errorf("answered %d, want 200; the outcomes differ (-want +got):\n%s", got.Status, diff)
			}
			if diff := cmp.Diff(test.arrivals, amazon.arrivals(lamp)); diff != "" {
				t.Errorf("the gateways that saw the event differ (-want +got):\n%s", diff)
			}
		})
	}
}

// arrivals is the regions at whose gateway events for an endpoint arrived, one
// for each arrival.
func (a amazon) arrivals(endpointID string) []alexa.Region {
	var regions []alexa.Region
	for _, region := range alexa.Regions() {
		for _, seen := range a.Events(region) {
			if seen.EndpointID == endpointID {
				regions = append(regions, region)
			}
		}
	}
	return regions
}

// TestSendEventRefuses pushes events that can never be delivered to a program
// without a dead-letter topic. Nobody but the publisher can mend them, so the
// answer names the field.
func TestSendEventRefuses(t *testing.T) {
	t.Parallel()
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, amazon.env(alexa.EU))
	c := newCustomer("refused")
	amazon.link(t, p.URL()+"/AcceptGrant", c, alexa.EU)
	withScope := fmt.Sprintf(`{"userId":%q,"event":{"header":{"namespace":"Alexa","name":"ChangeReport"},
		"endpoint":{"endpointId":"lamp-1","scope":{"type":"BearerToken","token":"Atza|fake-publisher"}}}}`, c.userID)
	tests := []struct {
		name, event string
		attributes  map[string]string
		want        string // how the error begins
	}{
		{name: "empty", want: "not JSON"},
		{name: "no customer", event: `{"endpointId":"lamp-1"}`, want: "userId: "},
		{name: "unknown field", event: `{"userId":"u-1","endpoint":"lamp-1"}`, want: "endpoint: "},
		{name: "endpoint id", event: c.report("lamp/1"), want: "event.endpoint.endpointId: "},
		{name: "endpoint id, short form", event: c.shortReport("lamp/1"), want: "endpointId: "},
		{name: "token", event: withScope, want: "event.endpoint.scope: "},
		{name: "region", event: c.report("lamp-1"), attributes: map[string]string{"region": "eu"}, want: "attribute region: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := post(t, p.URL()+"/SendEvent", nil, pushed(t, test.event, test.attributes))
			if got.Status != 422 || !strings.HasPrefix(decode[outcomes](t, got.Body).Error, test.want) {
				t.Errorf("answered %d %s, want 422 and an error that begins with %q", got.Status, got.Body, test.want)
			}
		})
	}
}

// TestSendEventAndFaults has the gateway fail. Which status the program then
// answers decides whether Pub/Sub delivers the event again.
func TestSendEventAndFaults(t *testing.T) {
	t.Parallel()
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, amazon.env(alexa.EU))
	tests := []struct {
		name   string
		fault  simulator.Fault
		status int
	}{
		{"down", simulator.Fault{Status: 503}, 503},
		{"proxy's page", simulator.Fault{Status: 502, Body: "<html>Bad Gateway</html>"}, 503},
		{"internal error", simulator.Fault{Code: simulator.InternalService}, 503},
		{"throttles", simulator.Fault{Code: simulator.Throttling, RetryAfter: time.Minute}, 503},
		{"breaks the connection", simulator.Fault{Reset: true}, 503},
		{"refuses the event", simulator.Fault{Code: simulator.InvalidRequest}, 422},
		{"knows no such account", simulator.Fault{Code: simulator.AccountNotFound}, 422},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, lamp := newCustomer(test.name), fmt.Sprint("lamp-", i)
			amazon.link(t, p.URL()+"/AcceptGrant", c, alexa.EU)
			test.fault.EndpointID = lamp
			amazon.Always(simulator.Gateway(alexa.EU), test.fault)
			if got := post(t, p.URL()+"/SendEvent", nil, pushed(t, c.report(lamp), nil)); got.Status != test.status {
				t.Errorf("answered %d %s, want %d", got.Status, got.Body, test.status)
			}
			if len(amazon.arrivals(lamp)) == 0 {
				t.Error("the gateway never saw the event")
			}
		})
	}
}

// TestSendEventByEventarc delivers the event as Eventarc does: a CloudEvent in
// binary mode, whose body is that of a push request, see
// https://cloud.google.com/eventarc/docs/cloudevents.
func TestSendEventByEventarc(t *testing.T) {
	t.Parallel()
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, with(amazon.env(alexa.EU), map[string]string{"FUNCTION_TARGET": "SendEvent"}))
	got := post(t, p.URL(), map[string]string{
		"Content-Type":   "application/json",
		"ce-id":          "1",
		"ce-source":      "//pubsub.googleapis.com/projects/p/topics/device-events",
		"ce-specversion": "1.0",
		"ce-time":        "2026-01-02T03:04:05.678Z",
		"ce-type":        "google.cloud.pubsub.topic.v1.messagePublished",
	}, pushed(t, newCustomer("eventarc").report("lamp-1"), nil))
	if want := (answer{200, `{"outcomes":[]}`}); got != want {
		t.Errorf("answered %v, want %v", got, want)
	}
}
