package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/push"
)

// TestInterrupt interrupts a run at each of its operations. Whatever it was
// doing, every message is afterwards in the topic or ready to be read, and none
// is in both.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for at, operations := 1, 1; at <= operations; at++ {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(letters(25)...)
			f.batch, f.answer = 10, grace/2
			ctx, interrupt := context.WithCancel(t.Context())
			var kind step
			operations = 0
			f.step = func(s step) error {
				if operations++; operations == at {
					kind = s
					interrupt()
				} else if s == starting && kind != "" {
					t.Errorf("published more after the interrupt at operation %d, %s", at, kind)
				}
				return nil
			}
			result, err := f.replay(ctx, options{})
			name := fmt.Sprintf("interrupted at operation %d, %s", at, kind)
			checkSums(t, result)
			if kind != "" && result.Replayed < 25 && !(errors.Is(err, errInterrupted) && result.Interrupted) {
				t.Errorf("%s: run() = %+v, %v, want %v", name, result, err, errInterrupted)
			}
			available, topic := f.available(), f.inTopic()
			for _, m := range letters(25) {
				if topic[m.ID] > 1 || available[m.ID] == (topic[m.ID] == 1) {
					t.Errorf("%s: %s is ready to be read: %v, and %d times in the topic", name, m.ID, available[m.ID], topic[m.ID])
				}
			}
			if result.Replayed != len(topic) {
				t.Errorf("%s: %d replayed, but %d are in the topic", name, result.Replayed, len(topic))
			}
			if operations == 0 {
				t.Fatal("there was no operation")
			}
		})
	}
}

// TestCrash lets Pub/Sub vanish at each operation of a run, which is what its
// messages see of a crash. None is lost: it is in the topic, or it comes back
// when its lease has run out.
func TestCrash(t *testing.T) {
	t.Parallel()
	for at, operations := 1, 1; at <= operations; at++ {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(letters(25)...)
			f.batch = 10
			operations = 0
			f.step = func(step) error {
				if operations++; operations >= at {
					return errBroken
				}
				return nil
			}
			result, err := f.replay(t.Context(), options{})
			checkSums(t, result)
			if err == nil && result.Replayed < 25 {
				t.Errorf("broken at operation %d: run() = %+v and no error", at, result)
			}
			<-time.After(leaseTime)
			available, topic := f.available(), f.inTopic()
			for _, m := range letters(25) {
				if topic[m.ID] > 1 || !available[m.ID] && topic[m.ID] == 0 {
					t.Errorf("broken at operation %d: %s is in the subscription: %v, and %d times in the topic", at, m.ID, available[m.ID], topic[m.ID])
				}
			}
		})
	}
}

// TestLeases runs for longer than any lease lasts: nothing is handed out twice.
func TestLeases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000
		f := newFake(letters(n)...)
		for i, s := range f.queue {
			s.Attributes = map[string]string{attrCode: fmt.Sprint(i % 2)}
		}
		f.wait = time.Minute // for each of 20 batches
		result, err := f.replay(t.Context(), options{filter: filter{code: "0"}, revival: revival{asNew: true}})
		if err != nil {
			t.Fatal(err)
		}
		want := tally{Read: n, Selected: n / 2, Replayed: n / 2, Left: n / 2}
		if diff := cmp.Diff(want, result); diff != "" {
			t.Errorf("tally (-want +got):\n%s", diff)
		}
		twice := slices.DeleteFunc(slices.Clone(f.queue), func(s *stored) bool { return s.deliveries == 1 })
		if len(twice) > 0 {
			t.Errorf("%d messages were handed out more than once, %s %d times", len(twice), twice[0].ID, twice[0].deliveries)
		}
		if left := len(f.available()); left != n/2 {
			t.Errorf("%d messages are ready to be read, want %d", left, n/2)
		}
	})
}

