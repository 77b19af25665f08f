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

// InBubble is [New] for a test in a bubble of package testing/synctest, where
// time passes by itself, and at once, whenever all wait. The world's clock is
// the bubble's, so that the end of a lease and those who wait for it agree. No
// network reaches into a bubble: the clients call the simulator directly.
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

// direct returns a client whose requests a handler answers in their own
// goroutine.
func direct(handler http.Handler) *http.Client {
	return &http.Client{Transport: directly{handler}}
}

type directly struct{ http.Handler }

// RoundTrip implements [http.RoundTripper]. A handler that gives up, as the
// simulator does to close a connection, is an answer that never came.
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
