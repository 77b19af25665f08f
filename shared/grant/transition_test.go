package grant_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestLink(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		// The first link.
		{"link a EU 0", "a: active; linked a EU 1"},
		// The same code twice.
		{"link a EU 0, publish 0, link a EU 1", "a: active"},
		// Each grant has its region, the record the newest grant's.
		{"link b EU 1, link c NA 2",
			"a: active due 1 unproven 1 by relink 1; b: active; c: active; region NA; relinked b EU 2; linked c NA 1"},
		// A link is recorded as use, if use is recorded.
		{"used 0, link d NA 60", "a: active; d: active; region NA; used 60; linked d NA 1"},
	})
}

// TestImport: an import announces nothing and leaves the other grants as they are, and
// is use, if use is recorded.
func TestImport(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"import b EU 10", "a: active; b: active tokens 0; proven false, due 40"},
		{"used 0, import b NA 50", "a: active; b: active tokens 0; used 50; proven false, due 50"},
	})
}

// TestRelink: a link removes the same account's older grant in the region, keeps
// another account's, and leaves an unknown one unproven.
func TestRelink(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"link b EU 10", "a: active due 10 unproven 10 by relink 10; b: active; relinked b EU 2"},
		{"link a EU 0, publish 0, link b EU x 10", "a: active due 10 unproven 10 by relink 10; b: active; relinked b EU 2"},
		{"link a EU x 0, publish 0, link b EU 10", "a: active due 10 unproven 10 by relink 10; b: active; relinked b EU 2"},
		{"link a EU x 0, publish 0, link b EU x 10", "b: active; relinked b EU 1"},
		{"link a EU x 0, publish 0, link b EU y 10", "a: active; b: active; relinked b EU 2"},
		{"link b NA 10", "a: active; b: active; region NA; linked b NA 1"},
		{"link a EU x 0, publish 0, link b NA x 10", "a: active; b: active; region NA; linked b NA 1"},
		{"suspect unauthorized 0, publish 0, link b EU 10",
			"a: suspect unauthorized due 10 next 1 unproven 10 by relink 10 told 0; b: active; relinked b EU 2"},
		{"rest 0, link b EU 10", "a: active due 10 unproven 10 by relink 10; b: active; relinked b EU 2"},
		{"revoke a invalid_grant 0, publish 0, link b EU 10",
			"a: revoked invalid_grant due never erase 10080 without access token; b: active; relinked b EU 1"},
	})
}

