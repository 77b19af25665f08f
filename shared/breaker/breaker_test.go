package breaker_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/breaker"
)

// bench is a breaker whose time moves by hand.
type bench struct {
	*breaker.Breaker
	t       *testing.T
	now     time.Time
	changes []string
}

func newBench(t *testing.T, config breaker.Config) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	config.Now = func() time.Time { return b.now }
	config.OnChange = func(from, to breaker.State) { b.changes = append(b.changes, from.String()+" → "+to.String()) }
	b.Breaker = breaker.New(config)
	return b
}

func (b *bench) pass(d time.Duration) { b.now = b.now.Add(d) }

// begin fails the test unless the attempt is admitted.
func (b *bench) begin(grant string) breaker.Attempt {
	b.t.Helper()
	a, err := b.Begin(b.t.Context(), grant, breaker.Options{})
	if err != nil {
		b.t.Fatalf("%s is refused while %v: %v", grant, b.State(), err)
	}
	return a
}

func (b *bench) answer(grant string, good bool) {
	b.t.Helper()
	b.End(b.begin(grant), good)
}

// answers answers an attempt of each of the grants "0" to n-1.
func (b *bench) answers(n int, good bool) {
	b.t.Helper()
	for i := range n {
		b.answer(strconv.Itoa(i), good)
	}
}

func (b *bench) refused(o breaker.Options) {
	b.t.Helper()
	if a, err := b.Begin(b.t.Context(), "refused", o); !errors.Is(err, breaker.ErrOpen) || a != (breaker.Attempt{}) {
		b.t.Errorf("%v, %v while %v; want no attempt and ErrOpen", a, err, b.State())
	}
}

func (b *bench) want(state breaker.State) {
	b.t.Helper()
	if got := b.State(); got != state {
		b.t.Fatalf("%v, want %v", got, state)
	}
}

// open has grants fail until the breaker is open.
func (b *bench) open() {
	b.t.Helper()
	for i := 0; i < 50 && b.State() == breaker.Closed; i++ {
		b.answer("outage"+strconv.Itoa(i), false)
	}
	b.want(breaker.Open)
}

// halfOpen opens the breaker and has the first pause pass.
func (b *bench) halfOpen() {
	b.t.Helper()
	b.open()
	b.pass(5 * time.Second)
	b.want(breaker.HalfOpen)
}

// room takes all the room there is, gives it back, and returns how much it was.
func (b *bench) room() int {
	b.t.Helper()
	var trials []breaker.Attempt
	for b.State() == breaker.HalfOpen {
		a, err := b.Begin(b.t.Context(), "room", breaker.Options{})
		if err != nil {
			break
		}
		trials = append(trials, a)
	}
	for _, a := range trials {
		b.Cancel(a)
	}
	return len(trials)
}

// Without the minimum of ten grants a process's first failure would open the
// breaker. Without the distinction by grant ten failures of one grant would.
func TestOpensAtTenGrants(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	for range 10 {
		b.answers(9, false)
	}
	b.want(breaker.Closed)
	a := b.begin("9")
	b.want(breaker.Closed) // an attempt is no failure yet
	b.End(a, false)
	b.want(breaker.Open)
	b.refused(breaker.Options{Wait: time.Hour}) // at once

	one := newBench(t, breaker.Config{})
	for range 1000 {
		one.answer("chatty", false)
		one.pass(5 * time.Millisecond)
	}
	one.want(breaker.Closed)
}

// If any attempt of a grant counted, and not its latest, the breaker would open
// for failures that are over.
func TestLatestAttemptCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	b.answers(9, false)
	b.answers(9, true)
	b.answer("9", false)
	b.want(breaker.Closed)

	// The latest attempt is the one that began last: a slow failure says nothing
	// about what the service has done since.
	var slow []breaker.Attempt
	for i := range 20 {
		slow = append(slow, b.begin("s"+strconv.Itoa(i)))
		b.answer("s"+strconv.Itoa(i), true)
	}
	for _, a := range slow {
		b.End(a, false)
	}
	b.want(breaker.Closed)
}

