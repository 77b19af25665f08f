package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
)

// programs are the programs in README.md, and how to run them.
var programs = []struct {
	file     string
	language string // of its block in README.md
	command  func(t *testing.T) command
}{
	{"go/main.go", "go", goCommand},
	{"python/publish.py", "python", pythonCommand},
	{"node/publish.mjs", "js", nodeCommand},
}

// TestReadme: README.md contains the programs.
func TestReadme(t *testing.T) {
	t.Parallel()
	page := readme.Open(t, "README.md")
	for _, p := range programs {
		page.ShowsFile(p.file, p.language)
	}
}

// events matches the events on a page, in one line or as a block.
var events = regexp.MustCompile(`(?s)\{"userId": ?"u-1", ?"endpointId".*?\}\]\}`)

// TestEventsOfPages: the events on the pages are valid and give no warning.
func TestEventsOfPages(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"../../README.md", "../../infra/README.md"} {
		shown := events.FindAllString(readme.Open(t, page).Text, -1)
		if len(shown) == 0 {
			t.Errorf("%s contains no event", page)
		}
		for _, event := range shown {
			_, warnings, err := alexa.DecodeEvent([]byte(event), time.Now(), alexa.CheckStrict)
			if err != nil || len(warnings) > 0 {
				t.Errorf("%s: %v, warnings %v: %s", page, err, warnings, event)
			}
		}
	}
}

// TestPublish runs every program and has its event delivered.
func TestPublish(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		t.Run(p.file, func(t *testing.T) {
			t.Parallel()
			c := p.command(t)
			if c.standIn != "" {
				t.Logf("%s; the message of %s was checked, but not sent", c.standIn, p.file)
				wantDelivered(t, handedOver(t, c))
				return
			}
			for name, host := range map[string]func(t *testing.T) string{
				"fake":     func(t *testing.T) string { return cloud.Fake(t).Addr },
				"emulator": func(t *testing.T) string { return emulator.PubSub(t) },
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					wantDelivered(t, published(t, c, host(t)))
				})
			}
		})
	}
}

// TestStandIns runs the programs with the libraries of testdata, which are not used
// where the real ones are installed.
func TestStandIns(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(t *testing.T) command{
		"python": func(t *testing.T) command {
			return command{args: []string{look(t, "python3"), "python/publish.py"}}.inPython("testdata/python")
		},
		"node": func(t *testing.T) command { return nodeWith(t, look(t, "node"), standInModules(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantSent(t, handedOver(t, command(t)))
		})
	}
}

// wantSent checks the message that every program should publish.
func wantSent(t *testing.T, m push.Message) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(m.Attributes)); !slices.Equal(got, []string{"eventId", "region"}) || m.Attributes["region"] != "EU" {
		t.Errorf("attributes = %v", m.Attributes)
	}
	if id := m.Attributes["eventId"]; len(id) < 16 || len(id) > 128 {
		t.Errorf("eventId = %q", id)
	}
	if m.OrderingKey != "u-1/lamp-1" {
		t.Errorf("ordering key = %q", m.OrderingKey)
	}
	e, advice, err := alexa.DecodeEvent(m.Data, time.Now(), alexa.CheckStrict)
	if err != nil || len(advice) > 0 {
		t.Fatalf("event: %v, warnings %v: %s", err, advice, m.Data)
	}
	got := []string{e.UserID, e.Header.Name, e.EndpointID(), e.Change.Cause}
	for _, p := range slices.Concat(e.Change.Properties, e.Context.Properties) {
		var value bytes.Buffer
		if err := json.Compact(&value, p.Value); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s.%s %s, %v ago", p.Namespace, p.Name, &value, time.Since(p.TimeOfSample).Truncate(time.Hour)))
	}
	want := []string{"u-1", "ChangeReport", "lamp-1", "PHYSICAL_INTERACTION",
		`Alexa.PowerController.powerState "ON", 0s ago`, `Alexa.EndpointHealth.connectivity {"value":"OK"}, 1h0m0s ago`}
	expect.Equal(t, "event", want, got)
}

// wantDelivered has SendEvent, in the program that Google's buildpack builds,
// deliver a message to the gateway of a linked customer.
func wantDelivered(t *testing.T, m push.Message) {
	t.Helper()
	wantSent(t, m)
	sim := simulator.New(simulator.Options{Clients: []simulator.Client{simulator.DefaultClient()}})
	server, err := simulator.Start(sim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	process := launch(t, server)
	// The simulator's identity provider reads the customer from the token's text.
	post(t, process.URL()+"/AcceptGrant", fmt.Sprintf(`{"directive":{
		"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"m-1","payloadVersion":"3"},
		"payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":"grantee-u-1"}}}}`,
		sim.Code(alexa.EU, "amzn-1").Reveal()))
	if m.ID == "" {
		m.ID, m.PublishTime = "1", time.Now() // as Pub/Sub sets them
	}
	m.Subscription, m.Attempt = "projects/p/subscriptions/device-events", 1
	body, err := push.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if answer := post(t, process.URL()+"/SendEvent", string(body)); !strings.Contains(answer, `"outcome":"accepted"`) {
		t.Errorf("answer of SendEvent = %s", answer)
	}
	if seen := sim.Events(alexa.EU); len(seen) != 1 || !seen[0].Accepted || seen[0].EndpointID != "lamp-1" {
		t.Errorf("events at the gateway = %+v, want one of lamp-1", seen)
	}
}

// launch starts Gatepost's program with all functions, for one region.
func launch(t *testing.T, server *simulator.Server) *binary.Process {
	t.Helper()
	path, err := testkit.Program()
	if err != nil {
		t.Fatal(err)
	}
	client := simulator.DefaultClient()
	env := maps.Clone(server.Env())
	maps.Copy(env, map[string]string{
		"ALEXA_REGIONS":    "EU",
		"GRANT_STORE":      "memory",
		"GRANTEE_RESOLVER": "userinfo:" + server.UserInfoURL,
		"LWA_CREDENTIALS":  "env:LWA_CLIENT",
		"LWA_CLIENT":       fmt.Sprintf(`{"client_id":%q,"client_secret":%q}`, client.ID, client.Secret.Reveal()),
	})
	process, err := binary.Start(path, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Kill)
	if err := process.Ready(testkit.Context(t)); err != nil {
		t.Fatal(err)
	}
	return process
}

// post makes a request that must succeed, and returns the answer.
func post(t *testing.T, url, body string) string {
	t.Helper()
	status, text := testkit.Request(t, http.MethodPost, url, body)
	if status != http.StatusOK {
		t.Fatalf("%s: answer = %d %s", url, status, text)
	}
	return text
}
