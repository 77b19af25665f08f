package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
)

// bench is a breaker with a manual clock.
type bench struct {
	*breaker.Breaker
	t    *testing.T
	now  time.Time
	held map[string]breaker.Attempt // by grant

	raised []int // rooms
}

func newBench(t *testing.T, config breaker.Config) *bench {
	b := &bench{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), held: make(map[string]breaker.Attempt)}
	config.Now = func() time.Time { return b.now }
	config.OnChange = func(c breaker.Change) { b.raised = append(b.raised, c.Room) }
	b.Breaker = breaker.New(config)
	return b
}

// begin begins an attempt, which must be admitted.
func (b *bench) begin(grant string) breaker.Attempt {
	a, err := b.Begin(b.t.Context(), grant, breaker.Options{})
	if err != nil {
		b.t.Fatalf("Begin(%s) while %v: %v", grant, b.State(), err)
	}
	return a
}

// room returns how many trials are admitted, and cancels them.
func (b *bench) room() int {
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

// recover ends one successful trial a second until the breaker closes. Each second
// a hundred trials of another grant end too, successfully if it is "quick".
func (b *bench) recover(another string) {
	second := 0
	b.raised = nil
	for ; b.State() == breaker.HalfOpen; second++ {
		for n := 0; n < 100 && another != ""; n++ {
			b.End(b.begin(another), another == "quick")
		}
		if got := b.room(); got != 1<<second {
			b.t.Fatalf("room = %d in second %d, want %d", got, second, 1<<second)
		}
		b.now = b.now.Add(time.Second)
		b.End(b.begin("well"+strconv.Itoa(second)), true)
	}
	if second != 7 || b.State() != breaker.Closed {
		b.t.Fatalf("state = %v after %d s, want closed after 7 s", b.State(), second)
	}
	if want := []int{2, 4, 8, 16, 32, 64, 0}; !slices.Equal(b.raised, want) {
		b.t.Errorf("the rooms %v are reported, want %v", b.raised, want)
	}
}

var numbered = regexp.MustCompile(`^([a-z]*)([0-9]+)-([0-9]+)$`)

// grants returns the grants in a script: "b7", or "b0-9" for ten.
func grants(names string) []string {
	m := numbered.FindStringSubmatch(names)
	if m == nil {
		return []string{names}
	}
	first, _ := strconv.Atoi(m[2])
	last, _ := strconv.Atoi(m[3])
	var list []string
	for n := first; n <= last; n++ {
		list = append(list, m[1]+strconv.Itoa(n))
	}
	return list
}

// play runs a script: "bad 0-9" is a bad answer for each of ten grants, and "bad
// 0-9 1s" waits a second between them. An attempt of "begin" ends later.
func (b *bench) play(script string) {
	b.t.Helper()
	for step := range strings.SplitSeq(script, ", ") {
		args := append(strings.Fields(step), "", "")
		pause, _ := time.ParseDuration(args[2])
		state := b.State()
		switch args[0] {
		case "pass":
			pause, _ = time.ParseDuration(args[1])
			b.now = b.now.Add(pause)
		case "is":
			if state.String() != args[1] {
				b.t.Fatalf("state = %v, want %s", state, args[1])
			}
		case "room":
			if got := strconv.Itoa(b.room()); got != args[1] {
				b.t.Fatalf("room = %s, want %s", got, args[1])
			}
		case "refused": // an attempt that would wait, or must not be a trial
			o := breaker.Options{NoTrial: args[1] == "press"}
			if state == breaker.Open || o.NoTrial {
				o.Wait = time.Hour
			}
			if a, err := b.Begin(b.t.Context(), "refused", o); !errors.Is(err, breaker.ErrOpen) || a != (breaker.Attempt{}) {
				b.t.Fatalf("Begin() = %v, %v while %v; want ErrOpen", a, err, state)
			}
		case "press":
			a, err := b.Begin(b.t.Context(), "press", breaker.Options{NoTrial: true})
			if err != nil {
				b.t.Fatalf("error = %v while %v", err, state)
			}
			b.End(a, true)
		case "open":
			b.play("bad outage0-9, is open")
		case "recover":
			b.recover(args[1])
		default:
			for _, grant := range grants(args[1]) {
				b.step(args[0], grant, args[2] == "good")
				b.now = b.now.Add(pause)
			}
		}
	}
}

// step runs one grant's step.
func (b *bench) step(what, grant string, good bool) {
	switch what {
	case "good", "bad":
		b.End(b.begin(grant), what == "good")
	case "begin":
		b.held[grant] = b.begin(grant)
	case "end":
		b.End(b.held[grant], good)
	case "cancel":
		b.Cancel(b.held[grant])
	case "drop":
		b.Cancel(b.begin(grant))
	default:
		panic("no step " + what)
	}
}

// TestBreaker: each script's name is the fault that it would find.
func TestBreaker(t *testing.T) {
	t.Parallel()
	// oneInFlight begins sixty attempts, of which one in n stays in flight.
	oneInFlight := func(of int) string {
		script := "begin 0-59"
		for i := range 60 {
			if i%of != 0 {
				script += fmt.Sprintf(", end %d bad", i)
			}
		}
		return script
	}
	pauses := "open"
	for i, s := range []int{5, 10, 20, 30, 30} {
		if i > 0 {
			pauses += ", bad 0-2"
		}
		pauses += fmt.Sprintf(", pass %d.999999999s, is open, refused, pass 1ns, is half-open", s-1)
	}
	const halfOpen = "open, pass 5s, is half-open, "
	for name, script := range map[string]string{
		"a process's first failure opens it":   strings.Repeat("bad 0-8, ", 10) + "is closed, begin 9, is closed, end 9 bad, is open, refused",
		"ten failures of one grant open it":    strings.Repeat("bad chatty, pass 5ms, ", 1000) + "is closed",
		"failures that are over open it":       "bad 0-8, good 0-8, bad 9, is closed",
		"slow failures that are over open it":  "begin s0-19, good s0-19, end s0-19 bad, is closed",
		"failures of a quiet night add up":     "bad 0-99 1.2s, is closed",                               // 9 grants in 10 s
		"a busy process needs 5 s of failures": "good 0-999 2ms, bad b0-23, is closed, bad b24, is open", // 25 of 50
		"a burst opens it, or hides an outage": "bad 0-8, begin p0-99, pass 4s, begin 0-8, is closed, begin 9-10, end 9 bad, is closed, " +
			"pass 1s, is open",
		"quick refusals are a biased sample":    oneInFlight(2) + ", is closed",
		"and those of two in three":             oneInFlight(3) + ", is closed",
		"an attempt that hangs hides an outage": oneInFlight(4) + ", is open",
		"who answers after 20 s is healthy":     "begin 0-8, pass 5s, end 0-8 good, is closed, bad 9, is open",
		"all are too old when one returns":      "begin 0-79, pass 20s, end 0 bad, is open",
		"what was never sent counts": "drop 0-99, begin a0-99, cancel a0-99, pass 5s, is closed, bad 0-8, is closed, bad 9, is open, " +
			"pass 5s, " + strings.Repeat("drop trial, ", 100) + "room 1",
		"each pause is 5 s, or 30 s the next time":       pauses + ", recover, " + pauses,
		"seven good answers close it":                    halfOpen + "recover quick, bad 0, is closed",
		"a second without a good answer raises the room": halfOpen + "pass 60s, bad bad, room 1",
		"one sick grant reopens it":                      halfOpen + strings.Repeat("bad sick, ", 100) + "is half-open, bad s1, recover sick",
		"half of the trials do not":                      halfOpen + "good 0-19, bad sick, bad s0-17, is half-open, bad s18, is open", // 20 of 40
		"trials do not reopen it":                        halfOpen + "bad b0-1, is half-open, bad b2, is open",
		// A small maker's trials are rare.
		"good trials of long ago do not count":   halfOpen + "good 0-2 60s, bad b0-1, is half-open, bad b2, is open",
		"four good trials are outvoted by three": halfOpen + "good 0-3 60s, bad b0-2, is half-open, bad b3, is open",
		"a hanging service keeps it half-open": halfOpen + "begin 0, pass 4.999999999s, is half-open, refused, pass 1ns, is half-open, " +
			"refused, end 0 good, begin 1, pass 5s, is half-open, end 1 good, begin 2, pass 5s, is open, end 2 good, is open",
		"a press is a trial": "press, open, refused press, pass 5s, refused press, recover, press",
		"an outage's own requests reopen it": "begin b0-49, end b10-49 bad, is open, end b0 bad, cancel b1, pass 5s, begin trial, pass 1s, " +
			"end b2-5 good, end b6-9 bad, is half-open, refused, end trial good, room 2",
		"a trial that left the ring keeps its room": halfOpen + "pass 1s, good well, begin slow, good 0-9999, end slow bad, room 2",
		// The oldest entry of the ring is 4996 ms old here, and the breaker must
		// not open yet.
		"what left the ring counts for another": "begin 0-5095 1ms, end 0-999 bad, is closed, pass 900ms, is closed, pass 100ms, is open",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newBench(t, breaker.Config{}).play(script)
		})
	}
	// Without AnswersOnly a breaker that counts 401 would open when the service
	// hangs, and blame the tokens.
	b := newBench(t, breaker.Config{AnswersOnly: true})
	b.play("begin 0-29 1s, end 0-9 good, is closed, end 10-18 bad, is closed, end 19 bad, is open") // 10 of 20
}

