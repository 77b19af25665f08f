package lwa_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// revealed is a token with comparable secrets.
type revealed struct {
	Access, Refresh string
	Lifetime        time.Duration
	Client          string
}

func reveal(token lwa.Token) revealed {
	return revealed{token.AccessToken.Reveal(), token.RefreshToken.Reveal(), token.ExpiresAt.Sub(today), token.ClientID}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	body := func(members string) answer {
		return answer{Status: 200, Body: `{"access_token":"Atza|fake-new","refresh_token":"Atzr|fake-new"` + members + `}`}
	}
	const most = (1<<31 - 1) * time.Second
	tests := []struct {
		name     string
		answer   answer
		lifetime time.Duration
	}{
		{"as documented", works, time.Hour},
		{"another lifetime", body(`,"expires_in":120`), 2 * time.Minute},
		{"no lifetime", body(``), time.Hour},
		{"null lifetime", body(`,"expires_in":null`), time.Hour},
		{"zero lifetime", body(`,"expires_in":0`), time.Hour},
		{"negative lifetime", body(`,"expires_in":-5`), time.Hour},
		{"lifetime with a fraction", body(`,"expires_in":120.0`), 2 * time.Minute},
		{"lifetime as text with a fraction", body(`,"expires_in":"120.9"`), 2 * time.Minute},
		{"lifetime that is no number", body(`,"expires_in":"soon"`), time.Hour},
		{"lifetime as an object", body(`,"expires_in":{"seconds":7}`), time.Hour},
		{"lifetime larger than any number", body(`,"expires_in":1e999`), time.Hour},
		{"huge lifetime", body(`,"expires_in":99999999999`), most},
		{"token type in capitals", body(`,"token_type":"Bearer"`), time.Hour},
		{"more members", body(`,"scope":"x","user":{"id":[1]}`), time.Hour},
		{"escapes", answer{Status: 200, Body: strings.ReplaceAll(newTokens, "|", `\u007c`)}, time.Hour},
		// The body counts, not its content type.
		{"plain text", works.With("Content-Type", "text/plain; charset=utf-8"), time.Hour},
		{"form", works.With("Content-Type", "application/x-www-form-urlencoded"), time.Hour},
		{"HTML", works.With("Content-Type", "text/html"), time.Hour},
		{"malformed label", works.With("Content-Type", "%"), time.Hour},
		{"empty label", works.With("Content-Type", ""), time.Hour},
	}
	for _, test := range tests {
		each(t, test.name, func(t *testing.T, _ string, call call) {
			_, client := serve(t, test.answer)
			token, err := call(t.Context(), client)
			if err != nil {
				t.Fatal(err)
			}
			expect.Equal(t, "token", revealed{"Atza|fake-new", "Atzr|fake-new", test.lifetime, fakeID}, reveal(token))
		})
	}
	for name, member := range map[string]string{
		"absent": "", "empty": `,"refresh_token":""`, "null": `,"refresh_token":null`, "no text": `,"refresh_token":7`,
	} {
		each(t, "refresh token "+name, func(t *testing.T, op string, call call) {
			_, client := serve(t, answer{Status: 200, Body: `{"access_token":"Atza|fake-new"` + member + `}`})
			token, err := call(t.Context(), client)
			want := map[string]string{"exchange": "", "refresh": fakeRefresh}[op]
			if got := token.RefreshToken.Reveal(); err != nil || got != want {
				t.Errorf("RefreshToken = %q, %v, want %q", got, err, want)
			}
		})
	}
}

