package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
)

// TestRotationWithoutDeployment rotates the keyset while the program runs. A
// second process, which starts afterwards, refreshes the customer's tokens; the
// first one has never seen the key that they are sealed with then.
func TestRotationWithoutDeployment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := run(t, dir, "create", "file:"+fileName); got.status != exitOK {
		t.Fatalf("create: %+v", got)
	}
	s := newStack(t, dir)
	first := s.start(t)
	s.link(t, first)
	s.deliver(t, first, "lamp-1")
	wantKey(t, s.read(t), keysIn(t, dir)[0])

	if got := run(t, dir, "rotate", "file:"+fileName); got.status != exitOK {
		t.Fatalf("rotate: %+v", got)
	}
	second := s.start(t)
	s.deliver(t, second, "lamp-2") // with the token that the old key has sealed
	s.sim.ExpireAccessTokens(alexa.EU, amazonUser)
	s.deliver(t, second, "lamp-3")
	wantKey(t, s.read(t), keysIn(t, dir)[1])

	s.deliver(t, first, "lamp-4")
	if got := s.sim.Counts(); got.Refreshes != 1 || got.Accepted != 4 {
		t.Errorf("%+v, want 1 refresh, whose token the first process uses, and 4 events", got)
	}
	// From then on it seals with that key.
	s.link(t, first)
	wantKey(t, s.read(t), keysIn(t, dir)[1])
}

// wantKey checks which key all tokens are sealed with.
func wantKey(t *testing.T, record grant.Record, want seal.Key) {
	t.Helper()
	if len(record.Grants) == 0 {
		t.Fatal("there is no grant")
	}
	for _, g := range record.Grants {
		if g.State != grant.Active {
			continue
		}
		for _, sealed := range [][]byte{g.AccessToken, g.RefreshToken} {
			if id, ok := seal.KeyID(sealed); !ok || id != want.ID {
				t.Errorf("sealed with key %d, want %d", id, want.ID)
			}
		}
	}
}

const userID, amazonUser = "u-1", "amzn-1"

// stack is what the program needs around it.
type stack struct {
	sim     *simulator.Simulator
	store   *grantfire.Store
	program string
	env     map[string]string
}

func newStack(t *testing.T, keysetDir string) *stack {
	t.Helper()
	s := &stack{sim: simulator.New(simulator.Options{})}
	host, project := emulator.Firestore(t), emulator.Project()
	s.store = grantfire.New(connect(t, host, project))
	server, err := simulator.Start(s.sim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if s.program, err = binary.Build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	client := simulator.DefaultClient()
	s.env = server.Env()
	for name, value := range map[string]string{
		"ALEXA_REGIONS": "EU", "FIRESTORE_EMULATOR_HOST": host, "GOOGLE_CLOUD_PROJECT": project,
		"GRANTEE_RESOLVER": "userinfo:" + server.UserInfoURL, "TOKEN_KEYSET": "file:" + keysetDir + "/" + fileName,
		"LWA_CREDENTIALS": "env:LWA", "LWA": fmt.Sprintf(`{"client_id":%q,"client_secret":%q}`, client.ID, client.Secret.Reveal()),
	} {
		s.env[name] = value
	}
	return s
}

// connect returns a client of the emulator's Firestore.
func connect(t *testing.T, host, project string) *firestore.Client {
	t.Helper()
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client, err := firestore.NewClient(t.Context(), project, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// start starts a process that serves all functions.
func (s *stack) start(t *testing.T) *binary.Process {
	t.Helper()
	p, err := binary.Start(s.program, s.env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("a process wrote: %s", p.Output())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

// link has the customer enable the skill.
func (s *stack) link(t *testing.T, p *binary.Process) {
	t.Helper()
	directive := fmt.Sprintf(`{"directive":{
		"header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","messageId":"5f8a426e-01e4-4cc9-8b79-65f8bd0fd8a4","payloadVersion":"3"},
		"payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":%q},"grantee":{"type":"BearerToken","token":%q}}}}`,
		s.sim.Code(alexa.EU, amazonUser).Reveal(), "grantee-"+userID)
	if status, body := post(t, p.URL()+"/AcceptGrant", directive); status != http.StatusOK || !strings.Contains(body, "AcceptGrant.Response") {
		t.Fatalf("AcceptGrant answered %d %s", status, body)
	}
}

// deliver pushes an event as Pub/Sub does. It has to be accepted at once.
func (s *stack) deliver(t *testing.T, p *binary.Process, endpointID string) {
	t.Helper()
	event := fmt.Sprintf(`{"userId":%q,"endpointId":%q,"cause":"PHYSICAL_INTERACTION","changed":[
		{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:05Z"}]}`, userID, endpointID)
	message, err := push.Encode(push.Message{ID: endpointID, Data: []byte(event), PublishTime: time.Now(), Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := post(t, p.URL()+"/SendEvent", string(message)); status != http.StatusOK || !strings.Contains(body, `"accepted"`) {
		t.Fatalf("SendEvent for %s answered %d %s, want it accepted", endpointID, status, body)
	}
}

func (s *stack) read(t *testing.T) grant.Record {
	t.Helper()
	record, err := s.store.Read(t.Context(), grant.Key{Skill: "default", UserID: userID})
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// post makes a request, and returns the answer's status and body.
func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}