// TestRefreshed: a refresh settles what was known at its call, and keeps what was
// recorded since.
func TestRefreshed(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"ask 10, refreshed 12", "a: active due 50 ends 90 tokens 2"},
		// Tokens that were saved late.
		{"ask 10, refreshed 55", "a: active due 55 ends 90 tokens 2"},
		{"rest 0, ask 10, refreshed 12", "a: active due 50 ends 90 tokens 2"},
		{"refused refresh_refused 10, ask 10, refreshed 12", "a: active since 12 due 50 ends 90 tokens 2"},
		{"refused refresh_refused 10, tell 10, ask 10, refreshed 12",
			"a: active since 12 due 50 ends 90 tokens 2; suspect a EU 1 refresh_refused; recovered a EU 1"},
		{"cannot other_client 0, ask 10, refreshed 12", "a: active since 12 due 50 ends 90 tokens 2"},
		{"cannot unreadable 0, ask 10, refreshed 12",
			"a: active since 12 due 50 ends 90 tokens 2; suspect a EU 1 unreadable; recovered a EU 1"},
		{"ask 10, refused refresh_refused 10, refreshed 12", "a: active since 12 due 50 ends 90 tokens 2"},
		{"ask 10, failed 10, refreshed 12", "a: active due 50 ends 90 tokens 2"},
		{"ask 10, revoke a x 11, refreshed 12", "a: active since 12 due 50 ends 90 tokens 2; revoked a EU 0 x; recovered a EU 1"},
		// A skill event or a relink, before the call and after it.
		{"prove skill_event 10, ask 10, refreshed 12", "a: active due 50 ends 90 tokens 2; found true"},
		{"ask 10, prove skill_event 11, refreshed 12", "a: active due 11 by skill_event 11 ends 90 tokens 2; found true"},
		{"prove skill_event 10, ask 10, prove skill_event 11, refreshed 12",
			"a: active due 10 by skill_event 11 ends 90 tokens 2; found true; found true"},
		{"link b EU 10, publish 10, ask 10, refreshed 12", "a: active due 50 ends 90 tokens 2; b: active"},
		{"ask 10, link b EU 11, publish 11, refreshed 12", "a: active due 11 unproven 11 by relink 11 ends 90 tokens 2; b: active"},
		{"link b EU 10, publish 10, ask 10, prove skill_event 11, refreshed 12",
			"a: active due 10 by skill_event 11 ends 90 tokens 2; b: active due 11 by skill_event 11; found true"},
		// A grant that the gateway refuses stays suspect, keeps its probe time, and
		// is due in about a day.
		{"suspect unauthorized 0, probefailed unauthorized 0, ask 0, refreshed 60",
			"a: suspect unauthorized due 1704 next 2 told 0 failures 1 ends 90 tokens 2; suspect a EU 1 unauthorized"},
		{"suspect unauthorized 0, refused refresh_refused 0, ask 0, refreshed 60",
			"a: suspect unauthorized due 1704 next 1 told 0 ends 90 tokens 2; suspect a EU 1 unauthorized"},
		{"suspect unauthorized 0, prove skill_event 59, ask 60, refreshed 60",
			"a: suspect unauthorized due 1704 next 1 told 0 ends 90 tokens 2; suspect a EU 1 unauthorized; found true"},
		{"ask 0, suspect unauthorized 0, refreshed 60",
			"a: suspect unauthorized due 1704 next 1 told 0 ends 90 tokens 2; suspect a EU 1 unauthorized"},
		{"suspect unauthorized 0, ask 0, prove skill_event 59, refreshed 60",
			"a: suspect unauthorized due 59 next 1 by skill_event 59 told 0 ends 90 tokens 2; suspect a EU 1 unauthorized; found true"},
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		// The pauses grow, and one refusal is tried an hour after the first.
		{"refused refresh_refused 0", "a: suspect refresh_refused due 5 next 5 refused 0 failures 1"},
		{"refused refresh_refused 0, refused refresh_refused 5", "a: suspect refresh_refused due 15 next 15 refused 0 failures 2"},
		{"refused refresh_refused 0, 2*refused refresh_refused 5", "a: suspect refresh_refused due 25 next 25 refused 0 failures 3"},
		{"refused refresh_refused 0, 3*refused refresh_refused 35", "a: suspect refresh_refused due 60 next 60 refused 0 failures 4"},
		{"refused refresh_refused 0, 4*refused refresh_refused 60",
			"a: suspect refresh_refused due 140 next 120 refused 0 told 60 failures 5; suspect a EU 1 refresh_refused"},
		{"refused refresh_refused 0, 5*refused refresh_refused 60",
			"a: suspect refresh_refused due 220 next 120 refused 0 told 60 failures 6; suspect a EU 1 refresh_refused"},
		{"refused refresh_refused 0, 9*refused refresh_refused 60",
			"a: suspect refresh_refused due 1500 next 120 refused 0 told 60 failures 10; suspect a EU 1 refresh_refused"},
		// The maker is told once, a minute before the token expires.
		{"refused refresh_outcome_unknown 0, refused refresh_refused 58",
			"a: suspect refresh_refused due 60 next 60 refused 0 failures 2"},
		{"refused refresh_outcome_unknown 0, refused refresh_refused 59",
			"a: suspect refresh_refused due 60 next 60 refused 0 told 59 failures 2; suspect a EU 1 refresh_refused"},
		{"refused refresh_refused 0, refused refresh_refused 59, refused refresh_refused 70",
			"a: suspect refresh_refused due 90 next 90 refused 0 told 59 failures 3; suspect a EU 1 refresh_refused"},
		// A grant that the gateway refuses keeps its reason and its probes.
		{"suspect skill_disabled 0, probefailed skill_disabled 0, publish 0, ask 0, refused refresh_refused 0",
			"a: suspect skill_disabled due 60 next 2 refused 0 told 0 failures 1"},
		{"suspect skill_disabled 0, publish 0, refused refresh_refused 0, refused refresh_refused 59",
			"a: suspect skill_disabled due 60 next 1 refused 0 told 0"},
		{"suspect skill_disabled 0, publish 0, refused refresh_refused 0, refused refresh_refused 60",
			"a: suspect skill_disabled due 1500 next 1 refused 0 told 0"},
		{"suspect skill_disabled 0, publish 0, refused refresh_refused 0, refused refresh_refused 600",
			"a: suspect skill_disabled due 2040 next 1 refused 0 told 0"},
		// Failures of another kind: the pause is up to a quarter longer, depending
		// on the grant's id.
		{"failed 0", "a: active due 1 failures 1"},
		{"2*failed 0", "a: active due 2 failures 2"},
		{"6*failed 0", "a: active due 37 failures 6"},
		{"7*failed 0", "a: active due 68 failures 7"},
		{"8*failed 0", "a: active due 68 failures 8"},
		{"refused refresh_refused 0, failed 0", "a: suspect refresh_refused due 2 next 5 refused 0 failures 2"},
	})
}

