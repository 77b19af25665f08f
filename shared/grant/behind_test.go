package grant_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

// several is a record with the active grants "a" and "b" in the EU and "c" in the
// FE, whose announcements were published.
func several() grant.Record {
	r := grant.New(grant.Key{Skill: "default", UserID: "u-1"})
	for id, region := range map[string]alexa.Region{"a": alexa.EU, "b": alexa.EU, "c": alexa.FE} {
		r.Link(id, region, "account of "+id, tokens(1), start)
	}
	r.Announced(r.Announce, start)
	return r
}

// lamps are the names of n endpoints.
func lamps(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint("lamp-", i+1))
	}
	return names
}

// behind has a grant miss a report of each of some endpoints, which is due in
// ten minutes.
func behind(r *grant.Record, id string, endpoints ...string) {
	for _, endpoint := range endpoints {
		r.NoteBehind(id, endpoint, false, start, start.Add(10*time.Minute))
	}
}

func restAll(r *grant.Record) {
	for id := range r.Grants {
		r.Rest(id, start)
	}
}

func TestBehindNamesEndpoints(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		missed    []string
		discovery bool
		want      grant.Behind
	}{
		{"one", lamps(1), false, grant.Behind{Endpoints: lamps(1)}},
		{"one again", []string{"lamp-1", "lamp-1"}, false, grant.Behind{Endpoints: lamps(1)}},
		{"as many as are named", lamps(20), false, grant.Behind{Endpoints: lamps(20)}},
		{"one of them again", slices.Concat(lamps(20), lamps(1)), false, grant.Behind{Endpoints: lamps(20)}},
		{"one more", lamps(21), false, grant.Behind{All: true}},
		{"many more", lamps(50), false, grant.Behind{All: true}},
		{"discovery", nil, true, grant.Behind{Discovery: true}},
		{"discovery and reports", lamps(2), true, grant.Behind{Endpoints: lamps(2), Discovery: true}},
		{"discovery and all", lamps(21), true, grant.Behind{All: true, Discovery: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := several()
			behind(&r, "a", test.missed...)
			if test.discovery {
				r.NoteBehind("a", "", true, start, start.Add(10*time.Minute))
			}
			want := test.want
			want.Since, want.Due = start, start.Add(10*time.Minute)
			got := r.Grants["a"].Behind
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, endpoint := range test.missed {
				if !got.Has(endpoint, false) || got.Has(endpoint, true) != test.discovery {
					t.Errorf("%s: Has = %t, and with discovery %t", endpoint, got.Has(endpoint, false), got.Has(endpoint, true))
				}
			}
			if got.Has("another", false) != want.All || got.Has("", true) != test.discovery {
				t.Errorf("Has another = %t, Has discovery = %t", got.Has("another", false), got.Has("", true))
			}
			if !r.Grants["b"].Behind.Empty() || (grant.Behind{}).Has("", false) {
				t.Error("a grant that missed nothing has a note")
			}
		})
	}
}

// TestBehindChangesNothingInPlace: copies of a record share the list.
func TestBehindChangesNothingInPlace(t *testing.T) {
	t.Parallel()
	r := several()
	behind(&r, "a", lamps(3)...)
	one, other := r.Clone(), r.Clone()
	behind(&one, "a", "one")
	behind(&other, "a", "other")
	got, former := one.Grants["a"].Behind.Endpoints, r.Grants["a"].Behind.Endpoints
	if !slices.Equal(got, append(lamps(3), "one")) || len(former) != 3 {
		t.Errorf("%v, and the former %v", got, former)
	}
}

// TestBehindIsDueOnce: later notes do not move the first one's time, which
// counts in the record, and not among the times of the grant's refresh.
func TestBehindIsDueOnce(t *testing.T) {
	t.Parallel()
	r := several()
	was := r.Grants["a"]
	behind(&r, "a", "lamp-1")
	r.NoteBehind("a", "lamp-2", false, start.Add(time.Minute), start.Add(time.Hour))
	g := r.Grants["a"]
	if !g.Behind.Since.Equal(start) || !g.Behind.Due.Equal(start.Add(10*time.Minute)) || !r.RefreshDue.Equal(g.Behind.Due) {
		t.Errorf("since %v, due %v, the record %v", g.Behind.Since, g.Behind.Due, r.RefreshDue)
	}
	if !g.RefreshDue.Equal(was.RefreshDue) || !g.NextTry.Equal(was.NextTry) {
		t.Errorf("the refresh is due %v, the next try %v", g.RefreshDue, g.NextTry)
	}
	if g.BehindDue(start.Add(10*time.Minute-1)) || !g.BehindDue(start.Add(10*time.Minute)) {
		t.Error("the note is not due at its time")
	}
	restAll(&r)
	if !r.RefreshDue.Equal(g.Behind.Due) {
		t.Errorf("with all grants at rest the record is due at %v", r.RefreshDue)
	}
}

