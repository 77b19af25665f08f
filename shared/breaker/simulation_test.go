package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// bubble is a breaker between callers and a service, in a synctest bubble.
type bubble struct {
	*breaker.Breaker
	*rand.Rand
	t       *testing.T
	refused atomic.Int64

	mu      sync.Mutex
	changes []string
	since   time.Time // the last change
}

func inBubble(t *testing.T, test func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, since: time.Now(), Rand: rand.New(rand.NewPCG(1, 0))}
		b.Breaker = breaker.New(breaker.Config{Now: time.Now, OnChange: func(c breaker.Change) {
			if c.From == c.To {
				return
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			b.changes, b.since = append(b.changes, c.From.String()+" → "+c.To.String()), time.Now()
		}})
		test(t, b)
		time.Sleep(time.Minute) // all attempts have ended
	})
}

// answer begins an attempt and ends it after a delay. It returns Begin's error.
func (b *bubble) answer(grant string, wait, after time.Duration, good bool) error {
	a, err := b.Begin(b.t.Context(), grant, breaker.Options{Wait: wait})
	if err == nil {
		time.Sleep(after)
		b.End(a, good)
	}
	return err
}

func (b *bubble) halfOpen() {
	for i := range 10 {
		_ = b.answer("outage"+strconv.Itoa(i), 0, 0, false)
	}
	time.Sleep(5 * time.Second)
	if got := b.State(); got != breaker.HalfOpen {
		b.t.Fatalf("%v, want half-open", got)
	}
}

// attempt is an attempt and the service's answer.
type attempt struct {
	grant int
	after time.Duration
	good  bool
}

// run makes rate attempts a second. It does not wait for the last answers.
func (b *bubble) run(length time.Duration, rate int, next func() attempt) {
	for range int64(length) * int64(rate) / int64(time.Second) {
		time.Sleep(time.Second / time.Duration(rate))
		a := next()
		go func() {
			if b.answer(strconv.Itoa(a.grant), 0, a.after, a.good) != nil {
				b.refused.Add(1)
			}
		}()
		synctest.Wait()
	}
}

func (b *bubble) between(least, most time.Duration) time.Duration {
	return least + time.Duration(b.Int64N(int64(most-least)))
}

const customers = 5000

// healthy returns an attempt of a random grant with a healthy gateway's answer.
func (b *bubble) healthy() attempt {
	return attempt{b.IntN(customers), b.between(200*time.Millisecond, 400*time.Millisecond), true}
}

// failing returns healthy, except for a percentage of failures.
func (b *bubble) failing(percent int, least, most time.Duration) func() attempt {
	return func() attempt {
		a := b.healthy()
		if b.IntN(100) < percent {
			a.after, a.good = b.between(least, most), false
		}
		return a
	}
}

// staysClosed checks that the breaker never opened.
func (b *bubble) staysClosed() {
	b.t.Helper()
	if b.refused.Load() > 0 || len(b.changes) > 0 {
		b.t.Errorf("refused attempts = %d, changes = %v, want none", b.refused.Load(), b.changes)
	}
}

// TestChattyGrants: throttled grants are no outage. If grants did not count once,
// the chattiest would open the breaker. If the sample could be among the many
// pending attempts, of which only the quick refusals have ended, it would open as
// soon as the process starts.
func TestChattyGrants(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		percent  float64 // share of the grants
		loudness int     // attempts for each one of another grant
	}{{0.1, 1000}, {0.1, 100}, {0.2, 50}, {0.4, 25}, {1, 10}, {5, 3}, {5, 1}, {15, 1}} {
		t.Run(fmt.Sprintf("%g%% times %d", test.percent, test.loudness), func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(_ *testing.T, b *bubble) {
				chatty := int(customers * test.percent / 100)
				b.run(20*time.Second, 500, func() attempt {
					a := b.healthy()
					if b.IntN(customers-chatty+chatty*test.loudness) < chatty*test.loudness {
						return attempt{b.IntN(chatty), b.between(10*time.Millisecond, 30*time.Millisecond), false}
					}
					a.grant = chatty + a.grant%(customers-chatty)
					return a
				})
				b.staysClosed()
			})
		})
	}
}

