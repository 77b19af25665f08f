package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

func TestRestoreOne(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		args   string
		status int
		want   string // states of u-1's grants a, b, c and d, of which d is active, and c has no refresh token
		says   string
	}{
		{"all", "u-1", exitOK, "a suspect, b suspect, c revoked, d active", "restored\t"},
		{"all, as for all customers", "-for-real u-1", exitOK, "a suspect, b suspect, c revoked, d active", "is suspect until"},
		{"a grant", "u-1 b", exitOK, "a revoked, b suspect, c revoked, d active", "restored             1"},
		{"without refresh token", "u-1 c", exitFailed, "a revoked, b revoked, c revoked, d active", "link again"},
		{"active", "u-1 d", exitFailed, "a revoked, b revoked, c revoked, d active", "no such grant is revoked"},
		{"unknown grant", "u-1 e", exitFailed, "a revoked, b revoked, c revoked, d active", `no grant "e"`},
		{"unknown user", "u-2", exitFailed, "a revoked, b revoked, c revoked, d active", "nothing is kept"},
		{"other skill", "-skill other u-1", exitFailed, "a revoked, b revoked, c revoked, d active", "nothing is kept"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *stack) {
				s.link(key("u-1"), s.both, "a", "b", "c", "d")
				s.link(key("u-3"), s.both, "e")
				for _, id := range []string{"a", "b", "c"} {
					s.revoke(key("u-1"), id, start)
				}
				s.revoke(key("u-3"), "e", start)
				s.change(key("u-1"), func(r *grant.Record) {
					g := r.Grants["c"]
					g.RefreshToken = nil
					r.Grants["c"] = g
				})
				other := s.read(key("u-3"))
				status, stdout, stderr := s.run(append([]string{"restore"}, strings.Fields(test.args)...)...)
				if status != test.status || !strings.Contains(stdout+stderr, test.says) || (stderr == "") != (test.status == exitOK) {
					t.Errorf("status %d, %q and %q", status, stderr, stdout)
				}
				if got := s.states(key("u-1")); got != test.want {
					t.Errorf("the grants are %s, want %s", got, test.want)
				}
				if diff := cmp.Diff(other, s.read(key("u-3"))); diff != "" {
					t.Errorf("another customer's record has changed (-was +now):\n%s", diff)
				}
			})
		})
	}
}

// TestRestoreAll restores what was revoked in some time.
func TestRestoreAll(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		elsewhere := grant.Key{Skill: "other", UserID: "u-1"}
		for i, k := range []grant.Key{key("u-1"), key("u-2"), key("u-3"), key("u-4"), elsewhere} {
			s.link(k, s.both, "a", "b")
			s.revoke(k, "a", start.Add(time.Duration(i)*time.Minute))
		}
		s.revoke(key("u-2"), "b", start.Add(3*time.Minute))
		s.revoke(elsewhere, "b", start.Add(2*time.Minute))
		args := []string{"restore", "-revoked-since", alexa.FormatTime(start.Add(time.Minute)), "-revoked-until", alexa.FormatTime(start.Add(3 * time.Minute))}
		var got restoration
		s.json(exitOK, &got, args...)
		want := restoration{DryRun: true, Customers: 5, Restored: 2}
		if diff := cmp.Diff(want, got, ignored...); diff != "" {
			t.Errorf("dry run (-want +got):\n%s", diff)
		}
		status, stdout, stderr := s.run(args...)
		for i, user := range []string{"u-2", "u-3"} {
			line := fmt.Sprintf("would restore\t%s\ta\tEU\tinvalid_grant\trevoked %s\n", grant.CustomerHash(user), alexa.FormatTime(start.Add(time.Duration(i+1)*time.Minute)))
			if !strings.Contains(stdout, line) {
				t.Errorf("there is no line %q in\n%s", line, stdout)
			}
		}
		if status != exitOK || stderr != "" || !strings.Contains(stdout, "a dry run") || strings.Contains(stdout, "u-2") {
			t.Errorf("status %d, %q and\n%s", status, stderr, stdout)
		}
		if got := s.states(key("u-2")); got != "a revoked, b revoked" {
			t.Errorf("after the dry runs the grants are %s", got)
		}
		got = restoration{}
		s.json(exitOK, &got, slices.Insert(args, 1, "-for-real")...)
		want.DryRun = false
		if diff := cmp.Diff(want, got, ignored...); diff != "" {
			t.Errorf("real run (-want +got):\n%s", diff)
		}
		for k, want := range map[grant.Key]string{
			key("u-1"): "a revoked, b active", key("u-2"): "a suspect, b revoked", key("u-3"): "a suspect, b active",
			key("u-4"): "a revoked, b active", elsewhere: "a revoked, b revoked",
		} {
			if got := s.states(k); got != want {
				t.Errorf("the grants of %v are %s, want %s", k, got, want)
			}
		}
	})
}

