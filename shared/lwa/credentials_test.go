package lwa_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

const noJSON = "not a JSON object or array with client_id and client_secret"

func TestParseCredentials(t *testing.T) {
	t.Parallel()
	const one = `{"client_id":"id-1","client_secret":"canary"}`
	tests := []struct {
		name, text string
		want       []lwa.Credentials
		err        string
	}{
		{"object", one, credentials("id-1", "canary"), ""},
		{"white space around", "\n " + one + "\r\n", credentials("id-1", "canary"), ""},
		{"array in its order", `[{"client_id":"id-2","client_secret":"canary-2"},` + one + `]`,
			credentials("id-2", "canary-2", "id-1", "canary"), ""},
		{"two secrets of one client", `[{"client_id":"id-1","client_secret":"canary-2"},` + one + `]`,
			credentials("id-1", "canary-2", "id-1", "canary"), ""},
		{"another member", `{"client_id":"id-1","client_secret":"canary","note":"x"}`, credentials("id-1", "canary"), ""},
		{"escapes", `{"client_id":"id-1","client_secret":"can\u0061ry|"}`, credentials("id-1", "canary|"), ""},

		{"nothing", ``, nil, noJSON},
		{"bare secret", `canary`, nil, noJSON},
		{"quoted secret", `"canary"`, nil, noJSON},
		{"array of texts", `["id-1","canary"]`, nil, noJSON},
		{"cut", `{"client_id":"id-1","client_secret":"canary`, nil, noJSON},
		{"something after it", one + `canary`, nil, noJSON},
		{"secret is a number", `{"client_id":"id-1","client_secret":1234567890}`, nil, noJSON},
		{"secret is an object", `{"client_id":"id-1","client_secret":{"canary":1}}`, nil, noJSON},
		{"null", `null`, nil, "empty array"},
		{"empty array", `[]`, nil, "empty array"},
		{"null in an array", `[null]`, nil, "[0].client_id: missing"},
		{"no client id", `{"client_secret":"canary"}`, nil, "[0].client_id: missing"},
		{"empty client id", `{"client_id":"","client_secret":"canary"}`, nil, "[0].client_id: missing"},
		{"no secret in the second", `[` + one + `,{"client_id":"canary"}]`, nil, "[1].client_secret: missing"},
		{"empty secret", `{"client_id":"canary","client_secret":""}`, nil, "[0].client_secret: missing"},
		{"other names", `{"clientId":"id-1","clientSecret":"canary"}`, nil, "[0].client_id: missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := lwa.ParseCredentials(sensitive.New(test.text))
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("error = %v, want %q", err, test.err)
			}
			expect.Equal(t, "credentials", pairs(test.want), pairs(got))
		})
	}
}

// TestRotation: which of several secrets are tried, in which order, and whose
// tokens are returned.
func TestRotation(t *testing.T) {
	t.Parallel()
	secrets := []string{"fake-secret-3", "fake-secret-2", "fake-secret-1"}
	unauthorized := answer{Status: 400, Body: `{"error":"unauthorized_client"}`}
	tests := []struct {
		name    string
		answers []http.Handler
		tried   int
		kind    error
	}{
		{"the newest works", []http.Handler{works}, 1, nil},
		{"the second works", []http.Handler{refused, works}, 2, nil},
		{"the last works", []http.Handler{refused, refused, works}, 3, nil},
		{"none works", []http.Handler{refused}, 3, lwa.ErrClientRefused},
		{"unauthorized_client", []http.Handler{unauthorized, works}, 2, nil},
		{"disowned", []http.Handler{disowned, works}, 1, lwa.ErrInvalidGrant},
		{"disowned by the second", []http.Handler{refused, disowned, works}, 2, lwa.ErrInvalidGrant},
		{"throttled", []http.Handler{answer{Status: 429}, works}, 1, lwa.ErrThrottled},
		{"400 of a proxy", []http.Handler{badserver.Page(400, ""), works}, 1, lwa.ErrUnavailable},
	}
	for _, test := range tests {
		each(t, test.name, func(t *testing.T, _ string, call call) {
			server := badserver.New(t, test.answers...)
			all := credentials(fakeID, secrets[0], fakeID, secrets[1], fakeID, secrets[2])
			token, err := call(t.Context(), newClient(t, server.URL, server.Client(), all))
			wantTried(t, server, all[:test.tried]...)
			if (token.ClientID == fakeID) != (test.kind == nil) || !errors.Is(err, test.kind) {
				t.Errorf("client = %q, %v; want error %v", token.ClientID, err, test.kind)
			}
		})
	}
	each(t, "no credentials", func(t *testing.T, op string, call call) {
		server := badserver.New(t, works)
		token, err := call(t.Context(), newClient(t, server.URL, server.Client(), nil))
		wantError(t, token, err, lwa.ErrClientRefused, lwa.Error{Op: op})
		wantTried(t, server)
	})
}

func pairs(list []lwa.Credentials) (pairs [][2]string) {
	for _, c := range list {
		pairs = append(pairs, [2]string{c.ClientID, c.ClientSecret.Reveal()})
	}
	return pairs
}

