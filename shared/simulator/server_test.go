package simulator_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	want := map[string]string{
		"LWA_TOKEN_URL": r.LWATokenURL, "LWA_TOKENINFO_URL": r.LWATokenInfoURL,
		"EVENT_GATEWAY_NA": r.GatewayURL(alexa.NA), "EVENT_GATEWAY_EU": r.GatewayURL(alexa.EU), "EVENT_GATEWAY_FE": r.GatewayURL(alexa.FE),
	}
	expect.Equal(t, "Env", want, r.Env())
	hosts := map[string]bool{}
	for name, value := range r.Env() {
		parsed, err := url.Parse(value)
		if err != nil {
			t.Fatal(err)
		}
		hosts[parsed.Host] = true
		if !net.ParseIP(parsed.Hostname()).IsLoopback() || strings.HasPrefix(name, "EVENT_") && parsed.Path != "" {
			t.Errorf("%s = %s, want no path and a loopback address", name, value)
		}
	}
	if len(hosts) != 4 {
		t.Errorf("listeners = %d, want 4", len(hosts))
	}
	for _, region := range alexa.Regions() {
		got := r.report(region, r.link(region, "amzn-1").Access)
		if seen := r.Events(region); got.status != 202 || len(seen) != 1 {
			t.Errorf("%s: status = %d, events in the journal = %d, want 202, 1", region, got.status, len(seen))
		}
	}
}

func TestServerAddresses(t *testing.T) {
	t.Parallel()
	taken, _ := strings.CutPrefix(newRig(t, simulator.Options{}).GatewayURL(alexa.FE), "http://")
	sim := simulator.New(simulator.Options{})
	_, err := simulator.StartOn(sim, simulator.Addresses{FE: taken})
	if opError, ok := errors.AsType[*net.OpError](err); !ok || opError.Addr.String() != taken {
		t.Errorf("StartOn() with a taken port = %v, want an error with the address %s", err, taken)
	}
	if _, err := simulator.StartOn(sim, simulator.Addresses{LWA: "nowhere"}); err == nil {
		t.Error("StartOn() without a port succeeded, want an error")
	}
	everywhere, err := simulator.StartOn(sim, simulator.Addresses{LWA: ":0", NA: "[::1]:0"})
	if err != nil {
		everywhere, err = simulator.StartOn(sim, simulator.Addresses{LWA: ":0"}) // a machine without IPv6
	}
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(everywhere.LWATokenURL, "http://localhost:") {
		t.Errorf("LWATokenURL = %s, want a host to dial", everywhere.LWATokenURL)
	}
	if err := everywhere.Close(); err != nil {
		t.Error(err)
	}
}

// TestCloseEndsDelayedRequests hangs if Close does not end them.
func TestCloseEndsDelayedRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{}) // closes the server again
	arrived, answered := make(chan struct{}), make(chan reply)
	r.Script(simulator.Refresh, simulator.Fault{Delay: time.Hour, Match: func(simulator.Request) bool {
		close(arrived)
		return true
	}})
	go func() { answered <- r.refresh("Atzr|fake") }()
	<-arrived
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got := <-answered; got.err == nil || errors.Is(got.err, context.Canceled) {
		t.Errorf("status = %d, error = %v, want a broken connection", got.status, got.err)
	}
}

func TestIdentityProvider(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Options{})
	const refused = `{"error":"invalid_token"}`
	for _, test := range []struct {
		name, method, path, authorization string
		status                            int
		body                              string
	}{
		{"grantee token", "GET", "", "Bearer grantee-u-1", 200, `{"sub":"u-1"}`},
		{"customer with a quote", "GET", "", `Bearer grantee-"`, 200, `{"sub":"\""}`},
		{"another token", "GET", "", "Bearer Atza|fake", 401, refused},
		{"of no customer", "GET", "", "Bearer grantee-", 401, refused},
		{"another scheme", "GET", "", "Basic grantee-u-1", 401, refused},
		{"none", "GET", "", "", 401, refused},
		{"POST", "POST", "", "Bearer grantee-u-1", 405, "Method Not Allowed\n"},
		{"another path", "GET", "/more", "Bearer grantee-u-1", 404, "404 page not found\n"},
	} {
		request := r.request(test.method, r.UserInfoURL+test.path, "", "")
		request.Header.Set("Authorization", test.authorization)
		got := send(request)
		challenge := got.header.Get("WWW-Authenticate")
		if got.status != test.status || got.body != test.body || (challenge != "") != (test.status == 401) {
			t.Errorf("%s: answer = %d %q with WWW-Authenticate %q, want %d %q", test.name, got.status, got.body, challenge, test.status, test.body)
		}
	}
	if seen := r.Requests(); len(seen) != 0 {
		t.Errorf("requests in the journal = %d, want none: they are not Amazon's", len(seen))
	}
}

