package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/pump"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
		defer cancel()
		began := time.Now()
		var calls []time.Duration
		schedule(ctx, 5*time.Minute, func(context.Context) { calls = append(calls, time.Since(began)) })
		if diff := cmp.Diff([]time.Duration{5 * time.Minute, 10 * time.Minute}, calls); diff != "" {
			t.Errorf("calls differ (-want +got):\n%s", diff)
		}
	})
}

func TestAddressOfATakenPort(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(listener.Addr().String())
	port, _ := strconv.Atoi(text)
	if got := address(port); got != loopback+":0" {
		t.Errorf("address() of a taken port = %s", got)
	}
	if got, err := freePort(port); err != nil || got == text || got == "0" {
		t.Errorf("freePort() of a taken port = %s, %v", got, err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if got := address(port); got != listener.Addr().String() {
		t.Errorf("address() of a free port = %s, want %s", got, listener.Addr())
	}
}

func TestKeysetIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	place := seal.Place{Customer: "c", Grant: "g", Field: "f"}
	path, err := keysetFile()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := openKeyset(t, path).Seal(sensitive.New("Atza|fake-kept"), place)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keysetFile()
	if err != nil || again != path || !strings.HasPrefix(path, dir) {
		t.Fatalf("keysetFile() = %s and then %s, %v", path, again, err)
	}
	if opened, err := openKeyset(t, again).Open(sealed, place); err != nil || !opened.Equal(sensitive.New("Atza|fake-kept")) {
		t.Errorf("what the first run sealed does not open: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info.Mode(), err)
	}
}

func openKeyset(t *testing.T, path string) *seal.Sealer {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(sensitive.New(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

// TestAcceptedAtHome sends a report to a gateway itself.
func TestAcceptedAtHome(t *testing.T) {
	t.Parallel()
	const sample = "2026-01-02T03:04:05.678Z"
	for _, test := range []struct {
		name   string
		region alexa.Region
		sample string
		want   string
	}{
		{"right gateway", home, sample, ""},
		{"wrong gateway", alexa.NA, sample, "accepted by the gateway of NA, and not of EU"},
		{"another report", home, "2026-01-02T03:04:05.679Z", "no gateway accepted it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sim := simulator.New(simulator.Options{})
			send(t, sim, test.region, test.sample)
			got := ""
			if err := (&stack{sim: sim}).acceptedAtHome(sample); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// send sends a report as SendEvent would.
func send(t *testing.T, sim *simulator.Simulator, region alexa.Region, sample string) {
	t.Helper()
	client := simulator.DefaultClient()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {sim.Code(region, amazonUser).Reveal()},
		"client_id": {client.ID}, "client_secret": {client.Secret.Reveal()}}
	exchange := httptest.NewRequest(http.MethodPost, "/auth/o2/token", strings.NewReader(form.Encode()))
	exchange.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	sim.ServeHTTP(recorder, exchange)
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &tokens); err != nil {
		t.Fatal(err)
	}
	event, _, err := alexa.DecodeEvent([]byte(strings.Replace(report("lamp-1"), `"ON"`, `"ON","timeOfSample":"`+sample+`"`, 1)), time.Now(), alexa.CheckStrict)
	if err != nil {
		t.Fatal(err)
	}
	body := event.Append(nil, "message-1", sensitive.New(tokens.AccessToken))
	report := httptest.NewRequest(http.MethodPost, "/v3/events", strings.NewReader(string(body)))
	report.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	report.Header.Set("Content-Type", "application/json")
	recorder = httptest.NewRecorder()
	sim.GatewayHandler(region).ServeHTTP(recorder, report)
	if recorder.Code != http.StatusAccepted {
		t.Fatalf("the gateway answered %d", recorder.Code)
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		delivery pump.Delivery
		want     string
	}{
		{"accepted", pump.Delivery{Status: 200, Body: []byte(`{"outcomes":[{"grantId":"g","outcome":"accepted"}]}`)}, "status 200, accepted"},
		{"two grants", pump.Delivery{Status: 503, Body: []byte(`{"outcomes":[{"outcome":"accepted"},{"outcome":"retry","code":"THROTTLING_EXCEPTION"}]}`)},
			"status 503, accepted, retry THROTTLING_EXCEPTION"},
		{"wrong", pump.Delivery{Status: 422, Body: []byte(`{"outcomes":[{"outcome":"dead_letter","code":"INVALID_EVENT"}],"error":"userId: missing"}`)},
			"status 422, dead_letter INVALID_EVENT, userId: missing"},
		{"no grant", pump.Delivery{Status: 200, Body: []byte(`{"outcomes":[]}`)}, "status 200, no grant"},
		{"not JSON", pump.Delivery{Status: 500, Body: []byte(`oops`)}, "status 500"},
		{"no answer", pump.Delivery{Err: context.DeadlineExceeded}, "no answer (context deadline exceeded)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := outcomes(test.delivery); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestNoGrantRows: only the log line says why an event had no grant to go to. The
// screen shows it also when it shows no logs.
func TestNoGrantRows(t *testing.T) {
	t.Parallel()
	for _, logs := range []bool{false, true} {
		var shown, logged strings.Builder
		log := logger(options{logs: logs}, &screen{w: &shown}, &logged)
		log.Info("SendEvent", "event_id", "m1", "outcome", "accepted")
		log.Info("SendEvent", "event_id", "m2", "outcome", "no_grant", "reason", "why")
		log.Info("SendEvent", "event_id", "m3", "outcome", "elsewhere", "reason", "why")
		if got, want := shown.String(), "  event             m2: no_grant, why\n  event             m3: elsewhere, why\n"; got != want {
			t.Errorf("logs %t: shown %q, want %q", logs, got, want)
		}
		if got := strings.Count(logged.String(), "\n"); got != map[bool]int{true: 3}[logs] {
			t.Errorf("logs %t: %d lines", logs, got)
		}
	}
}

func TestSwept(t *testing.T) {
	t.Parallel()
	const row = "  sweep       1 ms  "
	for _, test := range []struct {
		name, answer string
		acknowledged bool
		want         string
	}{
		{"nothing due", `{"remaining":false}`, true, ""},
		{"refreshed", `{"refreshed":2,"revoked":1}`, true, row + "a shard's tokens: 2 refreshed, 0 refused, 1 revoked, 0 failed\n"},
		{"refused for the first time", `{"refused":1}`, true, row + "a shard's tokens: 0 refreshed, 1 refused, 0 revoked, 0 failed\n"},
		{"failed", `{"failed":{"sealed":1,"internal":2}}`, true, row + "a shard's tokens: 0 refreshed, 0 refused, 0 revoked, 3 failed\n"},
		{"not taken", `oops`, false, row + "a shard failed with status 503; again in 2s\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var shown strings.Builder
			s := &stack{screen: &screen{w: &shown}, over: make(chan struct{})}
			close(s.over)
			s.swept(pump.Delivery{Body: []byte(test.answer), Acknowledged: test.acknowledged, Status: 503, Backoff: 2 * time.Second, Took: time.Millisecond})
			if shown.String() != test.want {
				t.Errorf("got %q, want %q", shown.String(), test.want)
			}
		})
	}
}
