package grantee_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

func Example() {
	// The maker's identity provider knows one token.
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer fake-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"sub":"u-1","name":"Ada"}`)
	}))
	defer provider.Close()

	method, err := grantee.ParseMethod("userinfo:" + provider.URL + "/me")
	if err != nil {
		fmt.Println(err)
		return
	}
	resolver, err := grantee.New(method, grantee.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	userID, err := resolver.Resolve(context.Background(), sensitive.New("fake-token"))
	fmt.Println(userID, err)

	_, err = resolver.Resolve(context.Background(), sensitive.New("fake-other-token"))
	fmt.Println(errors.Is(err, grantee.ErrRejected), err)

	// Output:
	// u-1 <nil>
	// true grantee: token rejected: userinfo: the identity provider refused it (HTTP 401)
}
