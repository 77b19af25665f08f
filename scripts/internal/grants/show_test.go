package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
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
				LeaseOwner: "process-1", LeaseUntil: start.Add(time.Minute), Due: a.RefreshDue, NextTry: a.NextTry, Told: start,
				LastForced: start.Add(time.Second), CreatedAt: start,
			}, {
				ID: "b", State: grant.Revoked, Reason: "invalid_grant", Since: start.Add(time.Minute), Region: alexa.EU, ClientID: "client",
				AmazonUser: true, ExpiresAt: start.Add(time.Hour), RefreshToken: token(b.RefreshToken), TokenVersion: 1, CreatedAt: start,
				EraseAt: start.Add(time.Minute + grant.KeepRevoked),
			}},
		}
		want.Due = record.RefreshDue
		shows(s, want, "show u-1")
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
	wants := []string{
		"customer             u\ufffd[31m\ufffd1\n",
		"to be announced      linked of grant a, EU -, 1 left, at " + alexa.FormatTime(start) + "\n",
		"state                active since " + alexa.FormatTime(start) + "\n",
		"client id            -\n",
		"Amazon account       known\n",
		"access token         sealed by no key of any keyset, 16 bytes\n",
		"refresh token        sealed by key 7, 30 bytes\n",
		"lease                held by process-1 until " + alexa.FormatTime(start) + "\n",
		"erase at             -\n",
	}
	absent := func(want string) bool { return !strings.Contains(stdout, want) }
	if status != cli.StatusDone || stderr != "" || slices.ContainsFunc(wants, absent) {
		t.Errorf("status %d and %q, want all of %q in\n%s", status, stderr, wants, stdout)
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
			row := fmt.Sprintf("behind               since %s in %s, due %s\n", cli.Moment(start), test.note, cli.Moment(due))
			s.says(cli.StatusDone, "show u-1", row)
			want, got := test.json, view{}
			want.Since, want.Due = start, due
			s.json(cli.StatusDone, &got, "show", "u-1")
			if diff := cmp.Diff(&want, got.Grants[0].Behind); diff != "" {
				t.Errorf("show --json (-want +got):\n%s", diff)
			}
			s.change(key("u-1"), func(r *grant.Record) { r.AnnounceStale([]string{"a"}, due) })
			asked := test.note
			if asked == "discovery" {
				asked = "all endpoints and discovery"
			}
			s.says(cli.StatusDone, "show u-1", fmt.Sprintf("to be announced      stale of grant a, EU %s, 1 left, at %s\n", asked, cli.Moment(due)))
		})
	}
}

func TestShowNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		s.link(key("u-1"), s.both, "a")
		for _, line := range []string{"show u-2", "show --skill other u-1", "show --json u-2"} {
			if stdout := s.says(cli.StatusFailed, line, "gatepost grants show: "+errNoRecord.Error()+"\n"); stdout != "" {
				t.Errorf("%s: it shows %q", line, stdout)
			}
		}
	})
}

// TestOpenFails has no store at all.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	open := func(_ context.Context, project, database string) (grant.Admin, func() error, error) {
		return nil, nil, errors.New(project + "/" + database)
	}
	env := &cli.Env{Stdout: &out, Stderr: &errs, OpenGrants: open}
	status := cli.Run(t.Context(), env, new(grammar), strings.Fields("grants show u-1 --project p --database d"))
	if status != cli.StatusFailed || out.Len() > 0 || errs.String() != "gatepost grants show: p/d\n" {
		t.Errorf("status %d, %q and %q", status, errs.String(), out.String())
	}
}

// setBrake stores a brake.
func (s *stack) setBrake(b grant.Brake) {
	s.Helper()
	err := grant.ChangeControl(s.Context(), s.store, grant.BrakeName, func(map[string]any) (map[string]any, error) {
		return b.Document(), nil
	})
	if err != nil {
		s.Fatal(err)
	}
}