// TestBehindOfAnotherState: a revoked grant gets no note and keeps none. A
// suspect one's waits for its recovery, which makes it due.
func TestBehindOfAnotherState(t *testing.T) {
	t.Parallel()
	later := start.Add(30 * time.Minute)
	revoked := several()
	behind(&revoked, "a", "lamp-1")
	for _, endpoint := range []string{"lamp-1", "lamp-2"} { // noted before, and after
		revoked.Revoke("a", grant.ReasonInvalidGrant, start)
		if g := revoked.Grants["a"]; !g.Behind.Empty() || len(revoked.Grants) != 3 {
			t.Errorf("%+v of %d grants", g.Behind, len(revoked.Grants))
		}
		behind(&revoked, "a", endpoint)
		behind(&revoked, "unknown", endpoint)
	}
	for name, test := range map[string]struct {
		doubt, recover func(r *grant.Record)
	}{
		"refused by the gateway": {
			func(r *grant.Record) { r.Suspect("a", grant.ReasonUnauthorized, start) },
			func(r *grant.Record) { r.Recover("a", later, later.Add(time.Hour)) },
		},
		"refused by Login with Amazon": {
			func(r *grant.Record) { r.RefreshRefused("a", grant.ReasonRefreshRefused, start) },
			func(r *grant.Record) {
				fresh := grant.Tokens{ExpiresAt: later.Add(time.Hour), RefreshDue: later.Add(time.Hour)}
				r.Refreshed("a", r.Grants["a"], fresh, later)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := several()
			behind(&r, "a", "lamp-1")
			test.doubt(&r)
			behind(&r, "a", "lamp-2")
			r.Announced(r.Announce, start)
			restAll(&r)
			if g := r.Grants["a"]; g.BehindDue(later) || !r.RefreshDue.IsZero() {
				t.Errorf("a suspect grant's note is due, or the record, at %v", r.RefreshDue)
			}
			r.AskAgain([]string{"a"}, later)
			if len(r.Announce) != 0 {
				t.Errorf("announced %+v", r.Announce)
			}
			test.recover(&r)
			r.Announced(r.Announce, later)
			g := r.Grants["a"]
			if !g.BehindDue(later) || !slices.Equal(g.Behind.Endpoints, lamps(2)) || !r.RefreshDue.Equal(later) {
				t.Errorf("after the recovery: %+v, the record due at %v", g.Behind, r.RefreshDue)
			}
		})
	}
}

func TestBehindIsNotIdle(t *testing.T) {
	t.Parallel()
	r := several()
	r.Used(start)
	behind(&r, "a", "lamp-1")
	long := start.Add(60 * 24 * time.Hour)
	if r.Idle(30*24*time.Hour, long) {
		t.Error("a customer who is to be asked again is idle")
	}
	r.AskAgain([]string{"a"}, long)
	if !r.Idle(30*24*time.Hour, long) {
		t.Error("a customer without a note is not idle")
	}
}