// TestOutage: a healthy service begins to fail. If grants before the last 50
// counted, a busy process would open late. If only answers counted, callers that
// wait for 20 s would open after 20 s. If the sample could be among the many
// hanging attempts, the few quick answers there would hide them.
func TestOutage(t *testing.T) {
	t.Parallel()
	const ms, s = time.Millisecond, time.Second
	for name, test := range map[string]struct {
		percent     int
		least, most time.Duration // until the answer
		within      map[int]time.Duration
	}{
		"quick":                 {100, 10 * ms, 20 * ms, map[int]time.Duration{5: 6 * s, 50: 2 * s, 500: 2 * s}},
		"slow":                  {100, 500 * ms, s, map[int]time.Duration{5: 6 * s, 50: 2 * s, 500: 2 * s}},
		"hangs for 5 s":         {100, 5 * s, 5*s + ms, map[int]time.Duration{2: 11 * s, 5: 11 * s, 50: 11 * s, 500: 11 * s}},
		"hangs for 20 s":        {100, 20 * s, 20*s + ms, map[int]time.Duration{2: 11 * s, 5: 11 * s, 50: 11 * s, 500: 11 * s}},
		"two of three hang":     {65, 5 * s, 5*s + ms, map[int]time.Duration{2: 15 * s, 5: 11 * s, 50: 11 * s, 500: 11 * s}},
		"two of three hang 20s": {65, 20 * s, 20*s + ms, map[int]time.Duration{2: 15 * s, 5: 11 * s, 50: 11 * s, 500: 11 * s}},
	} {
		for rate, within := range test.within {
			t.Run(fmt.Sprintf("%s, %d/s", name, rate), func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(t *testing.T, b *bubble) {
					b.run(20*time.Second, rate, b.healthy)
					b.staysClosed()
					b.run(within, rate, b.failing(test.percent, test.least, test.most))
					if b.State() == breaker.Closed {
						t.Errorf("still closed after %v", within)
					}
				})
			})
		}
	}
}

// TestShortHang: a hang of two seconds, as when one connection dies, is over before
// it counts. If the last results counted instead of the last attempts, the breaker
// would open then.
func TestShortHang(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{5, 50, 500} {
		inBubble(t, func(_ *testing.T, b *bubble) {
			b.run(20*time.Second, rate, b.healthy)
			b.run(2*time.Second, rate, b.failing(100, 5*time.Second, 5*time.Second+1))
			b.run(20*time.Second, rate, b.healthy)
			b.staysClosed()
		})
	}
}

// TestWaitForRoom: without an order among waiters an event could be overtaken again
// and again. Without a limit a request would wait until its own deadline.
func TestWaitForRoom(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.halfOpen()
		began := time.Now()
		var order []string
		var all sync.WaitGroup
		for i, want := range []time.Duration{0, 800, 1600, 2000, 2000} { // ms, for 800 ms each
			all.Go(func() {
				a, err := b.Begin(t.Context(), "g", breaker.Options{Wait: 2 * time.Second})
				took := time.Since(began)
				if refused := errors.Is(err, breaker.ErrOpen); took != want*time.Millisecond || refused != (i > 2) {
					t.Errorf("waiter %d: %v after %v, want after %d ms", i, err, took, want)
				}
				if err == nil {
					order = append(order, strconv.Itoa(i))
					time.Sleep(800 * time.Millisecond)
					b.Cancel(a)
				}
			})
			synctest.Wait()
		}
		if err := b.answer("impatient", 0, 0, true); !errors.Is(err, breaker.ErrOpen) || time.Since(began) != 0 {
			t.Errorf("Begin() = %v after %v, want ErrOpen after the longest wait", err, time.Since(began))
		}
		all.Wait()
		expect.Equal(t, "order", []string{"0", "1", "2"}, order)
	})
}