// Without the limit of 10 s the scattered failures of a quiet night would add
// up. Without the limit of 50 grants a busy process would need 5 s of failures.
func TestOldAnswersDoNotCount(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	for i := range 100 {
		b.answer(strconv.Itoa(i), false)
		b.pass(1200 * time.Millisecond) // 9 grants in 10 s
	}
	b.want(breaker.Closed)

	busy := newBench(t, breaker.Config{})
	for i := range 1000 {
		busy.answer(strconv.Itoa(i), true)
		busy.pass(2 * time.Millisecond)
	}
	for i := range 24 {
		busy.answer("bad"+strconv.Itoa(i), false)
	}
	busy.want(breaker.Closed)
	busy.answer("bad", false) // 25 of 50
	busy.want(breaker.Open)
}

// If pending attempts counted as bad, a burst would open the breaker. If they
// hid a grant's earlier attempt, the next burst would hide an outage.
func TestPendingCountsNeitherWay(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	b.answers(9, false)
	for i := range 100 {
		b.begin("pending" + strconv.Itoa(i))
	}
	b.pass(4 * time.Second)
	for i := range 9 {
		b.begin(strconv.Itoa(i)) // the grant's earlier attempt still counts
	}
	b.want(breaker.Closed)
	a := b.begin("9")
	b.begin("10")
	b.End(a, false)
	b.want(breaker.Closed) // the sample starts before the hundred: nine grants
	b.pass(time.Second)
	b.want(breaker.Open) // the hundred have been unanswered for 5 s
}

// Quick refusals among slower attempts are a biased sample. If it counted, a
// service that throttles one grant in seven could open the breaker of a process
// that has just started. If too few pending attempts discarded a sample, one
// that hangs would hide an outage.
func TestManyPending(t *testing.T) {
	t.Parallel()
	for every, want := range map[int]breaker.State{2: breaker.Closed, 3: breaker.Closed, 4: breaker.Open} {
		b := newBench(t, breaker.Config{})
		var bad []breaker.Attempt
		for i := range 60 {
			if a := b.begin(strconv.Itoa(i)); i%every != 0 {
				bad = append(bad, a)
			}
		}
		for _, a := range bad {
			b.End(a, false)
		}
		if got := b.State(); got != want {
			t.Errorf("one of %d in flight: %v, want %v", every, got, want)
		}
	}
}

// If a late answer replaced the verdict, a service that answers everything after
// 20 s would be healthy.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	var late []breaker.Attempt
	for i := range 9 {
		late = append(late, b.begin(strconv.Itoa(i)))
	}
	b.pass(5 * time.Second)
	for _, a := range late {
		b.End(a, true)
	}
	b.want(breaker.Closed)
	b.answer("9", false)
	b.want(breaker.Open)
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

// Without AnswersOnly a breaker that looks for 401 would open, and blame the
// tokens, when the service hangs.
func TestAnswersOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{AnswersOnly: true})
	var hanging []breaker.Attempt
	for i := range 30 {
		hanging = append(hanging, b.begin(strconv.Itoa(i)))
		b.pass(time.Second)
	}
	for i, a := range hanging[:20] {
		b.want(breaker.Closed)
		b.End(a, i%2 == 0)
	}
	b.want(breaker.Open) // 10 of 20
}

// Without Cancel an attempt that was never sent would count as unanswered, or as
// good, or would keep its room.
func TestCancel(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	for i := range 100 {
		b.Cancel(b.begin(strconv.Itoa(i)))
	}
	b.pass(5 * time.Second)
	b.want(breaker.Closed)
	for i := range 10 {
		b.want(breaker.Closed)
		b.answer(strconv.Itoa(i), false)
	}
	b.want(breaker.Open) // the hundred do not count as good either
	b.pass(5 * time.Second)
	for range 100 {
		b.Cancel(b.begin("trial"))
	}
	if got := b.room(); got != 1 {
		t.Errorf("room for %d, want 1", got)
	}
}

