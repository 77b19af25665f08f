package simulator_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
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

// TestHosts drives one listener, as a proxy that keeps the Host header would.
func TestHosts(t *testing.T) {
	t.Parallel()
	sim := simulator.New(simulator.Options{})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	gateways := map[alexa.Region]string{}
	for _, region := range alexa.Regions() {
		one := httptest.NewServer(sim.GatewayHandler(region))
		t.Cleanup(one.Close)
		gateways[region] = one.URL
	}
	tests := []struct {
		name, method, host, path string
		status                   int
		allow                    string
		target                   simulator.Target
	}{
		{"NA", "POST", "api.amazonalexa.com", "/v3/events", 401, "", "gateway/NA"},
		{"EU", "POST", "api.eu.amazonalexa.com", "/v3/events", 401, "", "gateway/EU"},
		{"FE", "POST", "api.fe.amazonalexa.com", "/v3/events", 401, "", "gateway/FE"},
		{"with a port", "POST", "API.EU.amazonalexa.com:443", "/v3/events", 401, "", "gateway/EU"},
		{"LWA", "POST", "api.amazon.com", "/auth/o2/token", 500, "", "lwa/token"},
		{"unnamed", "GET", "", "/auth/o2/tokeninfo", 400, "", "lwa/tokeninfo"},
		{"event to LWA", "POST", "api.amazon.com", "/v3/events", 404, "", ""},
		{"token request to a gateway", "POST", "api.amazonalexa.com", "/auth/o2/token", 404, "", ""},
		{"control at a gateway", "GET", "api.amazonalexa.com", "/simulator/counts", 404, "", ""},
		{"unknown path", "POST", "api.amazonalexa.com", "/v2/events", 404, "", ""},
		{"GET event", "GET", "api.amazonalexa.com", "/v3/events", 405, "POST", ""},
		{"GET token", "GET", "", "/auth/o2/token", 405, "POST", ""},
		{"POST tokeninfo", "POST", "", "/auth/o2/tokeninfo", 405, "GET, HEAD", ""},
		{"handler of NA", "POST", gateways[alexa.NA], "/v3/events", 401, "", "gateway/NA"},
		{"handler of EU", "POST", gateways[alexa.EU], "/v3/events", 401, "", "gateway/EU"},
		{"handler of FE", "POST", gateways[alexa.FE], "/v3/events", 401, "", "gateway/FE"},
	}
	for _, test := range tests { // in order: each looks at the record's last request
		base := server.URL
		if strings.HasPrefix(test.host, "http://") {
			base, test.host = test.host, ""
		}
		request, err := http.NewRequestWithContext(t.Context(), test.method, base+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		before := len(sim.Requests())
		got := send(request)
		if got.status != test.status || got.header.Get("Allow") != test.allow {
			t.Errorf("%s: answered %d, Allow %q, want %d, %q", test.name, got.status, got.header.Get("Allow"), test.status, test.allow)
		}
		var target simulator.Target
		if seen := sim.Requests(); len(seen) > before {
			target = seen[len(seen)-1].Target
		}
		if target != test.target {
			t.Errorf("%s: recorded as %q, want %q", test.name, target, test.target)
		}
	}
	recorder := httptest.NewRecorder()
	sim.GatewayHandler("XX").ServeHTTP(recorder, httptest.NewRequest("POST", "/v3/events", nil))
	if recorder.Code != 404 {
		t.Errorf("gateway of an unknown region answered %d, want 404", recorder.Code)
	}
}

// BenchmarkEvent is what an accepted event costs without the network: it must
// stay small beside what a load test measures.
func BenchmarkEvent(b *testing.B) {
	sim := simulator.New(simulator.Options{})
	token := directPair(b, sim).Access
	handler, body := sim.GatewayHandler(alexa.EU), withToken(changeReport, token)
	b.ReportAllocs()
	for b.Loop() {
		direct(b.Context(), handler, body, token)
	}
	if got := sim.Counts().Accepted; got < int64(b.N) {
		b.Fatalf("%d accepted of %d", got, b.N)
	}
}

// BenchmarkRefresh is what a refresh costs without the network.
func BenchmarkRefresh(b *testing.B) {
	sim := simulator.New(simulator.Options{KeepRefreshToken: true})
	values := form("grant_type", "refresh_token", "refresh_token", directPair(b, sim).Refresh).Encode()
	b.ReportAllocs()
	for b.Loop() {
		directForm(sim, values)
	}
	if got := sim.Counts().Refreshes; got < int64(b.N) {
		b.Fatalf("%d refreshes of %d", got, b.N)
	}
}
