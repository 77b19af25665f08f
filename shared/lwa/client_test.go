package lwa_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

const (
	fakeCode    = "ANfake|code+/=&% "
	fakeRefresh = "Atzr|fake-refresh+/=&% "
	fakeID      = "amzn1.application-oa2-client.fake"
	fakeSecret  = "fake|secret+/=&% "

	// newTokens is LWA's answer to a valid call.
	newTokens = `{"access_token":"Atza|fake-new","refresh_token":"Atzr|fake-new","token_type":"bearer","expires_in":3600}`
)

type answer = badserver.Answer

var (
	works    = answer{Status: 200, Body: newTokens}
	disowned = answer{Status: 400, Body: `{"error":"invalid_grant"}`}
	refused  = answer{Status: 401, Body: `{"error":"invalid_client"}`}
	failing  = badserver.Page(503, "")
)

func TestMain(m *testing.M) { testkit.Main(m) }

// today is the time of these tests' clients.
var today = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func now() time.Time { return today }

// credentials pairs ids with secrets.
func credentials(pairs ...string) (list []lwa.Credentials) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, lwa.Credentials{ClientID: pairs[i], ClientSecret: sensitive.New(pairs[i+1])})
	}
	return list
}

func fakeCredentials() []lwa.Credentials { return credentials(fakeID, fakeSecret) }

// serve starts an LWA, and returns its client with one pair of credentials.
func serve(t *testing.T, answers ...http.Handler) (*badserver.Server, *lwa.Client) {
	t.Helper()
	server := badserver.New(t, answers...)
	return server, newClient(t, server.URL, server.Client(), fakeCredentials())
}

func newClient(t *testing.T, base string, client *http.Client, credentials []lwa.Credentials) *lwa.Client {
	t.Helper()
	tokenURL, err := url.Parse(base + "/auth/o2/token")
	if err != nil {
		t.Fatal(err)
	}
	return lwa.New(tokenURL, client, credentials, now)
}

// calls are the two operations, for tests of both.
var calls = map[string]func(context.Context, *lwa.Client) (lwa.Token, error){
	"exchange": func(ctx context.Context, c *lwa.Client) (lwa.Token, error) {
		return c.Exchange(ctx, sensitive.New(fakeCode))
	},
	"refresh": func(ctx context.Context, c *lwa.Client) (lwa.Token, error) {
		return c.Refresh(ctx, fakeID, sensitive.New(fakeRefresh))
	},
}

type call = func(context.Context, *lwa.Client) (lwa.Token, error)

// each runs a test with each operation.
func each(t *testing.T, name string, test func(t *testing.T, op string, call call)) {
	t.Helper()
	for op, call := range calls {
		t.Run(op+", "+name, func(t *testing.T) {
			t.Parallel()
			test(t, op, call)
		})
	}
}

// wantError checks an error's kind and fields, and that there is no token.
func wantError(t *testing.T, token lwa.Token, err, want error, fields lwa.Error) {
	t.Helper()
	// An error is of exactly one kind.
	for _, kind := range []error{lwa.ErrInvalidGrant, lwa.ErrClientRefused, lwa.ErrThrottled, lwa.ErrUnavailable} {
		if errors.Is(err, kind) != errors.Is(want, kind) {
			t.Errorf("error = %v, want only the kind of %v", err, want)
		}
	}
	var got *lwa.Error
	if !errors.As(err, &got) {
		t.Fatalf("error = %v, want a *lwa.Error", err)
	}
	if got.Op != fields.Op || got.Status != fields.Status || got.Code != fields.Code || got.RetryAfter != fields.RetryAfter {
		t.Errorf("error = %#v, want %#v", got, fields)
	}
	if token != (lwa.Token{}) {
		t.Errorf("a token came with the error: %v", token)
	}
}

// TestSendsExactly: the forms are literal, since url.Values would make the same
// mistakes on both sides.
func TestSendsExactly(t *testing.T) {
	t.Parallel()
	const client = "client_id=amzn1.application-oa2-client.fake&client_secret=fake%7Csecret%2B%2F%3D%26%25+"
	forms := map[string]string{
		"exchange": client + "&code=ANfake%7Ccode%2B%2F%3D%26%25+&grant_type=authorization_code",
		"refresh":  client + "&grant_type=refresh_token&refresh_token=Atzr%7Cfake-refresh%2B%2F%3D%26%25+",
	}
	each(t, "one request", func(t *testing.T, op string, call call) {
		server, client := serve(t, works)
		if _, err := call(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		want := []badserver.Request{{
			Method: "POST", URI: "/auth/o2/token", Host: server.URL[len("http://"):], Body: forms[op],
			Header: http.Header{
				"Content-Type":    {"application/x-www-form-urlencoded"},
				"Content-Length":  {strconv.Itoa(len(forms[op]))},
				"User-Agent":      {"Go-http-client/1.1"},
				"Accept-Encoding": {"gzip"},
			},
		}}
		expect.Equal(t, "requests", want, server.Requests())
	})
}

func TestAccount(t *testing.T) {
	t.Parallel()
	const token = "Atza|canary+/="
	account := func(ctx context.Context, t *testing.T, server *badserver.Server) (string, error) {
		tokenInfo, err := url.Parse(server.URL + "/tokeninfo")
		if err != nil {
			t.Fatal(err)
		}
		return lwa.New(tokenInfo, server.Client(), nil, now).Account(ctx, tokenInfo, sensitive.New(token))
	}
	server := badserver.New(t, answer{Status: 200, Body: `{"aud":"amzn1.fake","user_id":"amzn1.account.FAKE","exp":3500}`})
	if got, err := account(t.Context(), t, server); got != "amzn1.account.FAKE" || err != nil {
		t.Errorf("Account() = %q, %v", got, err)
	}
	if r := server.Requests()[0]; r.Method != "GET" || r.URI != "/tokeninfo?access_token=Atza%7Ccanary%2B%2F%3D" {
		t.Errorf("request = %s %s", r.Method, r.URI)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := account(ctx, t, server); !errors.Is(err, context.Canceled) {
		t.Errorf("error when cancelled = %v", err)
	} else {
		badserver.NoSecret(t, err, "canary")
	}
	badserver.EachFault(t, []string{"canary"}, map[string]http.Handler{
		"refused": answer{Status: 400, Body: `{"error":"invalid_token","user_id":"x","echo":"canary"}`},
		"no user": answer{Status: 200, Body: `{"aud":"x"}`},
		"page":    badserver.Page(200, "canary"),
	}, func(t *testing.T, fault http.Handler) error {
		started := time.Now()
		got, err := account(t.Context(), t, badserver.NewInBubble(t, fault))
		if took := time.Since(started); got != "" || took > lwa.AccountTimeout {
			t.Errorf("Account() = %q after %v, want an error in time", got, took)
		}
		return err
	})
}