func TestCannotRefresh(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"cannot other_client 0", "a: suspect other_client due 1 next 1 failures 1"},
		{"2*cannot other_client 0", "a: suspect other_client due 2 next 2 failures 2"},
		{"4*cannot other_client 0", "a: suspect other_client due 8 next 8 failures 4"},
		{"5*cannot other_client 0", "a: suspect other_client due 16 next 15 failures 5"},
		{"7*cannot other_client 0", "a: suspect other_client due 60 next 15 failures 7"},
		{"cannot unreadable 0", "a: suspect unreadable due 1 next 1 told 0 failures 1; suspect a EU 1 unreadable"},
		{"ends 1, 2*cannot other_client 0", "a: suspect other_client due 2 next 2 told 0 failures 2 ends 1; suspect a EU 1 other_client"},
		{"suspect unauthorized 0, probefailed unauthorized 0, publish 0, ends 31, cannot other_client 30",
			"a: suspect other_client since 30 due 31 next 31 told 0 failures 1 ends 31"},
	})
}

func TestTell(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"refused refresh_refused 0, 2*tell 1",
			"a: suspect refresh_refused due 5 next 5 refused 0 told 1 failures 1; suspect a EU 1 refresh_refused"},
		{"suspect unauthorized 0, publish 0, tell 1", "a: suspect unauthorized due 1644 next 1 told 0"},
		{"tell 1", "a: active"},
		{"revoke a invalid_grant 0, publish 0, tell 1", "a: revoked invalid_grant due never erase 10080 without access token"},
		{"remove 0, tell 1", ""},
	})
}