// TestSeenTwice loses leases and acknowledgements: a message that comes again
// is the same one.
func TestSeenTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(letters(4)...)
		f.forgets = true
		for _, s := range f.queue[1:] {
			s.Attributes = map[string]string{attrCode: "A"}
		}
		f.step = func(s step) error {
			if s == pulling {
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.queue[0].deliveries < 3 {
					f.queue[0].until = time.Time{}
				}
			}
			return nil
		}
		result, err := f.replay(t.Context(), options{filter: filter{code: "A"}})
		if err != nil {
			t.Fatal(err)
		}
		want := tally{Read: 4, Selected: 3, Replayed: 3, Left: 1}
		if diff := cmp.Diff(want, result); diff != "" {
			t.Errorf("tally (-want +got):\n%s", diff)
		}
		if n := f.queue[0].deliveries; n != 3 || !f.available()["m-0"] {
			t.Errorf("m-0 was handed out %d times, want 3, and is ready to be read: %v", n, f.available()["m-0"])
		}
		for _, s := range f.queue[1:] {
			if f.inTopic()[s.ID] != 1 || !f.gone(s) {
				t.Errorf("%s is %d times in the topic, and gone: %v", s.ID, f.inTopic()[s.ID], f.gone(s))
			}
		}
	})
}

// TestComesBack replays events that become dead letters again at once, while
// others do all the time. The run ends all the same, and replays them once.
func TestComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(letters(3)...)
		f.answer = 100 * time.Millisecond
		came := 0
		f.step = func(s step) error {
			if s == waiting || s == pulling && came > 0 {
				<-time.After(time.Millisecond)
				f.mu.Lock()
				defer f.mu.Unlock()
				came++
				f.add(push.Message{ID: fmt.Sprintf("again-%d", came), PublishTime: time.Now()})
			}
			return nil
		}
		result, err := f.replay(t.Context(), options{})
		late := result.Late // the last to come may not have been read any more
		want := tally{Read: 3 + late, Selected: 3, Replayed: 3, Left: late, Late: late}
		if diff := cmp.Diff(want, result); diff != "" || err != nil || late < 4 || late < came-1 {
			t.Errorf("run() = %v when %d came back, tally (-want +got):\n%s", err, came, diff)
		}
	})
}

// TestMax ends a run early. What it did not look at is back at once.
func TestMax(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(letters(10)...)
		for i, s := range f.queue {
			s.PublishTime = s.PublishTime.Add(-time.Duration(i) * time.Second)
		}
		began := time.Now()
		result, err := f.replay(t.Context(), options{max: 3})
		want := tally{Read: 10, Selected: 3, Replayed: 3, Left: 7}
		if diff := cmp.Diff(want, result); diff != "" || err != nil {
			t.Errorf("run() = %v, tally (-want +got):\n%s", err, diff)
		}
		oldest := []string{"m-9", "m-8", "m-7"}
		if got := slices.Sorted(maps.Keys(f.inTopic())); !slices.Equal(got, slices.Sorted(slices.Values(oldest))) {
			t.Errorf("replayed %v, want the oldest, %v", got, oldest)
		}
		if len(f.available()) != 7 || time.Since(began) > time.Second {
			t.Errorf("%d messages are ready to be read after %v, want 7 at once", len(f.available()), time.Since(began))
		}
	})
}

// TestPublishFails tells a message that cannot be published from a topic that
// takes none.
func TestPublishFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		fails   func(n int) error // the n-th publish, from 0
		want    tally
		wantErr bool
	}{
		{"some", func(n int) error {
			if n%3 == 0 {
				return errBroken
			}
			return nil
		}, tally{Read: 30, Selected: 30, Replayed: 20, Failed: 10, Left: 10}, false},
		{"all of a key", func(n int) error {
			if n > 0 {
				return errHeldBack
			}
			return errBroken
		}, tally{Read: 30, Selected: 30, Failed: 30, Left: 30}, false},
		{"all", func(int) error { return errBroken }, tally{Read: 10, Selected: 10, Failed: 10, Left: 10}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake(letters(30)...)
				f.batch = 10
				n := 0
				f.step = func(s step) error {
					if s != starting {
						return nil
					}
					n++
					return test.fails(n - 1)
				}
				result, err := f.replay(t.Context(), options{})
				if diff := cmp.Diff(test.want, result); diff != "" || (err != nil) != test.wantErr {
					t.Errorf("run() = %v, tally (-want +got):\n%s", err, diff)
				}
				if got := len(f.available()); got != 30-test.want.Replayed {
					t.Errorf("%d messages are ready to be read, want %d", got, 30-test.want.Replayed)
				}
			})
		})
	}
}
