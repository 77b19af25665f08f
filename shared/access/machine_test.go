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

// moment is a point in the life of a refresh at which its process may die, or
// stand still.
type moment int

const (
	never       moment = iota
	toAsk              // dies when the lease is taken, and before Login with Amazon is asked
	answered           // dies when it has answered, and nothing of that is saved
	stalled            // stands still at that moment, for longer than the lease, and goes on
	whileSaving        // dies when the answer is saved, and never hears of it
	afterwards         // dies when all is done
	moments
)

// stallTime is longer than a lease.
const stallTime = 40 * time.Second

// fate is what becomes of a machine when the moment comes for the nth time.
type fate struct {
	moment moment
	nth    int
}

// machine is what one process of a test runs on, in a bubble. Every call that
// the process makes to the store or to Login with Amazon takes a drawn time
// each way, so that the calls of many processes meet in ever different orders.
// When the machine dies nothing comes back from calls that are under way, and
// none gets out any more.
type machine struct {
	world   *accesstest.World
	witness *witness
	source  *access.Source

	mu   sync.Mutex
	draw *rand.Rand
	fate fate
	dead bool
}

// newMachine starts a process; no two of a world may have one name.
func newMachine(w *accesstest.World, seen *witness, owner string, draw *rand.Rand, end fate) *machine {
	m := &machine{world: w, witness: seen, source: w.Process(owner), draw: draw, fate: end}
	announcer := w.Announcer()
	announcer.Store = farStore{w.Store, m}
	m.source.Store, m.source.LWA, m.source.Announce = announcer.Store, farLWA{w.LWA, m}, announcer
	return m
}

var errDead = errors.New("the process is dead")

// comes says that a moment has come, and returns whether it is the fatal one.
func (m *machine) comes(now moment) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now != m.fate.moment {
		return false
	}
	m.fate.nth--
	return m.fate.nth == 0
}

// reach is a moment at which the machine may die. It returns errDead if it has.
func (m *machine) reach(now moment) error {
	fatal := m.comes(now)
	m.mu.Lock()
	m.dead = m.dead || fatal
	m.mu.Unlock()
	return m.alive()
}

// alive returns errDead when the machine is dead.
func (m *machine) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	return nil
}

// travel takes up to most of the bubble's time.
func (m *machine) travel(ctx context.Context, most time.Duration) error {
	m.mu.Lock()
	takes := time.Duration(m.draw.Int64N(int64(most)))
	m.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	return errors.Join(m.alive(), ctx.Err())
}

// far makes a call to what is some time away.
func far[T any](ctx context.Context, m *machine, most time.Duration, call func() (T, error)) (T, error) {
	var nothing T
	if err := m.travel(ctx, most); err != nil {
		return nothing, err
	}
	result, err := call()
	if lost := m.travel(ctx, most); lost != nil {
		return nothing, lost
	}
	return result, err
}

const (
	storeTakes = 10 * time.Millisecond  // each way, at most
	lwaTakes   = 100 * time.Millisecond // each way, at most
)

// farStore is the store as a machine sees it: the part that a Source needs.
type farStore struct {
	grant.Store
	m *machine
}

func (s farStore) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	return far(ctx, s.m, storeTakes, func() (grant.Record, error) { return s.Store.Read(ctx, key) })
}

func (s farStore) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	return far(ctx, s.m, storeTakes, func() (grant.Record, error) {
		written, err := s.Store.Write(ctx, was, now)
		if err == nil && s.m.witness.wrote(was, now, s.m.world.Now()) {
			err = s.m.reach(whileSaving)
		}
		return written, err
	})
}

// farLWA is Login with Amazon as a machine sees it.
type farLWA struct {
	access.Refresher
	m *machine
}

func (l farLWA) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error) {
	if err := l.m.reach(toAsk); err != nil {
		return lwa.Token{}, err
	}
	// Whoever stood still finds the answer that came meanwhile.
	return far(context.WithoutCancel(ctx), l.m, lwaTakes, func() (lwa.Token, error) {
		token, err := l.Refresher.Refresh(ctx, clientID, refreshToken)
		if err == nil {
			l.m.witness.gave(l.m, customerOf(ctx))
			err = l.m.reach(answered)
			if l.m.comes(stalled) {
				l.m.witness.stalls(customerOf(ctx))
				l.m.world.Forward(stallTime)
			}
		}
		return token, err
	})
}

type customerKey struct{}

// about says whom the calls with a context are about: the refresh token that
// Login with Amazon is shown does not tell.
func about(ctx context.Context, userID string) context.Context {
	return context.WithValue(ctx, customerKey{}, userID)
}

func customerOf(ctx context.Context) string {
	userID, _ := ctx.Value(customerKey{}).(string)
	return userID
}

// witness sees what becomes of the customers, whoever lives or dies.
type witness struct {
	mu      sync.Mutex
	unsaved map[string]*machine // by customer: who got the newest tokens, which nobody has saved
	stalled map[string]bool     // customers whose tokens were with a machine that stood still
	turns   map[string][]turn   // by customer
}

// turn is a change of a grant's state.
type turn struct {
	State  grant.State
	Reason string
	at     time.Time
}

func newWitness() *witness {
	return &witness{unsaved: make(map[string]*machine), stalled: make(map[string]bool), turns: make(map[string][]turn)}
}

// gave notes that Login with Amazon gave a machine tokens for a customer.
func (w *witness) gave(m *machine, userID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsaved[userID] = m
}

// stalls notes that the tokens of a customer are with a machine that stands
// still.
func (w *witness) stalls(userID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled[userID] = true
}

// wrote notes a change of a record, and reports whether it saved tokens.
func (w *witness) wrote(was, now grant.Record, at time.Time) (saved bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, g := range now.Grants {
		if g.TokenVersion > was.Grants[id].TokenVersion {
			saved = true
			delete(w.unsaved, now.UserID)
		}
		if g.State != was.Grants[id].State {
			w.turns[now.UserID] = append(w.turns[now.UserID], turn{g.State, g.Reason, at})
		}
	}
	return saved
}

// crowd links customers, each of them with one grant, and returns the ids of
// the grants by userId. The Amazon user has the same name as the customer.
func crowd(t *testing.T, w *accesstest.World, users []string) map[string]string {
	t.Helper()
	ids := make(map[string]string, len(users))
	for _, userID := range users {
		ids[userID] = w.Link(t, userID, alexa.EU, userID)
	}
	return ids
}

// seeds returns what the random tests draw from: n seeds that are new with
// each run, or the one of FAULT_SEED, which repeats a run as far as the
// scheduling of goroutines can be repeated.
func seeds(t *testing.T, n int) []uint64 {
	t.Helper()
	if text, ok := os.LookupEnv("FAULT_SEED"); ok {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("FAULT_SEED: %v", err)
		}
		return []uint64{seed}
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = uint64(time.Now().UnixNano()) + uint64(i)
	}
	return list
}

// tellSeed has a test that fails say how to repeat it.
func tellSeed(t *testing.T, seed uint64) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with FAULT_SEED=%d", seed)
		}
	})
}
