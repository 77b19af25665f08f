package refreshtokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
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
			inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
				test.spoil(t, w, of(3))
				w.Forward(time.Hour)
				swept(t, sweep, Counts{Refreshed: customers - 1, Failed: map[string]int{test.cause: 1}})
				record := w.Read(t, of(3))
				if due := record.RefreshDue.Sub(w.Now()); due < time.Minute || due > 75*time.Second {
					t.Errorf("due in %v, want a minute", record.RefreshDue.Sub(w.Now()))
				}
				for _, g := range record.Grants {
					if g.State != grant.Active || g.Failures != 1 {
						t.Errorf("%+v", g)
					}
				}
				swept(t, sweep, Counts{})
			})
		})
	}
}

func TestIdleCustomersLeaveTheSweep(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		w.Forward(12 * month)
		swept(t, sweep, Counts{Refreshed: customers})
		w.Forward(time.Hour)
		sweep.IdleAfter = month
		swept(t, sweep, Counts{Refreshed: customers}) // all count as used when the rule is switched on
		w.Forward(month + 3*24*time.Hour)             // use is noted every three days
		swept(t, sweep, Counts{Refreshed: customers})
		w.Forward(time.Hour)
		w.Change(t, "u-7", func(r *grant.Record) { r.Used(w.Now()) })
		swept(t, sweep, Counts{Refreshed: 1, Rested: customers - 1})
		swept(t, sweep, Counts{})
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
		// Off and on again: what was noted then is of no use now.
		sweep.IdleAfter = 0
		w.Forward(time.Hour)
		swept(t, sweep, Counts{Refreshed: 2})
		w.Forward(12 * month)
		sweep.IdleAfter = month
		swept(t, sweep, Counts{Refreshed: 2})
	})
}

// erasing is a store from which a customer vanishes before the first write.
type erasing struct {
	grant.Store
	once sync.Once
}

func (e *erasing) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	e.once.Do(func() { _, _ = e.Store.(grant.Admin).Erase(ctx, was.Key()) })
	return e.Store.Write(ctx, was, now)
}

func TestSweepLeavesTheErasedErased(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Forward(time.Hour)
	sweep := &Sweep{Store: &erasing{Store: w.Store}, Tokens: w.Process("p"), Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now, Period: DefaultPeriod, IdleAfter: 720 * time.Hour}
	swept(t, sweep, Counts{})
	if r, err := w.Store.Read(t.Context(), accesstest.Key("u-1")); err == nil {
		t.Errorf("the erased record is back: %+v", r)
	}
}

// silent is an Announcer whose topic is out of order.
type silent struct{}

func (silent) Announce(context.Context, grant.Record) error { return errors.New("topic is down") }

func TestRemainsOfRevokedGrantsGo(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		w.Sim.Disable(alexa.EU, "amzn-7")
		w.Sim.Disable(alexa.EU, "amzn-8")
		w.Forward(time.Hour)
		for _, user := range []string{"u-7", "u-8"} {
			w.Change(t, user, func(r *grant.Record) { r.Prove(grant.BySkillEvent, w.Now()) })
		}
		swept(t, sweep, Counts{Refreshed: customers - 2, Revoked: 2})
		w.Change(t, "u-9", func(r *grant.Record) { // somebody must hear of it first
			for id := range r.Grants {
				r.Revoke(id, grant.ReasonInvalidGrant, w.Now())
			}
		})
		w.Link(t, "u-8", alexa.EU, "amzn-8-again")
		w.Forward(7*24*time.Hour - 10*time.Second) // the sweep itself took a second or two
		deaf := sweep.Announce
		sweep.Announce = silent{}
		swept(t, sweep, Counts{Refreshed: customers - 3 + 1, Failed: map[string]int{"announcing": 1}})
		if r := w.Read(t, "u-7"); len(r.Grants) != 1 {
			t.Errorf("before its time it is gone: %+v", r)
		}
		w.Forward(10 * time.Second)
		swept(t, sweep, Counts{Removed: 2, Failed: map[string]int{"announcing": 1}})
		sweep.Announce = deaf
		swept(t, sweep, Counts{})
		swept(t, sweep, Counts{Removed: 1})
		for _, user := range []string{"u-7", "u-9"} {
			if _, err := w.Store.Read(t.Context(), accesstest.Key(user)); !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("an empty record is still there: %v", err)
			}
		}
		if r := w.Read(t, "u-8"); len(r.Grants) != 1 {
			t.Errorf("%+v", r.Grants)
		}
	})
}

// heard counts announcements.
type heard struct {
	access.Announcer
	mu sync.Mutex
	n  int
}

func (h *heard) Announce(ctx context.Context, record grant.Record) error {
	h.mu.Lock()
	h.n += len(record.Announce)
	h.mu.Unlock()
	return h.Announcer.Announce(ctx, record)
}

// TestMessageIsAnnouncedOnce: a refresh announces what waits in the record it
// saves, and the sweep must not do so again.
func TestMessageIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		heard := &heard{Announcer: w.Announcer()}
		source := w.Process("p")
		source.Announce, sweep.Announce, sweep.Tokens = heard, heard, source
		w.Change(t, "u-3", func(r *grant.Record) {
			for id := range r.Grants {
				r.Suspect(id, grant.ReasonUnauthorized, w.Now())
				r.Recover(id, w.Now(), w.Now())
			}
		})
		swept(t, sweep, Counts{Refreshed: 1})
		if heard.n != 2 {
			t.Errorf("%d messages were announced, want suspect and recovered once each", heard.n)
		}
	})
}