// brake returns what is stored.
func (s *stack) brake() grant.Brake {
	s.Helper()
	b, err := access.NewBrake(s.store, s.now).Read(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return b
}

// toCome is in an hour that no clock has reached, so that the counts of it stay
// as they are.
var toCome = start.Add(3 * time.Hour)

func TestBrakeShows(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	shows(s, brakeView{Limit: 5}, "brake")
	if s.brake() != (grant.Brake{}) {
		t.Error("a look at the brake has stored one")
	}
	b := grant.Brake{
		Hour: toCome.Truncate(time.Hour), Refused: 2, Revoked: 1, LastRefused: 4, LastRevoked: 3,
		Customers: 700, CountedAt: start, LatchedAt: start.Add(time.Minute), Since: start.Add(2 * time.Minute), Good: 8, Bad: 9,
	}
	s.setBrake(b)
	shows(s, brakeView{
		Latched: true, LatchedAt: b.LatchedAt, ThisHour: hourView{2, 1}, LastHour: hourView{4, 3}, Limit: 7, Customers: 700,
		CountedAt: start, Trial: &trialView{b.Since, 8, 9},
	}, "brake")
	if diff := cmp.Diff(b, s.brake()); diff != "" {
		t.Errorf("a look at the brake has changed it (-was +now):\n%s", diff)
	}
}

// TestBrakeChanges latches the brake and releases it, and has a process that
// runs meanwhile believe it.
func TestBrakeChanges(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *stack) {
		counted := grant.Brake{Hour: toCome.Truncate(time.Hour), Refused: 2, LastRevoked: 3, Customers: 700, CountedAt: start}
		s.setBrake(counted)
		running := access.NewBrake(s.store, s.now)
		about := cmp.Options{cmpopts.EquateApproxTime(time.Minute), cmpopts.EquateEmpty()}

		shows(s, brakeView{
			Latched: true, LatchedAt: time.Now(), ByHand: true, ThisHour: hourView{Refused: 2}, LastHour: hourView{Revoked: 3},
			Limit: 7, Customers: 700, CountedAt: start, Trial: &trialView{Since: time.Now()},
		}, "brake on", about)
		if b := s.brake(); !b.ByHand || time.Since(b.LatchedAt) > time.Minute {
			t.Errorf("brake on has stored %+v", b)
		}
		if err := running.Admit(t.Context(), true); !errors.Is(err, access.ErrBraked) {
			t.Errorf("a revocation of a process that runs: %v, want %v", err, access.ErrBraked)
		}

		shows(s, brakeView{OffUntil: time.Now().Add(24 * time.Hour), Limit: 7, Customers: 700, CountedAt: start}, "brake off", about)
		for range 2 { // each second at most
			if err := running.Admit(t.Context(), true); err != nil {
				t.Errorf("a revocation after brake off: %v", err)
			}
		}
	})
}

// TestBrakeInWords has README.md show what a brake that has latched looks like.
func TestBrakeInWords(t *testing.T) {
	t.Parallel()
	brake := grant.Brake{Hour: noon, Refused: 3, Revoked: 1, LastRefused: 9, Customers: 1234, CountedAt: noon.Add(-9 * time.Hour)}
	latched := brake
	latched.LatchedAt, latched.Since, latched.Good, latched.Bad = noon.Add(10*time.Minute), noon.Add(10*time.Minute), 1871, 46
	byHand := latched
	byHand.On(noon.Add(20 * time.Minute))
	off := byHand
	off.Off(noon.Add(30 * time.Minute))
	const (
		counts = "first refusals       3 this hour, 9 the hour before\nrevocations          1 this hour, 0 the hour before\n"
		fresh  = "first refusals       0 this hour, 0 the hour before\nrevocations          0 this hour, 0 the hour before\n"
		limit  = "limit                12 of either in both hours\ncustomers            1234, counted 2026-01-02T03:00:00.000Z\n"
		never  = "off until            -\n"
	)
	for _, test := range []struct {
		name  string
		brake grant.Brake
		after time.Duration // noon
		want  string
	}{
		{"new", grant.Brake{}, 0, "brake                released\n" + fresh +
			"limit                5 of either in both hours\ncustomers            not counted yet\n" + never},
		{"latched automatically", latched, 45 * time.Minute, "brake                latched automatically at 2026-01-02T12:10:00.000Z\n" +
			counts + limit + never +
			"refreshes            1871 succeeded and 46 were refused since 2026-01-02T12:10:00.000Z\n" + latchedByItself},
		{"latched by hand", byHand, 45 * time.Minute, "brake                latched by hand at 2026-01-02T12:20:00.000Z\n" +
			counts + limit + never +
			"refreshes            0 succeeded and 0 were refused since 2026-01-02T12:20:00.000Z\n" + latchedByHand},
		{"off", off, 45 * time.Minute, "brake                released by hand\n" + fresh + limit +
			"off until            2026-01-03T12:30:00.000Z\n" + heldOff},
		{"off no longer", off, 25 * time.Hour, "brake                released\n" + fresh + limit + never},
		{"an hour later", brake, time.Hour, "brake                released\nfirst refusals       0 this hour, 3 the hour before\n" +
			"revocations          0 this hour, 1 the hour before\n" + limit + never},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			s.now = func() time.Time { return noon.Add(test.after) }
			s.setBrake(test.brake)
			stdout := s.says(cli.StatusDone, "brake")
			if diff := cmp.Diff(test.want, stdout); diff != "" {
				t.Errorf("it shows something else (-want +got):\n%s", diff)
			}
			if test.brake == latched {
				shown := strings.ReplaceAll("\n"+strings.TrimSuffix(stdout, "\n"), "\n", "\n    ")
				readme.Open(t, "README.md").Shows(shown[1:])
			}
		})
	}
}

// uncontrolled is a store without shared documents.
type uncontrolled struct{ grant.Admin }

func (uncontrolled) ReadControl(context.Context, string) (grant.Control, error) {
	return grant.Control{}, errors.New("out of order")
}

func TestBrakeFails(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.store = uncontrolled{s.store}
	for _, line := range []string{"brake", "brake on", "brake off"} {
		if stdout := s.says(cli.StatusFailed, line, "out of order"); stdout != "" {
			t.Errorf("%s: it shows %q", line, stdout)
		}
	}
}
