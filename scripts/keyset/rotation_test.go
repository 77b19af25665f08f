package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/lifecycle"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
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
	wantKey(t, stored(t, s.store), keysIn(t, dir)[0])

	if got := run(t, dir, "rotate", "file:"+fileName); got.status != exitOK {
		t.Fatalf("rotate: %+v", got)
	}
	second := s.start(t)
	s.deliver(t, second, "lamp-2") // with the token that the old key has sealed
	s.sim.ExpireAccessTokens(alexa.EU, amazonUser)
	s.deliver(t, second, "lamp-3")
	wantKey(t, stored(t, s.store), keysIn(t, dir)[1])

	s.deliver(t, first, "lamp-4")
	if got := s.sim.Counts(); got.Refreshes != 1 || got.Accepted != 4 {
		t.Errorf("%+v, want 1 refresh, whose token the first process uses, and 4 events", got)
	}
	// From then on it seals with that key.
	s.link(t, first)
	wantKey(t, stored(t, s.store), keysIn(t, dir)[1])
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

var customer = grant.Key{Skill: "default", UserID: userID}

// stack is what the program needs around it.
type stack struct {
	sim     *simulator.Simulator
	store   grant.Store
	program string
	env     map[string]string
}

func newStack(t *testing.T, keysetDir string) *stack {
	t.Helper()
	s := &stack{sim: simulator.New(simulator.Options{})}
	project := database(t)
	s.store = grantfire.New(project.Database(t, firestore.DefaultDatabaseID))
	server, err := simulator.Start(s.sim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if s.program, err = testkit.Program(); err != nil {
		t.Fatal(err)
	}
	client := simulator.DefaultClient()
	s.env = server.Env()
	for name, value := range map[string]string{
		"ALEXA_REGIONS": "EU", "FIRESTORE_EMULATOR_HOST": project.FirestoreHost, "GOOGLE_CLOUD_PROJECT": project.ID,
		"GRANTEE_RESOLVER": "userinfo:" + server.UserInfoURL, "TOKEN_KEYSET": "file:" + keysetDir + "/" + fileName,
		"LWA_CREDENTIALS": "env:LWA", "LWA": fmt.Sprintf(`{"client_id":%q,"client_secret":%q}`, client.ID, client.Secret.Reveal()),
	} {
		s.env[name] = value
	}
	return s
}

// database is a project with Firestore.
func database(t *testing.T) *cloud.Project {
	t.Helper()
	return &cloud.Project{ID: emulator.Project(), FirestoreHost: emulator.Firestore(t)}
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
	if err := p.Ready(testkit.Context(t)); err != nil {
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

func stored(t *testing.T, store grant.Store) grant.Record {
	t.Helper()
	record, err := store.Read(t.Context(), customer)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// post makes a request, and returns the answer's status and body.
func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(testkit.Context(t), http.MethodPost, url, strings.NewReader(body))
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

// The tokens that a customer is given: first, and by the refresh.
var (
	linked    = newToken("linked")
	refreshed = newToken("refreshed")
)

func newToken(name string) lwa.Token {
	return lwa.Token{
		AccessToken: sensitive.New("Atza|fake-" + name + "-canary"), RefreshToken: sensitive.New("Atzr|fake-" + name + "-canary"),
		ExpiresAt: time.Now().Add(time.Hour), ClientID: "client",
	}
}

// amazon is a Login with Amazon that knows one customer.
type amazon struct{ asked int }

func (*amazon) Knows(string) bool { return true }

func (a *amazon) Refresh(_ context.Context, _ string, old sensitive.String) (lwa.Token, error) {
	a.asked++
	if !old.Equal(linked.RefreshToken) {
		return lwa.Token{}, lwa.ErrInvalidGrant
	}
	return refreshed, nil
}

// TestExportShowsNoToken looks at all that Firestore has, as whoever takes an
// export of it does: no token is there to be read, and without the keyset none
// can be opened.
func TestExportShowsNoToken(t *testing.T) {
	t.Parallel()
	project := database(t)
	store := grantfire.New(project.Database(t, firestore.DefaultDatabaseID))
	ours, theirs, key := newSealer(t), newSealer(t), customer

	for _, id := range []string{"kept", "renewed"} {
		tokens, err := access.Seal(ours, key, id, linked, 0)
		if err != nil {
			t.Fatal(err)
		}
		change(t, store, func(r *grant.Record) { r.Link(id, alexa.EU, id, tokens, time.Now()) })
	}
	a := &amazon{}
	source := func(sealer *seal.Sealer) *access.Source {
		return &access.Source{
			Store: store, LWA: a, Sealer: sealer, Brake: access.NewBrake(store, time.Now), Owner: "this test",
			Draw: func() float64 { return 0 }, Now: time.Now,
			Announce: &lifecycle.Announcer{Store: store, Log: slog.New(slog.DiscardHandler), Now: time.Now},
		}
	}
	record := stored(t, store)
	if token, err := source(ours).Refresh(t.Context(), record, "renewed"); err != nil || !token.Access.Equal(refreshed.AccessToken) {
		t.Fatalf("Refresh() = %v", err)
	}

	documents := export(t, project)
	for _, word := range []string{userID, "kept", "renewed", "accessToken", "refreshToken"} {
		if !bytes.Contains(documents, []byte(word)) {
			t.Errorf("the export has no %s: %s", word, documents)
		}
	}
	if found := tokensIn(documents); len(found) > 0 {
		t.Errorf("the export shows tokens: %q", found)
	}

	record = stored(t, store)
	for id, g := range record.Grants {
		for field, sealed := range map[string][]byte{"accessToken": g.AccessToken, "refreshToken": g.RefreshToken} {
			place := seal.Place{Customer: key.ID(), Grant: id, Field: field}
			if _, err := theirs.Open(sealed, place); !errors.Is(err, seal.ErrOpen) {
				t.Errorf("with another keyset the %s of %s opens: %v", field, id, err)
			}
			if _, err := ours.Open(sealed, place); err != nil {
				t.Errorf("with its own keyset the %s of %s does not open: %v", field, id, err)
			}
		}
	}
	asked := a.asked
	if _, err := source(theirs).Token(t.Context(), record, "renewed"); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("Token() with another keyset = %v, want ErrOpen", err)
	}
	if _, err := source(theirs).Refresh(t.Context(), record, "kept"); !errors.Is(err, seal.ErrOpen) || a.asked != asked {
		t.Errorf("Refresh() with another keyset = %v, want ErrOpen and nobody asked", err)
	}
}

// TestExportWouldShowTokens has the same search find tokens that were stored
// as they are.
func TestExportWouldShowTokens(t *testing.T) {
	t.Parallel()
	project := database(t)
	store := grantfire.New(project.Database(t, firestore.DefaultDatabaseID))
	tokens := grant.Tokens{
		AccessToken: []byte(linked.AccessToken.Reveal()), RefreshToken: []byte("x" + linked.RefreshToken.Reveal()),
		ClientID: refreshed.AccessToken.Reveal(), ExpiresAt: time.Now(), RefreshDue: time.Now(),
	}
	change(t, store, func(r *grant.Record) { r.Link("g", alexa.EU, "", tokens, time.Now()) })
	want := []string{linked.AccessToken.Reveal(), linked.RefreshToken.Reveal(), refreshed.AccessToken.Reveal()}
	if diff := cmp.Diff(want, tokensIn(export(t, project))); diff != "" {
		t.Errorf("tokens found (-want +got):\n%s", diff)
	}
}

func newSealer(t *testing.T) *seal.Sealer {
	t.Helper()
	sealer, err := seal.NewEphemeral()
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

func change(t *testing.T, store grant.Store, edit func(*grant.Record)) {
	t.Helper()
	if _, err := grant.Change(t.Context(), store, customer, func(r *grant.Record) error { edit(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

// export returns every document of a database as Firestore's REST API shows it,
// see https://firebase.google.com/docs/firestore/reference/rest/v1/projects.databases.documents/runQuery.
func export(t *testing.T, p *cloud.Project) []byte {
	t.Helper()
	url := fmt.Sprintf("http://%s/v1/projects/%s/databases/(default)/documents:runQuery", p.FirestoreHost, p.ID)
	status, answer := post(t, url, `{"structuredQuery":{"from":[{"allDescendants":true}]}}`)
	var found []struct{ Document json.RawMessage }
	if err := json.Unmarshal([]byte(answer), &found); err != nil || status != http.StatusOK || len(found) == 0 || found[0].Document == nil {
		t.Fatalf("the query for every document was answered %d %s (%v)", status, answer, err)
	}
	return []byte(answer)
}

// tokensIn returns the tokens that text shows, as they are or within anything
// that is written in base64.
func tokensIn(text []byte) []string {
	var found []string
	for _, token := range []lwa.Token{linked, refreshed} {
		for _, secret := range []sensitive.String{token.AccessToken, token.RefreshToken} {
			shown := func(form string) bool { return bytes.Contains(text, []byte(form)) }
			if slices.ContainsFunc(forms(secret.Reveal()), shown) {
				found = append(found, secret.Reveal())
			}
		}
	}
	return found
}

// forms is a token, and what remains the same of it in base64 wherever it
// begins within three bytes.
func forms(token string) []string {
	forms := []string{token}
	for before := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString([]byte(strings.Repeat("x", before) + token))
			if before > 0 {
				text = text[4:]
			}
			forms = append(forms, text[:len(text)-2])
		}
	}
	return forms
}
