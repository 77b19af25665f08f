package simulator_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

func TestServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	want := map[string]string{
		"LWA_TOKEN_URL": r.LWATokenURL, "LWA_TOKENINFO_URL": r.LWATokenInfoURL,
		"EVENT_GATEWAY_NA": r.GatewayURL(alexa.NA), "EVENT_GATEWAY_EU": r.GatewayURL(alexa.EU), "EVENT_GATEWAY_FE": r.GatewayURL(alexa.FE),
	}
	if diff := cmp.Diff(want, r.Env()); diff != "" {
		t.Errorf("Env (-want +got):\n%s", diff)
	}
	hosts := map[string]bool{}
	for name, value := range r.Env() {
		parsed, err := url.Parse(value)
		if err != nil {
			t.Fatal(err)
		}
		hosts[parsed.Host] = true
		if ip := net.ParseIP(parsed.Hostname()); !ip.IsLoopback() {
			t.Errorf("%s = %s is not on the loopback interface", name, value)
		}
		if strings.HasPrefix(name, "EVENT_") && parsed.Path != "" {
			t.Errorf("%s = %s has a path", name, value)
		}
	}
	if len(hosts) != 4 {
		t.Errorf("%d listeners, want 4", len(hosts))
	}
	for _, region := range alexa.Regions() {
		if got := r.report(region, r.link(region, "amzn-1").Access); got.status != 202 {
			t.Errorf("%s: answered %d, want 202", region, got.status)
		}
		if seen := r.Events(region); len(seen) != 1 {
			t.Errorf("%s: %d events on record, want 1", region, len(seen))
		}
	}
}

func TestServerAddresses(t *testing.T) {
	t.Parallel()
	taken := newRig(t, simulator.Options{})
	parsed, err := url.Parse(taken.GatewayURL(alexa.FE))
	if err != nil {
		t.Fatal(err)
	}
	sim := simulator.New(simulator.Options{})
	if _, err := simulator.StartOn(sim, simulator.Addresses{FE: parsed.Host}); err == nil {
		t.Error("no error for a port that is taken")
	} else if opError, ok := errors.AsType[*net.OpError](err); !ok || opError.Addr.String() != parsed.Host {
		t.Errorf("error %v does not hold the address %s", err, parsed.Host)
	}
	if _, err := simulator.StartOn(sim, simulator.Addresses{LWA: "nowhere"}); err == nil {
		t.Error("no error for an address without a port")
	}
	everywhere, err := simulator.StartOn(sim, simulator.Addresses{LWA: ":0", NA: "[::1]:0"})
	if err != nil {
		everywhere, err = simulator.StartOn(sim, simulator.Addresses{LWA: ":0"}) // a machine without IPv6
	}
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(everywhere.LWATokenURL, "http://localhost:") {
		t.Errorf("LWATokenURL = %s, want a host that can be dialled", everywhere.LWATokenURL)
	}
	if err := everywhere.Close(); err != nil {
		t.Error(err)
	}
}

// TestCloseEndsDelayedRequests hangs if Close does not.
func TestCloseEndsDelayedRequests(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	server, err := simulator.Start(sim)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Simulator: sim, Server: server, t: t}
	arrived := make(chan struct{})
	sim.Script(simulator.Refresh, simulator.Fault{Delay: time.Hour, Match: func(simulator.Request) bool {
		close(arrived)
		return true
	}})
	answered := make(chan reply)
	go func() { answered <- r.refresh("Atzr|fake") }()
	<-arrived
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if got := <-answered; got.err == nil || errors.Is(got.err, context.Canceled) {
		t.Errorf("answered %d, error %v, want a broken connection", got.status, got.err)
	}
	if err := server.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
}

func TestIdentityProvider(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	tests := []struct {
		name, method, path, authorization string
		status                            int
		body                              string
	}{
		{"grantee token", "GET", "", "Bearer grantee-u-1", 200, `{"sub":"u-1"}`},
		{"customer with a quote", "GET", "", `Bearer grantee-"`, 200, `{"sub":"\""}`},
		{"another token", "GET", "", "Bearer Atza|fake", 401, `{"error":"invalid_token"}`},
		{"of nobody", "GET", "", "Bearer grantee-", 401, `{"error":"invalid_token"}`},
		{"another scheme", "GET", "", "Basic grantee-u-1", 401, `{"error":"invalid_token"}`},
		{"none", "GET", "", "", 401, `{"error":"invalid_token"}`},
		{"POST", "POST", "", "Bearer grantee-u-1", 405, "Method Not Allowed\n"},
		{"another path", "GET", "/more", "Bearer grantee-u-1", 404, "404 page not found\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request := r.request(test.method, r.UserInfoURL+test.path, "", "")
			request.Header.Set("Authorization", test.authorization)
			got := send(request)
			if got.status != test.status || got.body != test.body {
				t.Errorf("answered %d %q, want %d %q", got.status, got.body, test.status, test.body)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (challenge != "") != (test.status == 401) {
				t.Errorf("WWW-Authenticate = %q", challenge)
			}
		})
	}
	if seen := r.Requests(); len(seen) != 0 {
		t.Errorf("%d requests on record, want none: they are not Amazon's", len(seen))
	}
}