func TestAskAgain(t *testing.T) {
	t.Parallel()
	due := start.Add(10 * time.Minute)
	stale := func(id string, region alexa.Region, active int, discovery bool, endpoints ...string) grant.Announcement {
		return grant.Announcement{
			Type: grant.Stale, GrantID: id, Region: region, EndpointIDs: endpoints, Discovery: discovery, ActiveGrants: active, At: due,
		}
	}
	for _, test := range []struct {
		name string
		miss func(r *grant.Record)
		want []grant.Announcement
	}{
		{"nothing", func(*grant.Record) {}, nil},
		{"one", func(r *grant.Record) { behind(r, "b", lamps(2)...) },
			[]grant.Announcement{stale("b", alexa.EU, 2, false, lamps(2)...)}},
		{"two of a region", func(r *grant.Record) { behind(r, "a", "lamp-1", "lamp-2"); behind(r, "b", "lamp-2", "lamp-3") },
			[]grant.Announcement{stale("a", alexa.EU, 2, false, lamps(3)...)}},
		{"two regions", func(r *grant.Record) { behind(r, "a", "lamp-1"); behind(r, "c", "lamp-2") },
			[]grant.Announcement{stale("a", alexa.EU, 2, false, "lamp-1"), stale("c", alexa.FE, 1, false, "lamp-2")}},
		{"one of all endpoints", func(r *grant.Record) { behind(r, "a", "lamp-1"); behind(r, "b", lamps(21)...) },
			[]grant.Announcement{stale("a", alexa.EU, 2, false)}},
		{"discovery", func(r *grant.Record) {
			behind(r, "a", "lamp-1")
			r.NoteBehind("b", "", true, start, due)
		}, []grant.Announcement{stale("a", alexa.EU, 2, true, "lamp-1")}},
		{"discovery alone", func(r *grant.Record) { r.NoteBehind("b", "", true, start, due) },
			[]grant.Announcement{stale("b", alexa.EU, 2, true)}},
		{"one too early", func(r *grant.Record) {
			behind(r, "a", "lamp-1")
			r.NoteBehind("b", "lamp-2", false, start, due.Add(1))
		}, []grant.Announcement{stale("a", alexa.EU, 2, false, "lamp-1")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := several()
			test.miss(&r)
			r.AskAgain([]string{"a", "b"}, due)
			r.AskAgain([]string{"c", "unknown"}, due)
			if diff := cmp.Diff(test.want, r.Announce); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
			for id, g := range r.Grants {
				if g.BehindDue(due) {
					t.Errorf("%s is due still", id)
				}
			}
			if len(test.want) > 0 && !r.RefreshDue.Equal(due) {
				t.Errorf("the record is due at %v", r.RefreshDue)
			}
			announced := len(r.Announce)
			r.AskAgain([]string{"a", "b"}, due)
			r.AskAgain([]string{"c"}, due)
			if len(r.Announce) != announced {
				t.Errorf("asked twice: %+v", r.Announce)
			}
		})
	}
}

// TestPutOffBehind puts off what is due, and nothing else.
func TestPutOffBehind(t *testing.T) {
	t.Parallel()
	r := several()
	due, later := start.Add(10*time.Minute), start.Add(45*time.Minute)
	behind(&r, "a", "lamp-1")
	r.NoteBehind("b", "lamp-2", false, start, due.Add(time.Minute))
	r.PutOffBehind([]string{"a", "b", "c", "unknown"}, due, later)
	a, b := r.Grants["a"].Behind, r.Grants["b"].Behind
	if !a.Due.Equal(later) || !a.Since.Equal(start) || !slices.Equal(a.Endpoints, lamps(1)) {
		t.Errorf("%+v", a)
	}
	if !b.Due.Equal(due.Add(time.Minute)) || len(r.Grants) != 3 || !r.RefreshDue.Equal(b.Due) {
		t.Errorf("%+v of %d grants, the record due at %v", b, len(r.Grants), r.RefreshDue)
	}
}

func TestBehindPause(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	for unwell, most := range map[bool][2]time.Duration{false: {5 * minute, 15 * minute}, true: {15 * minute, 60 * minute}} {
		first, last := most[1], most[0]
		for i := range 1000 {
			pause := grant.BehindPause(unwell, fmt.Sprint("g-", i))
			if pause != grant.BehindPause(unwell, fmt.Sprint("g-", i)) {
				t.Fatalf("%v, and then another", pause)
			}
			first, last = min(first, pause), max(last, pause)
		}
		// They are spread over nearly all of the time, and no more.
		if first < most[0] || last > most[1] || last-first < (most[1]-most[0])*9/10 {
			t.Errorf("from %v to %v, want %v to %v", first, last, most[0], most[1])
		}
	}
}

func TestRegionMark(t *testing.T) {
	t.Parallel()
	if (grant.RegionMark{}).Unwell(start) {
		t.Error("a region that was never unwell is unwell")
	}
	mark := grant.RegionMark{UnwellAt: start}
	if !mark.Unwell(start.Add(3*time.Minute-1)) || mark.Unwell(start.Add(3*time.Minute)) {
		t.Error("a mark does not count for three minutes")
	}
}
