package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
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
			result, err := f.replay(ctx, Command{})
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
			result, err := f.replay(t.Context(), Command{})
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
		result, err := f.replay(t.Context(), Command{filter: filter{Code: "0"}, revival: revival{AsNew: true}})
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
		result, err := f.replay(t.Context(), Command{filter: filter{Code: "A"}})
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
		result, err := f.replay(t.Context(), Command{})
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
		result, err := f.replay(t.Context(), Command{Max: 3})
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
				result, err := f.replay(t.Context(), Command{})
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

// fake is a subscription and a topic. Its leases end by the clock, so that in a
// synctest bubble it shows what a long run does.
type fake struct {
	mu        sync.Mutex
	queue     []*stored
	published []push.Message
	batch     int              // the most that one pull brings
	step      func(step) error // called first in every operation
	answer    time.Duration    // how long a pull takes that brings something
	wait      time.Duration    // how long a publish takes
	forgets   bool             // loses every first acknowledgement
}

// step is one operation on a fake.
type step string

const (
	pulling   step = "pull"
	extending step = "extend"
	starting  step = "publish"
	waiting   step = "wait"
	acking    step = "acknowledge"
)

// stored is a message in the subscription.
type stored struct {
	push.Message
	until      time.Time // the end of its lease
	ackID      string
	deliveries int
	acked      int
}

func newFake(messages ...push.Message) *fake {
	f := &fake{batch: pullSize, step: func(step) error { return nil }}
	f.add(messages...)
	return f
}

func (f *fake) add(messages ...push.Message) {
	for _, m := range messages {
		f.queue = append(f.queue, &stored{Message: m})
	}
}

func (f *fake) pull(ctx context.Context) ([]received, error) {
	if err := f.step(pulling); err != nil {
		return nil, err
	}
	for {
		messages, pause := f.take(), 100*time.Millisecond
		if len(messages) > 0 {
			pause = f.answer
		}
		select {
		case <-ctx.Done():
			return nil, nil // and nobody has what was taken, until its leases end
		case <-time.After(pause):
		}
		if len(messages) > 0 {
			return messages, nil
		}
	}
}

func (f *fake) take() []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	const ackDeadline = 10 * time.Second
	var messages []received
	for _, s := range f.queue {
		if f.gone(s) || time.Now().Before(s.until) || len(messages) == f.batch {
			continue
		}
		s.deliveries++
		s.ackID = fmt.Sprintf("%s/%d", s.ID, s.deliveries)
		s.until = time.Now().Add(ackDeadline)
		messages = append(messages, received{s.Message, s.ackID})
	}
	return messages
}

// gone reports whether a message was acknowledged.
func (f *fake) gone(s *stored) bool { return s.acked > 1 || s.acked == 1 && !f.forgets }

func (f *fake) extend(_ context.Context, ackIDs []string, d time.Duration) error {
	return f.each(extending, ackIDs, func(s *stored) {
		if time.Now().Before(s.until) { // no lease that has run out can be extended
			s.until = time.Now().Add(d)
		}
	})
}

func (f *fake) acknowledge(_ context.Context, ackIDs []string) error {
	return f.each(acking, ackIDs, func(s *stored) {
		s.acked++
		s.until = time.Time{}
	})
}

// each does something to the messages whose newest lease is given.
func (f *fake) each(kind step, ackIDs []string, do func(*stored)) error {
	if err := f.step(kind); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	meant := make(map[string]bool)
	for _, id := range ackIDs {
		meant[id] = true
	}
	for _, s := range f.queue {
		if meant[s.ackID] {
			do(s)
		}
	}
	return nil
}

func (f *fake) publish(m push.Message) func() error {
	if err := f.step(starting); err != nil {
		return func() error { return err }
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published = append(f.published, m)
	done := time.Now().Add(f.wait)
	return func() error {
		<-time.After(time.Until(done))
		return f.step(waiting)
	}
}

// available returns the ids of the messages that a pull would bring now.
func (f *fake) available() map[string]bool {
	ids := make(map[string]bool)
	for _, s := range f.queue {
		if !f.gone(s) && !time.Now().Before(s.until) {
			ids[s.ID] = true
		}
	}
	return ids
}

// inTopic counts the publishes by identity.
func (f *fake) inTopic() map[string]int {
	ids := make(map[string]int)
	for _, m := range f.published {
		ids[m.Attributes[attrIdentity]]++
	}
	return ids
}

// replay runs a real run on the fake.
func (f *fake) replay(ctx context.Context, c Command) (tally, error) {
	c.ForReal, c.Idle = true, 5*time.Second
	env := &cli.Env{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}
	r := replayer{Command: &c, Env: env, letters: f, events: f}
	return r.run(ctx)
}

// letters returns n dead letters that were published before now.
func letters(n int) []push.Message {
	messages := make([]push.Message, n)
	for i := range messages {
		messages[i] = push.Message{
			ID:          fmt.Sprintf("m-%d", i),
			Data:        []byte(`{"userId":"u-1"}`),
			PublishTime: time.Now().Add(-time.Minute),
		}
	}
	return messages
}

var errBroken = errors.New("broken")

// checkSums fails the test unless every message is counted once in each sum.
func checkSums(t *testing.T, got tally) {
	t.Helper()
	if got.Read != got.Replayed+got.Left || got.Selected != got.Replayed+got.Untried+got.Refused+got.Failed ||
		got.Refused != got.StaleDeletes+got.WrongRegions || got.Selected > got.Read {
		t.Errorf("the sums of %+v do not add up", got)
	}
}
