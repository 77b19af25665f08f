package breaker_test

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
)

// simulation is a breaker between callers and a service, in simulated time.
type simulation struct {
	*bench
	*rand.Rand
	events  schedule
	refused int
	opened  time.Time // first
}

type event struct {
	at time.Time
	do func()
}

type schedule []event

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(e any)        { *s = append(*s, e.(event)) }
func (s *schedule) Pop() any {
	last := len(*s) - 1
	e := (*s)[last]
	*s = (*s)[:last]
	return e
}

// answer is what the service does with an attempt.
type answer struct {
	after time.Duration
	good  bool
}

func simulate(t *testing.T, seed uint64) *simulation {
	t.Helper()
	return &simulation{bench: newBench(t, breaker.Config{}), Rand: rand.New(rand.NewPCG(seed, 0))}
}

func (s *simulation) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.Int64N(int64(most-least)))
}

// run makes rate attempts a second. Each is for the grant and gets the answer that
// next returns.
func (s *simulation) run(length time.Duration, rate int, next func() (grant int, a answer)) {
	for range int64(length) * int64(rate) / int64(time.Second) {
		s.do(event{s.now.Add(time.Second / time.Duration(rate)), func() {
			grant, a := next()
			attempt, err := s.Begin(context.Background(), strconv.Itoa(grant), breaker.Options{})
			if err != nil {
				s.refused++
				return
			}
			heap.Push(&s.events, event{s.now.Add(a.after), func() { s.End(attempt, a.good) }})
		}})
	}
}

// do runs the events that are due before the last one, and then that one.
func (s *simulation) do(last event) {
	for len(s.events) > 0 && !s.events[0].at.After(last.at) {
		s.step(heap.Pop(&s.events).(event))
	}
	s.step(last)
}

func (s *simulation) step(e event) {
	s.now = e.at
	e.do()
	if s.opened.IsZero() && len(s.changes) > 0 {
		s.opened = s.now
	}
}

const grants = 5000

// healthy picks any grant and answers as a healthy gateway does.
func (s *simulation) healthy() (int, answer) {
	return s.IntN(grants), answer{s.between(200*time.Millisecond, 400*time.Millisecond), true}
}

// sometimes is healthy, but for a percentage of the attempts.
func (s *simulation) sometimes(percent int, otherwise func() answer) func() (int, answer) {
	return func() (int, answer) {
		grant, a := s.healthy()
		if s.IntN(100) < percent {
			a = otherwise()
		}
		return grant, a
	}
}

// opensWithin fails the test unless the breaker opened within d of since.
func (s *simulation) opensWithin(d time.Duration, since time.Time) {
	s.t.Helper()
	if s.opened.IsZero() || s.opened.Before(since) || s.opened.Sub(since) > d {
		s.t.Errorf("opened: %t, after %v; want within %v", !s.opened.IsZero(), s.opened.Sub(since), d)
	}
}

// staysClosed fails the test if the breaker ever opened.
func (s *simulation) staysClosed() {
	s.t.Helper()
	if s.refused > 0 || len(s.changes) > 0 {
		s.t.Errorf("%d refused: %v", s.refused, s.changes)
	}
}

// Throttled grants are no outage. Without the distinction by grant the loudest
// would open the breaker. If the sample could lie among the many attempts that
// are still pending, where only the quick refusals have come back, it would open
// as soon as the process starts.
func TestChattyGrants(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		percent  float64 // of the grants
		loudness int     // attempts for each of another grant
	}{{0.1, 1000}, {0.1, 100}, {0.2, 50}, {0.4, 25}, {1, 10}, {5, 3}, {5, 1}, {15, 1}} {
		t.Run(fmt.Sprintf("%g%% times %d", test.percent, test.loudness), func(t *testing.T) {
			t.Parallel()
			chatty := int(grants * test.percent / 100)
			for seed := range uint64(2) {
				s := simulate(t, seed)
				s.run(20*time.Second, 500, func() (int, answer) {
					grant, a := s.healthy()
					if s.IntN(grants-chatty+chatty*test.loudness) < chatty*test.loudness {
						return s.IntN(chatty), answer{s.between(10*time.Millisecond, 30*time.Millisecond), false}
					}
					return chatty + grant%(grants-chatty), a
				})
				s.staysClosed()
			}
		})
	}
}