func TestSuspect(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"suspect insufficient_permission 20",
			"a: suspect insufficient_permission since 20 due 1664 next 21 told 20; suspect a EU 1 insufficient_permission"},
		{"failed 0, suspect insufficient_permission 20",
			"a: suspect insufficient_permission since 20 due 1664 next 21 told 20; suspect a EU 1 insufficient_permission"},
		{"rest 0, suspect insufficient_permission 20",
			"a: suspect insufficient_permission since 20 due 1664 next 21 told 20; suspect a EU 1 insufficient_permission"},
		{"suspect skill_disabled 0, probefailed skill_disabled 0, publish 0, suspect insufficient_permission 20",
			"a: suspect insufficient_permission due 1664 next 22 told 0 failures 1"},
		{"cannot unreadable 0, publish 0, suspect insufficient_permission 20",
			"a: suspect insufficient_permission since 20 due 1664 next 21 told 0"},
		{"refused refresh_refused 0, refused refresh_refused 15, suspect insufficient_permission 20",
			"a: suspect insufficient_permission since 20 due 25 next 21 refused 0 told 20; suspect a EU 1 insufficient_permission"},
		{"prove skill_event 0, suspect insufficient_permission 20",
			"a: suspect insufficient_permission since 20 due 0 next 21 by skill_event 0 told 20; suspect a EU 1 insufficient_permission; " +
				"found true"},
		// The probes' intervals grow, but less if the skill is at fault; a probe
		// without a result changes nothing.
		{"suspect skill_never_enabled 0, 2*probe 5",
			"a: suspect skill_never_enabled due 1644 next 6 told 0; suspect a EU 1 skill_never_enabled"},
		{"suspect skill_never_enabled 0, probefailed unauthorized 0",
			"a: suspect unauthorized due 1644 next 2 told 0 failures 1; suspect a EU 1 skill_never_enabled"},
		{"suspect skill_never_enabled 0, 8*probefailed unauthorized 0",
			"a: suspect unauthorized due 1644 next 256 told 0 failures 8; suspect a EU 1 skill_never_enabled"},
		{"suspect skill_never_enabled 0, 9*probefailed unauthorized 0",
			"a: suspect unauthorized due 1644 next 360 told 0 failures 9; suspect a EU 1 skill_never_enabled"},
		{"suspect skill_never_enabled 0, 3*probefailed insufficient_permission 0",
			"a: suspect insufficient_permission due 1644 next 8 told 0 failures 3; suspect a EU 1 skill_never_enabled"},
		{"suspect skill_never_enabled 0, 4*probefailed insufficient_permission 0",
			"a: suspect insufficient_permission due 1644 next 15 told 0 failures 4; suspect a EU 1 skill_never_enabled"},
		{"suspect skill_never_enabled 0, 4*probefailed skill_not_found 0",
			"a: suspect skill_not_found due 1644 next 15 told 0 failures 4; suspect a EU 1 skill_never_enabled"},
		// A failed refresh is no probe.
		{"suspect unauthorized 0, publish 0, 3*failed 0", "a: suspect unauthorized due 68 next 1 told 0"},
	})
}

func TestRecover(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"recover 120", "a: active"},
		{"revoke a invalid_grant 0, recover 120",
			"a: revoked invalid_grant due never erase 10080 without access token; revoked a EU 0 invalid_grant"},
		{"refused refresh_outcome_unknown 90, recover 120",
			"a: suspect refresh_outcome_unknown since 90 due 95 next 95 refused 90 told 90 failures 1; suspect a EU 1 refresh_outcome_unknown"},
		{"cannot other_client 0, recover 120", "a: active since 120 due 150"},
		{"cannot unreadable 0, recover 120", "a: active since 120 due 150; suspect a EU 1 unreadable; recovered a EU 1"},
		{"refused refresh_outcome_unknown 90, cannot other_client 0, recover 120",
			"a: suspect other_client since 90 due 2 next 2 refused 90 told 90 failures 2; suspect a EU 1 refresh_outcome_unknown"},
		{"suspect unauthorized 0, recover 120", "a: active since 120 due 150; suspect a EU 1 unauthorized; recovered a EU 1"},
		{"suspect unauthorized 0, refused refresh_outcome_unknown 90, recover 120",
			"a: suspect refresh_refused since 120 due 150 next 150 refused 90; suspect a EU 1 unauthorized; recovered a EU 1"},
		// A skill event makes the grant due now.
		{"suspect unauthorized 0, publish 0, prove skill_event 60, recover 120",
			"a: active since 120 due 60 by skill_event 60; recovered a EU 1; found true"},
		{"suspect unauthorized 0, publish 0, prove skill_event 60, rest 60, recover 120",
			"a: active since 120 due 150 by skill_event 60; recovered a EU 1; found true"},
		// Events may retry in an hour, though the sweep waits for a day.
		{"suspect unauthorized 0, refused refresh_outcome_unknown 0, refused refresh_outcome_unknown 60, recover 120",
			"a: suspect refresh_refused since 120 due 1500 next 180 refused 0; suspect a EU 1 unauthorized; recovered a EU 1"},
	})
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"link b EU 0, suspect unauthorized 0, publish 0, ask 0, revoke a invalid_grant 0",
			"a: revoked invalid_grant due never by relink 0 erase 10080 without access token; b: active; revoked a EU 1 invalid_grant"},
		{"link b EU 0, publish 0, revoke b invalid_grant 0, revoke a invalid_grant 0",
			"a: revoked invalid_grant due never by relink 0 erase 10080 without access token; " +
				"b: revoked invalid_grant due never erase 10080 without access token; revoked b EU 1 invalid_grant; revoked a EU 0 invalid_grant"},
		{"link b EU 0, publish 0, remove 0", "b: active"},
		// A restored grant starts without refusals.
		{"restore 0", "a: active; restored false"},
		{"remove 0, restore 0", "restored false"},
		{"revoke a invalid_grant 0, forget 0, publish 0, restore 60",
			"a: revoked invalid_grant due never erase 10080 without access token without refresh token; restored false"},
		{"refused refresh_refused 0, prove skill_event 0, revoke a invalid_grant 0, publish 0, restore 60",
			"a: suspect restored since 60 due 60 next 60 told 60 ends never without access token; suspect a EU 1 restored; found true; " +
				"restored true"},
		{"refused refresh_refused 0, revoke a invalid_grant 0, publish 0, restore 60, ask 60, refreshed 60",
			"a: active since 60 due 60 ends 90 tokens 2; suspect a EU 1 restored; recovered a EU 1; restored true"},
	})
}

