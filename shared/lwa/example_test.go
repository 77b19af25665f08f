package lwa_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

func ExampleClient() {
	// Stands for https://api.amazon.com/auth/o2/token. It knows one code, and no
	// refresh token.
	amazon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.PostFormValue("code") == "ANfakecode" {
			_, _ = io.WriteString(w, `{"access_token":"Atza|fake","refresh_token":"Atzr|fake","token_type":"bearer","expires_in":3600}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"The request has an invalid grant parameter : refresh_token."}`)
	}))
	defer amazon.Close()
	tokenURL, err := url.Parse(amazon.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	credentials, err := lwa.ParseCredentials(sensitive.New(`{"client_id":"amzn1.fake","client_secret":"fake-secret"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := func() time.Time { return time.Date(2026, time.January, 2, 3, 0, 0, 0, time.UTC) }
	client := lwa.New(tokenURL, transport.NewClient(80), credentials, now)

	token, err := client.Exchange(context.Background(), sensitive.New("ANfakecode"))
	fmt.Println(token.AccessToken, token.ExpiresAt.Format(time.TimeOnly), err)

	_, err = client.Refresh(context.Background(), token.ClientID, token.RefreshToken)
	fmt.Println(err)
	fmt.Println(errors.Is(err, lwa.ErrInvalidGrant))
	// Output:
	// [redacted] 04:00:00 <nil>
	// login with amazon: refresh: invalid grant (status 400, error "invalid_grant")
	// true
}
