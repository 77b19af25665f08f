package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
)

func TestShow(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		record := s.link(key("u-1"), s.old, "a", "b")
		record = s.change(key("u-1"), func(r *grant.Record) {
			r.Used(start)
			r.Take("a", "process-1", start.Add(time.Minute))
			r.Forced("a", start.Add(time.Second))
			r.RefreshFailed("a", start)
			r.Suspect("a", grant.ReasonUnauthorized, start)
			r.Revoke("b", grant.ReasonInvalidGrant, start.Add(time.Minute))
		})
		old, _ := s.ids()
		a, b := record.Grants["a"], record.Grants["b"]
		token := func(sealed []byte) *sealedView { return &sealedView{Key: old, Bytes: len(sealed)} }
		want := view{
			UserID: "u-1", Customer: grant.CustomerHash("u-1"), Record: key("u-1").ID(), Skill: "default", Region: alexa.EU,
			Version: grant.SchemaVersion, Bucket: key("u-1").Bucket(), UsedAt: start, Due: start.Add(time.Minute),
			Announce: []announcement{
				{Type: grant.BecameSuspect, GrantID: "a", Region: alexa.EU, Reason: "unauthorized", ActiveGrants: 2, At: start},
				{Type: grant.WasRevoked, GrantID: "b", Region: alexa.EU, Reason: "invalid_grant", ActiveGrants: 1, At: start.Add(time.Minute)},
			},
			Grants: []grantView{{
				ID: "a", State: grant.Suspect, Reason: "unauthorized", Since: start, Region: alexa.EU, ClientID: "client", AmazonUser: true,
				AccessToken: token(a.AccessToken), ExpiresAt: start.Add(time.Hour), RefreshToken: token(a.RefreshToken), TokenVersion: 1,
				LeaseOwner: "process-1", LeaseUntil: start.Add(time.Minute), Due: a.RefreshDue, NextTry: a.NextTry, Told: start, LastForced: start.Add(time.Second), CreatedAt: start,
			}, {
				ID: "b", State: grant.Revoked, Reason: "invalid_grant", Since: start.Add(time.Minute), Region: alexa.EU, ClientID: "client", AmazonUser: true,
				ExpiresAt: start.Add(time.Hour), RefreshToken: token(b.RefreshToken), TokenVersion: 1, CreatedAt: start,
				EraseAt: start.Add(time.Minute + grant.KeepRevoked),
			}},
		}
		want.Due = record.RefreshDue
		var got view
		s.json(exitOK, &got, "show", "u-1")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("show -json (-want +got):\n%s", diff)
		}
	})
}

// TestShowInWords shows what the example has not.
func TestShowInWords(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	odd := key("u\x1b[31m\n1")
	s.change(odd, func(r *grant.Record) {
		r.Link("a", alexa.EU, "known", grant.Tokens{AccessToken: []byte("Atza|fake-canary"), RefreshToken: sealedWith(7, 30)}, start)
		r.Take("a", "process-1", start)
	})
	status, stdout, stderr := s.run("show", odd.UserID)
	for _, want := range []string{
		"customer             u\ufffd[31m\ufffd1\n",
		"to be announced      linked of grant a, EU -, 1 left, at " + alexa.FormatTime(start) + "\n",
		"state                active since " + alexa.FormatTime(start) + "\n",
		"client id            -\n",
		"Amazon account       known\n",
		"access token         sealed by no key of any keyset, 16 bytes\n",
		"refresh token        sealed by key 7, 30 bytes\n",
		"lease                held by process-1 until " + alexa.FormatTime(start) + "\n",
		"erase at             -\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("there is no line %q in\n%s", want, stdout)
		}
	}
	if status != exitOK || stderr != "" {
		t.Errorf("status %d and %q", status, stderr)
	}
}

func TestShowBehind(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		lamps     int
		discovery bool
		note      string
		json      behindView
	}{
		{"endpoints", 2, false, "lamp-1, lamp-2", behindView{Endpoints: []string{"lamp-1", "lamp-2"}}},
		{"all", 21, false, "all endpoints", behindView{All: true}},
		{"endpoints and discovery", 1, true, "lamp-1 and discovery", behindView{Endpoints: []string{"lamp-1"}, Discovery: true}},
		{"discovery", 0, true, "discovery", behindView{Discovery: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			s.link(key("u-1"), s.both, "a")
			due := start.Add(10 * time.Minute)
			miss := func(r *grant.Record) {
				for i := range test.lamps {
					r.NoteBehind("a", fmt.Sprint("lamp-", i+1), false, start, due)
				}
				if test.discovery {
					r.NoteBehind("a", "", true, start, due)
				}
			}
			s.change(key("u-1"), miss)
			line := fmt.Sprintf("behind               since %s in %s, due %s\n", moment(start), test.note, moment(due))
			if _, stdout, _ := s.run("show", "u-1"); !strings.Contains(stdout, line) {
				t.Errorf("there is no line %q in\n%s", line, stdout)
			}
			want, got := test.json, view{}
			want.Since, want.Due = start, due
			s.json(exitOK, &got, "show", "u-1")
			if diff := cmp.Diff(&want, got.Grants[0].Behind); diff != "" {
				t.Errorf("show -json (-want +got):\n%s", diff)
			}
			s.change(key("u-1"), func(r *grant.Record) { r.AskAgain([]string{"a"}, due) })
			asked := test.note
			if asked == "discovery" {
				asked = "all endpoints and discovery"
			}
			line = fmt.Sprintf("to be announced      stale of grant a, EU %s, 1 left, at %s\n", asked, moment(due))
			if _, stdout, _ := s.run("show", "u-1"); !strings.Contains(stdout, line) {
				t.Errorf("there is no line %q in\n%s", line, stdout)
			}
		})
	}
}

func TestShowNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		s.link(key("u-1"), s.both, "a")
		for _, args := range []string{"show u-2", "show -skill other u-1", "show -json u-2"} {
			status, stdout, stderr := s.run(strings.Fields(args)...)
			if status != exitFailed || stdout != "" || stderr != "grants: "+errNoRecord.Error()+"\n" {
				t.Errorf("%s: status %d, %q and %q", args, status, stderr, stdout)
			}
		}
	})
}

// TestOpenFails has no store at all.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	p := &program{stdout: &out, stderr: &errs, now: time.Now, open: func(_ context.Context, project, database string) (grant.Admin, func() error, error) {
		return nil, nil, errors.New(project + "/" + database)
	}}
	status := p.run(t.Context(), []string{"show", "-project", "p", "-database", "d", "u-1"})
	if status != exitFailed || out.Len() > 0 || errs.String() != "grants: p/d\n" {
		t.Errorf("status %d, %q and %q", status, errs.String(), out.String())
	}
}