// TestHosts tests one handler behind a proxy that keeps the Host header, and one
// handler for each gateway.
func TestHosts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method, host, path string // a region as host means its handler
		status                   int
		allow                    string
		target                   simulator.Target
	}{
		{"NA", "POST", "api.amazonalexa.com", "/v3/events", 401, "", "gateway/NA"},
		{"EU", "POST", "api.eu.amazonalexa.com", "/v3/events", 401, "", "gateway/EU"},
		{"FE", "POST", "api.fe.amazonalexa.com", "/v3/events", 401, "", "gateway/FE"},
		{"with a port", "POST", "API.EU.amazonalexa.com:443", "/v3/events", 401, "", "gateway/EU"},
		{"LWA", "POST", "api.amazon.com", "/auth/o2/token", 500, "", "lwa/token"},
		{"unnamed", "GET", "localhost", "/auth/o2/tokeninfo", 400, "", "lwa/tokeninfo"},
		{"event to LWA", "POST", "api.amazon.com", "/v3/events", 404, "", ""},
		{"token request to a gateway", "POST", "api.amazonalexa.com", "/auth/o2/token", 404, "", ""},
		{"control at a gateway", "GET", "api.amazonalexa.com", "/simulator/counts", 404, "", ""},
		{"unknown path", "POST", "api.amazonalexa.com", "/v2/events", 404, "", ""},
		{"GET event", "GET", "api.amazonalexa.com", "/v3/events", 405, "POST", ""},
		{"GET token", "GET", "localhost", "/auth/o2/token", 405, "POST", ""},
		{"POST tokeninfo", "POST", "localhost", "/auth/o2/tokeninfo", 405, "GET, HEAD", ""},
		{"handler of NA", "POST", "NA", "/v3/events", 401, "", "gateway/NA"},
		{"handler of EU", "POST", "EU", "/v3/events", 401, "", "gateway/EU"},
		{"handler of FE", "POST", "FE", "/v3/events", 401, "", "gateway/FE"},
		{"handler of no region", "POST", "XX", "/v3/events", 404, "", ""},
	} {
		sim := simulator.New(simulator.Options{})
		request, got := httptest.NewRequest(test.method, test.path, nil), httptest.NewRecorder()
		if request.Host = test.host; len(test.host) == 2 {
			sim.GatewayHandler(alexa.Region(test.host)).ServeHTTP(got, request)
		} else {
			sim.ServeHTTP(got, request)
		}
		var target simulator.Target
		for _, seen := range sim.Requests() {
			target = seen.Target
		}
		if allow := got.Header().Get("Allow"); got.Code != test.status || allow != test.allow || target != test.target {
			t.Errorf("%s: status = %d, Allow = %q, journal = %q; want %d, %q, %q",
				test.name, got.Code, allow, target, test.status, test.allow, test.target)
		}
	}
}

// BenchmarkEvent measures an accepted event without the network: it must cost
// little compared to a load test's events.
func BenchmarkEvent(b *testing.B) {
	sim := simulator.New(simulator.Options{})
	token := directPair(b, sim).Access
	handler, body := sim.GatewayHandler(alexa.EU), withToken(changeReport, token)
	b.ReportAllocs()
	for b.Loop() {
		direct(b.Context(), handler, body, token)
	}
	if got := sim.Counts().Accepted; got < int64(b.N) {
		b.Fatalf("accepted = %d of %d", got, b.N)
	}
}
