package functions_test

import (
	// The main that the buildpack generates imports it: go.sum must have its sums.
	_ "github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/functions"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// drainTime is how long the program may take to end after SIGTERM. Cloud Run
// kills it after ten seconds.
const drainTime = 9 * time.Second

// TestTerminate sends SIGTERM while an event is at the gateway. The event in flight
// is finished if the gateway answers, and handed back to Pub/Sub if it does not;
// new requests are refused.
func TestTerminate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		delay  time.Duration // of the gateway's answer
		status int
		most   time.Duration // for the answer, after SIGTERM
	}{
		{"gateway answers", 2 * time.Second, http.StatusOK, 7 * time.Second},
		{"gateway hangs", time.Minute, http.StatusServiceUnavailable, 8 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := world.New(t, simulator.Options{})
			p := w.Launch(t, "")
			c := link(t, w, p, test.name, alexa.EU)
			arrived := make(chan struct{})
			arrive := sync.OnceFunc(func() { close(arrived) })
			w.Always(simulator.Gateway(alexa.EU), simulator.Fault{
				Delay: test.delay, Match: func(simulator.Request) bool { arrive(); return true },
			})
			inFlight := begin(t, p.URL()+"/SendEvent", pushed(t, report(c, "lamp-1")))
			select {
			case <-arrived:
			case <-inFlight.done:
				t.Fatalf("the event was answered %v (%v) before it was at the gateway", inFlight.answer, inFlight.err)
			}
			if err := p.Terminate(); err != nil {
				t.Fatal(err)
			}
			terminated, untilKilled := time.Now(), testkit.Within(t, drainTime)
			wantRefused(t, p, inFlight)
			<-inFlight.done
			if took := time.Since(terminated); inFlight.err != nil || inFlight.answer.Status != test.status || took > test.most {
				t.Errorf("the event in flight was answered %v (%v) after %v, want %d within %v",
					inFlight.answer, inFlight.err, took, test.status, test.most)
			}
			status, err := p.Wait(untilKilled)
			if err != nil || status != 0 {
				t.Errorf("the program ended with status %d (%v), want 0", status, err)
			}
		})
	}
}

// flight is a request in flight. The answer is set when done is closed.
type flight struct {
	done   chan struct{}
	answer world.Answer
	err    error
}

// begin starts a request.
func begin(t *testing.T, url, body string) *flight {
	f, ctx := &flight{done: make(chan struct{})}, testkit.Context(t)
	go func() {
		defer close(f.done)
		f.answer, f.err = world.Post(ctx, url, nil, body)
	}()
	return f
}

// wantRefused checks that the program starts nothing new: it refuses the
// connection, or answers that it is shutting down. It repeats the request, because
// the signal takes a moment, until the event in flight is done and the program may
// be gone.
func wantRefused(t *testing.T, p *binary.Process, inFlight *flight) {
	t.Helper()
	ctx := testkit.Context(t)
	for {
		a, err := world.Post(ctx, p.URL()+"/RefreshTokens", nil, "")
		select {
		case <-inFlight.done:
			t.Error("the program accepted requests until the event in flight was done")
			return
		default:
		}
		if err != nil || a.Status == http.StatusServiceUnavailable {
			return
		}
	}
}

