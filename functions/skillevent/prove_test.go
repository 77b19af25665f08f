package skillevent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/functions/skillevent"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/sweep"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// provider is a maker's identity provider, who knows the tokens "grantee-u-1"
// and the like, and fails for others in the way that they say.
type provider struct{}

func (provider) Resolve(_ context.Context, token sensitive.String) (string, error) {
	for kind, text := range map[error]string{
		grantee.ErrRejected: "grantee-old", grantee.ErrNoCustomer: "grantee-nobody", grantee.ErrUnavailable: "grantee-down",
	} {
		if token.Reveal() == text {
			return "", &grantee.Error{Kind: kind, Asked: "userinfo", Reason: "as the test wants it"}
		}
	}
	return strings.TrimPrefix(token.Reveal(), "grantee-"), nil
}

// world is a world with the function in it.
type world struct {
	*accesstest.World
	function *skillevent.Function
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := accesstest.New(t, simulator.Options{})
	return &world{w, &skillevent.Function{Skill: accesstest.Skill, Grantees: provider{}, Store: w.Store, Now: w.Now}}
}

// amazonID is Amazon's id of an account as skill events have it. The id that
// the simulator has for the account is another.
func amazonID(account string) string { return "amzn1.ask.account." + account }

// event is a skill event. A zero time is left out.
func event(kind, account string, at time.Time, body string) string {
	created := ""
	if !at.IsZero() {
		created = fmt.Sprintf(`"eventCreationTime":%q,`, at.Format(time.RFC3339Nano))
	}
	return fmt.Sprintf(`{"version":"1.0","context":{"System":{"application":{"applicationId":"amzn1.ask.skill.fake"},"user":{"userId":%q}}},
		"request":{"type":"AlexaSkillEvent.%s","requestId":"r-1",%s"body":%s}}`, amazonID(account), kind, created, body)
}

func linked(account, token string, at time.Time) string {
	return event("SkillAccountLinked", account, at, fmt.Sprintf(`{"accessToken":%q}`, token))
}

func disabled(account string, at time.Time) string {
	return event("SkillDisabled", account, at, `{"userInformationPersistenceStatus":"NOT_PERSISTED"}`)
}

// answered is an answer, and what the log says of it.
type answered struct {
	Status                                   int
	Body, Severity, Outcome, Kind, Error, ID string
	Of                                       string // hash of the customer
}

// handle has the function answer an event. Neither a token nor Amazon's id may
// be in anything that it shows.
func (w *world) handle(t *testing.T, body string) answered {
	t.Helper()
	var out bytes.Buffer
	ctx, line := logging.Begin(t.Context())
	answer := w.function.Handle(ctx, handler.Request{Body: []byte(body)})
	line.Write(ctx, logging.New(&out), "SkillEvent")
	for _, shown := range []string{out.String(), string(answer.Body)} {
		if strings.Contains(shown, "grantee-") || strings.Contains(shown, amazonID("")) {
			t.Errorf("a token or Amazon's id is shown: %s", shown)
		}
	}
	var logged struct {
		Severity, Outcome, Kind, Error, Customer string
		MessageID                                string `json:"message_id"`
	}
	if err := json.Unmarshal(out.Bytes(), &logged); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	return answered{
		answer.Status, string(answer.Body), logged.Severity, logged.Outcome, logged.Kind, logged.Error, logged.MessageID, logged.Customer,
	}
}