// TestProve: every grant that may be active becomes due, its next refusal is final,
// and the customer is in use.
func TestProve(t *testing.T) {
	t.Parallel()
	playAll(t, []script{
		{"used 0, prove skill_event 10", "a: active due 10 by skill_event 10; used 10; found true"},
		{"prove skill_event 10", "a: active due 10 by skill_event 10; found true"},
		{"used 0, rest 0, 2*prove skill_event 10", "a: active due 10 by skill_event 10; used 10; found true; found true"},
		{"used 0, prove skill_event 50", "a: active by skill_event 50; used 50; found true"},
		{"suspect unauthorized 0, publish 0, prove skill_event 10",
			"a: suspect unauthorized due 10 next 1 by skill_event 10 told 0; found true"},
		{"refused refresh_refused 10, prove skill_event 10",
			"a: suspect refresh_refused since 10 due 10 next 15 refused 10 by skill_event 10 failures 1; found true"},
		{"prove relink 9, prove skill_event 10", "a: active due 9 by skill_event 10; found true; found true"},
		{"link b EU 0, revoke a invalid_grant 0, publish 0, prove skill_event 10",
			"a: revoked invalid_grant due never by relink 0 erase 10080 without access token; b: active due 10 by skill_event 10; found true"},
		{"used 0, revoke a invalid_grant 0, publish 0, prove skill_event 10",
			"a: revoked invalid_grant due never erase 10080 without access token; used 0; found false"},
		{"used 0, remove 0, prove skill_event 10", "used 0; found false"},
	})
}

func TestNinthGrantReplacesTheLeastUseful(t *testing.T) {
	t.Parallel()
	full := func(change func(*grant.Record)) grant.Record {
		r := grant.New(key)
		for i := range grant.MaxGrants {
			r.Link(fmt.Sprint(i), alexa.EU, "", tokens(i), start.Add(time.Duration(i)*time.Minute))
		}
		change(&r)
		r.Announced(r.Announce, start)
		r.Link("new", alexa.EU, "", tokens(99), start.Add(time.Hour))
		return r
	}
	tests := []struct {
		name, gone string
		change     func(*grant.Record)
		announced  []string
	}{
		{"revoked before suspect", "5", func(r *grant.Record) {
			r.Suspect("2", "x", start)
			r.Revoke("5", "x", start)
			r.Revoke("6", "x", start)
		}, []string{"relinked new 7"}},
		{"suspect before active", "4", func(r *grant.Record) { r.Suspect("4", "x", start) }, []string{"revoked 4 8", "relinked new 8"}},
		{"oldest", "0", func(*grant.Record) {}, []string{"revoked 0 8", "relinked new 8"}},
	}
	for _, test := range tests {
		r := full(test.change)
		if _, ok := r.Grants[test.gone]; ok || len(r.Grants) != grant.MaxGrants {
			t.Errorf("%s: grants = %d, %s among them: %v", test.name, len(r.Grants), test.gone, ok)
		}
		var announced []string
		for _, a := range r.Announce {
			announced = append(announced, fmt.Sprint(a.Type, " ", a.GrantID, " ", a.ActiveGrants))
		}
		expect.Equal(t, test.name+": grants", test.announced, announced)
	}
}

