package grant_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// hour is some minutes after the beginning of the nth hour.
func hour(n int, minutes ...time.Duration) time.Time {
	at := time.Date(2026, 1, 2, 3+n, 0, 0, 0, time.UTC)
	for _, m := range minutes {
		at = at.Add(m * time.Minute)
	}
	return at
}

func TestBrakeLimit(t *testing.T) {
	t.Parallel()
	for customers, want := range map[int]int{0: 5, 1: 5, 599: 5, 600: 6, 100_000: 1000} {
		if got := (grant.Brake{Customers: customers}).Limit(); got != want {
			t.Errorf("limit of %d customers = %d, want %d", customers, got, want)
		}
	}
}

// TestBrakeAdmits checks the brake's answers to several saves in order.
func TestBrakeAdmits(t *testing.T) {
	t.Parallel()
	type batch struct {
		at               time.Time
		refused, revoked int
		want             [2]int // admitted refusals and revocations
	}
	type counts struct{ Refused, Revoked, LastRefused, LastRevoked int }
	tests := []struct {
		name      string
		customers int
		batches   []batch
		latched   bool
		want      counts
	}{
		{"five", 0, []batch{{hour(0), 5, 0, [2]int{5, 0}}}, false, counts{Refused: 5}},
		{"five of each", 0, []batch{{hour(0), 5, 5, [2]int{5, 5}}}, false, counts{5, 5, 0, 0}},
		{"nothing", 0, []batch{{hour(0), 0, 0, [2]int{}}}, false, counts{}},
		{"nothing, beyond the limit", 0, []batch{{hour(0), 5, 5, [2]int{5, 5}}, {hour(0), 0, 0, [2]int{}}}, false, counts{5, 5, 0, 0}},
		{"a sixth", 0, []batch{{hour(0), 5, 0, [2]int{5, 0}}, {hour(0), 1, 0, [2]int{}}}, true, counts{Refused: 5}},
		{"a sixth revocation", 0, []batch{{hour(0), 0, 5, [2]int{0, 5}}, {hour(0), 0, 1, [2]int{}}}, true, counts{Revoked: 5}},
		{"part of a batch", 0, []batch{{hour(0), 3, 0, [2]int{3, 0}}, {hour(0), 4, 2, [2]int{2, 2}}}, true, counts{Refused: 5, Revoked: 2}},
		{"part of the revocations", 0, []batch{{hour(0), 2, 7, [2]int{2, 5}}}, true, counts{Refused: 2, Revoked: 5}},
		{"nothing after it latched", 0, []batch{{hour(0), 6, 0, [2]int{5, 0}}, {hour(0), 0, 1, [2]int{}}, {hour(9), 1, 1, [2]int{}}},
			true, counts{}},
		{"one in a hundred customers", 1234, []batch{{hour(0), 12, 12, [2]int{12, 12}}, {hour(0), 1, 0, [2]int{}}}, true, counts{12, 12, 0, 0}},
		{"the last hour counts", 0, []batch{{hour(0), 3, 0, [2]int{3, 0}}, {hour(1, 59), 3, 0, [2]int{2, 0}}},
			true, counts{Refused: 2, LastRefused: 3}},
		{"the last hour's revocations count", 0, []batch{{hour(0), 0, 3, [2]int{0, 3}}, {hour(1, 59), 0, 3, [2]int{0, 2}}},
			true, counts{Revoked: 2, LastRevoked: 3}},
		{"the hour before does not", 0, []batch{
			{hour(0, 59), 3, 1, [2]int{3, 1}}, {hour(1), 2, 1, [2]int{2, 1}}, {hour(2), 3, 1, [2]int{3, 1}},
		}, false, counts{3, 1, 2, 1}},
		{"after a quiet hour", 0, []batch{{hour(0), 5, 5, [2]int{5, 5}}, {hour(2), 5, 5, [2]int{5, 5}}}, false, counts{5, 5, 0, 0}},
		{"a clock that is behind", 0, []batch{
			{hour(1), 3, 0, [2]int{3, 0}}, {hour(0, 59), 2, 0, [2]int{2, 0}}, {hour(1), 1, 0, [2]int{}},
		}, true, counts{Refused: 5}},
		{"a clock in another place", 0, []batch{
			{hour(0).In(time.FixedZone("half", 1800)), 3, 0, [2]int{3, 0}}, {hour(0, 59), 3, 0, [2]int{2, 0}},
		}, true, counts{Refused: 5}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := grant.Brake{Customers: test.customers}
			for i, batch := range test.batches {
				refused, revoked := b.Admit(batch.refused, batch.revoked, batch.at)
				if got := [2]int{refused, revoked}; got != batch.want {
					t.Errorf("batch %d: admitted = %v, want %v", i+1, got, batch.want)
				}
			}
			if b.Latched() != test.latched {
				t.Errorf("latched = %t, want %t", b.Latched(), test.latched)
			}
			last := test.batches[len(test.batches)-1].at
			if at := b.At(last); at != b {
				t.Errorf("counts differ from those of %v: %+v", last, b)
			}
			expect.Equal(t, "counts", test.want, counts{b.Refused, b.Revoked, b.LastRefused, b.LastRevoked})
		})
	}
}

