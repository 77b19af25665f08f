package lwa_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// TestCredentials is about secrets in rotation: which are tried, in what
// order, and whose tokens came.
func TestCredentials(t *testing.T) {
	t.Parallel()
	all := []lwa.Credentials{
		{ClientID: fakeID, ClientSecret: sensitive.New("fake-secret-3")},
		{ClientID: fakeID, ClientSecret: sensitive.New("fake-secret-2")},
		{ClientID: fakeID, ClientSecret: sensitive.New("fake-secret-1")},
	}
	refusal := func(code string) answer { return answer{status: 400, body: `{"error":"` + code + `"}`} }
	tests := []struct {
		name    string
		answers []http.Handler
		tried   int
		client  string // of the tokens, empty for none
		kind    error
	}{
		{"the newest works", []http.Handler{works}, 1, fakeID, nil},
		{"the second works", []http.Handler{refused, works}, 2, fakeID, nil},
		{"the last works", []http.Handler{refused, refused, works}, 3, fakeID, nil},
		{"none works", []http.Handler{refused}, 3, "", lwa.ErrClientRefused},
		{"unauthorized_client", []http.Handler{refusal("unauthorized_client"), works}, 2, fakeID, nil},
		{"disowned", []http.Handler{disowned, works}, 1, "", lwa.ErrInvalidGrant},
		{"disowned by the second", []http.Handler{refused, disowned, works}, 2, "", lwa.ErrInvalidGrant},
		{"throttled", []http.Handler{answer{status: 429}, works}, 1, "", lwa.ErrThrottled},
		{"400 of a proxy", []http.Handler{answer{status: 400, body: "<html>"}, works}, 1, "", lwa.ErrUnavailable},
	}
	for _, test := range tests {
		for op, call := range calls {
			t.Run(op+", "+test.name, func(t *testing.T) {
				t.Parallel()
				amazon := &script{answers: test.answers}
				token, err := call(t.Context(), serveFor(t, amazon, all))
				if diff := cmp.Diff(identities(all[:test.tried]), presented(amazon.asked())); diff != "" {
					t.Errorf("credentials tried (-want +got):\n%s", diff)
				}
				if token.ClientID != test.client || !errors.Is(err, test.kind) {
					t.Errorf("tokens of %q, %v; want those of %q, %v", token.ClientID, err, test.client, test.kind)
				}
			})
		}
	}
}

func identities(credentials []lwa.Credentials) (pairs [][2]string) {
	for _, c := range credentials {
		pairs = append(pairs, [2]string{c.ClientID, c.ClientSecret.Reveal()})
	}
	return pairs
}

func presented(forms []url.Values) (pairs [][2]string) {
	for _, form := range forms {
		pairs = append(pairs, [2]string{form.Get("client_id"), form.Get("client_secret")})
	}
	return pairs
}

// TestRefreshOfAnotherClientsGrant: to another client a good token is refused
// like a dead one, which would revoke a living grant.
func TestRefreshOfAnotherClientsGrant(t *testing.T) {
	t.Parallel()
	amazon := &script{answers: []http.Handler{works}}
	client := serveFor(t, amazon, []lwa.Credentials{{ClientID: "new", ClientSecret: sensitive.New("fake-2")}, {ClientID: "old", ClientSecret: sensitive.New("fake-1")}})
	if token, err := client.Refresh(t.Context(), "old", sensitive.New(fakeRefresh)); err != nil || token.ClientID != "old" {
		t.Errorf("tokens of %q, %v", token.ClientID, err)
	}
	if diff := cmp.Diff([][2]string{{"old", "fake-1"}}, presented(amazon.asked())); diff != "" {
		t.Errorf("credentials tried (-want +got):\n%s", diff)
	}
	if _, err := client.Refresh(t.Context(), "gone", sensitive.New(fakeRefresh)); !errors.Is(err, lwa.ErrClientRefused) || len(amazon.asked()) != 1 {
		t.Errorf("%v after %d requests", err, len(amazon.asked()))
	}
}

// TestNewSecretWithoutADeploy: the secret was rotated while the process ran.
func TestNewSecretWithoutADeploy(t *testing.T) {
	t.Parallel()
	old := []lwa.Credentials{{ClientID: fakeID, ClientSecret: sensitive.New("fake-old")}}
	renewed := []lwa.Credentials{{ClientID: fakeID, ClientSecret: sensitive.New("fake-new")}}
	for op, call := range calls {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			amazon := &script{answers: []http.Handler{refused, refused, refused, works}}
			client := serveFor(t, amazon, old)
			looks, stored := 0, old
			client.ReloadFrom(func(context.Context) ([]lwa.Credentials, error) { looks++; return stored, nil })
			for range 2 { // nothing new yet, and looked for only once a minute
				if _, err := call(t.Context(), client); !errors.Is(err, lwa.ErrClientRefused) || looks != 1 {
					t.Errorf("%v after %d looks", err, looks)
				}
			}
			client = serveFor(t, amazon, old)
			client.ReloadFrom(func(context.Context) ([]lwa.Credentials, error) { looks++; return renewed, nil })
			if _, err := call(t.Context(), client); err != nil || looks != 2 {
				t.Errorf("%v after %d looks", err, looks)
			}
			want := identities(append(append(append([]lwa.Credentials{}, old...), old...), append(old, renewed...)...))
			if diff := cmp.Diff(want, presented(amazon.asked())); diff != "" {
				t.Errorf("credentials tried (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoCredentials(t *testing.T) {
	t.Parallel()
	for op, call := range calls {
		amazon := &script{answers: []http.Handler{works}}
		token, err := call(t.Context(), serveFor(t, amazon, nil))
		wantError(t, token, err, lwa.ErrClientRefused, lwa.Error{Op: op})
		if len(amazon.asked()) != 0 {
			t.Errorf("%s: a request without credentials", op)
		}
	}
}

// TestNewClientWithoutADeploy: the credentials of another client come into the
// secret, and grants that were given to it.
func TestNewClientWithoutADeploy(t *testing.T) {
	t.Parallel()
	former := []lwa.Credentials{{ClientID: "former", ClientSecret: sensitive.New("fake-secret")}}
	both := append([]lwa.Credentials{{ClientID: fakeID, ClientSecret: sensitive.New("fake-secret")}}, former...)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	found, loads := former, 0
	client := lwa.New(&url.URL{Scheme: "http", Host: "127.0.0.1"}, http.DefaultClient, former, func() time.Time { return now })
	client.ReloadFrom(func(context.Context) ([]lwa.Credentials, error) {
		loads++
		return found, nil
	})
	for range 2 {
		if client.Knows(fakeID) || !client.Knows("former") || loads != 1 {
			t.Errorf("after %d looks it knows a client that nobody has told of, or not the one it has", loads)
		}
	}
	found = both
	if client.Knows(fakeID) {
		t.Error("it looked again within a minute")
	}
	now = now.Add(time.Minute)
	if !client.Knows(fakeID) || !client.Knows("former") || loads != 2 {
		t.Errorf("after %d looks it does not know the new client", loads)
	}
}
