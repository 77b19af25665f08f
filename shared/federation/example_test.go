package federation_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/gatepostdev/gatepost/shared/federation"
	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// A Lambda's first two calls of a function on Google Cloud.
func Example() {
	google := federationtest.New(time.Now) // sts.googleapis.com and iamcredentials.googleapis.com
	server := httptest.NewServer(google)
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	role := federationtest.Role() // config.Environ() in a Lambda
	client := federation.New(federation.Config{
		Provider:       federationtest.Provider,
		ServiceAccount: federationtest.ServiceAccount,
		AWSRegion:      federationtest.AWSRegion,
		AWS:            role,
		STSURL:         base.JoinPath("/v1/token"),
		CredentialsURL: base,
	}, transport.NewClient(2), time.Now)

	tokens := federation.NewTokens(client.IDToken, time.Now)
	for range 2 {
		use, err := tokens.Use(context.Background(), "https://accept-grant.example.com")
		if err != nil {
			log.Fatal(err)
		}
		// … the request, with "Authorization: Bearer " + use.Token.Reveal() …
		renewed, err := use.Wait()
		fmt.Println("token:", use.Token, "new:", renewed, err)
	}
	fmt.Println("round trips:", len(google.Calls()))

	// Output:
	// token: [redacted] new: true <nil>
	// token: [redacted] new: false <nil>
	// round trips: 2
}
