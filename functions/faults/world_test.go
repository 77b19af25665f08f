package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// world is Gatepost and all that is around it.
type world struct {
	*cloud
	*simulator.Simulator
	env    map[string]string // of every process
	office *binary.Process   // serves all functions; the tests link customers and sweep with it

	// In the random run: whether a region's gateway refuses everybody, and whether
	// there are no faults any more.
	refusing, well atomic.Bool
}

// lwaClient has a secret that a form changes unless it is encoded.
var lwaClient = simulator.Client{
	ID:     "amzn1.application-oa2-client.fake",
	Secret: sensitive.New("amzn1.oa2-cs.v1.fake+a&b=c%20/é"),
}

func newWorld(t *testing.T, options simulator.Options) *world {
	t.Helper()
	options.Clients = []simulator.Client{lwaClient}
	options.KeepRequests = 100_000
	w := &world{cloud: newCloud(t), Simulator: simulator.New(options)}
	server, err := simulator.Start(w.Simulator)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := json.Marshal(map[string]string{"client_id": lwaClient.ID, "client_secret": lwaClient.Secret.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	keyset, _ := testkit.Keyset(t)
	w.env = server.Env()
	maps.Copy(w.env, map[string]string{
		"ALEXA_REGIONS":           "NA,EU,FE",
		"DEAD_LETTER_TOPIC":       deadLetterTopic,
		"FIRESTORE_EMULATOR_HOST": w.FirestoreHost,
		"GOOGLE_CLOUD_PROJECT":    w.ID,
		"GRANTEE_RESOLVER":        "userinfo:" + server.UserInfoURL,
		"GRANT_EVENTS_TOPIC":      grantEventsTopic,
		"GRANT_STORE":             "firestore",
		"LWA_CLIENT":              string(client),
		"LWA_CREDENTIALS":         "env:LWA_CLIENT",
		"PUBSUB_EMULATOR_HOST":    w.PubSubHost,
		"TOKEN_KEYSET":            "file:" + keyset,
	})
	w.office = w.start(t, "")
	return w
}

// secretMarks are in every token, code and client secret, however it is
// escaped, and in nothing else.
var secretMarks = []string{"Atza", "Atzr", "ANfake", "amzn1.oa2-cs", "grantee-u-"}

// start starts a process for a function, or for all of them, and returns when
// it serves. What it has written may hold no secret.
func (w *world) start(t *testing.T, target string) *binary.Process {
	t.Helper()
	p, err := w.launch(testkit.Context(t), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		wroteNoSecret(t, p)
	})
	return p
}

func wroteNoSecret(t *testing.T, p *binary.Process) {
	t.Helper()
	for _, mark := range secretMarks {
		if strings.Contains(p.Output(), mark) {
			t.Errorf("a process wrote a secret: %s…", mark)
		}
	}
}

// launch is start for a caller who kills the process.
func (w *world) launch(ctx context.Context, target string) (*binary.Process, error) {
	path, err := testkit.Program()
	if err != nil {
		return nil, err
	}
	env := maps.Clone(w.env)
	if target != "" {
		env["FUNCTION_TARGET"] = target
	}
	p, err := binary.Start(path, env)
	if err != nil {
		return nil, err
	}
	if err := p.Ready(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// post makes a request on a connection of its own.
func post(ctx context.Context, url string, header map[string]string, body string) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Close = true
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// outcomes is the body of SendEvent's answer.
type outcomes struct {
	Outcomes []struct{ GrantID, Outcome, Code string }
}

// deliver pushes an event to a process as Pub/Sub does, and returns the
// answer: the status, and outcome and code for each grant.
func deliver(ctx context.Context, p *binary.Process, m push.Message) (string, error) {
	envelope, err := push.Encode(m)
	if err != nil {
		return "", err
	}
	status, body, err := post(ctx, p.URL(), nil, string(envelope))
	if err != nil {
		return "", err
	}
	text := fmt.Sprint(status)
	var answer outcomes
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("SendEvent answered %d %s: %w", status, body, err)
	}
	for _, o := range answer.Outcomes {
		text = words(text, o.Outcome, o.Code)
	}
	return text, nil
}

// words joins what is not empty.
func words(all ...string) string {
	return strings.Join(strings.Fields(strings.Join(all, " ")), " ")
}
