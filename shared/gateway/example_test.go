package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

func ExampleClient() {
	// Stands for https://api.eu.amazonalexa.com and knows one token.
	amazon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer Atza|fake-access" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"payload":{"code":"INVALID_ACCESS_TOKEN_EXCEPTION","description":"Access token is not valid."}}`)
	}))
	defer amazon.Close()
	baseURL, err := url.Parse(amazon.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := gateway.New(alexa.EU, baseURL, transport.NewClient(80))

	event := []byte(`{"event":{"header":{"namespace":"Alexa","name":"ChangeReport"}}}`)
	receipt, err := client.Send(context.Background(), sensitive.New("Atza|fake-access"), event)
	fmt.Println(receipt.Status, err)

	_, err = client.Send(context.Background(), sensitive.New("Atza|fake-expired"), event)
	fmt.Println(err)
	fmt.Println(errors.Is(err, gateway.ErrInvalidAccessToken))
	// Output:
	// 202 <nil>
	// gateway EU: invalid access token (status 401, code "INVALID_ACCESS_TOKEN_EXCEPTION", request "")
	// true
}
