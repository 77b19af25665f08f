package binary_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// One function of the program, from the build to SIGTERM.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "gatepost-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program, err := binary.Build(ctx, dir)
	if err != nil {
		log.Fatal(err)
	}

	process, err := binary.Start(program, map[string]string{
		"FUNCTION_TARGET": "RefreshTokens",
		"ALEXA_REGIONS":   "EU",
		"GRANT_STORE":     "memory",
		"LWA_CREDENTIALS": "env:LWA_CLIENT",
		"LWA_CLIENT":      `{"client_id":"amzn1.application-oa2-client.fake","client_secret":"fake"}`,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer process.Kill()
	if err := process.Ready(ctx); err != nil {
		log.Fatal(err)
	}
	response, err := http.Post(process.URL(), "application/json", nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = response.Body.Close()
	fmt.Println("RefreshTokens answers", response.StatusCode)

	if err := process.Terminate(); err != nil {
		log.Fatal(err)
	}
	status, err := process.Wait(ctx)
	fmt.Println("ended with status", status, err)

	// Output:
	// RefreshTokens answers 200
	// ended with status 0 <nil>
}
