package access_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// killPoint is a point of a refresh at which its process may die, or freeze.
type killPoint int

const (
	never        killPoint = iota
	beforeCall             // dies with the lease, before the call of Login with Amazon
	answered               // dies after the answer, with nothing saved
	stalled                // freezes there for longer than the lease, and goes on
	onSave                 // dies when the write is made, before its answer
	afterRefresh           // dies after the refresh
	killPoints
)

// stallTime is longer than a lease.
const stallTime = 40 * time.Second

// fate is where a machine dies: at the nth visit of a kill point.
type fate struct {
	killPoint killPoint
	nth       int
}

// machine runs one process of a test, in a bubble. Each of its calls to the store
// or to Login with Amazon takes a random time each way, so that the calls of many
// processes interleave. When the machine dies, calls in flight return nothing, and
// no new call is made.
type machine struct {
	world    *accesstest.World
	recorder *recorder
	source   *access.Source

	mu   sync.Mutex
	draw *rand.Rand
	fate fate
	dead bool
}

// newMachine starts a process; owner must be unique in a world.
func newMachine(w *accesstest.World, seen *recorder, owner string, draw *rand.Rand, end fate) *machine {
	m := &machine{world: w, recorder: seen, source: w.Process(owner), draw: draw, fate: end}
	announcer := w.Announcer()
	announcer.Store = remoteStore{w.Store, m}
	m.source.Store, m.source.LWA, m.source.Announce = announcer.Store, remoteLWA{w.LWA, m}, announcer
	return m
}

var errDead = errors.New("the process is dead")

// visit counts a visit of a kill point, and returns whether it is the fatal one.
func (m *machine) visit(now killPoint) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now != m.fate.killPoint {
		return false
	}
	m.fate.nth--
	return m.fate.nth == 0
}

// reach visits a kill point, and returns errDead if the machine is dead then.
func (m *machine) reach(now killPoint) error {
	fatal := m.visit(now)
	m.mu.Lock()
	m.dead = m.dead || fatal
	m.mu.Unlock()
	return m.alive()
}

// alive returns errDead if the machine is dead.
func (m *machine) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	return nil
}

// delay takes a random time up to most.
func (m *machine) delay(ctx context.Context, most time.Duration) error {
	m.mu.Lock()
	takes := time.Duration(m.draw.Int64N(int64(most)))
	m.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	return errors.Join(m.alive(), ctx.Err())
}

// remote makes a call with a delay before it and after it.
func remote[T any](ctx context.Context, m *machine, most time.Duration, call func() (T, error)) (T, error) {
	var nothing T
	if err := m.delay(ctx, most); err != nil {
		return nothing, err
	}
	result, err := call()
	if lost := m.delay(ctx, most); lost != nil {
		return nothing, lost
	}
	return result, err
}

const (
	storeTakes = 10 * time.Millisecond  // each way, at most
	lwaTakes   = 100 * time.Millisecond // each way, at most
)

// remoteStore is the part of the store that a Source needs, with delays.
type remoteStore struct {
	grant.Store
	m *machine
}

func (s remoteStore) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	return remote(ctx, s.m, storeTakes, func() (grant.Record, error) { return s.Store.Read(ctx, key) })
}

func (s remoteStore) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	return remote(ctx, s.m, storeTakes, func() (grant.Record, error) {
		written, err := s.Store.Write(ctx, was, now)
		if err == nil && s.m.recorder.wrote(was, now, s.m.world.Now()) {
			err = s.m.reach(onSave)
		}
		return written, err
	})
}

// remoteLWA is Login with Amazon with delays.
type remoteLWA struct {
	access.Refresher
	m *machine
}

func (l remoteLWA) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error) {
	if err := l.m.reach(beforeCall); err != nil {
		return lwa.Token{}, err
	}
	// A frozen process still gets the answer.
	return remote(context.WithoutCancel(ctx), l.m, lwaTakes, func() (lwa.Token, error) {
		token, err := l.Refresher.Refresh(ctx, clientID, refreshToken)
		if err == nil {
			l.m.recorder.gave(l.m, customerOf(ctx))
			err = l.m.reach(answered)
			if l.m.visit(stalled) {
				l.m.recorder.stalls(customerOf(ctx))
				l.m.world.Forward(stallTime)
			}
		}
		return token, err
	})
}

type customerKey struct{}

// withCustomer puts the customer into the context of its calls, because the refresh
// token does not tell.
func withCustomer(ctx context.Context, userID string) context.Context {
	return context.WithValue(ctx, customerKey{}, userID)
}

func customerOf(ctx context.Context) string {
	userID, _ := ctx.Value(customerKey{}).(string)
	return userID
}

// recorder records the changes of all customers, from every machine.
type recorder struct {
	mu      sync.Mutex
	unsaved map[string]*machine     // by customer: the machine with the newest tokens, if unsaved
	stalled map[string]bool         // customers whose tokens were with a frozen machine
	turns   map[string][]transition // by customer
}

// transition is a change of a grant's state.
type transition struct {
	State  grant.State
	Reason string
	at     time.Time
}

func newRecorder() *recorder {
	return &recorder{unsaved: make(map[string]*machine), stalled: make(map[string]bool), turns: make(map[string][]transition)}
}

// gave records that a machine got tokens of a customer.
func (w *recorder) gave(m *machine, userID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsaved[userID] = m
}

// stalls records that the tokens of a customer are with a frozen machine.
func (w *recorder) stalls(userID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled[userID] = true
}

// wrote records a change of a record, and reports whether it saved tokens.
func (w *recorder) wrote(was, now grant.Record, at time.Time) (saved bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, g := range now.Grants {
		if g.TokenVersion > was.Grants[id].TokenVersion {
			saved = true
			delete(w.unsaved, now.UserID)
		}
		if g.State != was.Grants[id].State {
			w.turns[now.UserID] = append(w.turns[now.UserID], transition{g.State, g.Reason, at})
		}
	}
	return saved
}

// linkAll links customers, each with one grant of an Amazon user of the same name,
// and returns the grant ids by userId.
func linkAll(t *testing.T, w *accesstest.World, users []string) map[string]string {
	t.Helper()
	ids := make(map[string]string, len(users))
	for _, userID := range users {
		ids[userID] = w.Link(t, userID, alexa.EU, userID)
	}
	return ids
}

// seeds returns n seeds for the random tests, the first in FAULT_SEED. The same seed
// repeats a run as far as the scheduling of goroutines allows.
func seeds(t *testing.T, n int) []uint64 {
	t.Helper()
	first := uint64(1)
	if text, ok := os.LookupEnv("FAULT_SEED"); ok {
		var err error
		if first, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("FAULT_SEED: %v", err)
		}
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = first + uint64(i)
	}
	return list
}

// logSeed makes a failed test log how to repeat it.
func logSeed(t *testing.T, seed uint64) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with FAULT_SEED=%d", seed)
		}
	})
}