// TestState: the names are those in log lines.
func TestState(t *testing.T) {
	t.Parallel()
	for state, want := range map[breaker.State]string{
		breaker.Closed: "closed", breaker.Open: "open", breaker.HalfOpen: "half-open", 7: "State(7)",
	} {
		if got := state.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
	b := breaker.New(breaker.Config{Now: time.Now}) // without OnChange
	for i := range 10 {
		a, _ := b.Begin(t.Context(), strconv.Itoa(i), breaker.Options{})
		b.End(a, false)
	}
	if got := b.State(); got != breaker.Open {
		t.Errorf("state = %v, want open", got)
	}
	b.End(breaker.Attempt{}, false) // the zero attempt is ignored
}

// TestNoAllocation: every event of a healthy stack passes through the breaker.
func TestNoAllocation(t *testing.T) {
	b := breaker.New(breaker.Config{Now: time.Now, OnChange: func(breaker.Change) {}})
	ctx, o := context.Background(), breaker.Options{Wait: 2 * time.Second}
	allocs := testing.AllocsPerRun(10_000, func() {
		a, err := b.Begin(ctx, "amzn1.account.0123456789", o)
		if err != nil || b.State() != breaker.Closed {
			t.Error(err)
		}
		b.End(a, true)
	})
	if allocs != 0 {
		t.Errorf("allocations = %v, want 0", allocs)
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
