package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// TestTakenPorts: another port than a default is used and shown; a port that a flag gives
// is not replaced.
func TestTakenPorts(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	if got, err := (Command{Given: map[string]bool{"port": true}}).address("maker-port", port); got != loopback+":0" || err != nil {
		t.Errorf("address() of a taken default port = %s, %v", got, err)
	}
	free, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	at := free.Addr().(*net.TCPAddr)
	if got, err := (Command{}).address("port", at.Port); got != at.String() || err != nil {
		t.Errorf("address() of a free port = %s, %v, want %s", got, err, at)
	}

	for flag, test := range map[string]struct {
		command Command
		shown   string
	}{
		"port":           {Command{Port: port}, "the functions are at http://127.0.0.1:"},
		"maker-port":     {Command{MakerPort: port}, "the maker's cloud is at http://127.0.0.1:"},
		"pubsub-port":    {Command{PubsubPort: port}, "Pub/Sub is at 127.0.0.1:"},
		"simulator-port": {Command{SimulatorPort: port - 2}, "the gateway of EU is at http://127.0.0.1:"},
	} {
		t.Run(flag, func(t *testing.T) {
			test.command.Once = true
			output := launch(t, test.command, nil).ends(nil)
			if want := fmt.Sprintf("\nport %d is taken: %s", port, test.shown); !strings.Contains(output, want) {
				t.Errorf("no line with %q", want)
			}
			test.command.Given = map[string]bool{flag: true}
			err := <-launch(t, test.command, nil).ended
			// Another process may hold one of the ports beside it.
			if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("--%s: port ", flag)) {
				t.Errorf("with the flag: %v", err)
			}
		})
	}
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
			if err := acceptedAtHome(sim, sample); err != nil {
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

// TestRows publishes and calls what the demonstration does not.
func TestRows(t *testing.T) {
	t.Parallel()
	p := launch(t, Command{}, nil)
	p.ready()
	ctx := testkit.Context(t)
	publish := func(event string, attributes map[string]string) {
		t.Helper()
		if _, err := p.gatepost.Publish(ctx, []byte(event), attributes, ""); err != nil {
			t.Fatal(err)
		}
	}
	call := func(function, body string) {
		t.Helper()
		_, _ = p.gatepost.Post(ctx, function, nil, []byte(body)) // some of these calls fail
	}

	publish(strings.Replace(report("lamp-1"), "u-1", "u-7", 1), map[string]string{"eventId": "e-7"})
	p.until("event ", " (e-7), attempt 1: no_grant, ", "no customer with this userId")

	p.amazon.Script(simulator.Gateway(home), simulator.Fault{Code: simulator.Throttling, Times: 1})
	publish(report("lamp-1"), nil)
	p.until("event ", ", attempt 1: ", "accepted; 2 requests to the gateway")

	publish(strings.Replace(report("lamp-1"), `"ON"`, `"ON","extra":1`, 1), nil)
	p.until("event ", ", attempt 1: ", "warning: ")

	publish(report("lamp-1"), map[string]string{"gatepost-event-id": "e-8"})
	p.until("event ", " (e-8, replayed), attempt 1: accepted")

	p.amazon.ExpireAccessTokens(home, amazonUser)
	publish(report("lamp-1"), nil)
	p.until("event ", "accepted", "; the token was refreshed")

	publish("{\x1b", nil)
	p.until("event ", ", attempt 1: dead_letter INVALID_EVENT, ")
	p.until("dead ", " is a dead letter: INVALID_EVENT: ")

	call("SendEvent", "no message")
	p.until("event ", "by hand: SendEvent answered 400: not a Pub/Sub message")
	call("AcceptGrant", `{}`)
	p.until("link ", "AcceptGrant FAILED: ")
	call("SkillEvent", `{"version":"1.0","context":{"System":{"user":{"userId":"amzn1.ask.account.x"}}},`+
		`"request":{"type":"AlexaSkillEvent.SkillDisabled","requestId":"r","timestamp":"2026-01-02T03:04:05Z"}}`)
	p.until("skill ", "AlexaSkillEvent.SkillDisabled: unknown")
	call("RefreshShard", `{}`)
	p.until("sweep ", "RefreshShard answered 400: not a Pub/Sub message")

	if err := p.gatepost.Link(ctx, alexa.NA, "amzn-3", ""); err == nil {
		t.Error("a customer without an id was linked")
	}
	p.until("link ", "AcceptGrant FAILED in NA: ", "finding the customer")
	p.interrupt()
	p.ends(nil)
}

// newScreen returns a screen whose clock stands.
func newScreen(w io.Writer) *screen {
	return &screen{w: w, now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }}
}

// slowStore records how long a read may take.
type slowStore struct {
	grant.Store
	within time.Duration
	err    error
}

