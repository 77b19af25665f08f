package grant_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestNoteBehind(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"missed a lamp-1 0", "a: active behind lamp-1 since 0 due 10"},
		{"2*missed a lamp-1 0", "a: active behind lamp-1 since 0 due 10"},
		{"missed a 20 0", "a: active behind 20 lamps since 0 due 10"},
		{"missed a 20 0, missed a lamp-1 0", "a: active behind 20 lamps since 0 due 10"},
		{"missed a 21 0", "a: active behind all since 0 due 10"},
		{"missed a 50 0", "a: active behind all since 0 due 10"},
		{"discovery a 0", "a: active behind discovery since 0 due 10"},
		{"missed a lamp-1+lamp-2 0, discovery a 0", "a: active behind lamp-1+lamp-2 discovery since 0 due 10"},
		{"missed a 21 0, discovery a 0", "a: active behind all discovery since 0 due 10"},
		// Later reports do not postpone the first one's due time.
		{"missed a lamp-1 0, missed a lamp-2 1", "a: active behind lamp-1+lamp-2 since 0 due 10"},
		{"missed a lamp-1 0, rest 0", "a: active due never behind lamp-1 since 0 due 10"},
		// A refresh of an active grant does not either: it is no recovery.
		{"missed a lamp-1 0, ask 5, refreshed 5", "a: active due 50 ends 90 behind lamp-1 since 0 due 10 tokens 2"},
		// A revoked grant records no missed reports and keeps none.
		{"missed a lamp-1 0, revoke a invalid_grant 0, missed a lamp-2 0, missed unknown lamp-1 0",
			"a: revoked invalid_grant due never erase 10080 without access token; revoked a EU 0 invalid_grant"},
		// A suspect grant's become due when it recovers.
		{"missed a lamp-1 0, suspect unauthorized 0, missed a lamp-2 0, rest 0, again a 30",
			"a: suspect unauthorized due never next 1 told 0 behind lamp-1+lamp-2 since 0 due 10; suspect a EU 1 unauthorized"},
		{"missed a lamp-1 0, suspect unauthorized 0, missed a lamp-2 0, publish 0, recover 30",
			"a: active since 30 due 60 behind lamp-1+lamp-2 since 0 due 30; recovered a EU 1"},
		{"missed a lamp-1 0, refused refresh_refused 0, missed a lamp-2 0, rest 0, again a 30",
			"a: suspect refresh_refused due never next 5 refused 0 failures 1 behind lamp-1+lamp-2 since 0 due 10"},
		{"missed a lamp-1 0, refused refresh_refused 0, missed a lamp-2 0, ask 30, refreshed 30",
			"a: active since 30 due 50 ends 90 behind lamp-1+lamp-2 since 0 due 30 tokens 2"},
	})
}

func TestRequestReports(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"several 0, again a+b 10", "a: active; b: active; c: active; region FE"},
		{"several 0, missed b lamp-1+lamp-2 0, 2*again a+b 10", "a: active; b: active; c: active; region FE; stale b EU 2 lamp-1+lamp-2"},
		{"several 0, missed a lamp-1+lamp-2 0, missed b lamp-2+lamp-3 0, again a+b 10, again c+unknown 10",
			"a: active; b: active; c: active; region FE; stale a EU 2 3 lamps"},
		{"several 0, missed a lamp-1 0, missed c lamp-2 0, again a+b 10, again c 10",
			"a: active; b: active; c: active; region FE; stale a EU 2 lamp-1; stale c FE 1 lamp-2"},
		{"several 0, missed a lamp-1 0, missed b 21 0, again a+b 10", "a: active; b: active; c: active; region FE; stale a EU 2"},
		{"several 0, missed a lamp-1 0, discovery b 0, again a+b 10",
			"a: active; b: active; c: active; region FE; stale a EU 2 lamp-1 discovery"},
		{"several 0, discovery b 0, again a+b 10", "a: active; b: active; c: active; region FE; stale b EU 2 discovery"},
		{"several 0, missed a lamp-1 0, missed b lamp-2 1, again a+b 10",
			"a: active; b: active behind lamp-2 since 1 due 11; c: active; region FE; stale a EU 2 lamp-1"},
		{"missed a lamp-1 0, again a 9", "a: active behind lamp-1 since 0 due 10"},
		// Only due reports are postponed.
		{"several 0, missed a lamp-1 0, missed b lamp-2 1, putoff a+b+c+unknown 10",
			"a: active behind lamp-1 since 0 due 45; b: active behind lamp-2 since 1 due 11; c: active; region FE"},
	})
}

