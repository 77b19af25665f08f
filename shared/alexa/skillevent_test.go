package alexa_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// The two events as they come, with every member that has been seen.
const (
	skillAccountLinked = `{"version":"1.0","context":{"System":{"application":{"applicationId":"amzn1.ask.skill.fake"},
 "user":{"userId":"amzn1.ask.account.fake"},"apiEndpoint":"https://api.eu.amazonalexa.com"}},
 "request":{"type":"AlexaSkillEvent.SkillAccountLinked","requestId":"r-1","timestamp":"2026-01-02T03:04:07Z",
    "eventCreationTime":"2026-01-02T03:04:05Z",
 "eventPublishingTime":"2026-01-02T03:04:06Z","body":{"accessToken":"fake-grantee-token"}}}`
	skillDisabled = `{"version":"1.0","context":{"System":{"application":{"applicationId":"amzn1.ask.skill.fake"},
 "user":{"userId":"amzn1.ask.account.fake","accessToken":"fake-other-token"},"apiEndpoint":"https://api.eu.amazonalexa.com"}},
 "request":{"type":"AlexaSkillEvent.SkillDisabled","requestId":"r-2","timestamp":"2026-01-02T03:04:07Z",
    "eventCreationTime":"2026-01-02T03:04:05Z",
 "eventPublishingTime":"2026-01-02T03:04:06Z","body":{"userInformationPersistenceStatus":"NOT_PERSISTED"}}}`
)

var eventCreated = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// decoded is a SkillEvent with its secret in the open.
type decoded struct {
	Type, RequestID, AmazonUser, AccessToken string
	Created                                  time.Time
}

func decodeSkillEvent(data string) (decoded, error) {
	e, err := alexa.DecodeSkillEvent([]byte(data))
	return decoded{e.Type, e.RequestID, e.AmazonUser, e.AccessToken.Reveal(), e.Created}, err
}

