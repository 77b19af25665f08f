package access_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

func TestForcedRefreshProvesForTenMinutes(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	first, err := w.Process("p").Renew(t.Context(), key, id, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.Forward(10*time.Minute - time.Second)
	if _, err := w.Process("q").Renew(t.Context(), key, id, first.Version); !errors.Is(err, access.ErrProven) {
		t.Errorf("%v, want ErrProven", err)
	}
	if older, err := w.Process("q").Renew(t.Context(), key, id, 1); err != nil || older.Version != first.Version {
		t.Errorf("whoever was refused an older token gets the newer: version %d, %v", older.Version, err)
	}
	w.Forward(2 * time.Second)
	if next, err := w.Process("q").Renew(t.Context(), key, id, first.Version); err != nil || next.Version != 3 {
		t.Errorf("version %d, %v", next.Version, err)
	}
}

// TestOnlyForcedRefreshesCount: the sweep has refreshed just now, and the
// gateway refuses even that token.
func TestOnlyForcedRefreshesCount(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	if _, err := w.Process("p").Refresh(t.Context(), w.Read(t, customer), id); err != nil {
		t.Fatal(err)
	}
	if token, err := w.Process("p").Renew(t.Context(), key, id, 2); err != nil || token.Version != 3 {
		t.Errorf("version %d, %v", token.Version, err)
	}
}

func TestFailedForcedRefreshBacksOff(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{OldRefreshTokenGrace: 24 * time.Hour})
	process := w.Process("p")
	w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 503})
	pause := time.Second
	for try := range 12 {
		before := len(w.Sim.LWARequests())
		_, err := process.Renew(t.Context(), key, id, 1)
		var early *access.BackingOffError
		if errors.As(err, &early) || len(w.Sim.LWARequests()) != before+1 {
			t.Fatalf("try %d: %v", try, err)
		}
		_, err = process.Renew(t.Context(), key, id, 1)
		if !errors.As(err, &early) || early.For != pause || len(w.Sim.LWARequests()) != before+1 {
			t.Fatalf("after try %d: %v, want a pause of %v", try, err, pause)
		}
		w.Forward(pause)
		pause = min(2*pause, 5*time.Minute)
	}
	w.Sim.Clear()
	if _, err := process.Renew(t.Context(), key, id, 1); err != nil {
		t.Error(err)
	}
	w.Forward(11 * time.Minute)
	w.Sim.Script(simulator.Refresh, simulator.Fault{Status: 503})
	_, _ = process.Renew(t.Context(), key, id, 2)
	var early *access.BackingOffError
	if _, err := process.Renew(t.Context(), key, id, 2); !errors.As(err, &early) || early.For != time.Second {
		t.Errorf("a success is not forgotten failures: %v", err)
	}
}

// TestWaitersDoNotRaiseTheBackOff: ten events of one grant met one failure.
func TestWaitersDoNotRaiseTheBackOff(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{OldRefreshTokenGrace: time.Hour})
	process := w.Process("p")
	asked := make(chan struct{})
	w.Sim.Script(simulator.Refresh, simulator.Fault{Status: 503, Delay: 200 * time.Millisecond, Match: func(simulator.Request) bool { close(asked); return true }})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = process.Renew(context.Background(), key, id, 1) })
	<-asked
	for range 10 {
		wg.Go(func() { _, _ = process.Renew(context.Background(), key, id, 1) })
	}
	wg.Wait()
	var early *access.BackingOffError
	if _, err := process.Renew(t.Context(), key, id, 1); !errors.As(err, &early) || early.For != time.Second {
		t.Errorf("%v, want a pause of one second", err)
	}
}

// TestImpatientWaiter: a caller with little time leaves a flight that goes on
// in another's request.
func TestImpatientWaiter(t *testing.T) {
	t.Parallel()
	w, id := linked(t, simulator.Options{})
	process := w.Process("p")
	slow := slowLWA{Refresher: w.LWA, asked: make(chan struct{}), release: make(chan struct{})}
	process.LWA = slow
	led := make(chan error, 1)
	go func() {
		_, err := process.Renew(context.Background(), key, id, 1)
		led <- err
	}()
	<-slow.asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := process.Renew(ctx, key, id, 1); !errors.Is(err, access.ErrBusy) {
		t.Errorf("the waiter got %v, want ErrBusy", err)
	}
	close(slow.release)
	if err := <-led; err != nil {
		t.Error(err)
	}
}
