package functions_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// deployment is the three stacks, as a customer of one region sees them.
type deployment struct {
	*cloud
	amazon amazon
	stacks map[alexa.Region]*stack
	region alexa.Region
	stack  *stack // of the region
}

// link has a customer enable the skill and returns the id of the grant.
func (d deployment) link(t *testing.T, c customer) string {
	t.Helper()
	code := d.amazon.link(t, d.stack.acceptGrant.URL(), c, d.region)
	return grant.ID(d.region, "default", code.Reveal())
}

// sweep has the scheduler call RefreshTokens, and returns when every shard has
// been worked on. The grant must have been refreshed.
func (d deployment) sweep(t *testing.T, c customer, id string) {
	t.Helper()
	if got := post(t, d.stack.refreshTokens.URL(), nil, ""); got.Status != http.StatusOK {
		t.Fatalf("RefreshTokens answered %d %s, want 200", got.Status, got.Body)
	}
	if err := d.stack.refreshShard.WaitOutput(testkit.Context(t), `"function":"RefreshShard"`, refreshShards); err != nil {
		t.Fatal(err)
	}
	if got := d.grant(t, c, id)["tokenVersion"]; got != int64(2) {
		t.Fatalf("tokenVersion = %v after the sweep, want 2", got)
	}
}

// publish publishes a device event as the maker's cloud does, and returns its
// id when every stack that it is for has dealt with it. The one of the region
// must have come to the outcome, and no stack may have asked for the event
// again.
func (d deployment) publish(t *testing.T, c customer, endpointID, event string, attributes map[string]string, outcome string) string {
	t.Helper()
	message := &pubsub.Message{Data: []byte(event), Attributes: attributes, OrderingKey: c.userID + "/" + endpointID}
	eventID, err := d.deviceEvents.Publish(testkit.Context(t), message).Get(testkit.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range alexa.Regions() {
		if to := attributes["region"]; to != "" && to != string(region) && slices.Contains(alexa.Regions(), alexa.Region(to)) {
			continue // its subscription's filter may keep the event away
		}
		line := d.logged(t, d.stacks[region].sendEvent, eventID)
		if line.Status != http.StatusOK || region == d.region && line.Outcome != outcome {
			t.Errorf("SendEvent of %s: status %d, outcome %q, want 200, %q in %s", region, line.Status, line.Outcome, outcome, d.region)
		}
	}
	return eventID
}

// logLine is what a process of SendEvent wrote about an event.
type logLine struct {
	Status  int
	Outcome string
}

// logged waits for the log line about an event.
func (d deployment) logged(t *testing.T, sendEvent *binary.Process, eventID string) logLine {
	t.Helper()
	mark := fmt.Sprintf(`"event_id":%q`, eventID)
	if err := sendEvent.WaitOutput(testkit.Context(t), mark, 1); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(sendEvent.Output()) {
		if strings.Contains(line, mark) {
			return decode[logLine](t, line)
		}
	}
	panic("unreachable: the output holds the mark")
}

// document reads a customer's document from the region's database.
func (d deployment) document(t *testing.T, c customer) map[string]any {
	t.Helper()
	key := grant.Key{Skill: "default", UserID: c.userID}
	doc, err := d.stack.database.Collection("customers").Doc(key.ID()).Get(testkit.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	shown.add("document of "+c.userID, fmt.Sprintf("%q", doc.Data()))
	return doc.Data()
}

// grant reads one grant of a customer.
func (d deployment) grant(t *testing.T, c customer, id string) map[string]any {
	t.Helper()
	grants, _ := d.document(t, c)["grants"].(map[string]any)
	g, ok := grants[id].(map[string]any)
	if !ok {
		t.Fatalf("there is no grant %s", id)
	}
	return g
}

// wantStored holds a new customer's document against the fields that the
// record is agreed to have. There may be more.
func (d deployment) wantStored(t *testing.T, c customer, id string) {
	t.Helper()
	want := map[string]any{
		"v": int64(1), "userId": c.userID, "region": string(d.region), "skill": "default",
		"bucket":     int64(grant.Key{Skill: "default", UserID: c.userID}.Bucket()),
		"refreshDue": moment,
		"grants": map[string]any{id: map[string]any{
			"region": string(d.region), "state": "active", "since": moment, "clientId": lwaClient.ID,
			"accessToken": sealed, "refreshToken": sealed, "expiresAt": moment,
			"tokenVersion": int64(1), "refreshDue": moment, "createdAt": moment,
		}},
	}
	got := d.document(t, c)
	if got["announce"] != nil {
		t.Error("the record waits to announce what has been announced")
	}
	if diff := cmp.Diff(want, restrict(want, outline(got))); diff != "" {
		t.Errorf("the document differs (-want +got):\n%s", diff)
	}
}

// What outline puts in the place of values that differ from run to run.
const (
	sealed = "sealed"
	moment = "a time"
)

// outline returns a document without the values that differ from run to run.
func outline(doc map[string]any) map[string]any {
	outlined := make(map[string]any, len(doc))
	for name, value := range doc {
		switch v := value.(type) {
		case map[string]any:
			value = outline(v)
		case []byte:
			value = sealed
		case time.Time:
			value = moment
		}
		outlined[name] = value
	}
	return outlined
}

// restrict returns of got what want has as well, and of maps in it likewise.
func restrict[V any](want, got map[string]V) map[string]V {
	restricted := make(map[string]V)
	for name, wanted := range want {
		value, ok := got[name]
		if !ok {
			continue
		}
		if inner, ok := any(value).(map[string]V); ok {
			if wantInner, ok := any(wanted).(map[string]V); ok {
				value = any(restrict(wantInner, inner)).(V)
			}
		}
		restricted[name] = value
	}
	return restricted
}

// wantAnnounced waits for a lifecycle message about a customer.
func (d deployment) wantAnnounced(t *testing.T, c customer, id, kind, reason string, activeGrants int) {
	t.Helper()
	type announcement struct {
		Type, UserID, Region, Skill, GrantID, Reason string
		ActiveGrants                                 int
		At                                           time.Time
	}
	found := d.grantEvents.Wait(t, 1, func(m *pubsub.Message) bool {
		got := decode[announcement](t, string(m.Data))
		return got.Type == kind && got.UserID == c.userID
	})
	got := decode[announcement](t, string(found[0].Data))
	if age := time.Since(got.At); age < 0 || age > testkit.Patience {
		t.Errorf("%s of %s is %v old", kind, c.userID, age)
	}
	got.At = time.Time{}
	want := announcement{kind, c.userID, string(d.region), "default", id, reason, activeGrants, time.Time{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the lifecycle message differs (-want +got):\n%s", diff)
	}
}

// request is what is compared of a request to Amazon.
type request struct {
	Target simulator.Target
	Status int
	Code   string
}

// wantRequests holds everything that Amazon was asked about a customer,
// wherever, against a list.
func (d deployment) wantRequests(t *testing.T, c customer, want ...request) {
	t.Helper()
	var got []request
	for _, seen := range d.amazon.Requests() {
		if seen.User == c.amazonUser {
			got = append(got, request{seen.Target, seen.Status, seen.Code})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the requests to Amazon about %s differ (-want +got):\n%s", c.userID, diff)
	}
}

// wantEvents holds the events about a lamp that is reported three times, of
// which the last is sent again, against what the gateway is to get: the same
// body each time, and a message id that only the repetition shares.
func (d deployment) wantEvents(t *testing.T, lamp string) {
	t.Helper()
	want := decode[map[string]any](t, fmt.Sprintf(`{"event":{"header":{"namespace":"Alexa","name":"ChangeReport","payloadVersion":"3"},
		"endpoint":{"scope":{"type":"BearerToken","token":"[redacted]"},"endpointId":%q},
		"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[%s]}}},"context":{"properties":[%s]}}`, lamp, powerState, connectivity))
	var ids []string
	for _, seen := range d.amazon.Requests() {
		if seen.EndpointID != lamp {
			continue
		}
		body := decode[map[string]any](t, seen.Body)
		header := body["event"].(map[string]any)["header"].(map[string]any)
		ids = append(ids, header["messageId"].(string))
		delete(header, "messageId")
		if diff := cmp.Diff(want, body); diff != "" {
			t.Errorf("the event differs (-want +got):\n%s", diff)
		}
	}
	if len(ids) != 4 || ids[2] != ids[3] || ids[0] == ids[1] || ids[1] == ids[2] || ids[0] == ids[2] {
		t.Errorf("the message ids are %q, want four, of which the last two are equal", ids)
	}
}
