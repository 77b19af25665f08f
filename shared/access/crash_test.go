package access_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestCrashes has processes die at every point of a refresh, or freeze until their
// leases expire, while others go on. Only grants may be lost whose new tokens died
// unsaved with their process, and only if Login with Amazon ended the old refresh
// token at once.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		grace time.Duration // of the old refresh token
	}{{"old token ends at once", 0}, {"old token lives on", 24 * time.Hour}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lost, all := 0, seeds(t, 20)
			for _, seed := range all {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					logSeed(t, seed)
					synctest.Test(t, func(t *testing.T) { lost += crashRun(t, seed, test.grace) })
				})
			}
			if len(all) > 1 && (lost == 0) != (test.grace > 0) {
				t.Errorf("lost grants = %d in %d runs, which proves nothing", lost, len(all))
			}
		})
	}
}

// crashRun is one run. It returns how many grants were lost.
func crashRun(t *testing.T, seed uint64, grace time.Duration) int {
	const customers, processes = 18, 10
	w, seen := accesstest.InBubble(t, simulator.Options{OldRefreshTokenGrace: grace}), newRecorder()
	users := names(customers)
	ids := linkAll(t, w, users)
	w.Forward(2 * time.Hour)
	if err := w.Brake().Off(t.Context()); err != nil { // it would keep lost grants
		t.Fatal(err)
	}

	draw := rand.New(rand.NewPCG(seed, 0))
	var all sync.WaitGroup
	for i := range processes {
		end := fate{killPoint(draw.IntN(int(killPoints))), 1 + draw.IntN(4)}
		m := newMachine(w, seen, fmt.Sprint("process-", i), rand.New(rand.NewPCG(seed, uint64(i+1))), end)
		for range 2 {
			mine := order(m, users, false)
			all.Go(func() { m.sweep(t, mine) })
		}
	}
	all.Wait()
	heir := newMachine(w, seen, "heir", rand.New(rand.NewPCG(seed, processes+1)), fate{})
	heir.sweep(t, users)

	// Tokens that Login with Amazon gave and no machine saved are lost. With grace,
	// a frozen machine may have saved tokens that it got for the same old token,
	// which are kept.
	for userID, holder := range seen.unsaved {
		switch {
		case grace > 0 && w.Read(t, userID).Grants[ids[userID]].TokenVersion > 1:
			delete(seen.unsaved, userID)
		case holder.alive() == nil:
			t.Errorf("%s is alive and has not saved the tokens of %s", holder.source.Owner, userID)
		}
	}
	lost := slices.Sorted(maps.Keys(seen.unsaved))
	wantLost(t, w, seen, lost, doubted)
	living := slices.DeleteFunc(users, func(userID string) bool { return slices.Contains(lost, userID) })
	checkAlive(t, w, living, ids, 2)
	w.Forward(time.Hour)
	heir.sweep(t, lost)
	wantLost(t, w, seen, lost, doubted, transition{State: grant.Revoked, Reason: grant.ReasonInvalidGrant})
	return len(lost)
}

// sweep refreshes what is due, until nothing is left or the machine dies.
func (m *machine) sweep(t *testing.T, users []string) {
	for _, userID := range users {
		ctx := withCustomer(t.Context(), userID)
		record, err := m.source.Store.Read(ctx, accesstest.Key(userID))
		for id, g := range record.Grants {
			if g.State == grant.Revoked || g.RefreshDue.IsZero() || g.RefreshDue.After(m.world.Now()) {
				continue
			}
			err = m.refresh(ctx, record, id)
		}
		switch {
		case m.reach(afterRefresh) != nil:
			return
		case err != nil && !errors.Is(err, access.ErrSuspect) && !errors.Is(err, access.ErrRevoked):
			t.Errorf("%s: refreshing %s: %v", m.source.Owner, userID, err)
		}
	}
}

// refresh waits for any number of other holders of the lease, which may die in
// turn.
func (m *machine) refresh(ctx context.Context, record grant.Record, id string) error {
	for {
		_, err := m.source.Refresh(ctx, record, id)
		if !errors.Is(err, access.ErrBusy) {
			return err
		}
		m.world.Forward(time.Second)
	}
}

// doubted is the first transition of a grant whose new tokens were not saved.
var doubted = transition{State: grant.Suspect, Reason: grant.ReasonRefreshUnknown}

// wantLost checks that exactly the given customers are lost, according to the
// simulator and to the store, after the given transitions. Other grants may have
// been suspect while a frozen machine had their tokens.
func wantLost(t *testing.T, w *accesstest.World, seen *recorder, lost []string, turns ...transition) {
	t.Helper()
	refused := refusedTimes(w.Sim)
	want, late := make(map[string][]transition), make(map[string]bool)
	for _, userID := range lost {
		want[userID] = turns
	}
	for userID := range seen.stalled {
		if !slices.Contains(lost, userID) && refused[userID] != nil {
			late[userID] = true
			if seen.turns[userID] != nil { // otherwise they were saved before the refusal
				want[userID] = []transition{doubted, {State: grant.Active}}
			}
		}
	}
	expect.Equal(t, "transitions in the store", want, seen.turns, cmpopts.IgnoreUnexported(transition{}))
	bySimulator := slices.DeleteFunc(slices.Sorted(maps.Keys(refused)), func(userID string) bool { return late[userID] })
	expect.Equal(t, "lost customers in the simulator", lost, bySimulator, cmpopts.EquateEmpty())
	checkPauses(t, seen, refused)
}