func TestBehindHas(t *testing.T) {
	t.Parallel()
	for i, test := range []struct {
		behind                   grant.Behind
		lamp, another, discovery bool
	}{
		{grant.Behind{}, false, false, false},
		{grant.Behind{Endpoints: []string{"lamp-0", "lamp-1"}}, true, false, false},
		{grant.Behind{All: true}, true, true, false},
		{grant.Behind{Discovery: true}, false, false, true},
		{grant.Behind{Endpoints: []string{"lamp-1"}, Discovery: true}, true, false, true},
	} {
		b := test.behind
		if i > 0 { // the first is empty
			b.Since = start
		}
		got := []bool{b.Has("lamp-1", false), b.Has("another", false), b.Has("", true), b.Has("lamp-1", true)}
		expect.Equal(t, fmt.Sprintf("%+v", b), []bool{test.lamp, test.another, test.discovery, test.discovery && test.lamp}, got)
	}
}

// TestBehindChangesNothingInPlace: copies of a record share the list of endpoints.
func TestBehindChangesNothingInPlace(t *testing.T) {
	t.Parallel()
	r := several()
	miss := func(r *grant.Record, names ...string) {
		for _, name := range names {
			r.NoteBehind("a", name, false, start, minute(10))
		}
	}
	miss(&r, endpoints("3")...)
	one, other := r.Clone(), r.Clone()
	miss(&one, "one")
	miss(&other, "other")
	got, former := one.Grants["a"].Behind.Endpoints, r.Grants["a"].Behind.Endpoints
	if !slices.Equal(got, append(endpoints("3"), "one")) || len(former) != 3 {
		t.Errorf("endpoints = %v, former copy = %v", got, former)
	}
}

func TestBehindIsNotIdle(t *testing.T) {
	t.Parallel()
	p, month := play("used 0, missed a lamp-1 0"), 30*24*time.Hour
	if p.Idle(month, start.Add(2*month)) {
		t.Error("a customer with missed reports is idle")
	}
	if p.AnnounceStale([]string{"a"}, start.Add(2*month)); !p.Idle(month, start.Add(2*month)) {
		t.Error("a customer without missed reports is not idle")
	}
}

func TestBehindPause(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	for unhealthy, most := range map[bool][2]time.Duration{false: {5 * minute, 15 * minute}, true: {15 * minute, 60 * minute}} {
		first, last := most[1], most[0]
		for i := range 1000 {
			pause := grant.BehindPause(unhealthy, fmt.Sprint("g-", i))
			if pause != grant.BehindPause(unhealthy, fmt.Sprint("g-", i)) {
				t.Fatalf("pause = %v, and then another", pause)
			}
			first, last = min(first, pause), max(last, pause)
		}
		// The pauses are spread over nearly all of the range.
		if first < most[0] || last > most[1] || last-first < (most[1]-most[0])*9/10 {
			t.Errorf("pauses from %v to %v, want %v to %v", first, last, most[0], most[1])
		}
	}
}

func TestRegionMark(t *testing.T) {
	t.Parallel()
	if (grant.RegionMark{}).Unhealthy(start) {
		t.Error("a region without a mark is unhealthy")
	}
	mark := grant.RegionMark{UnhealthyAt: start}
	if !mark.Unhealthy(start.Add(3*time.Minute-1)) || mark.Unhealthy(start.Add(3*time.Minute)) {
		t.Error("a mark does not last three minutes")
	}
}
