// Package accesstest provides the common parts of tests of tokens and delivery: the
// simulator, a store, linked customers, and a clock.
package accesstest

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// Skill is the skill of all customers.
const Skill = "default"

// Clock is a clock that tests move. It begins on 2 January 2026, except in a
// bubble, where it is the bubble's clock: see [InBubble].
type Clock struct {
	bubble bool

	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that moves only by Forward.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	if c.bubble {
		return time.Now().UTC()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Forward moves the clock. In a bubble, other goroutines run in the meantime.
func (c *Clock) Forward(d time.Duration) {
	if c.bubble {
		<-time.After(d)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// World is Amazon, as the simulator implements it, and a store.
type World struct {
	*Clock
	Sim    *simulator.Simulator
	Server *simulator.Server // nil in a bubble
	Store  grant.Store
	Sealer *seal.Sealer
	LWA    *lwa.Client
}

// New starts a world without customers, which is closed after the test.
func New(t testing.TB, options simulator.Options) *World {
	t.Helper()
	w := &World{Clock: NewClock(), Store: grantmem.New()}
	options.Now = w.Now
	w.Sim = simulator.New(options)
	server, err := simulator.Start(w.Sim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Server = server
	return w.connect(t, server.LWATokenURL, transport.NewClient(64))
}

// InBubble is [New] for a test in a bubble of package testing/synctest, where time
// advances when all goroutines wait. The world's clock is the bubble's, so leases
// and waits agree on the time. The network does not work in a bubble: the clients
// call the simulator directly.
func InBubble(t *testing.T, options simulator.Options) *World {
	t.Helper()
	w := &World{Clock: &Clock{bubble: true}, Store: grantmem.New()}
	options.Now = w.Now
	w.Sim = simulator.New(options)
	return w.connect(t, "http://lwa.test/auth/o2/token", direct(w.Sim))
}

// connect makes the client of Login with Amazon and the sealer, which all processes share.
func (w *World) connect(t testing.TB, tokenURL string, client *http.Client) *World {
	t.Helper()
	known := simulator.DefaultClient()
	w.LWA = lwa.New(mustParse(t, tokenURL), client, []lwa.Credentials{{ClientID: known.ID, ClientSecret: known.Secret}}, w.Now)
	var err error
	if w.Sealer, err = seal.NewEphemeral(); err != nil {
		t.Fatal(err)
	}
	return w
}

func mustParse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Key returns a customer's key.
func Key(userID string) grant.Key { return grant.Key{Skill: Skill, UserID: userID} }

// Link gives a customer a grant of an Amazon account, already announced, and
// returns the grant's id.
func (w *World) Link(t testing.TB, userID string, region alexa.Region, amazonUser string) string {
	t.Helper()
	code := w.Sim.Code(region, amazonUser)
	token, err := w.LWA.Exchange(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	key, id := Key(userID), grant.ID(region, Skill, code.Reveal())
	tokens, err := access.Seal(w.Sealer, key, id, token, w.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.Change(t, userID, func(r *grant.Record) {
		r.Link(id, region, "", tokens, w.Now())
		r.Announced(r.Announce, w.Now())
	})
	return id
}

// Change edits a customer's record.
func (w *World) Change(t testing.TB, userID string, edit func(*grant.Record)) {
	t.Helper()
	_, err := grant.Change(t.Context(), w.Store, Key(userID), func(r *grant.Record) error { edit(r); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

// Read returns a customer's record.
func (w *World) Read(t testing.TB, userID string) grant.Record {
	t.Helper()
	record, err := w.Store.Read(t.Context(), Key(userID))
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// Process returns the Source of a process named owner.
func (w *World) Process(owner string) *access.Source {
	return &access.Source{
		Store: w.Store, LWA: w.LWA, Sealer: w.Sealer, Announce: w.Announcer(), Brake: w.Brake(),
		Owner: owner, Now: w.Now,
	}
}

// Brake returns the stack's brake for one process.
func (w *World) Brake() *access.Brake { return access.NewBrake(w.Store, w.Now) }

// Announcer returns an announcer that clears the messages without publishing them.
func (w *World) Announcer() *announce.Announcer {
	return &announce.Announcer{Store: w.Store, Log: slog.New(slog.DiscardHandler), Now: w.Now}
}

// Gateway returns a client of a region's gateway.
func (w *World) Gateway(t testing.TB, region alexa.Region) *gateway.Client {
	t.Helper()
	if w.bubble {
		return gateway.New(region, mustParse(t, region.GatewayURL()), direct(w.Sim))
	}
	return gateway.New(region, mustParse(t, w.Server.GatewayURL(region)), transport.NewClient(64))
}

// Patient returns a patient client of a region's gateway, in a bubble.
func (w *World) Patient(t testing.TB, region alexa.Region) *gateway.Client {
	t.Helper()
	return gateway.NewPatient(region, mustParse(t, region.GatewayURL()), direct(w.Sim))
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
