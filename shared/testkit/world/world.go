// Package world runs Gatepost in a simulated world for tests: the deployed program
// in its own processes, Amazon in package simulator, and optionally a Google Cloud
// project in the emulators. Everything that the program writes, answers, publishes
// and stores is searched for secrets: see [Leaks].
package world

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

// Client is the security profile of the skill. Its secret contains characters that
// a form must encode.
var Client = simulator.Client{
	ID:     "amzn1.application-oa2-client.fake",
	Secret: sensitive.New("amzn1.oa2-cs.v1.fake+a&b=c%20/é"),
}

// The topics of a world in the cloud.
const (
	GrantEventsTopic = "grant-events"
	DeadLetterTopic  = "dead-letters"
)

// World is the environment of the program.
type World struct {
	*simulator.Simulator
	Env map[string]string // of every process

	// The following are nil unless the world is in the cloud.
	*cloud.Project
	Database                 *firestore.Client
	Store                    *grantfire.Store // in Database
	GrantEvents, DeadLetters *cloud.Inbox

	processes *processes
}

// New returns a world whose processes serve all regions and keep grants in memory.
func New(t *testing.T, options simulator.Options) *World {
	t.Helper()
	options.Clients = []simulator.Client{Client}
	w := &World{Simulator: simulator.New(options), processes: new(processes)}
	server, err := simulator.Start(w.Simulator)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.processes.end(t.Name())
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := json.Marshal(map[string]string{"client_id": Client.ID, "client_secret": Client.Secret.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	w.Env = with(server.Env(), map[string]string{
		"ALEXA_REGIONS":    "NA,EU,FE",
		"GRANT_STORE":      "memory",
		"GRANTEE_RESOLVER": "userinfo:" + server.UserInfoURL,
		"LWA_CLIENT":       string(client),
		"LWA_CREDENTIALS":  "env:LWA_CLIENT",
	})
	return w
}

// InCloud returns a world with its own project. The test is skipped without
// emulators.
func InCloud(t *testing.T, options simulator.Options) *World {
	t.Helper()
	project := cloud.New(t) // first, so that it outlives the processes
	project.CreateTopic(t, GrantEventsTopic, DeadLetterTopic)
	grantEvents, deadLetters := pull(t, project, GrantEventsTopic), pull(t, project, DeadLetterTopic)
	w := New(t, options)
	w.Project, w.GrantEvents, w.DeadLetters = project, grantEvents, deadLetters
	w.Env = with(w.Env, map[string]string{
		"DEAD_LETTER_TOPIC":       DeadLetterTopic,
		"FIRESTORE_EMULATOR_HOST": w.FirestoreHost,
		"GOOGLE_CLOUD_PROJECT":    w.ID,
		"GRANT_EVENTS_TOPIC":      GrantEventsTopic,
		"GRANT_STORE":             "firestore",
		"PUBSUB_EMULATOR_HOST":    w.PubSubHost,
	})
	return w.Stack(t, firestore.DefaultDatabaseID)
}

// pull collects the messages of a topic.
func pull(t *testing.T, project *cloud.Project, topic string) *cloud.Inbox {
	t.Helper()
	box := project.Pull(t, topic)
	t.Cleanup(func() {
		all, _ := box.Find(func(*pubsub.Message) bool { return true })
		for _, m := range all {
			Show("topic "+topic, fmt.Sprint(string(m.Data), m.Attributes))
		}
	})
	return box
}

// Stack returns the same world with another database and keyset.
func (w *World) Stack(t *testing.T, databaseID string) *World {
	t.Helper()
	keyset, text := testkit.Keyset(t)
	var keys struct {
		Key []struct{ KeyData struct{ Value string } }
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &keys); err != nil || len(keys.Key) == 0 {
		t.Fatalf("the keyset has %d keys (%v)", len(keys.Key), err)
	}
	for _, key := range keys.Key {
		Forbid(key.KeyData.Value)
	}
	s := w.With(map[string]string{"TOKEN_KEYSET": "file:" + keyset})
	if databaseID != firestore.DefaultDatabaseID {
		s.Env["FIRESTORE_DATABASE"] = databaseID
	}
	s.Database = w.Project.Database(t, databaseID)
	s.Store = grantfire.New(s.Database)
	return s
}

// With returns the same world with other variables.
func (w *World) With(env map[string]string) *World {
	other := *w
	other.Env = with(w.Env, env)
	return &other
}

// For returns the same world with only these regions.
func (w *World) For(regions ...alexa.Region) *World {
	var names []string
	for _, region := range regions {
		names = append(names, string(region))
	}
	return w.With(map[string]string{"ALEXA_REGIONS": strings.Join(names, ",")})
}

// with returns a copy of an environment with other variables.
func with(env, more map[string]string) map[string]string {
	both := maps.Clone(env)
	maps.Copy(both, more)
	return both
}

// Launch starts a process for a function, or for all of them if target is empty,
// and returns when it serves. It is killed with the world.
func (w *World) Launch(t *testing.T, target string) *binary.Process {
	t.Helper()
	p, err := w.LaunchIn(testkit.Context(t), target)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// LaunchIn is [World.Launch] for goroutines.
func (w *World) LaunchIn(ctx context.Context, target string) (*binary.Process, error) {
	p, err := w.Start(target)
	if err != nil {
		return nil, err
	}
	return p, p.Ready(ctx)
}

// Start starts a process without waiting until it serves.
func (w *World) Start(target string) (*binary.Process, error) {
	path, err := testkit.Program()
	if err != nil {
		return nil, err
	}
	env := w.Env
	if target != "" {
		env = with(env, map[string]string{"FUNCTION_TARGET": target})
	}
	p, err := binary.Start(path, env)
	if err != nil {
		return nil, err
	}
	w.processes.add(p)
	return p, nil
}

// processes are a world's processes.
type processes struct {
	mu  sync.Mutex
	all []*binary.Process
}

func (l *processes) add(p *binary.Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, p)
}

// end kills all processes, and shows their output.
func (l *processes) end(test string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.all {
		p.Kill()
		Show("output of a process of "+test, p.Output())
	}
}

// Answer is the program's answer to a request.
type Answer struct {
	Status int
	Body   string
}

// Post makes a request on its own connection: none outlives its test, and each
// shows whether the program still listens.
func Post(ctx context.Context, url string, header map[string]string, body string) (Answer, error) {
	return Send(ctx, http.MethodPost, url, header, body)
}

// Send is Post with another method.
func Send(ctx context.Context, method, url string, header map[string]string, body string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	request.Close = true
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("reading the answer: %w", err)
	}
	Show("answer of "+request.URL.Path, fmt.Sprint(response.Header, string(text)))
	return Answer{response.StatusCode, string(text)}, nil
}

// shown is everything that the programs have shown, and the secrets without a mark.
var shown exposure

// exposure collects texts that must not contain a secret.
type exposure struct {
	mu      sync.Mutex
	texts   []struct{ where, text string }
	secrets []string
}

// marks are in every other secret of the tests, however it is escaped, and in
// nothing else: Amazon's prefixes of access and refresh tokens, the simulator's of
// codes, the client secret, the grantee tokens, Amazon's ids of accounts, and the
// tests' wrong values.
var marks = []string{"Atza", "Atzr", "ANfake", "amzn1.oa2-cs", "grantee-u-", "amzn1.ask.account", "canary"}

// Show adds a text that must not contain a secret. where is its source in a
// failure.
func Show(where, text string) { shown.add(where, text) }

// Forbid adds a secret without a mark.
func Forbid(secret string) {
	shown.mu.Lock()
	defer shown.mu.Unlock()
	shown.secrets = append(shown.secrets, secret)
}

// Leaks describes the shown texts that contain a secret, without repeating it. It
// is for [testkit.Main].
func Leaks() []string { return shown.leaks() }

func (e *exposure) add(where, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.texts = append(e.texts, struct{ where, text string }{where, text})
}

func (e *exposure) leaks() (leaks []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, shown := range e.texts {
		for _, mark := range marks {
			if strings.Contains(shown.text, mark) {
				leaks = append(leaks, fmt.Sprintf("%s: %s…", shown.where, mark))
			}
		}
		if slices.ContainsFunc(e.secrets, func(secret string) bool { return strings.Contains(shown.text, secret) }) {
			leaks = append(leaks, shown.where+": a key")
		}
	}
	return slices.Compact(leaks)
}