// TestOneFunction runs the program as Google Cloud does, where it serves the
// function that FUNCTION_TARGET names, at every path. It accepts an event as
// Pub/Sub pushes it and as Eventarc does: a CloudEvent in binary mode: see
// https://cloud.google.com/eventarc/docs/cloudevents. It writes one line for each
// request, without the two empty ones of the Functions Framework, and ends on
// SIGTERM.
func TestOneFunction(t *testing.T) {
	t.Parallel()
	p := world.New(t, simulator.Options{}).With(map[string]string{
		"K_SERVICE": "send-event", "CLOUD_RUN_TIMEOUT_SECONDS": "60",
	}).Launch(t, "SendEvent")
	eventarc := map[string]string{
		"Content-Type":   "application/json",
		"ce-id":          "1",
		"ce-source":      "//pubsub.googleapis.com/projects/p/topics/device-events",
		"ce-specversion": "1.0",
		"ce-time":        "2026-01-02T03:04:05.678Z",
		"ce-type":        "google.cloud.pubsub.topic.v1.messagePublished",
	}
	body := pushed(t, report(world.NewCustomer("unknown"), "lamp-1"))
	requests := 0
	for _, path := range []string{"", "/", "/AcceptGrant", "/projects/p/topics/t"} {
		for _, header := range []map[string]string{nil, eventarc} {
			requests++
			got, err := world.Post(testkit.Context(t), p.URL()+path, header, body)
			if want := (world.Answer{Status: http.StatusOK, Body: `{"outcomes":[]}`}); err != nil || got != want {
				t.Errorf("POST %q with %v was answered %v (%v), want %v", path, header, got, err, want)
			}
		}
	}
	// The output is complete when the program has ended.
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(testkit.Context(t)); err != nil || status != 0 {
		t.Errorf("the program ended with status %d (%v), want 0", status, err)
	}
	got := p.Output()
	if strings.Count(got, `"event_id"`) != requests || strings.Contains("\n"+got, "\n\n") {
		t.Errorf("want a line for each of %d requests, and no empty one:\n%s", requests, got)
	}
}

