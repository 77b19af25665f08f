package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/story"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/testkit"
	cloudtest "github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

func TestMain(m *testing.M) {
	os.Unsetenv("GOOGLE_CLOUD_PROJECT") // the default of --project
	os.Setenv("GOOGLE_APPLICATION_CREDENTIALS", os.DevNull)
	testkit.Main(m)
}

// logFile is what a local run wrote while its simulator was told to fail, and its
// customers to make mistakes.
const logFile = "testdata/log.jsonl"

// now is after the log's end.
var now = time.Date(2026, 11, 28, 15, 30, 0, 0, time.UTC)

// cloud is a project of Google's with the log of package story.
type cloud struct {
	*testing.T
	store   grant.Admin
	pubsub  *cloudtest.Project
	now     time.Time
	filters []string        // of the requests for the log
	broken  map[string]bool // paths that answer 403

	exclusions []any // of the log, besides those of a deployment
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{T: t, now: now, store: grantmem.New(), pubsub: cloudtest.At(t, cloudtest.Fake(t).Addr), broken: map[string]bool{}}
	c.pubsub.CreateTopic(t, "dead-letters")
	c.pubsub.Subscribe(t, "dead-letters", &pubsubpb.Subscription{Name: "dead-letters"})
	_, err := grant.Change(t.Context(), c.store, grant.Key{Skill: "default", UserID: "u-1"}, func(r *grant.Record) error {
		r.Link("becaa185b8029a08e0b82d43a754a3b5", alexa.EU, "", grant.Tokens{ExpiresAt: now.Add(time.Hour)}, now.Add(-time.Hour))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ServeHTTP plays Cloud Logging and Cloud Monitoring.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer any
	switch {
	case c.broken[r.URL.Path]:
		w.WriteHeader(http.StatusForbidden)
		answer = map[string]any{"error": map[string]any{"code": 403, "message": "permission denied on project p"}}
	case r.URL.Path == "/logging/v2/entries:list":
		answer = c.entries(r.Body)
	case r.URL.Path == "/logging/v2/projects/"+c.pubsub.ID+"/locations/global/buckets/_Default":
		answer = map[string]any{"retentionDays": 30}
	case r.URL.Path == "/logging/v2/projects/"+c.pubsub.ID+"/sinks/_Default":
		answer = map[string]any{"exclusions": append([]any{
			map[string]any{"name": "off", "filter": "x", "disabled": true},
			// The one that a deployment has.
			map[string]any{"name": "gatepost-pushes", "filter": `resource.labels.service_name=("gatepost-eu-refreshshard" OR ` +
				`"gatepost-eu-sendevent") AND log_id("run.googleapis.com/requests") AND severity<WARNING AND httpRequest.status<500`},
		}, c.exclusions...)}
	case strings.Contains(r.URL.Query().Get("filter"), "num_undelivered_messages"):
		answer = series("12")
	case strings.Contains(r.URL.Query().Get("filter"), "oldest_unacked_message_age"):
		answer = series("190")
	default:
		c.Errorf("unexpected request %s", r.URL)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func series(value string) any {
	return json.RawMessage(`{"timeSeries":[{"resource":{"labels":{"subscription_id":"gatepost-eu-device-events"}},` +
		`"points":[{"value":{"int64Value":"` + value + `"}},{"value":{"int64Value":"1"}}]}]}`)
}

// entries answers with the lines that a filter's values occur in, in two pages.
func (c *cloud) entries(body io.Reader) any {
	var request struct{ Filter, PageToken string }
	if err := json.NewDecoder(body).Decode(&request); err != nil {
		c.Error(err)
	}
	c.filters = append(c.filters, request.Filter)
	log, err := os.ReadFile(logFile)
	if err != nil {
		c.Error(err)
	}
	var found []any
	for line := range strings.Lines(string(log)) {
		for _, part := range strings.Split(request.Filter, `"`) {
			if len(part) > 2 && strings.Contains(line, `"`+part+`"`) {
				var payload map[string]any
				_ = json.Unmarshal([]byte(line), &payload)
				entry := map[string]any{"timestamp": payload["time"], "severity": payload["severity"], "jsonPayload": payload}
				delete(payload, "time")
				found = append(found, entry)
				break
			}
		}
	}
	half := len(found) / 2
	if request.PageToken == "" {
		return map[string]any{"entries": found[:half], "nextPageToken": "2"}
	}
	return map[string]any{"entries": found[half:]}
}

// explain runs the command.
func (c *cloud) explain(args ...string) (status int, stdout, stderr string) {
	c.Helper()
	server := httptest.NewServer(c)
	defer server.Close()
	var out, complaints bytes.Buffer
	env := &cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &complaints, Now: func() time.Time { return c.now }, GoogleAPI: server.URL,
		Google: []option.ClientOption{cloudtest.Dial(c.T, c.pubsub.PubSubHost)},
		OpenGrants: func(_ context.Context, project, database string) (grant.Admin, func() error, error) {
			if project != c.pubsub.ID || database != "gatepost-eu" {
				return nil, nil, errors.New("no such database")
			}
			return c.store, func() error { return nil }, nil
		},
	}
	grammar := new(struct {
		Explain Command `cmd:""`
	})
	grammar.Explain.idle = 200 * time.Millisecond
	status = cli.Run(testkit.Context(c.T), env, grammar, append([]string{"explain"}, args...))
	return status, out.String(), complaints.String()
}

// ask runs the command on the project.
func (c *cloud) ask(args ...string) (status int, stdout, stderr string) {
	c.Helper()
	return c.explain(append([]string{"--project=" + c.pubsub.ID}, args...)...)
}

func TestCloud(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	status, stdout, stderr := c.ask("--databases=gatepost-eu,gatepost-na", "--user=u-1", "--endpoint=lamp-2")
	if status != cli.StatusFailed || !strings.Contains(stdout, "the customer has linked in EU (gatepost-eu)") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if !strings.Contains(stderr, "not read: database gatepost-na: no such database") {
		t.Errorf("%q, want what was not read", stderr)
	}
	want := fmt.Sprintf(`(jsonPayload.customer=%q OR (jsonPayload.endpoint_id="lamp-2" AND jsonPayload.outcome="no_grant") OR `+
		`(jsonPayload.outcome="dead_letter" AND NOT jsonPayload.customer:*)) AND `+
		`(jsonPayload.function="SendEvent" OR jsonPayload.message:"grant ") AND timestamp>="2026-11-28T14:30:00Z" AND `+
		`timestamp<="2026-11-28T15:30:00Z"`, grant.CustomerHash("u-1"))
	if len(c.filters) != 2 || c.filters[0] != want {
		t.Errorf("the log was asked %q, want two pages of %q", c.filters, want)
	}
}

// TestDeliveryRecord asks about an event whose line is not in the log.
func TestDeliveryRecord(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := grant.DeliveryKey{Customer: grant.Key{Skill: "default", UserID: "u-1"}.ID(), EventID: "bell-1"}
	sent := grant.Delivery{Key: key, State: grant.Sent, ExpireAt: now.Add(time.Hour)}
	if _, err := c.store.WriteDelivery(t.Context(), grant.Delivery{Key: key}, sent); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		status int
		says   string
	}{{cli.StatusFailed, "The delivery record in gatepost-eu says"}, {cli.StatusFailed, "It may wait in gatepost-eu-device-events"}} {
		status, stdout, stderr := c.ask("--user=u-1", "--event=bell-1")
		if status != want.status || !strings.Contains(stdout, want.says) {
			t.Errorf("status %d, %s%s; want %d and %s", status, stdout, stderr, want.status, want.says)
		}
		c.now = now.Add(2 * time.Hour) // the record has expired
	}
}

func TestCloudRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.broken["/monitoring/v3/projects/"+c.pubsub.ID+"/timeSeries"] = true
	status, stdout, stderr := c.ask("--event=m17")
	if status != cli.StatusDone || !strings.Contains(stderr, "not read: the backlog of the subscriptions: calling monitoring: status 403") {
		t.Errorf("without Monitoring: status %d, %s%s", status, stdout, stderr)
	}
	c.broken["/logging/v2/entries:list"] = true
	if status, _, stderr := c.ask("--event=m17"); status != cli.StatusFailed || !strings.Contains(stderr, "permission denied") {
		t.Errorf("without the log: status %d, %s", status, stderr)
	}
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	_, stdout, _ := c.ask("--user=u-77")
	if !strings.Contains(stdout, "gatepost-eu-device-events: 12 messages wait: the oldest for 3m10s") {
		t.Errorf("%s; want the backlog", stdout)
	}
	backlog := "/monitoring/v3/projects/" + c.pubsub.ID + "/timeSeries"
	c.broken[backlog] = true
	for _, question := range []string{"--around=2026-11-28T15:00:00Z", "--event=e-9"} {
		if _, stdout, _ = c.ask("--user=u-77", question); !strings.Contains(stdout, "Gatepost did not get it") {
			t.Errorf("%s: %s; want that it was not published: the log has all", question, stdout)
		}
	}
	delete(c.broken, backlog)
	c.exclusions = []any{map[string]any{"name": "routine", "filter": "severity<WARNING"}}
	_, stdout, _ = c.ask("--user=u-77", "--around=2026-11-28T15:00:00Z")
	if !strings.Contains(stdout, "its line is excluded from the log, by routine (severity<WARNING).") {
		t.Errorf("%s; want the exclusion", stdout)
	}
}

// TestLetters finds a dead letter that the log does not have, twice: it stays.
func TestLetters(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	result := c.pubsub.PubSub.Publisher("dead-letters").Publish(t.Context(), &pubsub.Message{
		Data: []byte(`{"userId":"u-77","endpointId":"lamp-1"}`),
		Attributes: map[string]string{"gatepost-reason": "dead_letter", "gatepost-code": "INVALID_EVENT", "gatepost-event-id": "e-1",
			"gatepost-description": "cause: missing", "gatepost-published": "2026-11-28T15:20:00Z"},
	})
	if _, err := result.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.now = time.Now() // a message that is younger became a dead letter meanwhile
	for range 2 {
		_, stdout, stderr := c.ask("--user=u-77", "--around=2026-11-28T15:20:00Z")
		if !strings.Contains(stdout, "event e-1") || !strings.Contains(stdout, "INVALID_EVENT, cause: missing.") {
			t.Errorf("%s%s; want the dead letter", stdout, stderr)
		}
	}
}

// TestOwnProject has credentials of a project, as gcloud's of a service account are.
func TestOwnProject(t *testing.T) {
	c := newCloud(t)
	path := t.TempDir() + "/credentials.json"
	if err := os.WriteFile(path, []byte(`{"type": "service_account", "project_id": "`+c.pubsub.ID+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	if _, stdout, stderr := c.explain("--user=u-1", "--around=2026-11-28T15:20:00Z"); !strings.Contains(stdout, "TROUBLESHOOTING") {
		t.Errorf("it wrote %q and %q, want stories of project %s", stdout, stderr, c.pubsub.ID)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	status, stdout, stderr := c.explain("--log="+logFile, "--event=m24", "--json")
	var answer struct{ Stories []story.Story }
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || status != cli.StatusDone || stderr != "" {
		t.Fatalf("status %d, %s%s, %v", status, stdout, stderr, err)
	}
	if s := answer.Stories; len(s) != 1 || s[0].Name != "accepted_late" || len(s[0].Links) < 5 {
		t.Errorf("%+v, want one story that is accepted_late", s)
	}
	status, stdout, _ = c.explain("--log="+logFile, "--user=u-1", "--around=2026-11-28T15:20:00Z")
	if status != cli.StatusFailed || strings.Count(stdout, "TROUBLESHOOTING") != 5 {
		t.Errorf("status %d, %s; want five stories", status, stdout)
	}
	for question, want := range map[string]string{
		"--message=86638a16-87d0-8a9d-8ac4-81602774f929":   "event m17 of customer",
		"--user=u-77 --around=2026-11-28T15:20:00Z --json": `"verdict": "undecoded"`,
	} {
		if _, stdout, _ := c.explain(strings.Fields("--log=" + logFile + " " + question)...); !strings.Contains(stdout, want) {
			t.Errorf("%s: %s; want %s", question, stdout, want)
		}
	}
	if len(c.filters) > 0 {
		t.Error("Cloud Logging was asked although a file was given")
	}
}

func TestWrongCalls(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--project=p": "give --user, --customer, --event or --message",
		"--user=u-1":  "give --project, or --log",
		"--log=x --user=u-1 --customer=0123456789abcdef": "not both",
		"--log=x --event=1 --message=2":                  "not both",
		"--log=x --customer=u-1":                         "16 hex digits",
		"--log=x --user=u --around=2h --since=1h":        "not both",
		"--log=x --user=u --around=noon":                 "--around: want a time",
		"--log=missing.jsonl --user=u-1":                 "no such file",
		"--log=- --user=u-1":                             "no line of Gatepost's",
	} {
		if status, _, stderr := newCloud(t).explain(strings.Fields(args)...); status != cli.StatusUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, %q, want %q", args, status, stderr, want)
		}
	}
}
