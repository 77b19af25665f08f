package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lifecycle"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// TestFailingGrantMovesOutOfTheWay: what ails one grant must not be met at the
// head of every sweep.
func TestFailingGrantMovesOutOfTheWay(t *testing.T) {
	t.Parallel()
	const user = "u-3"
	fails := func(fault simulator.Fault) func(*testing.T, *accesstest.World) {
		fault.User = "amzn-3"
		return func(_ *testing.T, w *accesstest.World) { w.Sim.Always(simulator.Refresh, fault) }
	}
	stored := func(edit func(g *grant.Grant)) func(*testing.T, *accesstest.World) {
		return func(t *testing.T, w *accesstest.World) {
			w.Change(t, user, func(r *grant.Record) {
				for id, g := range r.Grants {
					edit(&g)
					r.Grants[id] = g
				}
			})
		}
	}
	for name, test := range map[string]struct {
		cause string
		spoil func(*testing.T, *accesstest.World) // makes the customer's grant fail
	}{
		"sealed by another keyset":    {"sealed", stored(func(g *grant.Grant) { g.RefreshToken = []byte("not ours") })},
		"of another client":           {"other_client", stored(func(g *grant.Grant) { g.ClientID = "amzn1.application-oa2-client.former" })},
		"failed by Login with Amazon": {"login_with_amazon", fails(simulator.Fault{Status: 500})},
		"an invalid request":          {"client_refused", fails(simulator.Fault{Code: simulator.LWAInvalidRequest})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweeper) {
				test.spoil(t, w)
				w.Forward(time.Hour)
				swept(t, sweep, Counts{Refreshed: customers - 1, Failed: map[string]int{test.cause: 1}})
				record := w.Read(t, user)
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
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweeper) {
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

func TestSweepLeavesTheErasedErased(t *testing.T) {
	t.Parallel()
	w := accesstest.New(t, simulator.Options{})
	w.Link(t, "u-1", alexa.EU, "amzn-1")
	w.Forward(time.Hour)
	store, sweep := spyOn(w.Store), sweepOf(w, nil)
	store.beforeWrite = func(was grant.Record) { _, _ = w.Store.(grant.Admin).Erase(t.Context(), was.Key()) }
	sweep.Store, sweep.IdleAfter = store, 720*time.Hour
	swept(t, sweep, Counts{})
	if r, err := w.Store.Read(t.Context(), accesstest.Key("u-1")); err == nil {
		t.Errorf("the erased record is back: %+v", r)
	}
}

func TestRemainsOfRevokedGrantsGo(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweeper) {
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
		works := sweep.Announce
		sweep.Announce = announce(func(context.Context, grant.Record) error { return errors.New("topic is down") })
		swept(t, sweep, Counts{Refreshed: customers - 3 + 1, Failed: map[string]int{"announcing": 1}})
		if r := w.Read(t, "u-7"); len(r.Grants) != 1 {
			t.Errorf("before its time it is gone: %+v", r)
		}
		w.Forward(10 * time.Second)
		swept(t, sweep, Counts{Removed: 2, Failed: map[string]int{"announcing": 1}})
		sweep.Announce = works
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

// TestMessageIsAnnouncedOnce: a refresh announces what waits in the record it
// saves, and the sweep must not do so again.
func TestMessageIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweeper) {
		var announced atomic.Int64
		works := w.Announcer()
		heard := announce(func(ctx context.Context, record grant.Record) error {
			announced.Add(int64(len(record.Announce)))
			return works.Announce(ctx, record)
		})
		source := w.Process("p")
		source.Announce, sweep.Announce, sweep.Tokens = heard, heard, source
		w.Change(t, "u-3", func(r *grant.Record) {
			for id := range r.Grants {
				r.Suspect(id, grant.ReasonUnauthorized, w.Now())
				r.Recover(id, w.Now(), w.Now())
			}
		})
		swept(t, sweep, Counts{Refreshed: 1})
		if n := announced.Load(); n != 2 {
			t.Errorf("%d messages were announced, want suspect and recovered once each", n)
		}
	})
}

// behindWorld is customers whose grants have missed something.
type behindWorld struct {
	*accesstest.World
	topic *topic
	store *spy
	sweep *Sweeper
}

// newBehind links customers u-0 to u-9.
func newBehind(t *testing.T) *behindWorld {
	t.Helper()
	w := &behindWorld{World: accesstest.New(t, simulator.Options{}), topic: new(topic)}
	for i := range 10 {
		w.Link(t, fmt.Sprint("u-", i), alexa.EU, fmt.Sprint("amzn-", i))
	}
	w.store, w.sweep = spyOn(w.Store), sweepOf(w.World, nil)
	w.sweep.Store = w.store
	w.sweep.Announce = &lifecycle.Announcer{Store: w.store, Topic: w.topic, Log: slog.New(slog.DiscardHandler), Now: w.Now}
	return w
}

// missAll has all customers miss a report of a lamp, and time pass until it is due.
// It returns what is to be published.
func (w *behindWorld) missAll(t *testing.T) (stale []string) {
	t.Helper()
	for i := range 10 {
		w.miss(t, fmt.Sprint("u-", i), alexa.EU, "lamp-1")
		stale = append(stale, fmt.Sprintf("stale u-%d EU [lamp-1] false 1", i))
	}
	w.Forward(10 * time.Minute)
	return stale
}

// said returns what was published since the last call, as lines.
func (w *behindWorld) said(t *testing.T) (lines []string) {
	t.Helper()
	for _, data := range w.topic.take() {
		var m lifecycle.Message
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(m.Type, " ", m.UserID, " ", m.Region, " ", m.EndpointIDs, " ", m.Discovery, " ", m.ActiveGrants))
	}
	slices.Sort(lines)
	return lines
}

