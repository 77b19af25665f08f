package lwa_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

func TestAccount(t *testing.T) {
	t.Parallel()
	const token = "Atza|canary+/="
	tests := []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		{"known", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"aud":"amzn1.application-oa2-client.fake","user_id":"amzn1.account.FAKE","exp":3500}`)
		}, "amzn1.account.FAKE"},
		{"refused", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":"invalid_token","user_id":"x","echo":%q}`, r.URL)
		}, ""},
		{"no user", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"aud":"x"}`) }, ""},
		{"page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<html>`) }, ""},
		{"reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/tokeninfo" || r.URL.Query().Get("access_token") != token {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				test.answer(w, r)
			}))
			defer server.Close()
			tokenInfo, err := url.Parse(server.URL + "/tokeninfo")
			if err != nil {
				t.Fatal(err)
			}
			client := lwa.New(tokenInfo, transport.NewClient(1), nil, time.Now)
			got, err := client.Account(t.Context(), tokenInfo, sensitive.New(token))
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows the token: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := client.Account(ctx, tokenInfo, sensitive.New(token)); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
}
