package local

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
		defer cancel()
		began := time.Now()
		var calls []time.Duration
		schedule(ctx, 5*time.Minute, func(context.Context) { calls = append(calls, time.Since(began)) })
		if diff := cmp.Diff([]time.Duration{5 * time.Minute, 10 * time.Minute}, calls); diff != "" {
			t.Errorf("calls differ (-want +got):\n%s", diff)
		}
	})
}

func TestAddressOfATakenPort(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(listener.Addr().String())
	port, _ := strconv.Atoi(text)
	if got := address(port); got != loopback+":0" {
		t.Errorf("address() of a taken port = %s", got)
	}
	if got, err := freePort(port); err != nil || got == text || got == "0" {
		t.Errorf("freePort() of a taken port = %s, %v", got, err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if got := address(port); got != listener.Addr().String() {
		t.Errorf("address() of a free port = %s, want %s", got, listener.Addr())
	}
}

func TestKeysetIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	place := seal.Place{Customer: "c", Grant: "g", Field: "f"}
	path, err := keysetFile()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := openKeyset(t, path).Seal(sensitive.New("Atza|fake-kept"), place)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keysetFile()
	if err != nil || again != path || !strings.HasPrefix(path, dir) {
		t.Fatalf("keysetFile() = %s and then %s, %v", path, again, err)
	}
	if opened, err := openKeyset(t, again).Open(sealed, place); err != nil || !opened.Equal(sensitive.New("Atza|fake-kept")) {
		t.Errorf("what the first run sealed does not open: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info.Mode(), err)
	}
}

func openKeyset(t *testing.T, path string) *seal.Sealer {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(sensitive.New(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

// TestAcceptedAtHome sends a report to a gateway itself.
func TestAcceptedAtHome(t *testing.T) {
	t.Parallel()
	const sample = "2026-01-02T03:04:05.678Z"
	for _, test := range []struct {
		name   string
		region alexa.Region
		sample string
		want   string
	}{
		{"right gateway", home, sample, ""},
		{"wrong gateway", alexa.NA, sample, "accepted by the gateway of NA instead of EU"},
		{"another report", home, "2026-01-02T03:04:05.679Z", "no gateway accepted it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sim := simulator.New(simulator.Options{})
			send(t, sim, test.region, test.sample)
			got := ""
			if err := (&stack{sim: sim}).acceptedAtHome(sample); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// send sends a report as SendEvent would.
func send(t *testing.T, sim *simulator.Simulator, region alexa.Region, sample string) {
	t.Helper()
	client := simulator.DefaultClient()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {sim.Code(region, amazonUser).Reveal()},
		"client_id": {client.ID}, "client_secret": {client.Secret.Reveal()}}
	exchange := httptest.NewRequest(http.MethodPost, "/auth/o2/token", strings.NewReader(form.Encode()))
	exchange.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	sim.ServeHTTP(recorder, exchange)
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &tokens); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(report("lamp-1"), `"ON"`, `"ON","timeOfSample":"`+sample+`"`, 1)
	event, _, err := alexa.DecodeEvent([]byte(text), time.Now(), alexa.CheckStrict)
	if err != nil {
		t.Fatal(err)
	}
	body := event.Append(nil, "message-1", sensitive.New(tokens.AccessToken))
	report := httptest.NewRequest(http.MethodPost, "/v3/events", strings.NewReader(string(body)))
	report.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	report.Header.Set("Content-Type", "application/json")
	recorder = httptest.NewRecorder()
	sim.GatewayHandler(region).ServeHTTP(recorder, report)
	if recorder.Code != http.StatusAccepted {
		t.Fatalf("the gateway answered %d", recorder.Code)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{200, `{"outcomes":[{"grantId":"g","outcome":"accepted"}]}`, "status 200, accepted"},
		{503, `{"outcomes":[{"outcome":"accepted"},{"outcome":"retry","code":"THROTTLING_EXCEPTION"}]}`,
			"status 503, accepted, retry THROTTLING_EXCEPTION"},
		{422, `{"outcomes":[{"outcome":"dead_letter","code":"INVALID_EVENT"}],"error":"userId: missing"}`,
			"status 422, dead_letter INVALID_EVENT, userId: missing"},
		{200, `{"outcomes":[]}`, "status 200, no grant"},
		{500, `oops`, "status 500"},
		{0, ``, "no answer (context deadline exceeded)"},
	} {
		d := pump.Delivery{Status: test.status, Body: []byte(test.body)}
		if test.status == 0 {
			d.Err = context.DeadlineExceeded
		}
		if got := outcomes(d); got != test.want {
			t.Errorf("%d %s: got %q, want %q", test.status, test.body, got, test.want)
		}
	}
}

// TestNoGrantRows: only the log line says why an event had no grant to go to. The
// screen shows it also when it shows no logs.
func TestNoGrantRows(t *testing.T) {
	t.Parallel()
	for _, logs := range []bool{false, true} {
		var shown, logged strings.Builder
		log := logger(Command{Logs: logs}, &screen{w: &shown}, &logged)
		log.Info("SendEvent", "event_id", "m1", "outcome", "accepted")
		log.Info("SendEvent", "event_id", "m2", "outcome", "no_grant", "reason", "why")
		log.Info("SendEvent", "event_id", "m3", "outcome", "elsewhere", "reason", "why")
		if got, want := shown.String(), "  event             m2: no_grant, why\n  event             m3: elsewhere, why\n"; got != want {
			t.Errorf("logs %t: shown %q, want %q", logs, got, want)
		}
		if got := strings.Count(logged.String(), "\n"); got != map[bool]int{true: 3}[logs] {
			t.Errorf("logs %t: %d lines", logs, got)
		}
	}
}

func TestSwept(t *testing.T) {
	t.Parallel()
	const row = "  sweep       1 ms  "
	for _, test := range []struct {
		name, answer string
		acknowledged bool
		want         string
	}{
		{"nothing due", `{"remaining":false}`, true, ""},
		{"refreshed", `{"refreshed":2,"revoked":1}`, true, row + "a shard's tokens: 2 refreshed, 0 refused, 1 revoked, 0 failed\n"},
		{"refused for the first time", `{"refused":1}`, true, row + "a shard's tokens: 0 refreshed, 1 refused, 0 revoked, 0 failed\n"},
		{"failed", `{"failed":{"sealed":1,"internal":2}}`, true, row + "a shard's tokens: 0 refreshed, 0 refused, 0 revoked, 3 failed\n"},
		{"not taken", `oops`, false, row + "a shard failed with status 503; redelivered in 2s\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var shown strings.Builder
			s := &stack{screen: &screen{w: &shown}, over: make(chan struct{})}
			close(s.over)
			s.swept(pump.Delivery{
				Body: []byte(test.answer), Acknowledged: test.acknowledged, Status: 503, Backoff: 2 * time.Second, Took: time.Millisecond,
			})
			if shown.String() != test.want {
				t.Errorf("got %q, want %q", shown.String(), test.want)
			}
		})
	}
}

// newMaker starts the maker's cloud with a Pub/Sub of its own, and returns what
// it shows.
func newMaker(t *testing.T) (*maker, *broker, *strings.Builder) {
	t.Helper()
	server := cloud.Fake(t)
	project := cloud.At(t, server.Addr)
	b := &broker{project: project.ID, client: project.PubSub, server: server}
	shown := &strings.Builder{}
	m, err := startMaker(loopback+":0", project.PubSub, &screen{w: shown}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m, b, shown
}

// request posts to the maker's cloud.
func request(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

func TestPublish(t *testing.T) {
	t.Parallel()
	m, b, _ := newMaker(t)
	if status, _ := request(t, m.url+"/publish?key=u-1/lamp-1", `{"n":0}`); status != http.StatusBadGateway {
		t.Errorf("status %d without a topic, want 502", status)
	}
	if err := b.create(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/publish?key=u-1/lamp-1&region=EU&eventId=e-1", "/publish"} {
		status, answer := request(t, m.url+target, `{"n":1}`)
		if status != http.StatusOK || !strings.HasPrefix(answer, `{"messageId":"m`) {
			t.Errorf("%s: %d %s", target, status, answer)
		}
	}
	if status, _ := request(t, m.url+"/publish", strings.Repeat("x", maxEventBytes+1)); status != http.StatusBadRequest {
		t.Errorf("status %d for a large event, want 400", status)
	}
	want := []*pstest.Message{
		{
			Data: []byte(`{"n":1}`), OrderingKey: "u-1/lamp-1", Topic: b.topic(deviceEvents),
			Attributes: map[string]string{"region": "EU", "eventId": "e-1"},
		},
		{Data: []byte(`{"n":1}`), Topic: b.topic(deviceEvents)},
	}
	ignore := cmpopts.IgnoreFields(pstest.Message{}, "ID", "PublishTime")
	if diff := cmp.Diff(want, b.server.Messages(), ignore, cmpopts.IgnoreUnexported(pstest.Message{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("messages differ (-want +got):\n%s", diff)
	}
}

func TestPushed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		grant string            // event
		dead  map[string]string // the attributes of a dead letter, if there is no grant event
		want  string
	}{
		{"linked", `{"type":"linked","userId":"u-1","region":"EU","activeGrants":1}`, nil, "u-1 linked in EU, 1 active grant"},
		{"revoked", `{"type":"revoked","userId":"u-1","region":"FE","reason":"invalid_grant","activeGrants":0}`, nil,
			"u-1 revoked in FE (invalid_grant), 0 active grants"},
		{"stale", `{"type":"stale","userId":"u-1","region":"EU","endpointIds":["lamp-1","lamp-2"],"activeGrants":1}`, nil,
			"u-1 stale in EU, report again lamp-1, lamp-2, 1 active grant"},
		{"stale, all", `{"type":"stale","userId":"u-1","region":"EU","discovery":true,"activeGrants":1}`, nil,
			"u-1 stale in EU, report again all endpoints and the discovery, 1 active grant"},
		{"no grant event", `linked`, nil, "message m1 does not decode: invalid character 'l' looking for beginning of value"},
		{"Gatepost's dead letter", "", map[string]string{
			"gatepost-event-id": "e-1", "gatepost-code": "INVALID_EVENT", "gatepost-description": "userId: missing",
		}, "event e-1 is a dead letter: INVALID_EVENT: userId: missing"},
		{"Pub/Sub's dead letter", "", nil, "event m1 is a dead letter: given up after 100 attempts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m, _, shown := newMaker(t)
			path, row := "/grant-events", "  grant             "
			if test.grant == "" {
				path, row = "/dead-letters", "  dead              "
			}
			body, err := push.Encode(push.Message{ID: "m1", Data: []byte(test.grant), Attributes: test.dead})
			if err != nil {
				t.Fatal(err)
			}
			if status, answer := request(t, m.url+path, string(body)); status != http.StatusNoContent {
				t.Errorf("%d %s", status, answer)
			}
			if diff := cmp.Diff(row+test.want+"\n", shown.String()); diff != "" {
				t.Errorf("what is shown differs (-want +got):\n%s", diff)
			}
			if status, _ := request(t, m.url+path, `{}`); status != http.StatusBadRequest {
				t.Errorf("status %d for what is no push, want 400", status)
			}
		})
	}
}
