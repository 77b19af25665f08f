package accesstest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"

	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// InBubble is [New] for a test in a bubble of package testing/synctest, where time
// advances when all goroutines wait. The world's clock is the bubble's, so that
// leases and waits agree on the time. The network does not work in a bubble: the
// clients call the simulator directly.
func InBubble(t *testing.T, options simulator.Options) *World {
	t.Helper()
	w := &World{Clock: &Clock{bubble: true}, Store: grantmem.New()}
	options.Now = w.Now
	w.Sim = simulator.New(options)
	client := simulator.DefaultClient()
	w.LWA = lwa.New(mustParse(t, "http://lwa.test/auth/o2/token"), direct(w.Sim),
		[]lwa.Credentials{{ClientID: client.ID, ClientSecret: client.Secret}}, w.Now)
	var err error
	if w.Sealer, err = seal.NewEphemeral(); err != nil {
		t.Fatal(err)
	}
	return w
}

// direct returns a client whose requests are handled in the calling goroutine.
func direct(handler http.Handler) *http.Client {
	return &http.Client{Transport: directly{handler}}
}

type directly struct{ http.Handler }

// RoundTrip implements [http.RoundTripper]. A handler that panics with
// http.ErrAbortHandler, as the simulator does to close a connection, gives no
// answer.
func (d directly) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	defer func() {
		switch gaveUp := recover(); {
		case gaveUp == nil:
		case r.Context().Err() != nil:
			answer, err = nil, r.Context().Err()
		case gaveUp == http.ErrAbortHandler:
			answer, err = nil, io.ErrUnexpectedEOF
		default:
			panic(gaveUp)
		}
	}()
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.WroteHeaders()
	}
	recorder := httptest.NewRecorder()
	d.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}
