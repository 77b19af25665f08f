package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/grant"
)

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
	onBoth(t, func(t *testing.T, s *stack) {
		var got brakeView
		s.json(exitOK, &got, "brake")
		if diff := cmp.Diff(brakeView{Limit: 5}, got); diff != "" {
			t.Errorf("where nothing was ever counted (-want +got):\n%s", diff)
		}
		if s.brake() != (grant.Brake{}) {
			t.Error("a look at the brake has stored one")
		}
		b := grant.Brake{
			Hour: toCome.Truncate(time.Hour), Refused: 2, Revoked: 1, LastRefused: 4, LastRevoked: 3,
			Customers: 700, CountedAt: start, LatchedAt: start.Add(time.Minute), Since: start.Add(2 * time.Minute), Good: 8, Bad: 9,
		}
		s.setBrake(b)
		want := brakeView{
			Latched: true, LatchedAt: b.LatchedAt, ThisHour: hourView{2, 1}, LastHour: hourView{4, 3}, Limit: 7, Customers: 700,
			CountedAt: start, Trial: &trialView{b.Since, 8, 9},
		}
		got = brakeView{}
		s.json(exitOK, &got, "brake")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("latched (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(b, s.brake()); diff != "" {
			t.Errorf("a look at the brake has changed it (-was +now):\n%s", diff)
		}
	})
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

		var got brakeView
		s.json(exitOK, &got, "brake", "on")
		want := brakeView{
			Latched: true, LatchedAt: time.Now(), ByHand: true, ThisHour: hourView{Refused: 2}, LastHour: hourView{Revoked: 3},
			Limit: 7, Customers: 700, CountedAt: start, Trial: &trialView{Since: time.Now()},
		}
		if diff := cmp.Diff(want, got, about); diff != "" {
			t.Errorf("brake on (-want +got):\n%s", diff)
		}
		if b := s.brake(); !b.ByHand || !b.LatchedAt.Equal(got.LatchedAt) {
			t.Errorf("brake on has stored %+v, and showed %+v", b, got)
		}
		if err := running.Admit(t.Context(), true); !errors.Is(err, access.ErrBraked) {
			t.Errorf("a revocation of a process that runs: %v, want %v", err, access.ErrBraked)
		}

		got = brakeView{}
		s.json(exitOK, &got, "brake", "off")
		want = brakeView{OffUntil: time.Now().Add(24 * time.Hour), Limit: 7, Customers: 700, CountedAt: start}
		if diff := cmp.Diff(want, got, about); diff != "" {
			t.Errorf("brake off (-want +got):\n%s", diff)
		}
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
	counts := `first refusals       3 this hour, 9 the hour before
revocations          1 this hour, 0 the hour before
limit                12 of either in both hours
customers            1234, counted 2026-01-02T03:00:00.000Z
`
	fresh := `first refusals       0 this hour, 0 the hour before
revocations          0 this hour, 0 the hour before
`
	for _, test := range []struct {
		name  string
		brake grant.Brake
		after time.Duration // noon
		want  string
	}{
		{"new", grant.Brake{}, 0, "brake                released\n" + fresh + "limit                5 of either in both hours\n" +
			"customers            not counted yet\noff until            -\n"},
		{"latched automatically", latched, 45 * time.Minute, "brake                latched automatically at 2026-01-02T12:10:00.000Z\n" + counts +
			"off until            -\nrefreshes            1871 went well and 46 were refused since 2026-01-02T12:10:00.000Z\n" + latchedByItself},
		{"latched by hand", byHand, 45 * time.Minute, "brake                latched by hand at 2026-01-02T12:20:00.000Z\n" + counts +
			"off until            -\nrefreshes            0 went well and 0 were refused since 2026-01-02T12:20:00.000Z\n" + latchedByHand},
		{"off", off, 45 * time.Minute, "brake                released by hand\n" + fresh + "limit                12 of either in both hours\n" +
			"customers            1234, counted 2026-01-02T03:00:00.000Z\noff until            2026-01-03T12:30:00.000Z\n" + heldOff},
		{"off no longer", off, 25 * time.Hour, "brake                released\n" + fresh + "limit                12 of either in both hours\n" +
			"customers            1234, counted 2026-01-02T03:00:00.000Z\noff until            -\n"},
		{"an hour later", brake, time.Hour, "brake                released\nfirst refusals       0 this hour, 3 the hour before\n" +
			"revocations          0 this hour, 1 the hour before\nlimit                12 of either in both hours\n" +
			"customers            1234, counted 2026-01-02T03:00:00.000Z\noff until            -\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			s.now = func() time.Time { return noon.Add(test.after) }
			s.setBrake(test.brake)
			status, stdout, stderr := s.run("brake")
			if diff := cmp.Diff(test.want, stdout); diff != "" || status != exitOK || stderr != "" {
				t.Errorf("status %d, %q (-want +got):\n%s", status, stderr, diff)
			}
			shown := strings.TrimPrefix(strings.ReplaceAll("\n"+stdout, "\n", "\n    "), "\n")
			if test.brake == latched && !strings.Contains(readme(t), strings.TrimRight(shown, " ")) {
				t.Errorf("README.md does not show this:\n%s", shown)
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
	for _, args := range [][]string{{"brake"}, {"brake", "on"}, {"brake", "off"}} {
		if status, stdout, stderr := s.run(args...); status != exitFailed || stdout != "" || !strings.Contains(stderr, "out of order") {
			t.Errorf("%q: status %d, %q and %q", args, status, stderr, stdout)
		}
	}
}
