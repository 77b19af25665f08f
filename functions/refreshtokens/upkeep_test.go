package refreshtokens

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/access/accesstest"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// swept sweeps all buckets and compares the counts.
func swept(t *testing.T, sweep *Sweep, want Counts) {
	t.Helper()
	counts, err := sweep.Sweep(t.Context(), all())
	if want.Failed == nil {
		want.Failed = map[string]int{}
	}
	if diff := cmp.Diff(want, counts); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestFailingGrantMovesOutOfTheWay: what ails one grant must not be met at the
// head of every sweep.
func TestFailingGrantMovesOutOfTheWay(t *testing.T) {
	t.Parallel()
	of := func(i int) string { return fmt.Sprint("u-", i) }
	for name, test := range map[string]struct {
		cause string
		spoil func(*testing.T, *accesstest.World, string) // makes a grant of a customer fail
	}{
		"sealed by another keyset": {"sealed", func(t *testing.T, w *accesstest.World, user string) {
			w.Change(t, user, func(r *grant.Record) {
				for id, g := range r.Grants {
					g.RefreshToken = []byte("not ours")
					r.Grants[id] = g
				}
			})
		}},
		"of another client": {"other_client", func(t *testing.T, w *accesstest.World, user string) {
			w.Change(t, user, func(r *grant.Record) {
				for id, g := range r.Grants {
					g.ClientID = "amzn1.application-oa2-client.former"
					r.Grants[id] = g
				}
			})
		}},
		"failed by Login with Amazon": {"login_with_amazon", func(_ *testing.T, w *accesstest.World, user string) {
			w.Sim.Always(simulator.Refresh, simulator.Fault{Status: 500, Match: func(r simulator.Request) bool { return r.User == "amzn"+user[1:] }})
		}},
		"an invalid request": {"client_refused", func(_ *testing.T, w *accesstest.World, user string) {
			w.Sim.Always(simulator.Refresh, simulator.Fault{Code: simulator.LWAInvalidRequest, Match: func(r simulator.Request) bool { return r.User == "amzn"+user[1:] }})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, sweep := world(t)
			test.spoil(t, w, of(3))
			w.Forward(time.Hour)
			swept(t, sweep, Counts{Refreshed: customers - 1, Failed: map[string]int{test.cause: 1}})
			record := w.Read(t, of(3))
			if !record.RefreshDue.Equal(w.Now().Add(time.Minute)) {
				t.Errorf("due in %v, want a minute", record.RefreshDue.Sub(w.Now()))
			}
			for _, g := range record.Grants {
				if g.State != grant.Active || g.Failures != 1 {
					t.Errorf("%+v", g)
				}
			}
			swept(t, sweep, Counts{})
		})
	}
}

func TestIdleCustomersLeaveTheSweep(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	w, sweep := world(t)
	sweep.IdleAfter = month
	w.Forward(month + 3*24*time.Hour) // use is noted every three days
	swept(t, sweep, Counts{Refreshed: customers})
	w.Forward(time.Hour)
	w.Change(t, "u-7", func(r *grant.Record) { r.Used(w.Now()) })
	w.Change(t, "u-8", func(r *grant.Record) { r.UsedAt = time.Time{} }) // from before the rule
	swept(t, sweep, Counts{Refreshed: 2, Rested: customers - 2})
	swept(t, sweep, Counts{})
	if record := w.Read(t, "u-8"); !record.UsedAt.Equal(w.Now()) {
		t.Errorf("used at %v", record.UsedAt)
	}
	idle := w.Read(t, "u-9")
	if !idle.RefreshDue.IsZero() {
		t.Errorf("due at %v", idle.RefreshDue)
	}
	// On demand it is refreshed, and is in the sweep again.
	for id := range idle.Grants {
		if _, err := w.Process("q").Token(t.Context(), idle, id); err != nil {
			t.Fatal(err)
		}
	}
	if record := w.Read(t, "u-9"); record.RefreshDue.IsZero() {
		t.Error("a customer who is used again has not come back into the sweep")
	}
}

func TestRemainsOfRevokedGrantsGo(t *testing.T) {
	t.Parallel()
	w, sweep := world(t)
	w.Sim.Disable(alexa.EU, "amzn-7")
	w.Sim.Disable(alexa.EU, "amzn-8")
	w.Forward(time.Hour)
	swept(t, sweep, Counts{Refreshed: customers - 2, Revoked: 2})
	w.Link(t, "u-8", alexa.EU, "amzn-8-again")
	w.Forward(7*24*time.Hour - time.Second)
	swept(t, sweep, Counts{Refreshed: customers - 2 + 1})
	if r := w.Read(t, "u-7"); len(r.Grants) != 1 {
		t.Errorf("before its time it is gone: %+v", r)
	}
	w.Forward(time.Second)
	swept(t, sweep, Counts{Removed: 2})
	if _, err := w.Store.Read(t.Context(), accesstest.Key("u-7")); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("an empty record is still there: %v", err)
	}
	if r := w.Read(t, "u-8"); len(r.Grants) != 1 {
		t.Errorf("%+v", r.Grants)
	}
}