// A healthy service fails for everyone. If older grants than the last 50
// counted, a busy process would notice late.
func TestOutage(t *testing.T) {
	t.Parallel()
	for rate, within := range map[int]time.Duration{5: 6 * time.Second, 50: 2 * time.Second, 500: 2 * time.Second} {
		for _, least := range []time.Duration{10 * time.Millisecond, 500 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d/s after %v", rate, least), func(t *testing.T) {
				t.Parallel()
				s := simulate(t, 1)
				s.run(20*time.Second, rate, s.healthy)
				s.staysClosed()
				since := s.now
				s.run(15*time.Second, rate, s.sometimes(100, func() answer { return answer{s.between(least, 2*least), false} }))
				s.opensWithin(within, since)
			})
		}
	}
}

// If only answers counted, callers that wait for 20 s would notice after 20 s. If
// the sample could lie among the many that hang, the few quick answers there
// would hide them.
func TestHangingService(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{5 * time.Second, 20 * time.Second} {
		for _, rate := range []int{2, 5, 50, 500} {
			for _, percent := range []int{65, 100} {
				t.Run(fmt.Sprintf("%v, %d/s, %d%%", timeout, rate, percent), func(t *testing.T) {
					t.Parallel()
					s := simulate(t, 1)
					s.run(20*time.Second, rate, s.healthy)
					s.staysClosed()
					since := s.now
					s.run(15*time.Second, rate, s.sometimes(percent, func() answer { return answer{timeout, false} }))
					s.opensWithin(11*time.Second, since)
				})
			}
		}
	}
}

// A process whose every caller waits for 20 s begins nothing in between. If a
// result were as old as its attempt, all would be too old to count when the
// first caller returns, and the next eighty callers would wait as well.
func TestFullOfCallers(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	var callers []breaker.Attempt
	for i := range 80 {
		callers = append(callers, b.begin(strconv.Itoa(i)))
	}
	b.pass(20 * time.Second)
	b.End(callers[0], false)
	b.want(breaker.Open)
}

// A hang of two seconds, as when one connection dies, is over when it is noticed.
// If the last results counted, and not those of the last attempts, the breaker
// would open then.
func TestShortHang(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{5, 50, 500} {
		t.Run(strconv.Itoa(rate), func(t *testing.T) {
			t.Parallel()
			s := simulate(t, 1)
			s.run(20*time.Second, rate, s.healthy)
			s.run(2*time.Second, rate, s.sometimes(100, func() answer { return answer{5 * time.Second, false} }))
			s.run(20*time.Second, rate, s.healthy)
			s.staysClosed()
		})
	}
}

// Of 12 grants, 3 that fail are no outage and 12 are. Without the minimum of ten
// grants the 3 would open the breaker whenever two of them come first.
func TestSmallMaker(t *testing.T) {
	t.Parallel()
	twelve := func(s *simulation, failing int) func() (int, answer) {
		return func() (int, answer) {
			grant, a := s.healthy()
			return grant % 12, answer{a.after, grant%12 >= failing}
		}
	}
	for _, rate := range []int{1, 4, 20} {
		for _, failing := range []int{1, 2, 3} {
			s := simulate(t, 1)
			s.run(2*time.Minute, rate, twelve(s, failing))
			s.staysClosed()
		}
	}
	s := simulate(t, 1)
	s.run(time.Minute, 4, twelve(s, 0))
	s.staysClosed()
	since := s.now
	s.run(15*time.Second, 4, twelve(s, 12))
	s.opensWithin(11*time.Second, since)
}
