package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

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

// directPair is link without a network.
func directPair(t testing.TB, sim *simulator.Simulator) pair {
	t.Helper()
	code := sim.Code(alexa.EU, "amzn-1").Reveal()
	recorder := directForm(sim, form("grant_type", "authorization_code", "code", code).Encode())
	return decodePair(t, recorder.Body.String())
}

func directForm(handler http.Handler, form string) *httptest.ResponseRecorder {
	request := httptest.NewRequest("POST", "/auth/o2/token", strings.NewReader(form))
	request.Header.Set("Content-Type", formType)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}