// TestContextEndsWhileWaiting: a waiter whose request has ended must leave the
// queue, or its room would be lost.
func TestContextEndsWhileWaiting(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.halfOpen()
		trial, err := b.Begin(t.Context(), "trial", breaker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, err := b.Begin(ctx, "waits", breaker.Options{Wait: 2 * time.Second})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, breaker.ErrOpen) || a != (breaker.Attempt{}) {
			t.Errorf("Begin() = %v, %v; want the context's error", a, err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("Begin() took %v, want 1s", took)
		}
		b.Cancel(trial)
		if err := b.answer("next", 0, 0, true); err != nil {
			t.Errorf("room is lost: %v", err)
		}
	})
}

// TestChangeEndsTheWait: waiters must not wait on when the breaker reopens, or be
// refused when it closes.
func TestChangeEndsTheWait(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		good   bool
		before int // seconds of recovery before
		want   breaker.State
	}{{false, 1, breaker.Open}, {true, 6, breaker.Closed}} {
		inBubble(t, func(t *testing.T, b *bubble) {
			b.halfOpen()
			for range test.before {
				_ = b.answer("well", 0, time.Second, true)
			}
			var all sync.WaitGroup
			var refused atomic.Int64
			began := time.Now()
			for i := range 200 {
				all.Go(func() {
					// With room for two, the third bad answer is in the second
					// round.
					err := b.answer(strconv.Itoa(i), 2*time.Second, time.Second-50*time.Millisecond, test.good)
					if err != nil && time.Since(began) >= 2*time.Second {
						t.Errorf("Begin() = %v after %v", err, time.Since(began))
					}
					if err != nil {
						refused.Add(1)
					}
				})
			}
			all.Wait()
			if got := b.State(); got != test.want || test.good != (refused.Load() == 0) {
				t.Errorf("state = %v, want %v; refused = %d", got, test.want, refused.Load())
			}
		})
	}
}

// TestRecovery: after an outage of a minute the service handles 80 attempts a
// second and fails the rest. If the room grew faster, all eighty callers of the
// process would call in the first seconds. If it were miscounted, more attempts
// would be in flight.
func TestRecovery(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		began := time.Now()
		var mu sync.Mutex
		taken, inFlight, failed := map[int]int{}, 0, 0
		var peaks [10]int // in flight, in each second after the last change
		enter := func() (good bool) {
			mu.Lock()
			defer mu.Unlock()
			now := time.Since(began)
			taken[int(now.Seconds())]++
			inFlight++
			b.mu.Lock()
			second := int(time.Since(b.since).Seconds())
			b.mu.Unlock()
			if now > 62*time.Second && b.State() == breaker.HalfOpen {
				peaks[second] = max(peaks[second], inFlight)
			}
			if down := now > 2*time.Second && now <= 62*time.Second; down || taken[int(now.Seconds())] > 80 {
				if !down {
					failed++
				}
				return false
			}
			return true
		}
		var callers sync.WaitGroup
		for range 80 {
			callers.Go(func() {
				for time.Since(began) < 2*time.Minute {
					a, err := b.Begin(t.Context(), strconv.Itoa(rand.IntN(customers)), breaker.Options{Wait: 2 * time.Second})
					if err != nil {
						time.Sleep(100 * time.Millisecond)
						continue
					}
					good := enter()
					time.Sleep(map[bool]time.Duration{true: time.Second, false: 20 * time.Millisecond}[good])
					mu.Lock()
					inFlight--
					mu.Unlock()
					b.End(a, good)
				}
			})
		}
		callers.Wait()
		if failed > 0 {
			t.Errorf("attempts that failed after the outage = %d, want none", failed)
		}
		expect.Equal(t, "peaks of each second", [10]int{1, 2, 4, 8, 16, 32, 64}, peaks)
		want := []string{"closed → open"}
		for range 3 { // 5, 10, 20 s; then 30
			want = append(want, "open → half-open", "half-open → open")
		}
		want = append(want, "open → half-open", "half-open → closed")
		expect.Equal(t, "changes", want, b.changes)
	})
}

