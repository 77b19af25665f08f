package functions_test

import (
	"fmt"
	"testing"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// skillEvent is what Alexa sends to a skill that has subscribed to its events,
// see https://developer.amazon.com/docs/smapi/skill-events-in-alexa-skills.html.
func skillEvent(kind, account, body string) string {
	return fmt.Sprintf(`{"version":"1.0","context":{"System":{"application":{"applicationId":"amzn1.ask.skill.fake"},
		"user":{"userId":%q},"apiEndpoint":"https://api.eu.amazonalexa.com"}},
		"request":{"type":"AlexaSkillEvent.%s","requestId":"amzn1.echo-api.request.fake","timestamp":"2026-01-02T03:04:05Z",
		"eventCreationTime":"2026-01-02T03:04:05Z","eventPublishingTime":"2026-01-02T03:04:06Z","body":%s}}`, skillUserID(account), kind, body)
}

// skillUserID is Amazon's id of an account as skill events have it.
func skillUserID(account string) string { return amazonIDMark + "." + account }

// accountLinked is what Alexa sends after a customer has linked an account.
func (c customer) accountLinked() string {
	return skillEvent("SkillAccountLinked", c.amazonUser, fmt.Sprintf(`{"accessToken":%q}`, c.granteeToken()))
}

// disabled is what Alexa sends after a customer has disabled the skill.
func (c customer) disabled() string {
	return skillEvent("SkillDisabled", c.amazonUser, `{"userInformationPersistenceStatus":"NOT_PERSISTED"}`)
}

// TestSkillDisabled follows a household of two Amazon accounts through the real
// program, over the emulators of Firestore and Pub/Sub. One of them disables
// the skill. Nothing is sent to the gateway: it is the skill event that has the
// next sweep find out.
func TestSkillDisabled(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	amazon := newAmazon(t, simulator.Options{})
	p := launch(t, with(stackEnv(t, c, amazon, alexa.EU), map[string]string{"REFRESH_TOPIC": ""})) // sweeps by itself
	d := deployment{cloud: c, amazon: amazon, region: alexa.EU, stack: &stack{database: c.Database(t, databaseID(alexa.EU))}}
	leaves := newCustomer("household")
	stays := customer{leaves.userID, "amzn-spouse"}
	tell := func(event, outcome string) {
		t.Helper()
		if got, want := post(t, p.URL()+"/SkillEvent", nil, event), (answer{200, `{"outcome":"` + outcome + `"}`}); got != want {
			t.Fatalf("SkillEvent answered %v, want %v", got, want)
		}
	}
	sweep := func() map[string]any {
		t.Helper()
		return decode[map[string]any](t, post(t, p.URL()+"/RefreshTokens", nil, "").Body)
	}

	tell(leaves.disabled(), "unknown") // of an earlier time
	ids := make(map[customer]string)
	for _, who := range []customer{leaves, stays} {
		code := amazon.link(t, p.URL()+"/AcceptGrant", who, alexa.EU)
		ids[who] = grant.ID(alexa.EU, "default", code.Reveal())
		tell(who.accountLinked(), "learned")
	}
	wantAccount(t, d.stack.database, leaves)
	if got := sweep(); got["refreshed"] != 0.0 {
		t.Errorf("a sweep before anything is due answered %v", got)
	}

	amazon.Disable(alexa.EU, leaves.amazonUser)
	for range 2 { // Alexa may send it twice
		tell(leaves.disabled(), "proving")
	}
	if got := sweep(); got["refreshed"] != 1.0 || got["revoked"] != 1.0 {
		t.Errorf("the sweep answered %v, want one refreshed and one revoked", got)
	}
	d.wantAnnounced(t, leaves, ids[leaves], "revoked", "invalid_grant", 1)
	for who, state := range map[customer]string{leaves: "revoked", stays: "active"} {
		if got := d.grant(t, who, ids[who])["state"]; got != state {
			t.Errorf("the grant of %s is %v, want %s", who.amazonUser, got, state)
		}
	}
	got := decode[outcomes](t, post(t, p.URL()+"/SendEvent", nil, pushed(t, leaves.report("lamp-1"), nil)).Body)
	want := outcomes{Outcomes: []grantOutcome{{GrantID: ids[leaves], Outcome: "revoked"}, {GrantID: ids[stays], Outcome: "accepted"}}}
	byGrant := cmpopts.SortSlices(func(a, b grantOutcome) bool { return a.GrantID < b.GrantID })
	if diff := cmp.Diff(want, got, byGrant); diff != "" {
		t.Errorf("what became of the next event (-want +got):\n%s", diff)
	}

	tell(stays.disabled(), "proving") // late: the spouse has long come back
	if got := sweep(); got["refreshed"] != 1.0 || got["revoked"] != 0.0 {
		t.Errorf("the last sweep answered %v, want one refreshed", got)
	}
}

// wantAccount looks at the document of a customer's Amazon account.
func wantAccount(t *testing.T, database *firestore.Client, c customer) {
	t.Helper()
	key := grant.AccountKey{Skill: "default", AmazonUser: skillUserID(c.amazonUser)}
	doc, err := database.Collection("accounts").Doc(key.ID()).Get(testkit.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	shown.add("account of "+c.userID, fmt.Sprintf("%q", doc.Data()))
	customer := grant.Key{Skill: "default", UserID: c.userID}.ID()
	want := map[string]any{"customer": customer, "userId": c.userID, "skill": "default", "linkedAt": moment, "expireAt": nil}
	if diff := cmp.Diff(want, outline(doc.Data())); diff != "" {
		t.Errorf("the account's document differs (-want +got):\n%s", diff)
	}
}