// latched returns a brake of a thousand customers that latched by itself.
func latched(at time.Time) grant.Brake {
	b := grant.Brake{Customers: 1000, CountedAt: hour(0)}
	b.Admit(11, 0, at)
	return b
}

// TestBrakeReleases checks which refreshes of sweeps release a brake.
func TestBrakeReleases(t *testing.T) {
	t.Parallel()
	type run struct {
		after     time.Duration // since it latched
		good, bad int
	}
	byHand := func(b *grant.Brake) { b.On(hour(0)) }
	tests := []struct {
		name    string
		before  func(*grant.Brake)
		runs    []run
		release bool
	}{
		{"all went well", nil, []run{{time.Hour, 50, 0}, {2 * time.Hour, 50, 0}}, true},
		{"nine of ten went well", nil, []run{{time.Hour, 0, 10}, {2 * time.Hour, 90, 0}}, true},
		{"fewer went well", nil, []run{{time.Hour, 0, 10}, {2 * time.Hour, 89, 0}}, false},
		{"none was done", nil, []run{{time.Hour, 0, 0}, {2 * time.Hour, 0, 0}}, false},
		{"none went well", nil, []run{{time.Hour, 0, 1}, {2 * time.Hour, 0, 0}}, false},
		{"for less than two hours", nil, []run{{2*time.Hour - time.Nanosecond, 1000, 0}}, false},
		{"in the next two hours", nil, []run{{time.Hour, 0, 10}, {2 * time.Hour, 10, 0}, {3 * time.Hour, 9, 1}, {4 * time.Hour, 90, 9}}, true},
		{"what came before does not count", nil, []run{{time.Hour, 1000, 0}, {2 * time.Hour, 0, 1000}, {4 * time.Hour, 9, 1}}, true},
		{"nor does it help", nil, []run{{time.Hour, 900, 0}, {2 * time.Hour, 0, 900}, {4 * time.Hour, 8, 1}}, false},
		{"a clock that is behind", nil, []run{{-5 * time.Hour, 1000, 0}}, false},
		{"by hand", byHand, []run{{time.Hour, 1000, 0}, {2 * time.Hour, 1000, 0}, {48 * time.Hour, 1000, 0}}, false},
		{"by hand, and released", func(b *grant.Brake) { byHand(b); b.Off(hour(0)) }, nil, true},
		{"released", func(b *grant.Brake) { b.Off(hour(0)) }, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := latched(hour(0))
			if test.before != nil {
				test.before(&b)
			}
			for _, run := range test.runs {
				b.Observe(run.good, run.bad, hour(0).Add(run.after))
			}
			if b.Latched() == test.release {
				t.Fatalf("released = %t, want %t: %+v", !b.Latched(), test.release, b)
			}
			want := grant.Brake{Customers: 1000, CountedAt: hour(0), OffUntil: b.OffUntil}
			if diff := cmp.Diff(want, b); test.release && diff != "" {
				t.Errorf("the released brake keeps old counts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBrakeReports: a latched brake reports at once, and then every hour.
func TestBrakeReports(t *testing.T) {
	t.Parallel()
	b := latched(hour(0))
	for _, step := range []struct {
		at   time.Time
		want bool
	}{
		{hour(0, 1), true}, {hour(0, 1), false}, {hour(1), false}, {hour(1, 1), true}, {hour(0, 30), false},
		{hour(2, 0), false}, {hour(9), true},
	} {
		if got := b.Observe(0, 1, step.at); got != step.want {
			t.Errorf("%v: reports = %t, want %t", step.at, got, step.want)
		}
	}
	if b.Observe(1000, 0, hour(12)) || b.Latched() {
		t.Errorf("a released brake reports: %+v", b)
	}
	b.Admit(11, 0, hour(12, 1))
	if !b.Observe(0, 1, hour(12, 2)) {
		t.Error("a brake that latches again does not report at once")
	}
	var released grant.Brake
	if released.Observe(5, 5, hour(0)) || released != (grant.Brake{}) {
		t.Errorf("a released brake counts observations: %+v", released)
	}
}

// TestBrakeOff: the brake admits all for a day, and counts them.
func TestBrakeOff(t *testing.T) {
	t.Parallel()
	b := latched(hour(0))
	b.Off(hour(0))
	for n := range 24 {
		if refused, revoked := b.Admit(100, 100, hour(n, 59)); refused != 100 || revoked != 100 || b.Latched() {
			t.Fatalf("hour %d: admitted %d and %d, latched = %t", n, refused, revoked, b.Latched())
		}
	}
	if b.Refused != 100 || b.LastRevoked != 100 {
		t.Errorf("admitted changes are not counted: %+v", b)
	}
	if refused, revoked := b.Admit(1, 0, hour(24)); refused != 0 || revoked != 0 || !b.Latched() {
		t.Errorf("after a day: admitted %d and %d, latched = %t", refused, revoked, b.Latched())
	}

	b.Off(hour(24))
	b.On(hour(25)) // ends the day
	if refused, revoked := b.Admit(1, 1, hour(25)); refused != 0 || revoked != 0 || !b.LatchedAt.Equal(hour(25)) {
		t.Errorf("latched by hand: admitted %d and %d: %+v", refused, revoked, b)
	}
	if !b.Observe(0, 0, hour(26)) {
		t.Error("a brake latched by hand does not report")
	}
}
