package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// suspected makes a customer's grant suspect at the start: it is probed a minute
// later, and refreshed a day later.
func (s *stack) suspected(key grant.Key, id string) {
	s.change(key, func(r *grant.Record) {
		r.Suspect(id, grant.ReasonSkillNotFound, start)
		r.Announced(r.Announce, start)
	})
}

func TestProbeOne(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		args   string
		status int
		due    bool // u-1's suspect grant
		says   string
	}{
		{"suspect", "u-1", exitOK, true, "due\t"},
		{"suspect, as for all", "-for-real u-1", exitOK, true, "due                  1"},
		{"active", "u-2", exitFailed, false, "no grant is suspect"},
		{"unknown user", "u-3", exitFailed, false, "nothing is kept"},
		{"other skill", "-skill other u-1", exitFailed, false, "nothing is kept"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *stack) {
				was := s.link(key("u-1"), s.both, "a", "b")
				s.link(key("u-2"), s.both, "c")
				s.suspected(key("u-1"), "a")
				status, stdout, stderr := s.run(append([]string{"probe"}, strings.Fields(test.args)...)...)
				if status != test.status || !strings.Contains(stdout+stderr, test.says) || (stderr == "") != (test.status == exitOK) {
					t.Errorf("status %d, %q and %q", status, stderr, stdout)
				}
				record := s.read(key("u-1"))
				a := record.Grants["a"]
				if due := a.NextTry.Equal(a.RefreshDue) && !a.RefreshDue.After(time.Now()) && !record.RefreshDue.After(time.Now()); due != test.due || a.State != grant.Suspect {
					t.Errorf("%+v, the record due at %v", a, record.RefreshDue)
				}
				if diff := cmp.Diff(was.Grants["b"], record.Grants["b"]); diff != "" {
					t.Errorf("the other grant has changed (-was +now):\n%s", diff)
				}
			})
		})
	}
}

func TestProbeAll(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		elsewhere := grant.Key{Skill: "other", UserID: "u-1"}
		for _, k := range []grant.Key{key("u-1"), key("u-2"), key("u-3"), elsewhere} {
			s.link(k, s.both, "a", "b")
		}
		for _, k := range []grant.Key{key("u-1"), key("u-2"), elsewhere} {
			s.suspected(k, "a")
		}
		s.suspected(key("u-2"), "b")
		waiting := s.read(elsewhere)
		var got probing
		s.json(exitOK, &got, "probe")
		want := probing{DryRun: true, Customers: 4, Due: 3}
		if diff := cmp.Diff(want, got, ignored...); diff != "" {
			t.Errorf("dry run (-want +got):\n%s", diff)
		}
		line := fmt.Sprintf("would probe\t%s\ta\tEU\tskill_not_found\tsuspect %s\n", grant.CustomerHash("u-1"), moment(start))
		if status, stdout, stderr := s.run("probe"); status != exitOK || stderr != "" || !strings.Contains(stdout, line) || !strings.Contains(stdout, "a dry run") {
			t.Errorf("status %d, %q, and no line %q in\n%s", status, stderr, line, stdout)
		}
		if due := s.read(key("u-1")).Grants["a"].NextTry; !due.Equal(start.Add(time.Minute)) {
			t.Errorf("after the dry runs the probe is due at %v", due)
		}
		got = probing{}
		s.json(exitOK, &got, "probe", "-for-real")
		want.DryRun = false
		if diff := cmp.Diff(want, got, ignored...); diff != "" {
			t.Errorf("real run (-want +got):\n%s", diff)
		}
		for user, ids := range map[string][]string{"u-1": {"a"}, "u-2": {"a", "b"}} {
			for _, id := range ids {
				if g := s.read(key(user)).Grants[id]; !g.NextTry.Equal(g.RefreshDue) || g.NextTry.After(time.Now()) {
					t.Errorf("%s %s: the probe is due at %v", user, id, g.NextTry)
				}
			}
		}
		if diff := cmp.Diff(waiting, s.read(elsewhere)); diff != "" {
			t.Errorf("another skill's record has changed (-was +now):\n%s", diff)
		}
	})
}