// Without the doubling every process would try a service that is down for an
// hour each 5 s. Without the reset the next short outage would last 30 s.
func TestPauses(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	for range 2 {
		b.open()
		for i, pause := range []time.Duration{5, 10, 20, 30, 30} {
			pause *= time.Second
			b.pass(pause - time.Nanosecond)
			b.want(breaker.Open)
			b.refused(breaker.Options{Wait: time.Hour})
			b.pass(time.Nanosecond)
			b.want(breaker.HalfOpen)
			if i < 4 {
				b.answers(3, false)
			}
		}
		b.recover(nil)
	}
	round := []string{"closed → open"}
	for range 4 {
		round = append(round, "open → half-open", "half-open → open")
	}
	round = append(round, "open → half-open", "half-open → closed")
	if diff := cmp.Diff(append(round, round...), b.changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// recover has one trial a second answered well until the breaker closes. It
// calls each, if not nil, at the start of each second.
func (b *bench) recover(each func(second int)) {
	b.t.Helper()
	for second := 0; b.State() == breaker.HalfOpen; second++ {
		if want := 1 << second; b.room() != want {
			b.t.Fatalf("room for %d in second %d, want %d", b.room(), second, want)
		}
		if each != nil {
			each(second)
		}
		b.pass(time.Second)
		b.answer("well"+strconv.Itoa(second), true)
	}
	b.want(breaker.Closed)
}

// If every good answer doubled the room, seven of them would close the breaker,
// and a service with cold caches would fail again.
func TestRoomDoublesEachSecond(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	b.halfOpen()
	began := b.now
	b.recover(func(second int) {
		for range 100 {
			b.answer("quick", true)
		}
		if got, want := b.room(), 1<<second; got != want {
			t.Errorf("room for %d after quick answers, want %d", got, want)
		}
	})
	if took := b.now.Sub(began); took != 7*time.Second {
		t.Errorf("closed after %v, want 7s", took)
	}
	// The failures from before it opened are forgotten.
	b.answer("0", false)
	b.want(breaker.Closed)

	// A second without a good answer does not double the room.
	b = newBench(t, breaker.Config{})
	b.halfOpen()
	b.pass(time.Minute)
	b.answer("bad", false)
	if got := b.room(); got != 1 {
		t.Errorf("room for %d after a bad answer, want 1", got)
	}
}

// Without the minimum of three grants one sick grant would reopen the breaker
// each time. If trials were counted, and not grants, its many trials would.
func TestSickGrantAsTrial(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	b.halfOpen()
	for range 100 {
		b.answer("sick", false)
	}
	b.want(breaker.HalfOpen)
	b.answer("sick too", false)
	b.recover(func(int) {
		for range 100 {
			b.answer("sick", false)
		}
	})

	b = newBench(t, breaker.Config{})
	b.halfOpen()
	b.answers(20, true)
	for i := range 19 {
		b.answer("sick", false)
		b.answer("sick"+strconv.Itoa(i), false)
	}
	b.want(breaker.Open) // 20 of 40
}

// If trials did not reopen the breaker, or only those of the last 10 s did, a
// small maker's trials would go on for as long as the outage lasts.
func TestThreeGrantsReopen(t *testing.T) {
	t.Parallel()
	for _, good := range []int{0, 3, 4} {
		b := newBench(t, breaker.Config{})
		b.halfOpen()
		for i := range good {
			b.answer("good"+strconv.Itoa(i), true)
			b.pass(time.Minute) // a small maker's trials are far between
		}
		for i := range max(3, good) {
			b.want(breaker.HalfOpen)
			b.answer("bad"+strconv.Itoa(i), false)
		}
		b.want(breaker.Open)
	}
}

// If unanswered trials did not count, a hanging service would keep the breaker
// half-open. A trial keeps its room until it ends, as it is still in flight.
func TestTrialWithoutAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	b.halfOpen()
	for i := range 3 {
		a := b.begin(strconv.Itoa(i))
		b.pass(5*time.Second - time.Nanosecond)
		b.want(breaker.HalfOpen)
		b.refused(breaker.Options{})
		b.pass(time.Nanosecond)
		if i == 2 {
			b.want(breaker.Open)
		} else {
			b.want(breaker.HalfOpen)
			b.refused(breaker.Options{})
		}
		b.End(a, true) // too late
	}
	b.want(breaker.Open)
}

// Without NoTrial a doorbell press, which cannot be repeated, would be sent to
// find out whether the service is back.
func TestNoTrial(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	press := breaker.Options{NoTrial: true, Wait: time.Hour}
	a, err := b.Begin(t.Context(), "press", press)
	if err != nil {
		t.Errorf("closed: %v", err)
	}
	b.End(a, true)
	b.open()
	b.refused(press)
	b.pass(5 * time.Second)
	b.refused(press)
	b.recover(nil)
	if _, err = b.Begin(t.Context(), "press", press); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// If answers to attempts from before the breaker opened counted, the outage's own
// requests would reopen it, raise its room, or give back room that a trial has.
func TestAnswerOfBeforeItOpened(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	var before []breaker.Attempt
	for i := range 50 {
		before = append(before, b.begin("before"+strconv.Itoa(i)))
	}
	for _, a := range before[10:] {
		b.End(a, false)
	}
	b.want(breaker.Open)
	b.End(before[0], false)
	b.Cancel(before[1])
	b.pass(5 * time.Second)
	trial := b.begin("trial")
	b.pass(time.Second)
	for i, a := range before[2:10] {
		b.End(a, i < 4)
	}
	b.want(breaker.HalfOpen)
	b.refused(breaker.Options{})
	b.End(trial, true)
	if got := b.room(); got != 2 {
		t.Errorf("room for %d, want 2", got)
	}
}

// If a trial that is no longer in the ring did not give its room back, the room
// would be lost.
func TestForgottenTrial(t *testing.T) {
	t.Parallel()
	b := newBench(t, breaker.Config{})
	b.halfOpen()
	b.pass(time.Second)
	b.answer("well", true)
	trial := b.begin("slow")
	b.answers(10_000, true)
	b.End(trial, false)
	if got := b.room(); got != 2 {
		t.Errorf("room for %d, want 2", got)
	}
}

// If the answer to an attempt that is no longer in the ring counted, it would
// count for another grant's attempt. If the ring's tail fell behind, a hanging
// service would be noticed late.
func TestForgottenAttempts(t *testing.T) {
	t.Parallel()
	const size = 4096
	b := newBench(t, breaker.Config{})
	var attempts []breaker.Attempt
	for i := range size + 1000 {
		attempts = append(attempts, b.begin(strconv.Itoa(i)))
		b.pass(time.Millisecond)
	}
	for _, a := range attempts[:1000] {
		b.End(a, false)
	}
	b.want(breaker.Closed)
	b.pass(900 * time.Millisecond) // the oldest in the ring is 4996 ms old
	b.want(breaker.Closed)
	b.pass(100 * time.Millisecond)
	b.want(breaker.Open)
}

// The words are those of the log lines.
func TestState(t *testing.T) {
	t.Parallel()
	for state, want := range map[breaker.State]string{
		breaker.Closed: "closed", breaker.Open: "open", breaker.HalfOpen: "half-open", 7: "State(7)",
	} {
		if got := state.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	b := breaker.New(breaker.Config{Now: time.Now}) // without OnChange
	for i := range 10 {
		a, _ := b.Begin(t.Context(), strconv.Itoa(i), breaker.Options{})
		b.End(a, false)
	}
	if got := b.State(); got != breaker.Open {
		t.Errorf("%v, want open", got)
	}
	b.End(breaker.Attempt{}, false) // no attempt: ignored
}

// Every event of a healthy stack passes through the breaker: garbage would add up.
func TestNoAllocation(t *testing.T) {
	b := breaker.New(breaker.Config{Now: time.Now, OnChange: func(_, _ breaker.State) {}})
	ctx, o := context.Background(), breaker.Options{Wait: 2 * time.Second}
	allocs := testing.AllocsPerRun(10_000, func() {
		a, err := b.Begin(ctx, "amzn1.account.0123456789", o)
		if err != nil || b.State() != breaker.Closed {
			t.Error(err)
		}
		b.End(a, true)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkClosed(b *testing.B) {
	closed := breaker.New(breaker.Config{Now: time.Now})
	ctx := b.Context()
	for b.Loop() {
		a, _ := closed.Begin(ctx, "amzn1.account.0123456789", breaker.Options{})
		closed.End(a, true)
	}
}
