package skillevent_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestAnswers has one event of each kind, and holds the whole answer and line.
func TestAnswers(t *testing.T) {
	t.Parallel()
	hash := grant.CustomerHash("u-1")
	known := func(prepare func(t *testing.T, w *world)) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			w.want(t, "learned", linked("a", "grantee-u-1", w.Now()))
			if prepare != nil {
				prepare(t, w)
			}
		}
	}
	const providerSays = ": userinfo: as the test wants it"
	tests := []struct {
		name    string
		prepare func(t *testing.T, w *world)
		body    string
		want    answered
	}{
		{"linked", nil, linked("a", "grantee-u-1", time.Time{}), answered{200, `{"outcome":"learned"}`, "INFO", "learned", "AlexaSkillEvent.SkillAccountLinked", "", "r-1", hash}},
		{"token rejected", nil, linked("a", "grantee-old", time.Time{}), answered{200, `{"outcome":"refused"}`, "WARNING", "refused", "AlexaSkillEvent.SkillAccountLinked",
			"finding the customer: grantee: token rejected" + providerSays, "r-1", ""}},
		{"token of nobody", nil, linked("a", "grantee-nobody", time.Time{}), answered{200, `{"outcome":"refused"}`, "ERROR", "refused", "AlexaSkillEvent.SkillAccountLinked",
			"finding the customer: grantee: no customer" + providerSays, "r-1", ""}},
		{"identity provider down", nil, linked("a", "grantee-down", time.Time{}), answered{503, `{"error":"the skill event could not be handled"}`, "WARNING", "", "AlexaSkillEvent.SkillAccountLinked",
			"finding the customer: grantee: no verdict" + providerSays, "r-1", ""}},
		{"disabled", known(func(t *testing.T, w *world) { w.Link(t, "u-1", alexa.EU, "a") }), disabled("a", time.Time{}),
			answered{200, `{"outcome":"proving"}`, "INFO", "proving", "AlexaSkillEvent.SkillDisabled", "", "r-1", hash}},
		{"unlinked", known(func(t *testing.T, w *world) { w.Link(t, "u-1", alexa.EU, "a") }), event("SkillAccountUnlinked", "a", time.Time{}, "{}"),
			answered{200, `{"outcome":"proving"}`, "INFO", "proving", "AlexaSkillEvent.SkillAccountUnlinked", "", "r-1", hash}},
		{"disabled, unknown account", known(nil), disabled("b", time.Time{}), answered{200, `{"outcome":"unknown"}`, "INFO", "unknown", "AlexaSkillEvent.SkillDisabled", "", "r-1", ""}},
		{"disabled, customer without a record", known(nil), disabled("a", time.Time{}), answered{200, `{"outcome":"nothing"}`, "INFO", "nothing", "AlexaSkillEvent.SkillDisabled", "", "r-1", hash}},
		{"disabled, all revoked", known(func(t *testing.T, w *world) {
			id := w.Link(t, "u-1", alexa.EU, "a")
			w.Change(t, "u-1", func(r *grant.Record) { r.Revoke(id, grant.ReasonInvalidGrant, w.Now()) })
		}), disabled("a", time.Time{}), answered{200, `{"outcome":"nothing"}`, "INFO", "nothing", "AlexaSkillEvent.SkillDisabled", "", "r-1", hash}},
		{"another skill event", nil, event("SkillEnabled", "a", time.Time{}, "{}"), answered{200, `{"outcome":"ignored"}`, "INFO", "ignored", "AlexaSkillEvent.SkillEnabled", "", "r-1", ""}},
		{"unheard of", nil, `{"request":{"type":"Tomorrow.New","requestId":"r-2"}}`, answered{200, `{"outcome":"ignored"}`, "INFO", "ignored", "Tomorrow.New", "", "r-2", ""}},
		{"a directive", nil, `{"directive":{"header":{"namespace":"Alexa","name":"ReportState"}}}`,
			answered{400, `{"error":"not a skill event: request: missing"}`, "WARNING", "", "", "request: missing", "", ""}},
		{"no user", nil, `{"request":{"type":"AlexaSkillEvent.SkillDisabled"}}`,
			answered{400, `{"error":"not a skill event: context.System.user.userId: missing"}`, "WARNING", "", "", "context.System.user.userId: missing", "", ""}},
		{"no token", nil, event("SkillAccountLinked", "a", time.Time{}, `{"accessToken":["grantee-u-1"]}`),
			answered{400, `{"error":"not a skill event: request.body.accessToken: must be a string"}`, "WARNING", "", "", "request.body.accessToken: must be a string", "", ""}},
		{"not JSON", nil, "grantee-u-1", answered{400, `{"error":"not a skill event: not JSON (at byte 1)"}`, "WARNING", "", "", "not JSON (at byte 1)", "", ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.prepare != nil {
				test.prepare(t, w)
			}
			if diff := cmp.Diff(test.want, w.handle(t, test.body)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLinked has events about one account come in this order.
func TestLinked(t *testing.T) {
	t.Parallel()
	type told struct {
		customer string
		at       time.Duration // from now; never is not told
	}
	const never, ago = time.Duration(-1 << 62), -time.Minute
	tests := []struct {
		name   string
		events []told
		want   told // in the end
	}{
		{"once", []told{{"u-1", ago}}, told{"u-1", ago}},
		{"twice", []told{{"u-1", ago}, {"u-1", ago}}, told{"u-1", ago}},
		{"another customer later", []told{{"u-1", 3 * ago}, {"u-2", 2 * ago}}, told{"u-2", 2 * ago}},
		{"an older event late", []told{{"u-1", 3 * ago}, {"u-2", ago}, {"u-1", 2 * ago}}, told{"u-2", ago}},
		{"only the late one", []told{{"u-2", ago}, {"u-1", 2 * ago}}, told{"u-2", ago}},
		{"back again", []told{{"u-1", 3 * ago}, {"u-2", 2 * ago}, {"u-1", ago}}, told{"u-1", ago}},
		{"a token that is no good", []told{{"u-1", 2 * ago}, {"old", ago}}, told{"u-1", 2 * ago}},
		{"no time is now", []told{{"u-1", ago}, {"u-2", never}}, told{"u-2", 0}},
		{"late after no time", []told{{"u-1", never}, {"u-2", ago}}, told{"u-1", 0}},
		{"the future is now", []told{{"u-1", time.Hour}, {"u-2", 0}}, told{"u-2", 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, e := range test.events {
				at := w.Now().Add(e.at)
				if e.at == never {
					at = time.Time{}
				}
				if got := w.handle(t, linked("a", "grantee-"+e.customer, at)); got.Status != 200 {
					t.Fatalf("%+v", got)
				}
			}
			key := grant.AccountKey{Skill: accesstest.Skill, AmazonUser: amazonID("a")}
			want := grant.NewAccount(key, accesstest.Key(test.want.customer), w.Now().Add(test.want.at))
			got := w.account(t, "a")
			want.Revision = got.Revision
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := w.Store.Read(t.Context(), accesstest.Key(test.want.customer)); !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("to learn whose an account is made a record: %v", err)
			}
		})
	}
}

// TestLinkedTwiceIsWrittenOnce: what is known is not written again.
func TestLinkedTwiceIsWrittenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.Now().Add(123 * time.Nanosecond).Add(-time.Second) // finer than a store
	w.want(t, "learned", linked("a", "grantee-u-1", at))
	before := w.account(t, "a")
	w.Forward(time.Hour)
	w.want(t, "learned", linked("a", "grantee-u-1", at))
	if after := w.account(t, "a"); after.Revision != before.Revision {
		t.Error("the event was written twice")
	}
}
