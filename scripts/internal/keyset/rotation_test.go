package keyset

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

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
	"github.com/gatepostdev/gatepost/shared/testkit/emulator"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// TestRotationWithoutDeployment rotates the keyset while the program runs. A
// second process, which starts afterwards, refreshes the customer's tokens; the
// first one has never seen the key that they are sealed with then.
func TestRotationWithoutDeployment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := run(t, dir, "create", "file:"+fileName); got.status != cli.StatusDone {
		t.Fatalf("create: %+v", got)
	}
	project := database(t)
	store := grantfire.New(project.Database(t, firestore.DefaultDatabaseID))
	w := world.New(t, simulator.Options{}).With(map[string]string{
		"FIRESTORE_EMULATOR_HOST": project.FirestoreHost, "GOOGLE_CLOUD_PROJECT": project.ID, "GRANT_STORE": "firestore",
		"TOKEN_KEYSET": "file:" + dir + "/" + fileName,
	})
	deliver := func(p *binary.Process, endpointID string) {
		t.Helper()
		m := world.Message(`{"userId":"u-1","endpointId":"`+endpointID+`","cause":"PHYSICAL_INTERACTION","changed":[
			{"namespace":"Alexa.PowerController","name":"powerState","value":"ON","timeOfSample":"2026-01-02T03:04:05Z"}]}`, nil)
		m.ID = endpointID
		if answer, err := world.Deliver(testkit.Context(t), p.URL()+"/SendEvent", m); err != nil || answer != "200 accepted" {
			t.Fatalf("SendEvent for %s answered %q (%v), want it accepted", endpointID, answer, err)
		}
	}
	first := w.Launch(t, "")
	c := w.Link(t, first.URL()+"/AcceptGrant", "1", alexa.EU)
	deliver(first, "lamp-1")
	wantKey(t, stored(t, store), keysIn(t, dir)[0])

	if got := run(t, dir, "rotate", "file:"+fileName); got.status != cli.StatusDone {
		t.Fatalf("rotate: %+v", got)
	}
	second := w.Launch(t, "")
	deliver(second, "lamp-2") // with the token that the old key has sealed
	w.ExpireAccessTokens(alexa.EU, c.AmazonUser)
	deliver(second, "lamp-3")
	wantKey(t, stored(t, store), keysIn(t, dir)[1])

	deliver(first, "lamp-4")
	if got := w.Counts(); got.Refreshes != 1 || got.Accepted != 4 {
		t.Errorf("%+v, want 1 refresh, whose token the first process uses, and 4 events", got)
	}
	// From then on it seals with that key.
	if err := w.LinkIn(testkit.Context(t), first.URL()+"/AcceptGrant", &c, alexa.EU); err != nil {
		t.Fatal(err)
	}
	wantKey(t, stored(t, store), keysIn(t, dir)[1])
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

var customer = grant.Key{Skill: "default", UserID: "u-1"}

// database is a project with Firestore.
func database(t *testing.T) *cloud.Project {
	t.Helper()
	return &cloud.Project{ID: emulator.Project(), FirestoreHost: emulator.Firestore(t)}
}

func stored(t *testing.T, store grant.Store) grant.Record {
	t.Helper()
	record, err := store.Read(t.Context(), customer)
	if err != nil {
		t.Fatal(err)
	}
	return record
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
		tokens, err := access.Seal(ours, key, id, linked, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		change(t, store, func(r *grant.Record) { r.Link(id, alexa.EU, id, tokens, time.Now()) })
	}
	a := &amazon{}
	source := func(sealer *seal.Sealer) *access.Source {
		return &access.Source{
			Store: store, LWA: a, Sealer: sealer, Brake: access.NewBrake(store, time.Now), Owner: "this test",
			Now:      time.Now,
			Announce: &announce.Announcer{Store: store, Log: slog.New(slog.DiscardHandler), Now: time.Now},
		}
	}
	record := stored(t, store)
	if token, err := source(ours).Refresh(t.Context(), record, "renewed"); err != nil || !token.Access.Equal(refreshed.AccessToken) {
		t.Fatalf("Refresh() = %v", err)
	}

	documents := export(t, project)
	for _, word := range []string{customer.UserID, "kept", "renewed", "accessToken", "refreshToken"} {
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
	response, err := http.Post(url, "application/json", strings.NewReader(`{"structuredQuery":{"from":[{"allDescendants":true}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	var found []struct{ Document json.RawMessage }
	if err := errors.Join(err, json.Unmarshal(answer, &found)); err != nil || len(found) == 0 || found[0].Document == nil {
		t.Fatalf("the query for every document was answered %s %s (%v)", response.Status, answer, err)
	}
	return answer
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
