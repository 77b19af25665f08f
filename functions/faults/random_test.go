package faults_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

// refusingRegion is the region whose gateway refuses everybody for a while.
const refusingRegion = alexa.FE

// runTime bounds a random run.
const runTime = 4 * time.Minute

// TestRandom delivers many events by way of Pub/Sub, with faults on a fifth of
// all answers and on one in forty of Firestore's, while processes are killed,
// customers leave and link again, and the maker reports again as it is told.
// Afterwards every event is accounted for, and Alexa has the latest state.
func TestRandom(t *testing.T) {
	t.Parallel()
	seed := seed(t)
	t.Logf("seed %d: repeat with FAULT_SEED=%d", seed, seed)
	many, households, kills := 2000, 200, 20
	if testing.Short() {
		many, households, kills = 300, 40, 4
	}
	// Of a lost answer to a refresh, or a killed process, remains the old
	// refresh token; without grace the customer would really be gone.
	w := newWorld(t, simulator.Options{OldRefreshTokenGrace: time.Hour})
	store := startFlakyStore(t, w.FirestoreHost, rand.New(rand.NewPCG(seed, 8)).IntN)
	w.env["FIRESTORE_EMULATOR_HOST"] = store.address
	w.office = w.start(t, "")
	customers := w.linkMany(t, "random", households)
	m := newMaker(t, w, customers, many)
	for i := 0; i < len(customers); i += 10 { // a spouse
		c := customers[i]
		c.amazonUser += "-spouse"
		if err := m.link(testkit.Context(t), c); err != nil {
			t.Fatal(err)
		}
	}
	m.heard = len(w.grantEvents.Wait(t, len(m.accounts), func(*pubsub.Message) bool { return true }))

	for i, region := range alexa.Regions() {
		spoil(w, rand.New(rand.NewPCG(seed, uint64(2+i))), simulator.Gateway(region), gatewayFaults)
	}
	spoil(w, rand.New(rand.NewPCG(seed, 9)), simulator.Refresh, refreshFaults)
	w.Always(simulator.Gateway(refusingRegion), simulator.Fault{Status: 403, Match: func(simulator.Request) bool { return w.refusing.Load() }})
	store.failing.Store(true)
	started := time.Now()
	err := m.publish(testkit.Within(t, runTime), plan(rand.New(rand.NewPCG(seed, 1)), customers, many, kills))
	if err != nil {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	store.failing.Store(false)
	w.well.Store(true)
	if err := m.settle(testkit.Within(t, runTime)); err != nil {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	fates, killed := m.fleet.outcome()
	if killed < kills/2 {
		t.Errorf("%d processes were killed, want %d or a few less", killed, kills)
	}
	if store.failed.Load() < int64(many/20) {
		t.Errorf("%d calls of Firestore failed", store.failed.Load())
	}
	a := newAudit(t, m, fates)
	a.run()
	t.Logf("seed %d: %d events in %v, %d processes killed, %d calls of Firestore failed, %s",
		seed, len(m.events), time.Since(started).Round(time.Second), killed, store.failed.Load(), a.summary())
}

func seed(t *testing.T) uint64 {
	t.Helper()
	text, ok := os.LookupEnv("FAULT_SEED")
	if !ok {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("FAULT_SEED: %v", err)
	}
	return seed
}