// TestRoomUnderLoad: if any path of Begin, End or Cancel miscounted, room would be
// lost, or more trials would be in flight than allowed.
func TestRoomUnderLoad(t *testing.T) {
	t.Parallel()
	for _, room := range []int64{1, 16} {
		inBubble(t, func(t *testing.T, b *bubble) {
			b.halfOpen()
			for r := int64(1); r < room; r *= 2 {
				_ = b.answer("well", 0, time.Second, true)
			}
			var inFlight, most, admitted atomic.Int64
			var all sync.WaitGroup
			for i := range 200 {
				all.Go(func() {
					for range 20 {
						ctx, cancel := context.WithTimeout(t.Context(), rand.N(time.Second))
						a, err := b.Begin(ctx, strconv.Itoa(i%2), breaker.Options{Wait: rand.N(time.Second), NoTrial: i%10 == 0})
						cancel()
						if err != nil {
							continue
						}
						admitted.Add(1)
						for now := inFlight.Add(1); ; {
							if old := most.Load(); now <= old || most.CompareAndSwap(old, now) {
								break
							}
						}
						time.Sleep(rand.N(100 * time.Millisecond))
						inFlight.Add(-1)
						if rand.IntN(2) == 0 {
							b.Cancel(a)
						} else {
							b.End(a, false) // only two grants: it stays half-open
						}
					}
				})
			}
			all.Wait()
			if most.Load() != room || admitted.Load() < 100 {
				t.Errorf("in flight = %d, room = %d; admitted = %d", most.Load(), room, admitted.Load())
			}
			for range room {
				if _, err := b.Begin(t.Context(), "last", breaker.Options{}); err != nil {
					t.Errorf("room is lost: %v", err)
				}
			}
			if _, err := b.Begin(t.Context(), "last", breaker.Options{}); !errors.Is(err, breaker.ErrOpen) {
				t.Errorf("more than the room is admitted: %v", err)
			}
		})
	}
}

// TestRace runs two hundred goroutines through every state under the race detector.
// If a change were reported twice or never, an outage would log two errors or none.
func TestRace(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64 // moved by each attempt, so that pauses pass
	var opened, left atomic.Int64
	b := breaker.New(breaker.Config{
		Now: func() time.Time { return time.Unix(0, clock.Load()) },
		OnChange: func(c breaker.Change) {
			switch {
			case (c.From == c.To) != (c.Room > 1) || c.From == c.To && c.To != breaker.HalfOpen:
				t.Errorf("unexpected change %v", c)
			case c.To == breaker.Open:
				opened.Add(1)
			case c.From == breaker.Open:
				left.Add(1)
			}
		},
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx := t.Context()
			if i%5 == 0 {
				ctx = ended
			}
			for j := range 200 {
				clock.Add(int64(2 * time.Millisecond))
				a, err := b.Begin(ctx, strconv.Itoa(i*j), breaker.Options{Wait: time.Duration(j%2) * time.Millisecond})
				switch {
				case err != nil:
				case j%10 == 0:
					b.Cancel(a)
				default:
					b.End(a, clock.Load()/int64(20*time.Second)%2 == 0) // up for 20 s, down for 20 s
				}
				_ = b.State()
			}
		})
	}
	all.Wait()
	if opened.Load() == 0 || opened.Load()-left.Load() > 1 || left.Load() > opened.Load() {
		t.Errorf("opened %d times, left open %d times", opened.Load(), left.Load())
	}
}