// miss has all grants of a customer in a region miss reports, due in ten minutes.
func (w *behindWorld) miss(t *testing.T, user string, region alexa.Region, endpoints ...string) {
	t.Helper()
	w.Change(t, user, func(r *grant.Record) {
		for id, g := range r.Grants {
			for _, endpoint := range endpoints {
				if g.Region == region {
					r.NoteBehind(id, endpoint, false, w.Now(), w.Now().Add(10*time.Minute))
				}
			}
		}
	})
}

// unwell marks a region as unwell now.
func (w *behindWorld) unwell(t *testing.T, region alexa.Region) {
	t.Helper()
	err := grant.ChangeControl(t.Context(), w.Store, grant.RegionName(string(region)), func(map[string]any) (map[string]any, error) {
		return grant.RegionMark{UnwellAt: w.Now()}.Document(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// publishes sweeps, and compares what was published.
func (w *behindWorld) publishes(t *testing.T, want ...string) {
	t.Helper()
	if _, err := w.sweep.Sweep(t.Context(), all()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, w.said(t)); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}

// TestSweepAsksOnce: one message for each customer and region, not before it is
// due, whatever was missed and by how many grants.
func TestSweepAsksOnce(t *testing.T) {
	t.Parallel()
	w := newBehind(t)
	w.Link(t, "u-1", alexa.EU, "amzn-spouse")
	w.Link(t, "u-2", alexa.FE, "amzn-moved")
	w.publishes(t) // proves u-1's older grant
	for _, user := range []string{"u-0", "u-1", "u-2"} {
		w.miss(t, user, alexa.EU, "lamp-1", "lamp-2")
		w.miss(t, user, alexa.FE, "lamp-3")
	}
	w.Forward(10*time.Minute - time.Second)
	w.publishes(t)
	w.Forward(time.Second)
	w.store.writes, w.store.reads = 0, 0
	clear(w.store.controls)
	w.publishes(t,
		"stale u-0 EU [lamp-1 lamp-2] false 1", "stale u-1 EU [lamp-1 lamp-2] false 2",
		"stale u-2 EU [lamp-1 lamp-2] false 1", "stale u-2 FE [lamp-3] false 1",
	)
	if w.store.writes != 2*3 || w.store.reads != 0 {
		t.Errorf("%d writes and %d reads for three customers, want two writes each: the announcement, and that it was made",
			w.store.writes, w.store.reads)
	}
	for _, region := range []string{"EU", "FE"} {
		if n := w.store.controls[grant.RegionName(region)]; n != 1 {
			t.Errorf("the mark of %s was read %d times in a sweep, want once", region, n)
		}
	}
	if refreshes := w.Sim.Counts().Refreshes; refreshes > 1 {
		t.Errorf("%d refreshes, want none but the proof", refreshes)
	}
	w.Forward(10 * time.Minute)
	w.publishes(t)
}

// TestSweepAsksAfterARefresh: the refresh that is due with the note changes the
// record, and is no reason to ask twice or not at all.
func TestSweepAsksAfterARefresh(t *testing.T) {
	t.Parallel()
	w := newBehind(t)
	w.miss(t, "u-0", alexa.EU, "lamp-1")
	w.Forward(time.Hour)
	w.publishes(t, "stale u-0 EU [lamp-1] false 1")
	if got := w.Sim.Counts().Refreshes; got != 10 {
		t.Errorf("%d refreshes, want 10", got)
	}
	w.publishes(t)
}

// TestSweepPutsOffWhatARegionCannotTake for as long as the region is unwell, and
// not for ever: a mark that nobody renews ends by itself.
func TestSweepPutsOffWhatARegionCannotTake(t *testing.T) {
	t.Parallel()
	w := newBehind(t)
	w.Link(t, "u-2", alexa.FE, "amzn-moved")
	w.miss(t, "u-2", alexa.FE, "lamp-2")
	stale := w.missAll(t)
	w.unwell(t, alexa.EU)
	w.Forward(2 * time.Minute)
	w.store.writes = 0
	w.publishes(t, "stale u-2 FE [lamp-2] false 1") // the other region is well
	if w.store.writes != 10+1 {
		t.Errorf("%d writes, want one for each who is put off, and one for what was announced", w.store.writes)
	}
	w.store.writes = 0
	w.publishes(t)
	if w.store.writes != 0 {
		t.Errorf("%d writes in the next sweep", w.store.writes)
	}
	for i := range 10 {
		record := w.Read(t, fmt.Sprint("u-", i))
		for _, g := range record.Grants {
			pause, kept := g.Behind.Due.Sub(w.Now()), slices.Equal(g.Behind.Endpoints, []string{"lamp-1"})
			if g.Region == alexa.EU && (pause < 15*time.Minute || pause > time.Hour || !kept) {
				t.Errorf("u-%d: %+v, due in %v", i, g.Behind, pause)
			}
		}
	}
	asked := make(map[string]int)
	for range 12 {
		w.Forward(DefaultPeriod)
		if _, err := w.sweep.Sweep(t.Context(), all()); err != nil {
			t.Fatal(err)
		}
		for _, line := range w.said(t) {
			asked[line]++
		}
	}
	for _, line := range stale {
		if asked[line] != 1 {
			t.Errorf("%s: published %d times within an hour after the mark, want once", line, asked[line])
		}
	}
	if len(asked) != 10 {
		t.Errorf("published %v", asked)
	}
}

// TestSweepDoesNotGuessARegion: a mark that cannot be read puts nobody off, which
// would be a write for each, and asks nobody.
func TestSweepDoesNotGuessARegion(t *testing.T) {
	t.Parallel()
	w := newBehind(t)
	stale := w.missAll(t)
	w.store.controlErr = errors.New("the store is out of order")
	w.store.writes = 0
	counts, err := w.sweep.Sweep(t.Context(), all())
	if err != nil || counts.Failed["behind"] != 10 || w.store.writes != 0 || len(w.topic.take()) != 0 {
		t.Errorf("%+v, %v, %d writes", counts, err, w.store.writes)
	}
	w.store.controlErr = nil
	w.Forward(DefaultPeriod)
	w.publishes(t, stale...)
}

// TestAskedAtLeastOnce: what a topic that fails does not take waits in the
// record.
func TestAskedAtLeastOnce(t *testing.T) {
	t.Parallel()
	w := newBehind(t)
	stale := w.missAll(t)
	w.topic.err = errors.New("the topic is out of order")
	w.publishes(t)
	w.Forward(DefaultPeriod)
	w.publishes(t)
	w.topic.err = nil
	w.Forward(DefaultPeriod)
	w.publishes(t, stale...)
	w.Forward(DefaultPeriod)
	w.publishes(t)
}

// TestNobodyAsksForASuspect: what the gateway would refuse is not asked for. When
// the link works again it is.
func TestNobodyAsksForASuspect(t *testing.T) {
	t.Parallel()
	w := newBehind(t)
	change := func(edit func(r *grant.Record, id string)) {
		w.Change(t, "u-0", func(r *grant.Record) {
			for id := range r.Grants {
				edit(r, id)
			}
			r.Announced(r.Announce, w.Now())
		})
	}
	change(func(r *grant.Record, id string) { r.Suspect(id, grant.ReasonUnauthorized, w.Now()) })
	w.miss(t, "u-0", alexa.EU, "lamp-1")
	for range 6 {
		w.Forward(DefaultPeriod)
		w.publishes(t)
	}
	change(func(r *grant.Record, id string) { r.Recover(id, w.Now(), w.Now().Add(time.Hour)) })
	w.publishes(t, "stale u-0 EU [lamp-1] false 1")
}
