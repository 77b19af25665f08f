package flight_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/flight"
)

// TestOneWorksForAll: of a hundred concurrent calls, one works.
func TestOneWorksForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var group flight.Group[int]
		var works, leaders atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				value, led, err := group.Do(t.Context(), "k", func() (int, error) {
					works.Add(1)
					<-time.After(time.Second)
					return 7, nil
				})
				if value != 7 || err != nil {
					t.Errorf("Do() = %d, %v, want 7", value, err)
				}
				if led {
					leaders.Add(1)
				}
			})
		}
		all.Wait()
		if works.Load() != 1 || leaders.Load() != 1 {
			t.Errorf("works = %d, leaders = %d, want 1, 1", works.Load(), leaders.Load())
		}
	})
}

// TestEndedContext: the leader stays to the end of the work, another caller leaves.
func TestEndedContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var group flight.Group[int]
		var all sync.WaitGroup
		began := time.Now()
		leader, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		all.Go(func() {
			value, led, err := group.Do(leader, "k", func() (int, error) { <-time.After(time.Minute); return 7, nil })
			if value != 7 || !led || err != nil || time.Since(began) != time.Minute {
				t.Errorf("leader: Do() = %d, %v, %v after %v", value, led, err, time.Since(began))
			}
		})
		synctest.Wait()
		other, cancelOther := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancelOther()
		all.Go(func() {
			_, led, err := group.Do(other, "k", func() (int, error) { return 0, nil })
			if led || !errors.Is(err, flight.ErrLeft) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2*time.Second {
				t.Errorf("other: led = %v, error = %v after %v", led, err, time.Since(began))
			}
		})
		all.Wait()
	})
}

// TestEndedBeforeTheWork: no work outlives its request, not even one that had not
// begun. Whether it begins is chance, so many tries are made.
func TestEndedBeforeTheWork(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		var group flight.Group[int]
		var returned atomic.Bool
		_, _, _ = group.Do(ended, "k", func() (int, error) {
			if returned.Load() {
				t.Error("the work began after Do returned")
			}
			return 0, nil
		})
		returned.Store(true)
		if value, _, err := group.Do(t.Context(), "k", func() (int, error) { return 7, nil }); value != 7 || err != nil {
			t.Fatalf("next Do() = %d, %v, want 7", value, err)
		}
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var group flight.Group[int]
		var all sync.WaitGroup
		all.Go(func() {
			_, _, _ = group.Do(t.Context(), "k", func() (int, error) { <-time.After(time.Minute); return 1, nil })
		})
		synctest.Wait()
		group.Forget("k")
		if value, led, err := group.Do(t.Context(), "k", func() (int, error) { return 2, nil }); value != 2 || !led || err != nil {
			t.Errorf("Do() = %d, %v, %v, want a new work", value, led, err)
		}
		all.Wait()
	})
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	var group flight.Group[int]
	if _, led, err := group.Do(t.Context(), "k", func() (int, error) { panic("no") }); err == nil || !led {
		t.Errorf("led, error = %v, %v, want an error of the leader", led, err)
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	if err := flight.Guard(func() error { return mine }); err != mine {
		t.Errorf("Guard() = %v, want %v", err, mine)
	}
	if err := flight.Guard(func() error { return nil }); err != nil {
		t.Errorf("Guard() = %v, want nil", err)
	}
	err := flight.Guard(func() error { panic("canary") })
	if err == nil || !strings.Contains(err.Error(), "panic: canary") || !strings.Contains(err.Error(), "flight_test.go") {
		t.Errorf("Guard() = %v, want the panic with its stack", err)
	}
}