func (s *slowStore) Read(ctx context.Context, _ grant.Key) (grant.Record, error) {
	until, _ := ctx.Deadline()
	s.within = time.Until(until)
	return grant.Record{}, s.err
}

func TestReadFirst(t *testing.T) {
	t.Parallel()
	for _, err := range []error{grant.ErrNotFound, io.ErrUnexpectedEOF} {
		want := err
		if err == grant.ErrNotFound {
			want = nil
		}
		store := &slowStore{err: err}
		if got := readFirst(t.Context(), store); !errors.Is(got, want) {
			t.Errorf("readFirst() = %v, want %v", got, want)
		}
		if store.within <= startTime || store.within > firstReadTime {
			t.Errorf("the read may take %v, want %v", store.within, firstReadTime)
		}
	}
}

// TestEarlyRow shows an old event of an emulator, which comes before the start is over.
func TestEarlyRow(t *testing.T) {
	t.Parallel()
	var shown strings.Builder
	l := oneprocess.Line{Message: "SendEvent", Pushed: &push.Message{ID: "m1", Attempt: 2}, Backoff: time.Second,
		Fields: map[string]slog.Value{"outcome": slog.StringValue("retry")}}
	(&run{screen: newScreen(&shown)}).showLine(l)
	wantRow(t, shown.String(), "event            m1, attempt 2: retry; redelivered in 1s")
}

// TestLineRows shows what is hard to bring about.
func TestLineRows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, message string
		level         slog.Level
		fields        []slog.Attr
		want          string
	}{
		{"nothing due", "RefreshShard", slog.LevelInfo, []slog.Attr{slog.Int("refreshed", 0)}, ""},
		{"refreshed", "RefreshShard", slog.LevelInfo, []slog.Attr{slog.Int("refreshed", 2), slog.Int("revoked", 1), slog.Int("duration_ms", 1)},
			"sweep      1 ms  a shard's tokens: 2 refreshed, 0 refused, 1 revoked, 0 failed"},
		{"refused for the first time", "RefreshShard", slog.LevelInfo, []slog.Attr{slog.Int("refused", 1), slog.Int("duration_ms", 0)},
			"sweep      0 ms  a shard's tokens: 0 refreshed, 1 refused, 0 revoked, 0 failed"},
		{"failed", "RefreshShard", slog.LevelError,
			[]slog.Attr{slog.Any("failed", map[string]int{"sealed": 1, "internal": 2}), slog.String("error", "why")},
			"sweep            a shard's tokens: 0 refreshed, 0 refused, 0 revoked, 3 failed; why"},
		{"not started", "RefreshTokens", slog.LevelError, []slog.Attr{slog.Int("status", 503), slog.String("error", "why")},
			"sweep            RefreshTokens answered 503: why"},
		{"a look of gatepost doctor", "SkillEvent", slog.LevelInfo, []slog.Attr{slog.Int("status", 405), slog.Int("duration_ms", 0)}, ""},
		{"breaker", "circuit breaker", slog.LevelInfo,
			[]slog.Attr{slog.String("breaker", "gateway EU"), slog.String("from", "open"), slog.String("to", "closed")},
			"breaker          gateway EU: closed, was open"},
		{"ramp", "circuit breaker", slog.LevelDebug,
			[]slog.Attr{slog.String("breaker", "gateway EU"), slog.String("from", "half-open"), slog.String("to", "half-open")}, ""},
		{"ready", "ready", slog.LevelInfo, []slog.Attr{slog.String("store", "memory")}, ""},
		{"a warning", "the keyset could not be loaded again", slog.LevelWarn, []slog.Attr{slog.String("error", "a\x1b[1m")},
			"warning          the keyset could not be loaded again: a\ufffd[1m"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var shown strings.Builder
			l := oneprocess.Line{Level: test.level, Message: test.message, Fields: make(map[string]slog.Value)}
			for _, field := range test.fields {
				l.Fields[field.Key] = field.Value
			}
			(&run{screen: newScreen(&shown)}).showLine(l)
			wantRow(t, shown.String(), test.want)
		})
	}
}

func wantRow(t *testing.T, got, want string) {
	t.Helper()
	if want != "" {
		want = "03:04:05  " + want + "\n"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is shown differs (-want +got):\n%s", diff)
	}
}

func TestMessageRows(t *testing.T) {
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
			var shown strings.Builder
			r := &run{screen: newScreen(&shown)}
			show, row := r.showGrantEvent, "grant            "
			if test.grant == "" {
				show, row = r.showDeadLetter, "dead             "
			}
			show(push.Message{ID: "m1", Data: []byte(test.grant), Attributes: test.dead})
			wantRow(t, shown.String(), row+test.want)
		})
	}
}

// request posts to the maker's cloud.
func request(t *testing.T, url, body string, header ...string) (status int, answer string) {
	t.Helper()
	status, answer = testkit.Request(t, http.MethodPost, url, body, header...)
	return status, strings.TrimSpace(answer)
}

