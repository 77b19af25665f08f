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

// TestOneWorksForAll: of a hundred who ask at once.
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
					t.Errorf("%d, %v", value, err)
				}
				if led {
					leaders.Add(1)
				}
			})
		}
		all.Wait()
		if works.Load() != 1 || leaders.Load() != 1 {
			t.Errorf("%d works, %d leaders", works.Load(), leaders.Load())
		}
	})
}

// TestWhoLeaves: the leader stays to the end of the work, another does not.
func TestWhoLeaves(t *testing.T) {
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
				t.Errorf("leader: %d, %v, %v after %v", value, led, err, time.Since(began))
			}
		})
		synctest.Wait()
		other, cancelOther := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancelOther()
		all.Go(func() {
			_, led, err := group.Do(other, "k", func() (int, error) { return 0, nil })
			if led || !errors.Is(err, flight.ErrLeft) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2*time.Second {
				t.Errorf("other: %v, %v after %v", led, err, time.Since(began))
			}
		})
		all.Wait()
	})
}

// TestGoneBeforeItBegan: nothing outlives its request, not even a work that was
// asked for and had not begun. Whether it had is chance, so many try.
func TestGoneBeforeItBegan(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		var group flight.Group[int]
		var returned atomic.Bool
		_, _, _ = group.Do(ended, "k", func() (int, error) {
			if returned.Load() {
				t.Error("it began after the end")
			}
			return 0, nil
		})
		returned.Store(true)
		if value, _, err := group.Do(t.Context(), "k", func() (int, error) { return 7, nil }); value != 7 || err != nil {
			t.Fatalf("the next one: %d, %v", value, err)
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
			t.Errorf("%d, %v, %v", value, led, err)
		}
		all.Wait()
	})
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	var group flight.Group[int]
	if _, led, err := group.Do(t.Context(), "k", func() (int, error) { panic("no") }); err == nil || !led {
		t.Errorf("%v, %v", led, err)
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	if err := flight.Guard(func() error { return mine }); err != mine {
		t.Errorf("%v", err)
	}
	if err := flight.Guard(func() error { return nil }); err != nil {
		t.Errorf("%v", err)
	}
	err := flight.Guard(func() error { panic("canary") })
	if err == nil || !strings.Contains(err.Error(), "panic: canary") || !strings.Contains(err.Error(), "flight_test.go") {
		t.Errorf("%v", err)
	}
}