// wantTried compares the credentials in all requests with a list.
func wantTried(t *testing.T, server *badserver.Server, want ...lwa.Credentials) {
	t.Helper()
	var presented [][2]string
	for _, r := range server.Requests() {
		presented = append(presented, [2]string{r.Form().Get("client_id"), r.Form().Get("client_secret")})
	}
	expect.Equal(t, "tried credentials", pairs(want), presented)
}

// TestRefreshOfAnotherClientsGrant: LWA refuses another client's valid token like a
// dead one, which would revoke an active grant.
func TestRefreshOfAnotherClientsGrant(t *testing.T) {
	t.Parallel()
	server := badserver.New(t, works)
	both := credentials("new", "fake-2", "old", "fake-1")
	client := newClient(t, server.URL, server.Client(), both)
	if token, err := client.Refresh(t.Context(), "old", sensitive.New(fakeRefresh)); err != nil || token.ClientID != "old" {
		t.Errorf("client = %q, %v, want old", token.ClientID, err)
	}
	if _, err := client.Refresh(t.Context(), "gone", sensitive.New(fakeRefresh)); !errors.Is(err, lwa.ErrClientRefused) {
		t.Errorf("error = %v, want %v", err, lwa.ErrClientRefused)
	}
	wantTried(t, server, both[1])
}

// TestNewSecretWithoutADeploy: the secret is rotated while the process runs.
func TestNewSecretWithoutADeploy(t *testing.T) {
	t.Parallel()
	old, renewed := credentials(fakeID, "fake-old"), credentials(fakeID, "fake-new")
	each(t, "a new secret", func(t *testing.T, _ string, call call) {
		server := badserver.New(t, refused, refused, refused, works)
		looks, stored := 0, old
		newClient := func() *lwa.Client {
			client := newClient(t, server.URL, server.Client(), old)
			client.ReloadFrom(func(context.Context) ([]lwa.Credentials, error) { looks++; return stored, nil })
			return client
		}
		client := newClient()
		for range 2 { // unchanged, and reloaded once a minute at most
			if _, err := call(t.Context(), client); !errors.Is(err, lwa.ErrClientRefused) || looks != 1 {
				t.Errorf("error = %v after %d reloads, want %v after 1", err, looks, lwa.ErrClientRefused)
			}
		}
		stored = renewed
		if _, err := call(t.Context(), newClient()); err != nil || looks != 2 {
			t.Errorf("error = %v after %d reloads, want none after 2", err, looks)
		}
		wantTried(t, server, old[0], old[0], old[0], renewed[0])
	})
}

// TestKnows: another client's credentials are added to the secret, and then grants
// of it.
func TestKnows(t *testing.T) {
	t.Parallel()
	clock, stored, looks := today, credentials("former", "fake-secret"), 0
	client := lwa.New(&url.URL{}, http.DefaultClient, stored, func() time.Time { return clock })
	knows := func(looked int, want map[string]bool) {
		t.Helper()
		for id, want := range want {
			if got := client.Knows(id); got != want || looks != looked {
				t.Errorf("Knows(%q) = %v after %d reloads, want %v after %d", id, got, looks, want, looked)
			}
		}
	}
	knows(0, map[string]bool{"former": true, "FORMER": false, "": false, fakeID: false}) // no reload function
	client.ReloadFrom(func(context.Context) ([]lwa.Credentials, error) { looks++; return stored, nil })
	knows(0, map[string]bool{"former": true})
	knows(1, map[string]bool{fakeID: false})
	stored = credentials(fakeID, "fake-secret", "former", "fake-secret")
	clock = clock.Add(time.Minute - 1)
	knows(1, map[string]bool{fakeID: false, "former": true})
	clock = clock.Add(1)
	knows(2, map[string]bool{fakeID: true})
	knows(2, map[string]bool{fakeID: true, "former": true})
}

func FuzzParseCredentials(f *testing.F) {
	f.Add(`{"client_id":"id-1","client_secret":"canary"}`)
	f.Add(`[{"client_id":"id-2","client_secret":"canary-2"},{"client_id":"id-1","client_secret":"canary-1"}]`)
	f.Add(`{"client_id":"id-1","client_secret":1e999}`)
	f.Add(`[{}]`)
	f.Add(`canary`)
	f.Fuzz(func(t *testing.T, text string) {
		credentials, err := lwa.ParseCredentials(sensitive.New(text))
		if (err == nil) != (len(credentials) > 0) {
			t.Fatalf("credentials = %d, error = %v, want one of them", len(credentials), err)
		}
		for _, c := range credentials {
			if c.ClientID == "" || c.ClientSecret.Empty() {
				t.Error("incomplete credentials without an error")
			}
		}
		said := func(end string) bool { return strings.HasSuffix(err.Error(), end) }
		if err != nil && !slices.ContainsFunc([]string{noJSON, "empty array", "].client_id: missing", "].client_secret: missing"}, said) {
			t.Errorf("error = %v, which may quote the text", err)
		}
	})
}