// grantsGrammar is a command line with the flag.
type grantsGrammar struct {
	Grants struct {
		Local cli.LocalRun `help:"Ask a local run."`
		Show  showing      `cmd:""`
	} `cmd:""`
}

type showing struct {
	User string `arg:""`
}

func (showing) Run(env *cli.Env) error {
	_, err := io.WriteString(env.Stdout, "here")
	return err
}

func TestMaker(t *testing.T) {
	t.Parallel()
	p := launch(t, Command{Gatepost: func(ctx context.Context, env *cli.Env, args []string) int {
		store, closeStore, err := env.OpenGrants(ctx, "p", "d")
		if err != nil {
			t.Error(err)
			return cli.StatusFailed
		}
		_, err = store.Read(ctx, grant.Key{Skill: "default", UserID: args[2]})
		_, _ = io.WriteString(env.Stdout, strings.Join(args, " "))
		_, _ = io.WriteString(env.Stderr, "read")
		if err != nil || closeStore() != nil {
			return cli.StatusFailed
		}
		return cli.StatusDone
	}}, nil)
	p.ready()

	status, answer := request(t, p.maker.url+"/publish?key=u-1/lamp-1&region=EU&eventId=e-1", report("lamp-1"))
	if status != http.StatusOK || !strings.HasPrefix(answer, `{"messageId":"m`) {
		t.Errorf("%d %s", status, answer)
	}
	l, err := p.gatepost.Lines.Wait(testkit.Context(t), func(l oneprocess.Line) bool { return l.Text("event_id") == "e-1" })
	if err != nil || l.Pushed.OrderingKey != "u-1/lamp-1" || l.Pushed.Attributes["region"] != "EU" {
		t.Errorf("SendEvent got %v, %v", l.Pushed, err)
	}
	if status, _ := request(t, p.maker.url+"/publish", strings.Repeat("x", maxEventBytes+1)); status != http.StatusBadRequest {
		t.Errorf("status %d for a large event, want 400", status)
	}

	for args, want := range map[string]string{
		`{"args":["grants","show","u-1","--local"]}`: `200 {"stdout":"grants show u-1 --local","stderr":"read","status":0}`,
		`grants show u-1`: `400 want {"args": ["grants", "show", "u-1", "--local"]}`,
	} {
		status, answer := request(t, p.maker.url+"/run", args)
		if got := strconv.Itoa(status) + " " + answer; got != want {
			t.Errorf("%s: got %s, want %s", args, got, want)
		}
	}

	var stdout, stderr strings.Builder
	at := strings.TrimPrefix(p.maker.url, "http://")
	for args, want := range map[string]string{
		"grants show u-1 --local=" + at:              `0 "grants show u-1 --local=` + at + `" "read"`,
		"grants show u-8 --local=http://" + at + "/": `1 "grants show u-8 --local=http://` + at + `/" "read"`,
		"grants show u-1":                            `0 "here" ""`,
		"grants --local=" + at:                       `2 "" "gatepost grants: expected \"show\" (gatepost grants --help shows the usage)\n"`,
		"grants show u-1 --local=" + loopback + ":1": `1 "" "gatepost grants show: no local run at 127.0.0.1:1 (gatepost local starts one): ` +
			`Post \"http://127.0.0.1:1/run\": dial tcp 127.0.0.1:1: connect: connection refused\n"`,
	} {
		stdout.Reset()
		stderr.Reset()
		status := cli.Run(t.Context(), &cli.Env{Stdout: &stdout, Stderr: &stderr, Now: time.Now}, new(grantsGrammar), strings.Fields(args))
		if got := fmt.Sprintf("%d %q %q", status, &stdout, &stderr); got != want {
			t.Errorf("%s: got %s, want %s", args, got, want)
		}
	}

	stderr.Reset()
	env := &cli.Env{Stdout: io.Discard, Stderr: &stderr, Now: time.Now, Local: new(cli.Local)}
	if status := cli.Run(t.Context(), env, new(grantsGrammar), strings.Fields("grants show u-1")); status != cli.StatusUsage {
		t.Errorf("status %d, %q, without --local in a local run", status, &stderr)
	}

	_, port, _ := net.SplitHostPort(strings.TrimPrefix(p.maker.url, "http://"))
	for header, want := range map[string]int{
		"Host localhost:" + port: 200, "Host [::1]:" + port: 200, "Host 127.0.0.1": 200,
		"Host maker.example.com:" + port: 403, "Host 192.0.2.1": 403, "Origin http://127.0.0.1:8080": 403, "Origin null": 403,
	} {
		name, value, _ := strings.Cut(header, " ")
		if got, _ := request(t, p.maker.url+"/run", `{"args":["grants","show","u-1"]}`, name, value); got != want {
			t.Errorf("%s: status %d, want %d", header, got, want)
		}
	}
	p.interrupt()
	p.ends(nil)
}