// TestLifeBeginsBeforeTheCall: the clock advances during the call.
func TestLifeBeginsBeforeTheCall(t *testing.T) {
	t.Parallel()
	server := badserver.New(t, works)
	clock := today
	client := lwa.New(&url.URL{Scheme: "http", Host: server.URL[len("http://"):]}, server.Client(), fakeCredentials(), func() time.Time {
		defer func() { clock = clock.Add(time.Minute) }()
		return clock
	})
	token, err := calls["refresh"](t.Context(), client)
	if got := reveal(token).Lifetime; err != nil || got != time.Hour {
		t.Errorf("lifetime = %v, %v, want an hour", got, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	says := func(status int, code string) answer {
		const body = `{"error_description":"The request has an invalid parameter","error":%q,"request_id":"r-1"}`
		return answer{Status: status, Body: fmt.Sprintf(body, code)}
	}
	page, gone := badserver.Page, says(400, "invalid_grant")
	tests := []struct {
		name   string
		answer answer
		kind   error
		code   string
	}{
		// As LWA documents them, and as observed.
		{"code or token", gone, lwa.ErrInvalidGrant, "invalid_grant"},
		{"client", says(401, "invalid_client"), lwa.ErrClientRefused, "invalid_client"},
		{"client in 400", says(400, "invalid_client"), lwa.ErrClientRefused, "invalid_client"},
		{"request", says(400, "invalid_request"), lwa.ErrClientRefused, "invalid_request"},
		{"grant type not for the client", says(400, "unauthorized_client"), lwa.ErrClientRefused, "unauthorized_client"},
		{"grant type", says(400, "unsupported_grant_type"), lwa.ErrClientRefused, "unsupported_grant_type"},
		{"scope", says(400, "invalid_scope"), lwa.ErrClientRefused, "invalid_scope"},
		{"insufficient scope", says(403, "insufficient_scope"), lwa.ErrClientRefused, "insufficient_scope"},
		{"throttled", says(429, "slow_down"), lwa.ErrThrottled, ""},
		{"throttled without a body", answer{Status: 429}.With("Retry-After", "7"), lwa.ErrThrottled, ""},
		{"ServerError", says(500, "ServerError"), lwa.ErrUnavailable, ""},
		{"500 with an empty object", answer{Status: 500, Body: `{}`}, lwa.ErrUnavailable, ""},
		{"503", answer{Status: 503}.With("Retry-After", "7"), lwa.ErrUnavailable, ""},
		{"503 of a proxy", page(503, "invalid_grant"), lwa.ErrUnavailable, ""},

		// The code comes before the status.
		{"code or token in 500", says(500, "invalid_grant"), lwa.ErrInvalidGrant, "invalid_grant"},
		{"code or token in 401", says(401, "invalid_grant"), lwa.ErrInvalidGrant, "invalid_grant"},
		{"code or token in 200", says(200, "invalid_grant"), lwa.ErrInvalidGrant, "invalid_grant"},
		{"client in 429", says(429, "invalid_client"), lwa.ErrClientRefused, "invalid_client"},
		{"capitals", says(400, "INVALID_GRANT"), lwa.ErrInvalidGrant, "invalid_grant"},
		{"an error beside a token", answer{Status: 200, Body: `{"error":"invalid_client","access_token":"Atza|fake-new"}`},
			lwa.ErrClientRefused, "invalid_client"},
		{"an unknown error beside a token", answer{Status: 200, Body: `{"error":"odd","access_token":"Atza|fake-new"}`}, lwa.ErrUnavailable, ""},
		{"an error that is no text", answer{Status: 200, Body: `{"error":{},"access_token":"Atza|fake-new"}`}, lwa.ErrUnavailable, ""},

		// The body counts, not its content type.
		{"code or token in plain text", gone.With("Content-Type", "text/plain"), lwa.ErrInvalidGrant, "invalid_grant"},
		{"client in HTML", says(401, "invalid_client").With("Content-Type", "text/html"), lwa.ErrClientRefused, "invalid_client"},

		// Only the code proves that a grant is gone.
		{"400 without a body", answer{Status: 400}, lwa.ErrUnavailable, ""},
		{"400 with an empty object", answer{Status: 400, Body: `{}`}, lwa.ErrUnavailable, ""},
		{"400 with an unknown error", says(400, "invalid_grants"), lwa.ErrUnavailable, ""},
		{"400 of a proxy", page(400, "invalid_grant"), lwa.ErrUnavailable, ""},
		{"400 with half an object", answer{Status: 400, Body: gone.Body[:80]}, lwa.ErrUnavailable, ""},
		{"400 with a list", answer{Status: 400, Body: "[" + gone.Body + "]"}, lwa.ErrUnavailable, ""},
		{"400 with it in the description", answer{Status: 400, Body: `{"error_description":"invalid_grant"}`}, lwa.ErrUnavailable, ""},
		{"400 too large to be read", answer{Status: 400, Body: strings.Repeat(" ", 1<<20) + gone.Body}, lwa.ErrUnavailable, ""},
		{"401 without a body", answer{Status: 401}, lwa.ErrUnavailable, ""},
		{"404", page(404, ""), lwa.ErrUnavailable, ""},

		// Tokens are sent to the configured host only: a redirect is an error with
		// its status.
		{"302", answer{Status: 302}.With("Location", "/"), lwa.ErrUnavailable, ""},
		{"307", answer{Status: 307}.With("Location", "/"), lwa.ErrUnavailable, ""},
	}
	for _, test := range tests {
		each(t, test.name, func(t *testing.T, op string, call call) {
			_, client := serve(t, test.answer)
			token, err := call(t.Context(), client)
			want := lwa.Error{Op: op, Status: test.answer.Status, Code: test.code}
			if test.answer.Header.Get("Retry-After") != "" {
				want.RetryAfter = 7 * time.Second
			}
			wantError(t, token, err, test.kind, want)
		})
	}
	// The status is not believed if an answer promised tokens, or was cut off.
	text := func(body string) answer { return answer{Status: 200, Body: body} }
	for name, answer := range map[string]answer{
		"200 of a proxy":                           page(200, ""),
		"200 without a body":                       text(""),
		"200 without access token":                 text(`{"refresh_token":"Atzr|fake-new","expires_in":3600}`),
		"200 with an empty access token":           text(`{"access_token":""}`),
		"200 with a list":                          text("[" + newTokens + "]"),
		"200 with an access token that is no text": text(`{"access_token":7}`),
		"200 with a form":                          text("access_token=Atza|fake-new&expires_in=120").With("Content-Type", "text/plain"),
		"200 too large to be read":                 text(strings.Repeat(" ", 1<<20) + newTokens),
		"200 cut":                                  text(newTokens[:40]).Cut(),
		"200 cut after the object":                 works.Cut(),
		"400 cut":                                  disowned.Cut(),
		"500 cut":                                  failing.Cut(),
	} {
		each(t, name, func(t *testing.T, op string, call call) {
			_, client := serve(t, answer)
			token, err := call(t.Context(), client)
			wantError(t, token, err, lwa.ErrUnavailable, lwa.Error{Op: op})
		})
	}
}

// TestErrorsShowNothing makes LWA repeat its input, and the tokens, in every part
// of an answer that could be in an error.
func TestErrorsShowNothing(t *testing.T) {
	t.Parallel()
	const canary = "canary-8f1c"
	const echo = "code=" + canary + "&refresh_token=Atzr|" + canary + "&client_secret=" + canary
	says := func(status int, body string) answer { return answer{Status: status, Body: body} }
	badserver.EachFault(t, []string{canary}, map[string]http.Handler{
		"description of a refused grant":  says(400, `{"error":"invalid_grant","error_description":"`+echo+`"}`),
		"URI of a refused client":         says(401, `{"error":"invalid_client","error_uri":"`+echo+`"}`),
		"error":                           says(400, `{"error":"`+canary+`"}`),
		"error in 200":                    says(200, `{"error":"`+canary+`","access_token":"Atza|`+canary+`"}`),
		"HTML in 200":                     badserver.Page(200, echo),
		"malformed form":                  says(200, "%"+canary+echo).With("Content-Type", "text/plain"),
		"no access token":                 says(200, `{"refresh_token":"Atzr|`+canary+`"}`),
		"access token of another type":    says(200, `{"access_token":{"`+canary+`":1}}`),
		"cut in the access token":         says(200, `{"access_token":"Atza|`+canary).Cut(),
		"status 429, nonsense to wait":    says(429, echo).With("Retry-After", canary),
		"hangs in the body with a status": badserver.Hang("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + echo),
	}, func(t *testing.T, fault http.Handler) error {
		s := badserver.NewInBubble(t, fault)
		client := newClient(t, s.URL, s.Client(), credentials(fakeID, canary))
		_, exchanged := client.Exchange(t.Context(), sensitive.New("AN"+canary))
		_, refreshed := client.Refresh(t.Context(), fakeID, sensitive.New("Atzr|"+canary))
		badserver.NoSecret(t, exchanged, canary)
		badserver.NoSecret(t, fmt.Sprintf("%#v %#v", exchanged, refreshed), canary)
		if exchanged == nil {
			t.Error("Exchange succeeded, want an error")
		}
		return refreshed
	})
}

// TestValuesShowNothing prints the package's inputs and results.
func TestValuesShowNothing(t *testing.T) {
	t.Parallel()
	const canary = "canary-8f1c"
	server := badserver.New(t, answer{Status: 200, Body: `{"access_token":"Atza|` + canary + `","refresh_token":"Atzr|` + canary + `"}`})
	shown := credentials(fakeID, canary)
	client := newClient(t, server.URL, server.Client(), shown)
	token, err := client.Refresh(context.Background(), fakeID, sensitive.New("Atzr|"+canary))
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []any{token, shown, client} {
		badserver.NoSecret(t, value, canary)
		badserver.NoSecret(t, fmt.Sprintf("%#v", value), canary)
	}
}

// canned is a transport that answers without a network.
type canned struct {
	status            int
	contentType, body string
}

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status,
		Header:     http.Header{"Content-Type": {c.contentType}},
		Body:       io.NopCloser(strings.NewReader(c.body)),
		Request:    req,
	}, nil
}

// FuzzAnswer: any answer is a token or an error of one kind, and an error's text
// consists of this package's words.
func FuzzAnswer(f *testing.F) {
	const json = "application/json"
	f.Add(200, json, newTokens)
	f.Add(200, json, `{"access_token":"Atza|fake-new","expires_in":"120"}`)
	f.Add(200, json, `{"access_token":7,"expires_in":1e999}`)
	f.Add(200, "text/plain", "access_token=Atza|fake-new&expires_in=120")
	f.Add(200, "text/plain", "%zz")
	f.Add(400, json, `{"error":"invalid_grant","error_description":"gone"}`)
	f.Add(401, json, `{"error":"invalid_client"}`)
	f.Add(429, json, `{}`)
	f.Add(502, "text/html", "<html></html>")
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		if status < 200 || status > 599 {
			return // not the status of a final answer
		}
		client := lwa.New(&url.URL{Scheme: "http", Host: "127.0.0.1"},
			&http.Client{Transport: canned{status, contentType, body}}, fakeCredentials(), now)
		token, err := client.Refresh(context.Background(), fakeID, sensitive.New(fakeRefresh))
		if err == nil {
			if token.AccessToken.Empty() || token.RefreshToken.Empty() || !token.ExpiresAt.After(today) || token.ClientID != fakeID {
				t.Errorf("token = %v, want a complete one", token)
			}
			return
		}
		var failed *lwa.Error
		if !errors.As(err, &failed) || token != (lwa.Token{}) {
			t.Fatalf("token %v with error %v", token, err)
		}
		if !possible(failed) {
			t.Errorf("error = %v, which may quote the answer", err)
		}
	})
}

// possible reports whether an error's text is one that its status allows.
func possible(failed *lwa.Error) bool {
	texts := []string{"login with amazon: refresh: unavailable: no usable answer"}
	for kind, codes := range map[error][]string{
		lwa.ErrInvalidGrant: {"invalid_grant"},
		lwa.ErrClientRefused: {"invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type",
			"invalid_scope", "insufficient_scope"},
		lwa.ErrThrottled:   {""},
		lwa.ErrUnavailable: {""},
	} {
		for _, code := range codes {
			texts = append(texts, fmt.Sprintf("login with amazon: refresh: %v (status %d, error %q)", kind, failed.Status, code))
		}
	}
	return slices.Contains(texts, failed.Error())
}
