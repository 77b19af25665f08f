package skillevent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/functions/refreshtokens"
	"github.com/gatepostdev/gatepost/functions/skillevent"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/telemetry"
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
	Status                                 int
	Body                                   string
	Severity, Outcome, Kind, Error, ID, Of string
}

// handle has the function answer an event. Neither a token nor Amazon's id may
// be in anything that it shows.
func (w *world) handle(t *testing.T, body string) answered {
	t.Helper()
	var out bytes.Buffer
	ctx, line := telemetry.Begin(t.Context())
	answer := w.function.Handle(ctx, host.Request{Body: []byte(body)})
	line.Write(ctx, telemetry.New(&out), "SkillEvent")
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
	return answered{answer.Status, string(answer.Body), logged.Severity, logged.Outcome, logged.Kind, logged.Error, logged.MessageID, logged.Customer}
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
func (w *world) sweep(t *testing.T) refreshtokens.Counts {
	t.Helper()
	s := refreshtokens.Sweep{Store: w.Store, Tokens: w.Process("p"), Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now, Period: refreshtokens.DefaultPeriod, IdleAfter: 24 * time.Hour}
	var buckets []int
	for bucket := range grant.Buckets {
		buckets = append(buckets, bucket)
	}
	counts, err := s.Sweep(t.Context(), buckets)
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// due returns the grants of a customer that the sweep would look at now.
func (w *world) due(t *testing.T, userID string) []string {
	t.Helper()
	var due []string
	record := w.Read(t, userID)
	for _, id := range slices.Sorted(maps.Keys(record.Grants)) {
		if at := record.Grants[id].RefreshDue; !at.IsZero() && !at.After(w.Now()) {
			due = append(due, id)
		}
	}
	return due
}