func TestDecodeSkillEvent(t *testing.T) {
	t.Parallel()
	linked := decoded{alexa.SkillAccountLinked, "r-1", "amzn1.ask.account.fake", "fake-grantee-token", eventCreated}
	disabled := decoded{alexa.SkillDisabled, "r-2", "amzn1.ask.account.fake", "", eventCreated}
	as := func(e decoded, change func(*decoded)) decoded { change(&e); return e }
	tests := []struct {
		name, data string
		want       decoded
	}{
		{"linked", skillAccountLinked, linked},
		{"disabled", skillDisabled, disabled},
		{"unlinked", strings.Replace(skillDisabled, "SkillDisabled", "SkillAccountUnlinked", 1),
			as(disabled, func(e *decoded) { e.Type = alexa.SkillAccountUnlinked })},
		{"disabled without a body", strings.Replace(skillDisabled, `"body"`, `"bodies"`, 1), disabled},
		{"spread out", " \n" + strings.ReplaceAll(skillAccountLinked, `":`, "\" :\t") + "\n", linked},
		{"with what Amazon may add", strings.Replace(skillAccountLinked, `"body"`, `"locale":"de-DE","body"`, 1), linked},
		{"escaped token", strings.Replace(skillAccountLinked, "fake-grantee-token", `fake-\u0067rantee-token`, 1), linked},
		{"no request id", strings.Replace(skillDisabled, `"requestId"`, `"id"`, 1), as(disabled, func(e *decoded) { e.RequestID = "" })},
		{"another event of skills", `{"request":{"type":"AlexaSkillEvent.SkillPermissionChanged","requestId":"r-3","body":7},"context":[]}`,
			decoded{Type: "AlexaSkillEvent.SkillPermissionChanged", RequestID: "r-3"}},
		{"an event of other things", `{"request":{"type":"Reminders.ReminderCreated","timestamp":"2026-01-02T03:04:05Z"}}`,
			decoded{Type: "Reminders.ReminderCreated", Created: eventCreated}},
		{"another case", `{"request":{"type":"alexaskillevent.skilldisabled"}}`, decoded{Type: "alexaskillevent.skilldisabled"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeSkillEvent(test.data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSkillEventTimes has times that nobody can read be no reason to refuse an
// event.
func TestSkillEventTimes(t *testing.T) {
	t.Parallel()
	const unread = `"x"`
	tests := []struct {
		name, created, timestamp string // JSON
		want                     time.Time
	}{
		{"text", `"2026-01-02T03:04:05Z"`, unread, eventCreated},
		{"text with fraction and zone", `"2026-01-02T12:04:05.000+09:00"`, unread, eventCreated},
		{"milliseconds", `1767323045000`, unread, eventCreated},
		{"odd millisecond", `1767323045001`, unread, eventCreated.Add(time.Millisecond)},
		{"creation before timestamp", `1767323045000`, `"2030-01-01T00:00:00Z"`, eventCreated},
		{"timestamp only", unread, `"2026-01-02T03:04:05Z"`, eventCreated},
		{"timestamp in milliseconds", `null`, `1767323045000`, eventCreated},
		{"number in text", `"1767323045000"`, unread, time.Time{}},
		{"fraction of a millisecond", `1767323045000.5`, unread, time.Time{}},
		{"exponent", `1.7e12`, unread, time.Time{}},
		{"below zero", `-1`, unread, time.Time{}},
		{"beyond the years that a store keeps", `999999999999999999`, unread, time.Time{}},
		{"beyond all numbers", `99999999999999999999`, unread, time.Time{}},
		{"before Alexa", `"0001-06-01T00:00:00Z"`, unread, time.Time{}},
		{"after the last year", `"9999-12-31T23:59:59-23:59"`, unread, time.Time{}},
		{"object", `{"time":"2026-01-02T03:04:05Z"}`, `[]`, time.Time{}},
		{"neither", `true`, `""`, time.Time{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, event := range []string{skillAccountLinked, skillDisabled} {
				event = strings.Replace(event, `"eventCreationTime":"2026-01-02T03:04:05Z"`, `"eventCreationTime":`+test.created, 1)
				event = strings.Replace(event, `"timestamp":"2026-01-02T03:04:07Z"`, `"timestamp":`+test.timestamp, 1)
				got, err := decodeSkillEvent(event)
				if err != nil {
					t.Fatal(err)
				}
				if got.Created != test.want { // in UTC, too
					t.Errorf("created %v, want %v", got.Created, test.want)
				}
			}
		})
	}
	for name, without := range map[string]string{"neither is there": `"eventCreationTime":"2026-01-02T03:04:05Z",`,
		"creation is not there": ``} {
		event := strings.Replace(skillDisabled, `"timestamp":"2026-01-02T03:04:07Z",`, ``, 1)
		got, err := decodeSkillEvent(strings.Replace(event, without, ``, 1))
		if err != nil || got.Created.IsZero() != (without != "") {
			t.Errorf("%s: created %v, error %v", name, got.Created, err)
		}
	}
}

func TestDecodeSkillEventNamesTheField(t *testing.T) {
	t.Parallel()
	const user, user2 = `{"userId":"amzn1.ask.account.fake"}`, `"userId":"amzn1.ask.account.fake"`
	tests := []struct{ name, event, old, new, want string }{
		{"not JSON", skillDisabled, skillDisabled, `{"request":`, "not JSON (at byte 11)"},
		{"empty", skillDisabled, skillDisabled, ``, "not JSON (at byte 0)"},
		{"array", skillDisabled, skillDisabled, `[]`, "must be a JSON object"},
		{"not UTF-8", skillDisabled, "r-2", "\xff", "not UTF-8"},
		{"a directive", skillDisabled, skillDisabled, acceptGrant, "request: missing"},
		{"a request twice", skillDisabled, `"request"`, `"request":{},"request"`, "request: appears twice"},
		{"request no object", skillDisabled, `"request":`, `"request":"x","r":`, "request: must be an object"},
		{"request null", skillDisabled, `"request":`, `"request":null,"r":`, "request: null, must be an object"},
		{"no type", skillDisabled, `"type"`, `"kind"`, "request.type: missing"},
		{"empty type", skillDisabled, `"AlexaSkillEvent.SkillDisabled"`, `""`, "request.type: empty"},
		{"type no text", skillDisabled, `"AlexaSkillEvent.SkillDisabled"`, `["AlexaSkillEvent.SkillDisabled"]`, "request.type: must be a string"},
		{"type twice", skillDisabled, `"type"`, `"type":"x","type"`, "request.type: appears twice"},
		{"request id no text", skillDisabled, `"r-2"`, `2`, "request.requestId: must be a string"},
		{"request id empty", skillDisabled, `"r-2"`, `""`, "request.requestId: empty"},

		{"no context", skillDisabled, `"context"`, `"contexts"`, "context.System.user.userId: missing"},
		{"context no object", skillDisabled, `"context":`, `"context":"x","c":`, "context: must be an object"},
		{"no system", skillDisabled, `"System"`, `"system"`, "context.System.user.userId: missing"},
		{"system no object", skillDisabled, `"System":`, `"System":[],"s":`, "context.System: must be an object"},
		{"no user", skillAccountLinked, `"user"`, `"person"`, "context.System.user.userId: missing"},
		{"user no object", skillAccountLinked, user, `"amzn1.ask.account.fake"`, "context.System.user: must be an object"},
		{"no user id", skillAccountLinked, user2, `"id":"x"`, "context.System.user.userId: missing"},
		{"user id empty", skillAccountLinked, user2, `"userId":""`, "context.System.user.userId: empty"},
		{"user id no text", skillAccountLinked, user2, `"userId":7`, "context.System.user.userId: must be a string"},
		{"user id twice", skillAccountLinked, user2, user2 + `,"userId":"x"`, "context.System.user.userId: appears twice"},
		{"unlinked, no user", strings.Replace(skillDisabled, "SkillDisabled", "SkillAccountUnlinked", 1), `"user"`, `"person"`,
			"context.System.user.userId: missing"},

		{"no body", skillAccountLinked, `"body"`, `"bodies"`, "request.body.accessToken: missing"},
		{"body no object", skillAccountLinked, `{"accessToken":"fake-grantee-token"}`, `"fake-grantee-token"`, "request.body: must be an object"},
		{"no token", skillAccountLinked, `"accessToken"`, `"token"`, "request.body.accessToken: missing"},
		{"token empty", skillAccountLinked, `"fake-grantee-token"`, `""`, "request.body.accessToken: empty"},
		{"token no text", skillAccountLinked, `"fake-grantee-token"`, `["fake-grantee-token"]`, "request.body.accessToken: must be a string"},
		{"token twice", skillAccountLinked, `"accessToken"`, `"accessToken":"fake-grantee-token","accessToken"`,
			"request.body.accessToken: appears twice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			data := strings.Replace(test.event, test.old, test.new, 1)
			if data == test.event {
				t.Fatalf("the case changes nothing: %q is not in the event", test.old)
			}
			e, err := alexa.DecodeSkillEvent([]byte(data))
			var field *alexa.FieldError
			if !errors.As(err, &field) {
				t.Fatalf("got %v, want a FieldError", err)
			}
			if err.Error() != test.want {
				t.Errorf("got  %s\nwant %s", err, test.want)
			}
			if e != (alexa.SkillEvent{}) {
				t.Errorf("half an event came with the error: %+v", e)
			}
		})
	}
}

// TestSkillEventKeepsItsSecret prints an event in every way that a log might.
func TestSkillEventKeepsItsSecret(t *testing.T) {
	t.Parallel()
	e, err := alexa.DecodeSkillEvent([]byte(skillAccountLinked))
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(e), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e), string(asJSON)} {
		if strings.Contains(text, "fake-grantee-token") {
			t.Errorf("the token is shown: %s", text)
		}
	}
}

// FuzzDecodeSkillEvent holds decoding to what the function depends on: what it
// accepts has what its type is good for, a time that a store keeps, and comes
// back from an event that says the same; an error holds no value.
func FuzzDecodeSkillEvent(f *testing.F) {
	for _, seed := range []string{
		skillAccountLinked, skillDisabled, acceptGrant,
		strings.Replace(skillDisabled, `"2026-01-02T03:04:05Z"`, `1767323045000`, 1),
		strings.Replace(skillAccountLinked, "fake-grantee-token", `a\ud83d\u0041\n`, 1),
		`{"request":{"type":"x"}}`, `{"request":{"type":"AlexaSkillEvent.SkillDisabled"},"context":{"System":null}}`,
	} {
		f.Add([]byte(seed))
		f.Add([]byte(strings.ReplaceAll(seed, `"`, ` " `)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeSkillEvent(string(data))
		if err != nil {
			if valid := json.Valid(data) && utf8.Valid(data); valid == strings.HasPrefix(err.Error(), "not ") {
				t.Errorf("%v for what is a document: %v", err, valid)
			}
			if got != (decoded{}) {
				t.Errorf("half an event came with the error: %+v", got)
			}
			return
		}
		linked := got.Type == alexa.SkillAccountLinked
		about := linked || got.Type == alexa.SkillDisabled || got.Type == alexa.SkillAccountUnlinked
		if got.Type == "" || linked == (got.AccessToken == "") || about == (got.AmazonUser == "") {
			t.Fatalf("accepted %+v", got)
		}
		if year := got.Created.Year(); !got.Created.IsZero() && (year < 1970 || year > 9999) {
			t.Fatalf("created %v", got.Created)
		}
		if again, err := decodeSkillEvent(encodeSkillEvent(t, got)); err != nil || again != got {
			t.Errorf("%+v became %+v, error %v", got, again, err)
		}
	})
}

// encodeSkillEvent writes an event as Alexa would.
func encodeSkillEvent(t *testing.T, e decoded) string {
	t.Helper()
	request := map[string]any{"type": e.Type, "body": map[string]string{"accessToken": e.AccessToken}}
	if e.RequestID != "" {
		request["requestId"] = e.RequestID
	}
	if !e.Created.IsZero() {
		request["eventCreationTime"] = e.Created
	}
	system := map[string]any{"user": map[string]string{"userId": e.AmazonUser}}
	data, err := json.Marshal(map[string]any{"request": request, "context": map[string]any{"System": system}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