// TestFailedTogether: grants that failed together are not retried together.
func TestFailedTogether(t *testing.T) {
	t.Parallel()
	times := make(map[time.Time]bool)
	for i := range 64 {
		id := grant.ID(alexa.EU, "s", fmt.Sprint(i))
		r := grant.New(key)
		r.Link(id, alexa.EU, "", tokens(1), start)
		r.RefreshFailed(id, start)
		times[r.Grants[id].RefreshDue] = true
	}
	if len(times) < 32 {
		t.Errorf("64 failures are retried at %d times", len(times))
	}
}

// TestRefreshDueIsSpread follows customers who linked in the same minute: few are due
// in one minute, two refreshes later all times are alike, and a refresh is due every
// 46.5 minutes and never later than 13 minutes before a token ends. Tokens that last
// less have a shorter cycle.
func TestRefreshDueIsSpread(t *testing.T) {
	t.Parallel()
	const grants, wait, parts = 4000, 40 * time.Second, 5
	for life, cycle := range map[time.Duration]time.Duration{
		time.Hour: grant.RefreshCycle, time.Hour - 20*time.Second: grant.RefreshCycle, 58 * time.Minute: 44 * time.Minute,
		30 * time.Minute: 16 * time.Minute,
	} {
		var due [parts]int
		first := make(map[time.Duration]int) // by minute
		for i := range grants {
			now, last := start, time.Duration(0)
			for n := range 6 {
				at := grant.RefreshDue(fmt.Sprint(i), now, now.Add(life))
				last = at.Sub(now)
				if minute := last.Truncate(time.Minute); n == 0 {
					if first[minute]++; life > 50*time.Minute && first[minute] > grants/10 {
						t.Fatalf("more than a tenth of the first refreshes are due in minute %v", minute)
					}
				}
				if last < (life-13*time.Minute)/2 || last > life-13*time.Minute {
					t.Fatalf("refresh %d of grant %d: due %v after the last, of tokens for %v", n, i, last, life)
				}
				if n > 2 && last != cycle-wait {
					t.Fatalf("refresh %d of grant %d: due %v after the last, want %v less the wait", n, i, last, cycle)
				}
				now = at.Add(wait)
			}
			due[now.UnixNano()/int64(cycle/parts)%parts]++
		}
		for part, n := range due {
			if n < grants/parts*8/10 || n > grants/parts*12/10 {
				t.Errorf("tokens for %v: part %d of the cycle has %d grants of %d: %v", life, part, n, grants, due)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	ids := map[string]string{}
	for _, k := range []grant.Key{{Skill: "a", UserID: "bc"}, {Skill: "ab", UserID: "c"}, {UserID: "abc"}, {Skill: "abc"}} {
		id := k.ID()
		if other, taken := ids[id]; taken || len(id) != 64 {
			t.Errorf("%+v has the id of %s: %s", k, other, id)
		}
		ids[id] = fmt.Sprint(k)
		if b := k.Bucket(); b < 0 || b >= grant.Buckets || fmt.Sprintf("%02x", b) != id[62:] {
			t.Errorf("bucket = %d of id %s", b, id)
		}
	}
	if grant.ID(alexa.EU, "s", "c") == grant.ID(alexa.NA, "s", "c") || grant.ID(alexa.EU, "s", "c") == grant.ID(alexa.EU, "s", "d") {
		t.Error("grant ids collide")
	}
	// echo -n u-1 | sha256sum
	if got := grant.CustomerHash("u-1"); got != "a24a7f55f278dd49" {
		t.Errorf("CustomerHash = %s", got)
	}
}

// TestPredicates checks a grant's predicates at one time.
func TestPredicates(t *testing.T) {
	t.Parallel()
	past, future := start.Add(-time.Nanosecond), start.Add(time.Nanosecond)
	refusedFor := func(d time.Duration) grant.Grant { return grant.Grant{RefusedAt: start.Add(-d)} }
	endsIn := func(d time.Duration) grant.Grant { return grant.Grant{ExpiresAt: start.Add(d)} }
	suspect := func(reason string, due, next time.Time) grant.Grant {
		return grant.Grant{State: grant.Suspect, Reason: reason, RefreshDue: due, NextTry: next, ExpiresAt: start.Add(time.Hour)}
	}
	const doubt, refusal = grant.ReasonRefreshRefused, grant.ReasonUnauthorized
	witnessed := grant.Grant{Witness: grant.Witness{By: grant.BySkillEvent, At: start}}
	relinked := grant.Grant{RefusedAt: start, Witness: grant.Witness{By: grant.ByRelink, At: start}}
	for _, test := range []struct {
		name string
		ask  func(grant.Grant, time.Time) bool
		g    grant.Grant
		want bool
	}{
		{"never refused", grant.Grant.Confirms, grant.Grant{}, false},
		{"refused just now", grant.Grant.Confirms, refusedFor(0), false},
		{"refused almost an hour ago", grant.Grant.Confirms, refusedFor(time.Hour - 1), false},
		{"refused an hour ago", grant.Grant.Confirms, refusedFor(time.Hour), true},
		{"refused in the future, by another clock", grant.Grant.Confirms, refusedFor(-time.Hour), false},
		{"a skill event", grant.Grant.Confirms, witnessed, true},
		{"a relink, and refused just now", grant.Grant.Confirms, relinked, true},
		{"not proven, but by whom", grant.Grant.Confirms, grant.Grant{UnprovenSince: start}, false},
		{"refused by the gateway", grant.Grant.Confirms, suspect(refusal, past, past), false},

		{"too early", grant.Grant.Waits, suspect(doubt, future, future), true},
		{"due", grant.Grant.Waits, suspect(doubt, start, future), false},
		{"to be tried", grant.Grant.Waits, suspect(doubt, future, start), false},
		{"refused by the gateway", grant.Grant.Waits, suspect(refusal, future, future), false},
		{"active", grant.Grant.Waits, grant.Grant{State: grant.Active, RefreshDue: future, NextTry: future}, false},

		{"a minute and more is left", grant.Grant.TokenEnded, endsIn(time.Minute + 1), false},
		{"a minute is left", grant.Grant.TokenEnded, endsIn(time.Minute), true},
		{"no token", grant.Grant.TokenEnded, grant.Grant{}, true},
		{"unreadable", grant.Grant.TokenEnded, suspect(grant.ReasonUnreadable, past, past), true},
	} {
		if got := test.ask(test.g, start); got != test.want {
			t.Errorf("%s = %t, want %t for %+v", test.name, got, test.want, test.g)
		}
	}
}

func TestDoubted(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]bool{
		grant.ReasonRefreshRefused: true, grant.ReasonRefreshUnknown: true, grant.ReasonRestored: true,
		grant.ReasonOtherClient: true, grant.ReasonUnreadable: true, "mass_invalid_grant": true,
		grant.ReasonUnauthorized: false, grant.ReasonSkillDisabled: false, grant.ReasonSkillNeverEnabled: false,
		grant.ReasonInsufficientPermission: false, grant.ReasonSkillNotFound: false, grant.ReasonInvalidGrant: false, "": false,
	} {
		for state, want := range map[grant.State]bool{grant.Suspect: want, grant.Active: false, grant.Revoked: false} {
			if got := (grant.Grant{State: state, Reason: reason}).Doubted(); got != want {
				t.Errorf("Doubted of %s %q = %t", state, reason, got)
			}
		}
	}
}
