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
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// provider is a maker's identity provider. It accepts the tokens "grantee-u-1" and
// the like; other tokens name the error it returns.
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

// amazonID is an account's id in skill events. The simulator's own id of the
// account is another.
func amazonID(account string) string { return "amzn1.ask.account." + account }

// event returns a skill event. A zero time is omitted.
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

// answered is an answer and its log line.
type answered struct {
	Status                                   int
	Body, Severity, Outcome, Kind, Error, ID string
	Of                                       string // the customer's hash
}

// handle has the function answer an event, and checks that neither a token nor
// Amazon's id is in the answer or the log.
func (w *world) handle(t *testing.T, body string) answered {
	t.Helper()
	var out bytes.Buffer
	ctx, line := logging.Begin(t.Context())
	answer := w.function.Handle(ctx, handler.Request{Body: []byte(body)})
	line.Write(ctx, logging.New(&out), "SkillEvent")
	for _, shown := range []string{out.String(), string(answer.Body)} {
		if strings.Contains(shown, "grantee-") || strings.Contains(shown, amazonID("")) {
			t.Errorf("a token or Amazon's id in %s", shown)
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

// wantDue compares the customer's grants that are due now with a list.
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
	expect.Equal(t, fmt.Sprintf("due grants of %s", userID), want, due, cmpopts.EquateEmpty())
}

// wantSweep sweeps, and checks how many grants were refreshed and revoked.
func (w *world) wantSweep(t *testing.T, refreshed, revoked int) {
	t.Helper()
	if got := w.sweep(t); got.Refreshed != refreshed || got.Revoked != revoked || len(got.Failed) > 0 {
		t.Errorf("sweep = %+v, want %d refreshed and %d revoked", got, refreshed, revoked)
	}
}

// wantExpiry checks when an account's record expires.
func (w *world) wantExpiry(t *testing.T, name string, want time.Time) {
	t.Helper()
	if got := w.account(t, name).ExpireAt; !got.Equal(want) {
		t.Errorf("%s expires at %v, want %v", name, got, want)
	}
}

// want handles an event, and checks the outcome.
func (w *world) want(t *testing.T, outcome, body string) {
	t.Helper()
	got := w.handle(t, body)
	if got.Status != 200 || got.Outcome != outcome || got.Body != `{"outcome":"`+outcome+`"}` {
		t.Fatalf("got %+v, want 200 %s", got, outcome)
	}
}

// account returns the stored record of an account, zero if there is none.
func (w *world) account(t *testing.T, name string) grant.Account {
	t.Helper()
	key := grant.AccountKey{Skill: accesstest.Skill, AmazonUser: amazonID(name)}
	account, err := w.Store.ReadAccount(t.Context(), key.ID())
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		t.Fatal(err)
	}
	return account
}

// link gives a customer a grant of an account, and handles Alexa's event about it.
func (w *world) link(t *testing.T, userID, account string) (grantID string) {
	t.Helper()
	id := w.Link(t, userID, alexa.EU, account)
	w.want(t, "learned", linked(account, "grantee-"+userID, w.Now()))
	return id
}

// sweep sweeps as the scheduled function does, with grants at rest after a day
// without use.
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

// TestDisabledInEveryState handles the event with the grant in each state, with the
// account still linked and with it unlinked.
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

// TestEventsThatDoNoHarm are duplicate, late and out of order. The working grant
// stays, and each end is announced once.
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
		w.want(t, "proving", disabled("a", left)) // late: the customer has linked again
	}
	w.want(t, "learned", linked("a", "grantee-u-1", left.Add(-time.Minute)))
	w.wantSweep(t, 1, 0)
	record := w.Read(t, "u-1")
	if record.Grants[old].State != grant.Revoked || record.Grants[again].State != grant.Active || len(record.Grants) != 2 {
		t.Errorf("grants = %+v, want the first revoked and the second active", record.Grants)
	}
	if at := w.account(t, "a").LinkedAt; !at.Equal(w.Now()) {
		t.Errorf("LinkedAt = %v after a late event, want %v", at, w.Now())
	}
}

// TestDisabledFollowsTheAccount: the grants of the customer who has the account now
// become due.
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

// TestUnlinkedAccountExpires: Amazon makes a new id at the next enablement, so a
// disabled one is kept only as long as late and duplicate events may arrive.
func TestUnlinkedAccountExpires(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	w := newWorld(t)
	w.link(t, "u-1", "a")
	w.wantExpiry(t, "a", time.Time{})
	w.want(t, "proving", disabled("a", w.Now()))
	expires := w.Now().Add(week)
	w.Forward(time.Hour)
	w.want(t, "proving", disabled("a", w.Now())) // a duplicate
	w.wantExpiry(t, "a", expires)
	w.Forward(week)
	w.want(t, "unknown", disabled("a", w.Now()))

	// A token in a late event, or the same account linked again.
	w.want(t, "learned", linked("a", "grantee-u-1", w.Now()))
	w.wantExpiry(t, "a", time.Time{})
	w.want(t, "proving", disabled("a", w.Now()))
}
