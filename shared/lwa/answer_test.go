package lwa_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/transport"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	lasting := func(refresh string, lifetime time.Duration) map[string]string {
		return map[string]string{
			"access": "Atza|fake-new", "refresh": refresh, "expires": today.Add(lifetime).String(), "client": fakeID,
		}
	}
	body := func(members string) string { return `{"access_token":"Atza|fake-new",` + members + `}` }
	const fresh = `"refresh_token":"Atzr|fake-new"`
	tests := []struct {
		name, body string
		want       map[string]string
	}{
		{"as documented", newTokens, lasting("Atzr|fake-new", time.Hour)},
		{"another lifetime", body(fresh + `,"expires_in":120`), lasting("Atzr|fake-new", 2*time.Minute)},
		{"no lifetime", body(fresh), lasting("Atzr|fake-new", time.Hour)},
		{"null lifetime", body(fresh + `,"expires_in":null`), lasting("Atzr|fake-new", time.Hour)},
		{"zero lifetime", body(fresh + `,"expires_in":0`), lasting("Atzr|fake-new", time.Hour)},
		{"negative lifetime", body(fresh + `,"expires_in":-5`), lasting("Atzr|fake-new", time.Hour)},
		{"lifetime with a fraction", body(fresh + `,"expires_in":3600.0`), lasting("Atzr|fake-new", time.Hour)},
		{"lifetime as text with a fraction", body(fresh + `,"expires_in":"120.9"`), lasting("Atzr|fake-new", 2*time.Minute)},
		{"lifetime that is no number", body(`"expires_in":"soon",` + fresh), lasting("Atzr|fake-new", time.Hour)},
		{"lifetime as an object", body(`"expires_in":{"seconds":7},` + fresh), lasting("Atzr|fake-new", time.Hour)},
		{"lifetime larger than any number", body(fresh + `,"expires_in":1e999`), lasting("Atzr|fake-new", time.Hour)},
		{"lifetime as text", body(fresh + `,"expires_in":"120"`), lasting("Atzr|fake-new", 2*time.Minute)},
		{"huge lifetime", body(fresh + `,"expires_in":99999999999`), lasting("Atzr|fake-new", (1<<31-1)*time.Second)},
		{"no token type", body(fresh), lasting("Atzr|fake-new", time.Hour)},
		{"token type in capitals", body(fresh + `,"token_type":"Bearer"`), lasting("Atzr|fake-new", time.Hour)},
		{"more members", body(fresh + `,"scope":"x","user":{"id":[1]}`), lasting("Atzr|fake-new", time.Hour)},
		{"escapes", `{"access_token":"Atza\u007cfake-new",` + fresh + `}`, lasting("Atzr|fake-new", time.Hour)},
	}
	for _, test := range tests {
		for op, call := range calls {
			t.Run(op+", "+test.name, func(t *testing.T) {
				t.Parallel()
				token, err := call(t.Context(), serve(t, answer{status: 200, body: test.body}))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, revealed(token)); diff != "" {
					t.Errorf("token (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestLabels: the body decides, and not its label.
func TestLabels(t *testing.T) {
	t.Parallel()
	for _, label := range []string{"text/plain; charset=utf-8", "application/x-www-form-urlencoded", "text/html", "%", ""} {
		for op, call := range calls {
			t.Run(op+", "+label, func(t *testing.T) {
				t.Parallel()
				token, err := call(t.Context(), serve(t, answer{200, http.Header{"Content-Type": {label}}, newTokens}))
				if err != nil {
					t.Fatal(err)
				}
				if token.AccessToken.Reveal() != "Atza|fake-new" || token.RefreshToken.Reveal() != "Atzr|fake-new" {
					t.Errorf("token = %v", revealed(token))
				}
			})
		}
	}
}

// revealed is a token that can be compared.
func revealed(token lwa.Token) map[string]string {
	return map[string]string{
		"access": token.AccessToken.Reveal(), "refresh": token.RefreshToken.Reveal(),
		"expires": token.ExpiresAt.String(), "client": token.ClientID,
	}
}

func TestNoNewRefreshToken(t *testing.T) {
	t.Parallel()
	want := map[string]string{"exchange": "", "refresh": fakeRefresh}
	for name, member := range map[string]string{
		"absent": "", "empty": `,"refresh_token":""`, "null": `,"refresh_token":null`, "no text": `,"refresh_token":7`,
	} {
		for op, call := range calls {
			t.Run(op+", "+name, func(t *testing.T) {
				t.Parallel()
				token, err := call(t.Context(), serve(t, answer{status: 200, body: `{"access_token":"Atza|fake-new"` + member + `}`}))
				if err != nil {
					t.Fatal(err)
				}
				if got := token.RefreshToken.Reveal(); got != want[op] {
					t.Errorf("RefreshToken = %q, want %q", got, want[op])
				}
			})
		}
	}
}

// TestLifeBeginsBeforeTheCall has a clock that moves on while LWA works.
func TestLifeBeginsBeforeTheCall(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(answer{status: 200, body: newTokens})
	t.Cleanup(srv.Close)
	tokenURL, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	clock := today
	moving := func() time.Time {
		defer func() { clock = clock.Add(time.Minute) }()
		return clock
	}
	client := lwa.New(tokenURL, transport.NewClient(1), fakeCredentials(), moving)
	token, err := calls["refresh"](t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	if want := today.Add(time.Hour); !token.ExpiresAt.Equal(want) {
		t.Errorf("ExpiresAt = %v, want %v", token.ExpiresAt, want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	says := func(code string) string {
		return fmt.Sprintf(`{"error_description":"The request has an invalid parameter","error":%q,"request_id":"r-1"}`, code)
	}
	html := http.Header{"Content-Type": {"text/html"}}
	plain := http.Header{"Content-Type": {"text/plain"}}
	tests := []struct {
		name   string
		answer answer
		kind   error
		code   string
	}{
		// As LWA documents them, and as they have been seen.
		{"code or token", answer{status: 400, body: says("invalid_grant")}, lwa.ErrInvalidGrant, "invalid_grant"},
		{"client", answer{status: 401, body: says("invalid_client")}, lwa.ErrClientRefused, "invalid_client"},
		{"client in 400", answer{status: 400, body: says("invalid_client")}, lwa.ErrClientRefused, "invalid_client"},
		{"request", answer{status: 400, body: says("invalid_request")}, lwa.ErrClientRefused, "invalid_request"},
		{"grant type not for the client", answer{status: 400, body: says("unauthorized_client")}, lwa.ErrClientRefused, "unauthorized_client"},
		{"grant type", answer{status: 400, body: says("unsupported_grant_type")}, lwa.ErrClientRefused, "unsupported_grant_type"},
		{"scope", answer{status: 400, body: says("invalid_scope")}, lwa.ErrClientRefused, "invalid_scope"},
		{"insufficient scope", answer{status: 403, body: says("insufficient_scope")}, lwa.ErrClientRefused, "insufficient_scope"},
		{"throttled", answer{status: 429, body: says("slow_down")}, lwa.ErrThrottled, ""},
		{"throttled without a body", answer{status: 429}, lwa.ErrThrottled, ""},
		{"ServerError", answer{status: 500, body: says("ServerError")}, lwa.ErrUnavailable, ""},
		{"500 with an empty object", answer{status: 500, body: `{}`}, lwa.ErrUnavailable, ""},
		{"503", answer{status: 503}, lwa.ErrUnavailable, ""},
		{"503 of a proxy", answer{503, html, "<html>invalid_grant</html>"}, lwa.ErrUnavailable, ""},

		// The code decides before the status.
		{"code or token in 500", answer{status: 500, body: says("invalid_grant")}, lwa.ErrInvalidGrant, "invalid_grant"},
		{"code or token in 401", answer{status: 401, body: says("invalid_grant")}, lwa.ErrInvalidGrant, "invalid_grant"},
		{"code or token in 200", answer{status: 200, body: says("invalid_grant")}, lwa.ErrInvalidGrant, "invalid_grant"},
		{"client in 429", answer{status: 429, body: says("invalid_client")}, lwa.ErrClientRefused, "invalid_client"},
		{"capitals", answer{status: 400, body: says("INVALID_GRANT")}, lwa.ErrInvalidGrant, "invalid_grant"},
		{"an error beside a token", answer{status: 200, body: `{"error":"invalid_client","access_token":"Atza|fake-new"}`},
			lwa.ErrClientRefused, "invalid_client"},
		{"an unknown error beside a token", answer{status: 200, body: `{"error":"odd","access_token":"Atza|fake-new"}`}, lwa.ErrUnavailable, ""},

		{"an error that is no text", answer{status: 200, body: `{"error":{},"access_token":"Atza|fake-new"}`}, lwa.ErrUnavailable, ""},

		// The body decides, and not its label.
		{"code or token in plain text", answer{400, plain, says("invalid_grant")}, lwa.ErrInvalidGrant, "invalid_grant"},
		{"client in HTML", answer{401, html, says("invalid_client")}, lwa.ErrClientRefused, "invalid_client"},

		// Nothing but the code proves that a grant is gone.
		{"400 without a body", answer{status: 400}, lwa.ErrUnavailable, ""},
		{"400 with an empty object", answer{status: 400, body: `{}`}, lwa.ErrUnavailable, ""},
		{"400 with an unknown error", answer{status: 400, body: says("invalid_grants")}, lwa.ErrUnavailable, ""},
		{"400 of a proxy", answer{400, html, "<html>invalid_grant</html>"}, lwa.ErrUnavailable, ""},
		{"400 with half an object", answer{status: 400, body: says("invalid_grant")[:80]}, lwa.ErrUnavailable, ""},
		{"400 with a list", answer{status: 400, body: "[" + says("invalid_grant") + "]"}, lwa.ErrUnavailable, ""},
		{"400 with it in the description", answer{status: 400, body: `{"error_description":"invalid_grant"}`}, lwa.ErrUnavailable, ""},
		{"400 too large to be read", answer{status: 400, body: strings.Repeat(" ", 1<<20) + says("invalid_grant")}, lwa.ErrUnavailable, ""},
		{"401 without a body", answer{status: 401}, lwa.ErrUnavailable, ""},
		{"404", answer{404, html, "<html></html>"}, lwa.ErrUnavailable, ""},
	}
	for _, test := range tests {
		for op, call := range calls {
			t.Run(op+", "+test.name, func(t *testing.T) {
				t.Parallel()
				token, err := call(t.Context(), serve(t, test.answer))
				wantError(t, token, err, test.kind, lwa.Error{Op: op, Status: test.answer.status, Code: test.code})
			})
		}
	}
}

// TestUnreadable is about answers of which not even the status can be
// believed: it promised tokens, or the rest of the answer never came.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html"}}
	cut := http.Header{"Content-Length": {"500"}}
	tests := []struct {
		name   string
		answer answer
	}{
		{"200 of a proxy", answer{200, html, "<html></html>"}},
		{"200 without a body", answer{status: 200}},
		{"200 with an empty object", answer{status: 200, body: `{}`}},
		{"200 without access token", answer{status: 200, body: `{"refresh_token":"Atzr|fake-new","expires_in":3600}`}},
		{"200 with an empty access token", answer{status: 200, body: `{"access_token":""}`}},
		{"200 with a list", answer{status: 200, body: "[" + newTokens + "]"}},
		{"200 with an access token that is no text", answer{status: 200, body: `{"access_token":7}`}},
		{"200 with a form", answer{200, http.Header{"Content-Type": {"text/plain"}}, "access_token=Atza|fake-new&expires_in=120"}},
		{"200 too large to be read", answer{status: 200, body: strings.Repeat(" ", 1<<20) + newTokens}},
		{"200 cut", answer{200, cut, newTokens[:40]}},
		{"200 cut after the object", answer{200, cut, newTokens}},
		{"400 cut", answer{400, cut, `{"error":"invalid_grant"}`}},
		{"500 cut", answer{500, cut, `{`}},
	}
	for _, test := range tests {
		for op, call := range calls {
			t.Run(op+", "+test.name, func(t *testing.T) {
				t.Parallel()
				token, err := call(t.Context(), serve(t, test.answer))
				wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: op})
			})
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "soon": 0, "Fri, 02 Jan 2026 03:05:05 GMT": time.Minute} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprintf("%d %q", status, value), func(t *testing.T) {
				t.Parallel()
				header := http.Header{"Retry-After": {value}, "Date": {"Fri, 02 Jan 2026 03:04:05 GMT"}}
				token, err := calls["refresh"](t.Context(), serve(t, answer{status: status, header: header}))
				kind := map[int]error{429: lwa.ErrThrottled, 503: lwa.ErrUnavailable}[status]
				wantError(t, token, err, kind, lwa.Error{Op: "refresh", Status: status, RetryAfter: want})
			})
		}
	}
}
