package access_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestManyProcesses has 50 processes refresh 200 grants over and over, while
// Login with Amazon ends every refresh token as soon as it gives another. Each
// grant is refreshed once in each round, and all processes get what that
// brought.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	const processes, customers, rounds = 50, 200, 3
	seed := seeds(t, 1)[0]
	tellSeed(t, seed)
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		users := names(customers)
		ids := crowd(t, w, users)
		machines := make([]*machine, processes)
		for i := range machines {
			machines[i] = newMachine(w, newWitness(), fmt.Sprint("process-", i), rand.New(rand.NewPCG(seed, uint64(i))), fate{})
		}
		for round := 1; round <= rounds; round++ {
			w.Forward(2 * time.Hour) // all tokens have expired
			got := newTokens()
			var all sync.WaitGroup
			for i, m := range machines {
				all.Go(func() { m.visit(t, order(m, users, i%2 == 0), ids, ways[i%len(ways)], int64(round), got) })
			}
			all.Wait()
			checkRound(t, w, users, round)
		}
		checkAlive(t, w, users, ids, rounds+1)
	})
}

func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("u-", i)
	}
	return list
}

// order is the order in which a process visits customers: that of all others
// who march, so that they meet at each customer, or its own.
func order(m *machine, users []string, march bool) []string {
	if march {
		return users
	}
	users = slices.Clone(users)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draw.Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
	return users
}

// way is a way to want a token of a grant whose token of a version is no use.
type way func(t *testing.T, s *access.Source, userID, id string, version int64) (access.Token, error)

// ways are what SendEvent does before it sends, what the sweep does, and what
// SendEvent does when the gateway refuses a token.
var ways = []way{
	func(t *testing.T, s *access.Source, userID, id string, version int64) (access.Token, error) {
		record, err := s.Store.Read(t.Context(), accesstest.Key(userID))
		if err != nil {
			return access.Token{}, err
		}
		return s.Token(t.Context(), record, id)
	},
	func(t *testing.T, s *access.Source, userID, id string, version int64) (access.Token, error) {
		record, err := s.Store.Read(t.Context(), accesstest.Key(userID))
		if err != nil || record.Grants[id].TokenVersion > version {
			return access.Token{Version: version + 1}, err // it is not due any more
		}
		return s.Refresh(t.Context(), record, id)
	},
	func(t *testing.T, s *access.Source, userID, id string, version int64) (access.Token, error) {
		return s.Renew(t.Context(), accesstest.Key(userID), id, version)
	},
}

// visit has a process want a token of each customer in turn.
func (m *machine) visit(t *testing.T, users []string, ids map[string]string, want way, version int64, got *tokens) {
	for _, userID := range users {
		token, err := want(t, m.source, userID, ids[userID], version)
		if err != nil || token.Version != version+1 {
			t.Errorf("%s got version %d of %s, want %d: %v", m.source.Owner, token.Version, userID, version+1, err)
			continue
		}
		if !token.Access.Empty() && !got.same(userID, token) {
			t.Errorf("%s got another token of %s than others", m.source.Owner, userID)
		}
	}
}

// tokens is the access tokens that processes got in one round.
type tokens struct {
	mu    sync.Mutex
	first map[string]access.Token // by customer
}

func newTokens() *tokens { return &tokens{first: make(map[string]access.Token)} }

// same reports whether all got the same token of a customer so far.
func (k *tokens) same(userID string, token access.Token) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	first, ok := k.first[userID]
	if !ok {
		k.first[userID] = token
	}
	return !ok || first.Access.Equal(token.Access)
}

// checkRound checks that Login with Amazon refreshed each grant once in each
// round so far, and was never shown a token that it had replaced.
func checkRound(t *testing.T, w *accesstest.World, users []string, rounds int) {
	t.Helper()
	counts := w.Sim.Counts()
	if counts.RotatedAway != 0 || counts.LWARefused != 0 || counts.Dropped != 0 {
		t.Errorf("round %d: %d refreshes with a token that was rotated away, %d refused, want none", rounds, counts.RotatedAway, counts.LWARefused)
	}
	want, got := make(map[string]int), make(map[string]int)
	for _, userID := range users {
		want[userID] = rounds
	}
	for _, r := range w.Sim.LWARequests() {
		if r.Target == simulator.Refresh && r.Accepted {
			got[r.User]++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("round %d: refreshes by customer differ (-want +got):\n%s", rounds, diff)
	}
}

// checkAlive checks that grants have tokens of a version, and that the tokens
// are worth something: the gateway takes the access token, and Login with
// Amazon the refresh token.
func checkAlive(t *testing.T, w *accesstest.World, users []string, ids map[string]string, version int64) {
	t.Helper()
	process, gateway := w.Process("last"), w.Gateway(t, alexa.EU)
	for _, userID := range users {
		id := ids[userID]
		record := w.Read(t, userID)
		if g := record.Grants[id]; g.State != grant.Active || g.TokenVersion != version || g.Lease != (grant.Lease{}) {
			t.Errorf("%s is %s %s, version %d, lease %v; want active, version %d, no lease", userID, g.State, g.Reason, g.TokenVersion, g.Lease, version)
			continue
		}
		token, err := process.Token(t.Context(), record, id)
		if err != nil || token.Renewed {
			t.Errorf("the stored token of %s cannot be used: %v", userID, err)
			continue
		}
		if _, err := gateway.Send(t.Context(), token.Access, report(t, w, token)); err != nil {
			t.Errorf("the stored token of %s: %v", userID, err)
		}
		if next, err := process.Refresh(t.Context(), record, id); err != nil || next.Version != version+1 {
			t.Errorf("the stored refresh token of %s: version %d, %v", userID, next.Version, err)
		}
	}
}

// report is an event that the gateway takes if it takes the token.
func report(t *testing.T, w *accesstest.World, token access.Token) []byte {
	t.Helper()
	event, _, err := alexa.DecodeEvent([]byte(`{"userId":"u","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION","changed":[
		{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}`), w.Now(), alexa.CheckStrict)
	if err != nil {
		t.Fatal(err)
	}
	return event.Append(nil, "message-1", token.Access)
}
