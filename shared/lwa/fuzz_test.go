package lwa_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

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

// FuzzAnswer proves of any answer that it is a token or a failure of one kind,
// and that a failure's text is made of this package's words only.
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
			return // no status of a final answer
		}
		client := lwa.New(&url.URL{Scheme: "http", Host: "127.0.0.1"},
			&http.Client{Transport: canned{status, contentType, body}}, fakeCredentials(), now)
		token, err := client.Refresh(context.Background(), fakeID, sensitive.New(fakeRefresh))
		if err == nil {
			if token.AccessToken.Empty() || token.RefreshToken.Empty() || !token.ExpiresAt.After(today) || token.ClientID != fakeID {
				t.Errorf("incomplete token %v", token)
			}
			return
		}
		var failed *lwa.Error
		if !errors.As(err, &failed) || token != (lwa.Token{}) {
			t.Fatalf("token %v with error %v", token, err)
		}
		if !possible(failed) {
			t.Errorf("an error that may quote the answer: %v", err)
		}
	})
}

// possible reports whether the text of an error is one of those that there are
// for its status.
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
	for _, text := range texts {
		if failed.Error() == text {
			return true
		}
	}
	return false
}
