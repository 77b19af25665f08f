package functions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

const (
	deviceEventsTopic = "device-events"
	refreshShards     = 4 // messages of a sweep
)

// stack is the deployment for one Alexa region: a process for each function, one
// database, one keyset.
type stack struct {
	*world.World
	region alexa.Region

	acceptGrant, refreshTokens, refreshShard, sendEvent *binary.Process
}

// deploy starts a stack for every region and connects it to the topics.
func deploy(t *testing.T, w *world.World) map[alexa.Region]*stack {
	t.Helper()
	stacks := make(map[alexa.Region]*stack)
	var all errgroup.Group
	for _, region := range alexa.Regions() {
		name := strings.ToLower(string(region))
		w.CreateTopic(t, "refresh-"+name)
		s := &stack{World: w.Stack(t, "gatepost-"+name).For(region), region: region}
		s.Env["REFRESH_SHARDS"], s.Env["REFRESH_TOPIC"] = fmt.Sprint(refreshShards), "refresh-"+name
		stacks[region] = s
		for name, process := range map[string]**binary.Process{
			"AcceptGrant": &s.acceptGrant, "RefreshTokens": &s.refreshTokens, "RefreshShard": &s.refreshShard, "SendEvent": &s.sendEvent,
		} {
			all.Go(func() (err error) {
				*process, err = s.LaunchIn(testkit.Context(t), name)
				return err
			})
		}
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	for region, s := range stacks {
		push := func(topic, name, url, filter string) {
			// The filter is for emulators that apply filters; the tests hold
			// without it.
			w.Subscribe(t, topic, &pubsubpb.Subscription{
				Name: name + string(region), Filter: filter, EnableMessageOrdering: true, PushConfig: &pubsubpb.PushConfig{PushEndpoint: url},
			})
		}
		push(s.Env["REFRESH_TOPIC"], "shards-", s.refreshShard.URL()+"/", "")
		var others []string
		for other := range stacks {
			if other != region {
				others = append(others, fmt.Sprintf(`NOT attributes.region = %q`, other))
			}
		}
		push(deviceEventsTopic, "events-", s.sendEvent.URL()+"/", strings.Join(others, " AND "))
	}
	return stacks
}

// deployment is the three stacks, seen by a customer of one region.
type deployment struct {
	*stack  // of the region
	stacks  map[alexa.Region]*stack
	publish func(t *testing.T, m *pubsub.Message) (eventID string)
}

// TestEndToEnd follows customers of every region through the three stacks of a
// deployment, each function a process of the real program, over the emulators
// of Firestore and Pub/Sub and the simulator of Amazon.
//
// The regions share the topics, as in a deployment: an event without a region
// reaches every stack, and so does any other where the emulator ignores
// filters.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	// A token that lasts ten minutes is due for a refresh at once.
	w := world.InCloud(t, simulator.Options{TokenLifetime: 10 * time.Minute})
	w.CreateTopic(t, deviceEventsTopic)
	events := w.PubSub.Publisher(deviceEventsTopic)
	events.EnableMessageOrdering = true
	events.PublishSettings.DelayThreshold = time.Millisecond
	t.Cleanup(events.Stop)
	publish := func(t *testing.T, m *pubsub.Message) string {
		t.Helper()
		id, err := events.Publish(testkit.Context(t), m).Get(testkit.Context(t))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	stacks := deploy(t, w)
	for _, region := range alexa.Regions() {
		t.Run(string(region), func(t *testing.T) {
			t.Parallel()
			d := deployment{stacks[region], stacks, publish}
			d.followRemaining(t)
			d.followLeaving(t)
			d.publishMistakes(t)
		})
	}
}

// followRemaining links a customer, lets the access token expire, sweeps, and sends
// events with the new token. Then that token expires early, and is refreshed
// because the gateway refuses it.
func (d deployment) followRemaining(t *testing.T) {
	c := d.Link(t, d.acceptGrant.URL(), "stays-"+string(d.region), d.region)
	lamp := "lamp-of-" + c.UserID
	wantAnnounced(t, d.World, c, "linked", "", 1)

	d.ExpireAccessTokens(d.region, c.AmazonUser)
	d.sweep(t, c)

	d.report(t, c, lamp, report(c, lamp), nil, "accepted")
	d.report(t, c, lamp, shortReport(c, lamp), map[string]string{"region": string(d.region)}, "accepted")
	d.ExpireAccessTokens(d.region, c.AmazonUser)
	d.report(t, c, lamp, report(c, lamp), nil, "accepted")

	gateway := simulator.Gateway(d.region)
	d.wantRequests(t, c,
		request{simulator.Exchange, 200, ""},
		request{simulator.TokenInfo, 200, ""},
		request{simulator.Refresh, 200, ""},
		request{gateway, 202, ""},
		request{gateway, 202, ""},
		request{gateway, 401, simulator.InvalidAccessToken},
		request{simulator.Refresh, 200, ""},
		request{gateway, 202, ""},
	)
	d.wantEvents(t, lamp)
	if got := storedGrant(t, d.World, c)["tokenVersion"]; got != int64(3) {
		t.Errorf("tokenVersion = %v after two refreshes, want 3", got)
	}
}

// followLeaving links a customer who then disables the skill. The gateway refuses
// the next event and Login with Amazon the refresh, which proves that the grant is
// gone.
func (d deployment) followLeaving(t *testing.T) {
	c := d.Link(t, d.acceptGrant.URL(), "leaves-"+string(d.region), d.region)
	lamp := "lamp-of-" + c.UserID
	d.Disable(d.region, c.AmazonUser)
	d.ExpireAccessTokens(d.region, c.AmazonUser)

	d.report(t, c, lamp, report(c, lamp), nil, "revoked")
	if got := storedGrant(t, d.World, c)["state"]; got != "revoked" {
		t.Errorf("the grant's state is %v, want revoked", got)
	}
	wantAnnounced(t, d.World, c, "revoked", "invalid_grant", 0)
	d.report(t, c, lamp, report(c, lamp), nil, "revoked")

	d.wantRequests(t, c,
		request{simulator.Exchange, 200, ""},
		request{simulator.TokenInfo, 200, ""},
		request{simulator.Gateway(d.region), 401, simulator.InvalidAccessToken},
		request{simulator.Refresh, 400, simulator.LWAInvalidGrant},
	)
}

// publishMistakes publishes an event that cannot be delivered. Every stack receives
// and dead-letters it.
func (d deployment) publishMistakes(t *testing.T) {
	c := world.NewCustomer("mistaken-" + string(d.region))
	event := report(c, "lamp-1")
	eventID := d.report(t, c, "lamp-1", event, map[string]string{"maker": "m-1", "region": "US"}, "dead_letter")
	mine := func(m *pubsub.Message) bool { return m.Attributes["gatepost-event-id"] == eventID }
	for _, letter := range d.DeadLetters.Wait(t, len(d.stacks), mine) {
		if letter.Attributes["gatepost-code"] != "UNKNOWN_REGION" || letter.Attributes["maker"] != "m-1" || string(letter.Data) != event {
			t.Errorf("the dead letter is %s with %v", letter.Data, letter.Attributes)
		}
	}
}

// sweep has the scheduler call RefreshTokens, and returns when every shard has been
// swept. The customer's grant must have been refreshed.
func (d deployment) sweep(t *testing.T, c world.Customer) {
	t.Helper()
	if got := post(t, d.refreshTokens.URL(), ""); got.Status != http.StatusOK {
		t.Fatalf("RefreshTokens answered %d %s, want 200", got.Status, got.Body)
	}
	if err := d.refreshShard.WaitOutput(testkit.Context(t), `"function":"RefreshShard"`, refreshShards); err != nil {
		t.Fatal(err)
	}
	if got := storedGrant(t, d.World, c)["tokenVersion"]; got != int64(2) {
		t.Fatalf("tokenVersion = %v after the sweep, want 2", got)
	}
}

// report publishes a device event as the maker's cloud does. It returns the event's
// id when every stack that receives the event has acknowledged it at the first
// attempt. The stack of the region must have settled it with the outcome.
func (d deployment) report(t *testing.T, c world.Customer, endpointID, event string, attributes map[string]string, outcome string) string {
	t.Helper()
	eventID := d.publish(t, &pubsub.Message{Data: []byte(event), Attributes: attributes, OrderingKey: c.UserID + "/" + endpointID})
	for region, s := range d.stacks {
		if _, ok := d.stacks[alexa.Region(attributes["region"])]; ok && attributes["region"] != string(region) {
			continue // its subscription's filter may keep the event away
		}
		mark := fmt.Sprintf(`"event_id":%q`, eventID)
		if err := s.sendEvent.WaitOutput(testkit.Context(t), mark, 1); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(s.sendEvent.Output()) {
			if !strings.Contains(line, mark) {
				continue
			}
			got := decode[struct {
				Status  int
				Outcome string
			}](t, line)
			if got.Status != http.StatusOK || region == d.region && got.Outcome != outcome {
				t.Errorf("SendEvent of %s: status %d, outcome %q, want 200, %q in %s", region, got.Status, got.Outcome, outcome, d.region)
			}
		}
	}
	return eventID
}

// stored reads one of a customer's documents.
func stored(t *testing.T, w *world.World, c world.Customer, collection, id string) map[string]any {
	t.Helper()
	doc, err := w.Database.Collection(collection).Doc(id).Get(testkit.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	world.Show("document of "+c.UserID, fmt.Sprintf("%q", doc.Data()))
	return doc.Data()
}

// storedGrant reads the customer's grant.
func storedGrant(t *testing.T, w *world.World, c world.Customer) map[string]any {
	t.Helper()
	grants, _ := stored(t, w, c, "customers", c.Key().ID())["grants"].(map[string]any)
	g, ok := grants[c.GrantID].(map[string]any)
	if !ok {
		t.Fatalf("there is no grant %s", c.GrantID)
	}
	return g
}

// wantAnnounced waits for a grant event about a customer.
func wantAnnounced(t *testing.T, w *world.World, c world.Customer, kind, reason string, activeGrants int) {
	t.Helper()
	type announcement struct {
		Type, UserID, Region, Skill, GrantID, Reason string
		ActiveGrants                                 int
		At                                           time.Time
	}
	found := w.GrantEvents.Wait(t, 1, func(m *pubsub.Message) bool {
		got := decode[announcement](t, string(m.Data))
		return got.Type == kind && got.UserID == c.UserID
	})
	got := decode[announcement](t, string(found[0].Data))
	if age := time.Since(got.At); age < 0 || age > testkit.Patience {
		t.Errorf("%s of %s is %v old", kind, c.UserID, age)
	}
	got.At = time.Time{}
	want := announcement{kind, c.UserID, string(c.Region), "default", c.GrantID, reason, activeGrants, time.Time{}}
	expect.Equal(t, "the grant event", want, got)
}

// request is the part of a request to Amazon that is compared.
type request struct {
	Target simulator.Target
	Status int
	Code   string
}

// wantRequests compares all requests to Amazon about a customer with a list.
func (d deployment) wantRequests(t *testing.T, c world.Customer, want ...request) {
	t.Helper()
	var got []request
	for _, seen := range d.Requests() {
		if seen.User == c.AmazonUser {
			got = append(got, request{seen.Target, seen.Status, seen.Code})
		}
	}
	expect.Equal(t, fmt.Sprintf("the requests to Amazon about %s", c.UserID), want, got)
}

// wantEvents checks the four requests of three reports about a lamp, of which the
// last is resent: all have the same body, and only the resend shares a message id.
func (d deployment) wantEvents(t *testing.T, lamp string) {
	t.Helper()
	want := decode[map[string]any](t, fmt.Sprintf(`{"event":{"header":{"namespace":"Alexa","name":"ChangeReport","payloadVersion":"3"},
		"endpoint":{"scope":{"type":"BearerToken","token":"[redacted]"},"endpointId":%q},
		"payload":{"change":{"cause":{"type":"PHYSICAL_INTERACTION"},"properties":[%s]}}},"context":{"properties":[%s]}}`,
		lamp, powerState, connectivity))
	var ids []string
	for _, seen := range d.Requests() {
		if seen.EndpointID != lamp {
			continue
		}
		body := decode[map[string]any](t, seen.Body)
		header := body["event"].(map[string]any)["header"].(map[string]any)
		ids = append(ids, header["messageId"].(string))
		delete(header, "messageId")
		expect.Equal(t, "the event", want, body)
	}
	if len(ids) != 4 || ids[2] != ids[3] || ids[0] == ids[1] || ids[1] == ids[2] || ids[0] == ids[2] {
		t.Errorf("the message ids are %q, want four, of which the last two are equal", ids)
	}
}

// skillEvent returns a skill event as Alexa sends it: see
// https://developer.amazon.com/docs/smapi/skill-events-in-alexa-skills.html.
func skillEvent(kind string, c world.Customer, body string) string {
	return fmt.Sprintf(`{"version":"1.0","context":{"System":{"application":{"applicationId":"amzn1.ask.skill.fake"},
		"user":{"userId":%q},"apiEndpoint":"https://api.eu.amazonalexa.com"}},
		"request":{"type":"AlexaSkillEvent.%s","requestId":"amzn1.echo-api.request.fake","timestamp":"2026-01-02T03:04:05Z",
		"eventCreationTime":"2026-01-02T03:04:05Z","eventPublishingTime":"2026-01-02T03:04:06Z","body":%s}}`, skillUserID(c), kind, body)
}

// skillUserID is the id of an Amazon account in skill events.
func skillUserID(c world.Customer) string { return "amzn1.ask.account." + c.AmazonUser }

// disabled is the event that Alexa sends when a customer disables the skill.
func disabled(c world.Customer) string {
	return skillEvent("SkillDisabled", c, `{"userInformationPersistenceStatus":"NOT_PERSISTED"}`)
}

// TestSkillDisabled has a customer disable the skill. Nothing is sent to the
// gateway: after the skill event the next sweep finds the grant revoked.
func TestSkillDisabled(t *testing.T) {
	t.Parallel()
	w := world.InCloud(t, simulator.Options{}).For(alexa.EU)
	p := w.Launch(t, "") // without a topic RefreshTokens sweeps
	tell := func(event, outcome string) {
		t.Helper()
		if got, want := post(t, p.URL()+"/SkillEvent", event), (world.Answer{Status: 200, Body: `{"outcome":"` + outcome + `"}`}); got != want {
			t.Fatalf("SkillEvent answered %v, want %v", got, want)
		}
	}
	wantSweep := func(refreshed, revoked float64) {
		t.Helper()
		got := decode[map[string]any](t, post(t, p.URL()+"/RefreshTokens", "").Body)
		if got["refreshed"] != refreshed || got["revoked"] != revoked {
			t.Errorf("the sweep answered %v, want %v refreshed and %v revoked", got, refreshed, revoked)
		}
	}
	c := world.NewCustomer("leaves")
	tell(disabled(c), "unknown") // before the link
	if err := w.LinkIn(testkit.Context(t), p.URL()+"/AcceptGrant", &c, alexa.EU); err != nil {
		t.Fatal(err)
	}
	tell(skillEvent("SkillAccountLinked", c, fmt.Sprintf(`{"accessToken":%q}`, c.GranteeToken())), "learned")
	wantSweep(0, 0) // nothing is due

	w.Disable(alexa.EU, c.AmazonUser)
	for range 2 { // Alexa may send it twice
		tell(disabled(c), "proving")
	}
	wantSweep(0, 1)
	wantAnnounced(t, w, c, "revoked", "invalid_grant", 0)
	if got := deliver(t, p, world.Message(report(c, "lamp-1"), nil)); got != "200 revoked" {
		t.Errorf("next event was answered %q, want 200 revoked", got)
	}
}
