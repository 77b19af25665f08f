package lwa_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// TestCredentials is about secrets in rotation: which are tried, in what
// order, and whose tokens came.
func TestCredentials(t *testing.T) {
	t.Parallel()
	all := []lwa.Credentials{
		{ClientID: "newest", ClientSecret: sensitive.New("fake-secret-3")},
		{ClientID: "newer", ClientSecret: sensitive.New("fake-secret-2")},
		{ClientID: "newer", ClientSecret: sensitive.New("fake-secret-1")},
	}
	refusal := func(code string) answer { return answer{status: 400, body: `{"error":"` + code + `"}`} }
	tests := []struct {
		name    string
		answers []http.Handler
		tried   int
		client  string // of the tokens, empty for none
		kind    error
	}{
		{"the newest works", []http.Handler{works}, 1, "newest", nil},
		{"the second works", []http.Handler{refused, works}, 2, "newer", nil},
		{"the last works", []http.Handler{refused, refused, works}, 3, "newer", nil},
		{"none works", []http.Handler{refused}, 3, "", lwa.ErrClientRefused},
		{"unauthorized_client", []http.Handler{refusal("unauthorized_client"), works}, 2, "newer", nil},
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