// wantDue holds the grants of a customer that the sweep would look at now against a
// list.
func (w *world) wantDue(t *testing.T, userID string, want ...string) {
	t.Helper()
	var due []string
	for id, g := range w.Read(t, userID).Grants {
		if !g.RefreshDue.IsZero() && !g.RefreshDue.After(w.Now()) {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	slices.Sort(want)
	if diff := cmp.Diff(want, due, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("due of %s (-want +got):\n%s", userID, diff)
	}
}

// wantSweep sweeps, and holds how many were refreshed and revoked against numbers.
func (w *world) wantSweep(t *testing.T, refreshed, revoked int) {
	t.Helper()
	if got := w.sweep(t); got.Refreshed != refreshed || got.Revoked != revoked || len(got.Failed) > 0 {
		t.Errorf("the sweep made %+v, want %d refreshed and %d revoked", got, refreshed, revoked)
	}
}

// wantExpiry holds when an account expires against a time.
func (w *world) wantExpiry(t *testing.T, name string, want time.Time) {
	t.Helper()
	if got := w.account(t, name).ExpireAt; !got.Equal(want) {
		t.Errorf("%s expires at %v, want %v", name, got, want)
	}
}

// want wants an event to come to an outcome.
func (w *world) want(t *testing.T, outcome, body string) {
	t.Helper()
	got := w.handle(t, body)
	if got.Status != 200 || got.Outcome != outcome || got.Body != `{"outcome":"`+outcome+`"}` {
		t.Fatalf("got %+v, want 200 %s", got, outcome)
	}
}

// account returns whose an account is, zero if nobody knows.
func (w *world) account(t *testing.T, name string) grant.Account {
	t.Helper()
	key := grant.AccountKey{Skill: accesstest.Skill, AmazonUser: amazonID(name)}
	account, err := w.Store.ReadAccount(t.Context(), key.ID())
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		t.Fatal(err)
	}
	return account
}

// link gives a customer a grant of an account, and has Alexa tell so.
func (w *world) link(t *testing.T, userID, account string) (grantID string) {
	t.Helper()
	id := w.Link(t, userID, alexa.EU, account)
	w.want(t, "learned", linked(account, "grantee-"+userID, w.Now()))
	return id
}

// sweep sweeps as the scheduler has it done, with grants of customers at rest
// who have not been used for a day.
func (w *world) sweep(t *testing.T) sweep.Counts {
	t.Helper()
	s := sweep.Sweeper{
		Store: w.Store, Tokens: w.Process("p"), Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now,
		Period: sweep.DefaultPeriod, IdleAfter: 24 * time.Hour,
	}
	counts, err := s.Sweep(t.Context(), sweep.Buckets(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// TestDisabledInEveryState has a grant in each state it can be in when the
// event comes, with the account still linked and with the account gone.
func TestDisabledInEveryState(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(r *grant.Record, id string, now time.Time)
	}{
		{"active", func(*grant.Record, string, time.Time) {}},
		{"at rest, the customer idle", func(r *grant.Record, id string, now time.Time) {
			r.Used(now.AddDate(0, -1, 0))
			r.Rest(id, now)
		}},
		{"due, the customer idle", func(r *grant.Record, id string, now time.Time) {
			r.Used(now.AddDate(0, -1, 0))
			r.RefreshFailed(id, now.Add(-time.Hour))
		}},
		{"a refresh has failed", func(r *grant.Record, id string, now time.Time) { r.RefreshFailed(id, now) }},
		{"suspect", func(r *grant.Record, id string, now time.Time) { r.Suspect(id, grant.ReasonSkillDisabled, now) }},
		{"in doubt", func(r *grant.Record, id string, now time.Time) {
			r.RefreshRefused(id, grant.ReasonRefreshUnknown, now)
		}}, // the event is the second witness
		{"revoked", func(r *grant.Record, id string, now time.Time) { r.Revoke(id, grant.ReasonInvalidGrant, now) }},
	}
	for _, test := range tests {
		for _, gone := range []bool{false, true} {
			t.Run(fmt.Sprint(test.name, ", gone: ", gone), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				id := w.link(t, "u-1", "a")
				w.Change(t, "u-1", func(r *grant.Record) {
					test.prepare(r, id, w.Now())
					r.Announced(r.Announce, w.Now())
				})
				if gone {
					w.Sim.Disable(alexa.EU, "a")
				}
				w.handle(t, disabled("a", w.Now()))
				switch {
				case test.name == "revoked":
					w.wantSweep(t, 0, 0)
				case gone:
					w.wantSweep(t, 0, 1)
				default:
					w.wantSweep(t, 1, 0)
				}
			})
		}
	}
}

// TestEventsThatDoNoHarm are doubled, late and out of order. Whatever comes,
// the grant that works stays, and each end is announced once.
func TestEventsThatDoNoHarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.link(t, "u-1", "a")
	w.Forward(time.Minute)
	left := w.Now()
	w.Sim.Disable(alexa.EU, "a")
	for range 3 {
		w.want(t, "proving", disabled("a", left))
	}
	w.wantSweep(t, 0, 1)
	w.want(t, "nothing", disabled("a", left))

	w.Forward(time.Minute)
	again := w.link(t, "u-1", "a")
	for range 2 {
		w.want(t, "proving", disabled("a", left)) // late: the customer has come back
	}
	w.want(t, "learned", linked("a", "grantee-u-1", left.Add(-time.Minute)))
	w.wantSweep(t, 1, 0)
	record := w.Read(t, "u-1")
	if record.Grants[old].State != grant.Revoked || record.Grants[again].State != grant.Active || len(record.Grants) != 2 {
		t.Errorf("%+v", record.Grants)
	}
	if at := w.account(t, "a").LinkedAt; !at.Equal(w.Now()) {
		t.Errorf("the account was linked at %v, says an event that came late", at)
	}
}

// TestDisabledFollowsTheAccount: it is the customer who has the account now
// whose grants have to prove themselves.
func TestDisabledFollowsTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.link(t, "u-1", "a")
	w.Forward(time.Minute)
	second := w.link(t, "u-2", "a")
	w.want(t, "proving", disabled("a", w.Now()))
	w.wantDue(t, "u-1")
	w.wantDue(t, "u-2", second)
}

// TestUnlinkedAccountExpires: Amazon makes another id for the next enablement,
// so this one means nothing after a while; until then events come late and
// doubled.
func TestUnlinkedAccountExpires(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	w := newWorld(t)
	w.link(t, "u-1", "a")
	w.wantExpiry(t, "a", time.Time{})
	w.want(t, "proving", disabled("a", w.Now()))
	expires := w.Now().Add(week)
	w.Forward(time.Hour)
	w.want(t, "proving", disabled("a", w.Now())) // doubled
	w.wantExpiry(t, "a", expires)
	w.Forward(week)
	w.want(t, "unknown", disabled("a", w.Now()))

	// The token of an event that comes after all, or of the same account again.
	w.want(t, "learned", linked("a", "grantee-u-1", w.Now()))
	w.wantExpiry(t, "a", time.Time{})
	w.want(t, "proving", disabled("a", w.Now()))
}