// TestRestoreDecidesAnew has a grant recover, and another be revoked, between
// reading and writing.
func TestRestoreDecidesAnew(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.link(key("u-1"), s.both, "a", "b")
	s.revoke(key("u-1"), "a", start)
	inner := s.store
	s.store = &meddling{Admin: inner, beforeWrite: func(n int, key grant.Key) error {
		if n > 1 {
			return nil
		}
		_, err := grant.Change(t.Context(), inner, key, func(r *grant.Record) error {
			r.Refreshed("a", r.Grants["a"], s.tokens(s.both, key, "a", 2), start)
			r.Revoke("b", grant.ReasonInvalidGrant, start)
			return nil
		})
		return err
	}}
	status, stdout, stderr := s.run("restore", "u-1")
	if status != exitOK || strings.Count(stdout, "restored\t") != 1 {
		t.Errorf("status %d, %q and\n%s", status, stderr, stdout)
	}
	if got := s.states(key("u-1")); got != "a active, b suspect" {
		t.Errorf("the grants are %s", got)
	}
}

// TestRestoreCannotChange gives up a record that changes all the time.
func TestRestoreCannotChange(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.link(key("u-1"), s.both, "a")
	s.revoke(key("u-1"), "a", start)
	s.store = &meddling{Admin: s.store, beforeWrite: func(int, grant.Key) error { return grant.ErrConflict }}
	for _, args := range [][]string{{"restore", "u-1"}, {"restore", "-for-real", "-revoked-since", "2h"}} {
		status, stdout, stderr := s.run(args...)
		if status != exitFailed || strings.Contains(stdout, "restored\t") || !strings.Contains(stderr, grant.CustomerHash("u-1")) {
			t.Errorf("%q: status %d, %q and %q", args, status, stderr, stdout)
		}
	}
}

// TestRestoredGrantProvesItself goes on where the program ends: with a refresh,
// which Login with Amazon takes or refuses.
func TestRestoredGrantProvesItself(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		gone      bool // the customer has really disabled the skill
		want      grant.State
		announced []grant.AnnouncementType
		err       error
	}{
		{"a mistake", false, grant.Active, []grant.AnnouncementType{grant.BecameSuspect, grant.Recovered}, nil},
		// An hour later the next refusal revokes it, as if it had been refused for the first time.
		{"no mistake", true, grant.Suspect, []grant.AnnouncementType{grant.BecameSuspect}, access.ErrSuspect},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := accesstest.New(t, simulator.Options{})
			id := w.Link(t, "u-1", alexa.EU, "amzn-1")
			w.Change(t, "u-1", func(r *grant.Record) {
				r.Revoke(id, grant.ReasonInvalidGrant, w.Now())
				r.Announced(r.Announce, w.Now())
			})
			if test.gone {
				w.Sim.Disable(alexa.EU, "amzn-1")
			}
			w.Forward(2 * time.Hour)
			s := newStack(t)
			s.store, s.now = w.Store.(grant.Admin), w.Now
			if status, stdout, stderr := s.run("restore", "u-1"); status != exitOK {
				t.Fatalf("status %d, %q and %q", status, stderr, stdout)
			}
			record := w.Read(t, "u-1")
			if record.RefreshDue.After(w.Now()) || record.RefreshDue.IsZero() {
				t.Errorf("due at %v, want at once", record.RefreshDue)
			}
			if _, stdout, _ := s.run("show", "u-1"); !strings.Contains(stdout, "to be announced      suspect of grant "+id+", EU restored, 1 left") {
				t.Errorf("show says nothing of what is to be announced:\n%s", stdout)
			}
			source := w.Process("p")
			source.Announce = keeping{}
			token, err := source.Token(t.Context(), record, id)
			if !errors.Is(err, test.err) || token.Access.Empty() != test.gone {
				t.Errorf("Token() = a token: %v, %v", !token.Access.Empty(), err)
			}
			record = w.Read(t, "u-1")
			if got := record.Grants[id].State; got != test.want {
				t.Errorf("the grant is %s, want %s", got, test.want)
			}
			var announced []grant.AnnouncementType
			for _, a := range record.Announce {
				announced = append(announced, a.Type)
			}
			if diff := cmp.Diff(test.announced, announced); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
		})
	}
}
