package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// floorName is the command that this program starts itself with: what an event
// costs that is not looked at. No sender in Go with net/http on both sides can
// be cheaper.
const floorName = "floor"

// Environment of senders that are no Gatepost.
const (
	gatewayEnv = "GATEWAY_URL" // where events go
	eventEnv   = "READY_EVENT" // file of the body that the floor posts
	tokenEnv   = "READY_TOKEN" // file of the token in it
	tokensEnv  = "TOKENS_FILE" // file of JSON: customer to token
)

// floorGOGC lets the floor collect garbage as rarely as Gatepost does: it would
// be no floor otherwise.
const floorGOGC = "400"

// floor posts one and the same body for each request.
type floor struct {
	client *http.Client
	url    string
	bearer string
	body   []byte
}

func floorCommand(_ context.Context, flags *flag.FlagSet, args []string, _ io.Writer) error {
	if err := parse(flags, args, func() error { return nil }); err != nil {
		return err
	}
	body, err := os.ReadFile(os.Getenv(eventEnv))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(os.Getenv(tokenEnv))
	if err != nil {
		return err
	}
	f := &floor{client: transport.NewClient(80), url: os.Getenv(gatewayEnv) + "/v3/events", bearer: "Bearer " + string(token), body: body}
	return http.ListenAndServe(net.JoinHostPort("127.0.0.1", os.Getenv("PORT")), f)
}

// ServeHTTP implements [http.Handler].
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := f.post(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

func (f *floor) post(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(f.body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", f.bearer)
	request.Header.Set("Content-Type", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the gateway answered %d", response.StatusCode)
	}
	return nil
}