// TestWrongConfiguration configures the program with several faults at once. One
// error must name the variable of each, and show no value.
func TestWrongConfiguration(t *testing.T) {
	// With these no client looks for credentials.
	t.Setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
	t.Setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
	good := world.New(t, simulator.Options{})
	keyset := filepath.Join(t.TempDir(), "keyset")
	if err := os.WriteFile(keyset, []byte(`{"primaryKeyId":1,"key":["canary-key"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  map[string]string // on top of a good one
		want string            // variables with a fault, in alphabetical order
	}{
		"everything wrong": {map[string]string{
			"ALEXA_REGIONS":       "EU,canary",
			"EVENT_CHECKS":        "canary",
			"EVENT_GATEWAY_EU":    "https://canary:canary@api.example.com",
			"GRANT_STORE":         "canary",
			"GRANTEE_CREDENTIALS": "canary",
			"GRANTEE_RESOLVER":    "introspection:https://canary.example.com",
			"LWA_CREDENTIALS":     `{"client_id":"canary","client_secret":"canary"}`,
			"LWA_MAX_RATE":        "canary",
			"LWA_TOKEN_URL":       "http://canary.example.com",
			"MAX_EVENT_AGE":       "canary",
			"REFRESH_IDLE_AFTER":  "canary",
			"REFRESH_PERIOD":      "canary",
			"REFRESH_SHARDS":      "canary",
			"SKILL":               "canary!",
			"TOKEN_KEYSET":        `{"primaryKeyId":1,"key":["canary"]}`,
		}, "ALEXA_REGIONS EVENT_CHECKS EVENT_GATEWAY_EU GRANTEE_CREDENTIALS GRANT_STORE LWA_CREDENTIALS LWA_MAX_RATE LWA_TOKEN_URL " +
			"MAX_EVENT_AGE REFRESH_IDLE_AFTER REFRESH_PERIOD REFRESH_SHARDS SKILL TOKEN_KEYSET"},
		"nothing set": {map[string]string{"ALEXA_REGIONS": "", "GRANT_STORE": "", "GRANTEE_RESOLVER": "", "LWA_CREDENTIALS": ""},
			"ALEXA_REGIONS GRANTEE_RESOLVER LWA_CREDENTIALS TOKEN_KEYSET"},
		"resolver unknown": {map[string]string{"GRANTEE_RESOLVER": "canary:https://canary.example.com", "REFRESH_SHARDS": "257"},
			"GRANTEE_RESOLVER REFRESH_SHARDS"},
		"secrets missing": {map[string]string{"GRANT_STORE": "firestore", "TOKEN_KEYSET": "file:/missing", "LWA_CREDENTIALS": "env:MISSING"},
			"LWA_CREDENTIALS TOKEN_KEYSET"},
		"secrets malformed": {map[string]string{
			"GRANT_STORE": "firestore", "TOKEN_KEYSET": "file:" + keyset,
			"LWA_CREDENTIALS": "env:LWA_CLIENT", "LWA_CLIENT": `{"client_secret":"canary"}`,
		}, "LWA_CREDENTIALS TOKEN_KEYSET"},
		"no such function, and other faults": {
			map[string]string{"FUNCTION_TARGET": "canary", "GOGC": "canary", "REFRESH_SHARDS": "canary"},
			"FUNCTION_TARGET GOGC REFRESH_SHARDS"},
		"names that Google does not take": {map[string]string{
			"DEAD_LETTER_TOPIC": "canary/", "GRANT_EVENTS_TOPIC": "-canary", "FIRESTORE_DATABASE": "Canary", "GRANT_STORE": "firestore",
			"REFRESH_TOPIC": "projects/canary", "TOKEN_KEYSET": "env:LWA_CLIENT",
		}, "DEAD_LETTER_TOPIC FIRESTORE_DATABASE GRANT_EVENTS_TOPIC REFRESH_TOPIC TOKEN_KEYSET"},
		"at odds with each other": {
			map[string]string{"FIRESTORE_DATABASE": "canary", "GRANTEE_CREDENTIALS": "env:CANARY", "TOKEN_KEYSET": "env:CANARY"},
			"FIRESTORE_DATABASE GRANTEE_CREDENTIALS TOKEN_KEYSET"},
		"credentials for introspection missing": { // of two functions, reported once
			map[string]string{"GRANTEE_RESOLVER": "introspection:https://id.example.com", "GRANTEE_CREDENTIALS": "env:MISSING"},
			"GRANTEE_CREDENTIALS"},
		"resolver and audience at odds": {map[string]string{"GRANTEE_AUDIENCE": "gatepost"}, "GRANTEE_RESOLVER"}, // of two functions, once
		"key set in the clear": {
			map[string]string{"GRANTEE_RESOLVER": "jwt:https://id.example.com", "GRANTEE_JWKS": "http://canary.example.com/keys"}, "GRANTEE_JWKS"},
		"SkillEvent without identity provider": {
			map[string]string{"FUNCTION_TARGET": "SkillEvent", "GRANTEE_RESOLVER": "", "LWA_CREDENTIALS": "not its business"}, "GRANTEE_RESOLVER"},
		"AcceptGrant without identity provider": {
			map[string]string{"FUNCTION_TARGET": "AcceptGrant", "GRANTEE_RESOLVER": "", "REFRESH_SHARDS": "not its business"}, "GRANTEE_RESOLVER"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := functions.Register(good.With(test.env).Env, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("Register succeeded, want an error")
			}
			world.Show(t.Name(), err.Error())
			if got := strings.Join(faults(t, err.Error()), " "); got != test.want {
				t.Errorf("variables = %s, want %s, in: %v", got, test.want, err)
			}
		})
	}
}

// TestWrongConfigurationEndsTheProcess expects status 1 and one line.
func TestWrongConfigurationEndsTheProcess(t *testing.T) {
	t.Parallel()
	p, err := world.New(t, simulator.Options{}).With(map[string]string{"SKILL": "canary!", "REFRESH_SHARDS": "257"}).Start("")
	if err != nil {
		t.Fatal(err)
	}
	status, err := p.Wait(testkit.Context(t))
	if err != nil || status != 1 || strings.Count(p.Output(), "\n") != 1 {
		t.Fatalf("status %d (%v), want 1 and one line: %s", status, err, p.Output())
	}
	line := decode[struct{ Severity, Message string }](t, p.Output())
	if diff := cmp.Diff([]string{"REFRESH_SHARDS", "SKILL"}, faults(t, line.Message)); diff != "" || line.Severity != "ERROR" {
		t.Errorf("severity %s; the variables named differ (-want +got):\n%s", line.Severity, diff)
	}
}

// faults returns the variables that an error message names below its heading, in
// alphabetical order.
func faults(t *testing.T, message string) (names []string) {
	t.Helper()
	heading, list, _ := strings.Cut(message, "\n")
	if heading != "configuration:" {
		t.Errorf("heading = %q, want %q", heading, "configuration:")
	}
	for fault := range strings.Lines(list) {
		name, _, _ := strings.Cut(strings.TrimSpace(fault), ":")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestConfigurationOfOneFunction starts each function with only the variables that
// its deployment sets. Firestore and Pub/Sub are unreachable: no process calls them
// at its start.
func TestConfigurationOfOneFunction(t *testing.T) {
	t.Parallel()
	keyset, _ := testkit.Keyset(t)
	all := world.New(t, simulator.Options{}).With(map[string]string{
		"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "GOOGLE_CLOUD_PROJECT": "p",
		"GRANT_STORE": "firestore", "REFRESH_TOPIC": "refresh", "TOKEN_KEYSET": "file:" + keyset,
	})
	tokens := []string{"FIRESTORE_EMULATOR_HOST", "GRANT_STORE", "LWA_CLIENT", "LWA_CREDENTIALS", "TOKEN_KEYSET"}
	for _, test := range []struct {
		function  string
		variables []string
	}{
		{"AcceptGrant", append(tokens, "GRANTEE_RESOLVER")},
		{"SendEvent", tokens},
		{"RefreshTokens", tokens},
		{"RefreshTokens", []string{"PUBSUB_EMULATOR_HOST", "REFRESH_TOPIC"}},
		{"RefreshShard", tokens},
		{"SkillEvent", []string{"FIRESTORE_EMULATOR_HOST", "GRANT_STORE", "GRANTEE_RESOLVER"}},
	} {
		t.Run(test.function, func(t *testing.T) {
			t.Parallel()
			only := *all
			only.Env = make(map[string]string)
			for _, name := range append(test.variables, "ALEXA_REGIONS", "GOOGLE_CLOUD_PROJECT") {
				only.Env[name] = all.Env[name]
			}
			only.Launch(t, test.function)
		})
	}
}

// TestReady: a process that starts logs in one line what it serves, and warns of a
// variable whose name is nearly a known one.
func TestReady(t *testing.T) {
	t.Parallel()
	output := world.New(t, simulator.Options{}).With(map[string]string{"MAX_EVENT_AGES": "1m", "EVENT_CHECKS": "advise"}).
		Launch(t, "SendEvent").Output()
	type line struct {
		Severity, Message, Version, Regions, Skill, Store, Checks string

		Functions map[string]string // with their limits
		MaxAge    string            `json:"max_event_age"`
	}
	var warning, ready line
	for text := range strings.Lines(output) {
		switch l := decode[line](t, text); {
		case l.Severity == "WARNING":
			warning = l
		case l.Message == "ready":
			ready = l
		}
	}
	if ready.Version == "" {
		t.Errorf("no version: %s", output)
	}
	ready.Version = ""
	want := line{
		Severity: "INFO", Message: "ready", Regions: "NA,EU,FE", Skill: "default", Store: "memory", Checks: "advise",
		Functions: map[string]string{"SendEvent": "15728640 bytes, 25s"}, MaxAge: "5m0s",
	}
	expect.Equal(t, "ready line", want, ready)
	if want := "the variable MAX_EVENT_AGES is not known: did you mean MAX_EVENT_AGE?"; warning.Message != want {
		t.Errorf("warning = %q, want %q", warning.Message, want)
	}
}

// TestAnyAudience starts all functions, of which two identify customers: accepting
// any token of the issuer logs one warning.
func TestAnyAudience(t *testing.T) {
	t.Parallel()
	w := world.New(t, simulator.Options{})
	for name, test := range map[string]struct {
		env  map[string]string
		want int
	}{
		"jwt":                  {map[string]string{"GRANTEE_RESOLVER": "jwt:https://id.example.com"}, 1},
		"jwt with an audience": {map[string]string{"GRANTEE_RESOLVER": "jwt:https://id.example.com", "GRANTEE_AUDIENCE": "gatepost"}, 0},
		"userinfo":             {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output := w.With(test.env).Launch(t, "").Output()
			got := 0
			for line := range strings.Lines(output) {
				if strings.Contains(line, "GRANTEE_AUDIENCE") && strings.Contains(line, `"severity":"WARNING"`) {
					got++
				}
			}
			if got != test.want {
				t.Errorf("%d warnings, want %d: %s", got, test.want, output)
			}
		})
	}
}