// checkPauses checks that a grant in doubt was not retried for five minutes.
func checkPauses(t *testing.T, seen *recorder, refused map[string][]time.Time) {
	t.Helper()
	for userID, turns := range seen.turns {
		from := turns[0].at
		for _, at := range refused[userID] {
			if at.After(from) && at.Before(from.Add(5*time.Minute)) {
				t.Errorf("retry of %s = %v after the refusal, want five minutes or more", userID, at.Sub(from))
			}
		}
	}
}

// refusedTimes returns the times, by Amazon user, at which Login with Amazon
// refused a refresh token that it had replaced.
func refusedTimes(sim *simulator.Simulator) map[string][]time.Time {
	times := make(map[string][]time.Time)
	for _, r := range sim.LWARequests() {
		if r.Target == simulator.Refresh && r.RotatedAway && !r.Accepted {
			times[r.User] = append(times[r.User], r.Time)
		}
	}
	return times
}

// TestManyProcesses has 50 processes refresh 200 grants over and over, while Login
// with Amazon ends each refresh token when it gives another. Each grant is
// refreshed once in each round, and all processes get the same token.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	const processes, customers, rounds = 50, 200, 3
	seed := seeds(t, 1)[0]
	logSeed(t, seed)
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		users := names(customers)
		ids := linkAll(t, w, users)
		machines := make([]*machine, processes)
		for i := range machines {
			machines[i] = newMachine(w, newRecorder(), fmt.Sprint("process-", i), rand.New(rand.NewPCG(seed, uint64(i))), fate{})
		}
		for round := 1; round <= rounds; round++ {
			w.Forward(2 * time.Hour) // all tokens have expired
			var got sync.Map         // the access tokens of this round, by customer
			var all sync.WaitGroup
			for i, m := range machines {
				all.Go(func() { m.visitAll(t, order(m, users, i%2 == 0), ids, ways[i%len(ways)], int64(round), &got) })
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

// order is the order in which a process visits customers: the common order, so that
// processes meet at each customer, or a random one.
func order(m *machine, users []string, common bool) []string {
	if common {
		return users
	}
	users = slices.Clone(users)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draw.Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
	return users
}

// way is a way to get a token newer than version.
type way func(t *testing.T, s *access.Source, userID, id string, version int64) (access.Token, error)

// ways are those of SendEvent before it sends, of the sweep, and of SendEvent after
// the gateway refused a token.
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
			return access.Token{Version: version + 1}, err // no longer due
		}
		return s.Refresh(t.Context(), record, id)
	},
	func(t *testing.T, s *access.Source, userID, id string, version int64) (access.Token, error) {
		return s.Renew(t.Context(), accesstest.Key(userID), id, version)
	},
}

// visitAll has a process get a token of each customer in turn.
func (m *machine) visitAll(t *testing.T, users []string, ids map[string]string, want way, version int64, got *sync.Map) {
	for _, userID := range users {
		token, err := want(t, m.source, userID, ids[userID], version)
		if err != nil || token.Version != version+1 {
			t.Errorf("%s: version %d of %s, want %d: %v", m.source.Owner, token.Version, userID, version+1, err)
			continue
		}
		if token.Access.Empty() {
			continue
		}
		if first, _ := got.LoadOrStore(userID, token.Access); !token.Access.Equal(first.(sensitive.String)) {
			t.Errorf("%s: the token of %s differs from the other processes'", m.source.Owner, userID)
		}
	}
}

// checkRound checks that Login with Amazon refreshed each grant once in each round
// so far, and never got a replaced token.
func checkRound(t *testing.T, w *accesstest.World, users []string, rounds int) {
	t.Helper()
	counts := w.Sim.Counts()
	if counts.RotatedAway != 0 || counts.LWARefused != 0 || counts.Dropped != 0 {
		t.Errorf("round %d: counts = %+v, want no refused refresh and no replaced token", rounds, counts)
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
	expect.Equal(t, fmt.Sprintf("round %d: refreshes by customer", rounds), want, got)
}

// checkAlive checks that grants have tokens of a version that work: the gateway
// accepts the access token, and Login with Amazon the refresh token.
func checkAlive(t *testing.T, w *accesstest.World, users []string, ids map[string]string, version int64) {
	t.Helper()
	process, gateway := w.Process("last"), w.Gateway(t, alexa.EU)
	for _, userID := range users {
		id := ids[userID]
		record := w.Read(t, userID)
		if g := record.Grants[id]; g.State != grant.Active || g.TokenVersion != version || g.Lease != (grant.Lease{}) {
			t.Errorf("%s = %s %s, version %d, lease %v; want active, version %d, no lease",
				userID, g.State, g.Reason, g.TokenVersion, g.Lease, version)
			continue
		}
		token, err := process.Token(t.Context(), record, id)
		if err != nil || token.Renewed {
			t.Errorf("the stored token of %s is not usable: %v", userID, err)
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

// report returns an event that the gateway accepts with a valid token.
func report(t *testing.T, w *accesstest.World, token access.Token) []byte {
	t.Helper()
	event, _, err := alexa.DecodeEvent([]byte(`{"userId":"u","endpointId":"lamp-1","cause":"PHYSICAL_INTERACTION","changed":[
		{"namespace":"Alexa.PowerController","name":"powerState","value":"ON"}]}`), w.Now(), alexa.CheckStrict)
	if err != nil {
		t.Fatal(err)
	}
	return event.Append(nil, "message-1", token.Access)
}
