package functions_test

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// TestEndToEnd follows customers of every region through the three stacks of a
// deployment, each function a process of the real program, over the emulators
// of Firestore and Pub/Sub and the simulator of Amazon.
//
// The regions share the topics, as in a deployment: an event without a region
// reaches every stack, and so does any other where the emulator ignores
// filters.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	// A token of ten minutes is due for its refresh when it is born.
	a := newAmazon(t, simulator.Options{TokenLifetime: 10 * time.Minute})
	stacks := deploy(t, c, a)
	for _, region := range alexa.Regions() {
		t.Run(string(region), func(t *testing.T) {
			t.Parallel()
			d := deployment{cloud: c, amazon: a, stacks: stacks, region: region, stack: stacks[region]}
			d.followOneWhoStays(t, newCustomer("stays-"+string(region)))
			d.followOneWhoLeaves(t, newCustomer("leaves-"+string(region)))
			d.publishMistakes(t, newCustomer("mistaken-"+string(region)))
		})
	}
}

// followOneWhoStays links a customer, lets the access token expire, has the
// sweep refresh it, and sends events with the new one. Then that one dies
// early, and is refreshed because the gateway refuses it.
func (d deployment) followOneWhoStays(t *testing.T, c customer) {
	lamp := "lamp-of-" + c.userID
	id := d.link(t, c)
	d.wantStored(t, c, id)
	d.wantAnnounced(t, c, id, "linked", "", 1)

	d.amazon.ExpireAccessTokens(d.region, c.amazonUser)
	d.sweep(t, c, id)

	d.publish(t, c, lamp, c.report(lamp), nil, "accepted")
	d.publish(t, c, lamp, c.shortReport(lamp), map[string]string{"region": string(d.region)}, "accepted")
	d.amazon.ExpireAccessTokens(d.region, c.amazonUser)
	d.publish(t, c, lamp, c.report(lamp), nil, "accepted")

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
	if got := d.grant(t, c, id)["tokenVersion"]; got != int64(3) {
		t.Errorf("tokenVersion = %v after two refreshes, want 3", got)
	}
}

// followOneWhoLeaves links a customer who then disables the skill. The gateway
// refuses the next event, Login with Amazon the refresh: that proves that the
// grant is gone.
func (d deployment) followOneWhoLeaves(t *testing.T, c customer) {
	lamp := "lamp-of-" + c.userID
	id := d.link(t, c)
	d.amazon.Disable(d.region, c.amazonUser)
	d.amazon.ExpireAccessTokens(d.region, c.amazonUser)

	d.publish(t, c, lamp, c.report(lamp), nil, "revoked")
	if got := d.grant(t, c, id)["state"]; got != "revoked" {
		t.Errorf("the grant's state is %v, want revoked", got)
	}
	d.wantAnnounced(t, c, id, "revoked", "invalid_grant", 0)
	d.publish(t, c, lamp, c.report(lamp), nil, "revoked")

	d.wantRequests(t, c,
		request{simulator.Exchange, 200, ""},
		request{simulator.TokenInfo, 200, ""},
		request{simulator.Gateway(d.region), 401, simulator.InvalidAccessToken},
		request{simulator.Refresh, 400, simulator.LWAInvalidGrant},
	)
}

// publishMistakes publishes events that nobody can deliver. Every stack gets
// them and puts them aside.
func (d deployment) publishMistakes(t *testing.T, c customer) {
	tests := []struct {
		name, event, region, code, description string
	}{
		{"unknown region", c.report("lamp-1"), "US", "UNKNOWN_REGION", "attribute region: "},
		{"malformed", strings.Replace(c.report("lamp-1"), "PHYSICAL_INTERACTION", "GHOST", 1), "", "INVALID_EVENT", "event.payload.change.cause.type: "},
	}
	for _, test := range tests {
		attributes := map[string]string{"maker": "m-1"}
		if test.region != "" {
			attributes["region"] = test.region
		}
		eventID := d.publish(t, c, "lamp-1", test.event, attributes, "dead_letter")
		letters := d.deadLetters.Wait(t, len(d.stacks), func(m *pubsub.Message) bool { return m.Attributes["gatepost-event-id"] == eventID })
		for _, letter := range letters {
			if string(letter.Data) != test.event {
				t.Errorf("%s: the dead letter's data is %s, want %s", test.name, letter.Data, test.event)
			}
			want := with(attributes, map[string]string{
				"gatepost-code":     test.code,
				"gatepost-customer": grant.CustomerHash(c.userID),
				"gatepost-event-id": eventID,
			})
			if diff := cmp.Diff(want, restrict(want, letter.Attributes)); diff != "" {
				t.Errorf("%s: attributes of the dead letter differ (-want +got):\n%s", test.name, diff)
			}
			if got := letter.Attributes["gatepost-description"]; !strings.HasPrefix(got, test.description) {
				t.Errorf("%s: gatepost-description is %q, want %q first", test.name, got, test.description)
			}
			if _, err := time.Parse(time.RFC3339, letter.Attributes["gatepost-published"]); err != nil {
				t.Errorf("%s: gatepost-published: %v", test.name, err)
			}
		}
	}
}
