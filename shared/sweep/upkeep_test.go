package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/announce"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestFailingGrantIsMovedBack: a grant that fails on its own must not be at the
// head of every sweep.
func TestFailingGrantIsMovedBack(t *testing.T) {
	t.Parallel()
	fails := func(fault simulator.Fault) func(*world) {
		fault.User = "amzn-3"
		return func(w *world) { w.Sim.Always(simulator.Refresh, fault) }
	}
	stored := func(set func(g *grant.Grant)) func(*world) { return func(w *world) { w.set("u-3", set) } }
	for cause, spoil := range map[string]func(*world){
		"sealed":            stored(func(g *grant.Grant) { g.RefreshToken = []byte("not ours") }),
		"other_client":      stored(func(g *grant.Grant) { g.ClientID = "amzn1.application-oa2-client.former" }),
		"login_with_amazon": fails(simulator.Fault{Status: 500}),
		"client_refused":    fails(simulator.Fault{Code: simulator.LWAInvalidRequest}),
	} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			inWorld(t, 60, 1, func(t *testing.T, w *world) {
				spoil(w)
				w.Forward(time.Hour)
				w.swept(Counts{Refreshed: 59, Failed: map[string]int{cause: 1}})
				record := w.Read(t, "u-3")
				g, due := record.Grants[w.ids[3]], record.RefreshDue.Sub(w.Now())
				if due < time.Minute || due > 75*time.Second || g.State != grant.Active || g.Failures != 1 {
					t.Errorf("due in %v, want 1 min: %+v", due, g)
				}
				w.swept(Counts{})
			})
		})
	}
}

func TestIdleCustomersLeaveTheSweep(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	inWorld(t, 20, 1, func(t *testing.T, w *world) {
		sweeper := w.sweepers[0]
		w.Forward(12 * month)
		w.swept(Counts{Refreshed: 20})
		w.Forward(time.Hour)
		sweeper.IdleAfter = month
		w.swept(Counts{Refreshed: 20})    // all count as used when IdleAfter is set
		w.Forward(month + 3*24*time.Hour) // use is recorded every three days
		w.swept(Counts{Refreshed: 20})
		w.Forward(time.Hour)
		w.Change(t, "u-7", func(r *grant.Record) { r.Used(w.Now()) })
		w.swept(Counts{Refreshed: 1, Rested: 19})
		w.swept(Counts{})
		idle := w.Read(t, "u-9")
		if !idle.RefreshDue.IsZero() {
			t.Errorf("due at %v, want never", idle.RefreshDue)
		}
		// Refreshed on demand, it is in the sweep again.
		if _, err := w.Process("q").Token(t.Context(), idle, w.ids[9]); err != nil {
			t.Fatal(err)
		}
		// Unset and set again: the use that was recorded before no longer counts.
		sweeper.IdleAfter = 0
		w.Forward(time.Hour)
		w.swept(Counts{Refreshed: 2})
		w.Forward(12 * month)
		sweeper.IdleAfter = month
		w.swept(Counts{Refreshed: 2})
	})
}

func TestErasedStaysErased(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, 1, func(t *testing.T, w *world) {
		w.Forward(time.Hour)
		w.store.beforeWrite = func(was grant.Record) { _, _ = w.Store.(grant.Admin).Erase(t.Context(), was.Key()) }
		w.sweepers[0].IdleAfter = 720 * time.Hour
		w.swept(Counts{})
		if r, err := w.Store.Read(t.Context(), accesstest.Key("u-0")); err == nil {
			t.Errorf("the erased record exists again: %+v", r)
		}
	})
}

func TestRevokedGrantsAreRemoved(t *testing.T) {
	t.Parallel()
	inWorld(t, 20, 1, func(t *testing.T, w *world) {
		w.Forward(time.Hour)
		for _, i := range []int{7, 8} {
			w.Sim.Disable(alexa.EU, fmt.Sprint("amzn-", i))
			w.Change(t, user(i), func(r *grant.Record) { r.Prove(grant.BySkillEvent, w.Now()) })
		}
		w.swept(Counts{Refreshed: 18, Revoked: 2})
		w.Change(t, "u-9", func(r *grant.Record) { r.Revoke(w.ids[9], grant.ReasonInvalidGrant, w.Now()) }) // not announced yet
		w.Link(t, "u-8", alexa.EU, "amzn-8-again")
		w.Forward(7*24*time.Hour - 10*time.Second) // the sweep took a second or two
		w.topic.err = errors.New("topic is down")
		w.swept(Counts{Refreshed: 18, Failed: map[string]int{"announcing": 1}})
		if r := w.Read(t, "u-7"); len(r.Grants) != 1 {
			t.Errorf("grants before the end of the week = %+v, want one", r)
		}
		w.Forward(10 * time.Second)
		w.swept(Counts{Removed: 2, Failed: map[string]int{"announcing": 1}})
		w.topic.err = nil
		w.swept(Counts{}) // announces, so that u-9 can be removed
		w.swept(Counts{Removed: 1})
		for _, user := range []string{"u-7", "u-9"} {
			if _, err := w.Store.Read(t.Context(), accesstest.Key(user)); !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("reading an empty record: %v, want ErrNotFound", err)
			}
		}
		if r := w.Read(t, "u-8"); len(r.Grants) != 1 {
			t.Errorf("grants = %+v, want one", r.Grants)
		}
	})
}

// TestMessageIsAnnouncedOnce: a refresh announces the messages in the record that
// it saves, and the sweep must not announce them again.
func TestMessageIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, 10, 1, func(t *testing.T, w *world) {
		w.Change(t, "u-3", func(r *grant.Record) {
			r.Suspect(w.ids[3], grant.ReasonUnauthorized, w.Now())
			r.Recover(w.ids[3], w.Now(), w.Now())
		})
		w.publishes("recovered u-3 EU [] 1", "suspect u-3 EU [] 1")
		if n := w.Sim.Counts().Refreshes; n != 1 {
			t.Errorf("refreshes = %d, want 1", n)
		}
	})
}

// topic records its messages, and fails with err.
type topic struct {
	mu    sync.Mutex
	lines []string
	err   error
}

func (p *topic) Publish(_ context.Context, data []byte, _ map[string]string) error {
	var m announce.Message
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.lines = append(p.lines, fmt.Sprint(m.Type, " ", m.UserID, " ", m.Region, " ", m.EndpointIDs, " ", m.ActiveGrants))
	}
	return p.err
}

// take returns the messages since the last call, sorted.
func (p *topic) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.lines)
	taken := p.lines
	p.lines = nil
	return taken
}

// publishes sweeps all buckets and compares the messages.
func (w *world) publishes(want ...string) {
	w.t.Helper()
	w.sweep()
	expect.Equal(w.t, "published messages", want, w.topic.take())
}

// miss records missed reports for a customer's grants in a region, due in ten
// minutes.
func (w *world) miss(user string, region alexa.Region, endpoints ...string) {
	w.t.Helper()
	w.edit(user, func(r *grant.Record, id string, g *grant.Grant) {
		for _, endpoint := range endpoints {
			if g.Region == region {
				r.NoteBehind(id, endpoint, false, w.Now(), w.Now().Add(10*time.Minute))
			}
		}
	})
}

// missAll records a missed report for each customer, and waits until it is due. It
// returns the messages to be published.
func (w *world) missAll() (stale []string) {
	w.t.Helper()
	for i := range w.ids {
		w.miss(user(i), alexa.EU, "lamp-1")
		stale = append(stale, fmt.Sprintf("stale u-%d EU [lamp-1] 1", i))
	}
	w.Forward(10 * time.Minute)
	return stale
}

// TestOneMessageForMissedReports: there is one message for each customer and region
// when it is due, for any number of missed reports and grants.
func TestOneMessageForMissedReports(t *testing.T) {
	t.Parallel()
	inWorld(t, 10, 1, func(t *testing.T, w *world) {
		w.Link(t, "u-1", alexa.EU, "amzn-spouse")
		w.Link(t, "u-2", alexa.FE, "amzn-moved")
		w.publishes() // proves u-1's older grant
		for _, user := range []string{"u-0", "u-1", "u-2"} {
			w.miss(user, alexa.EU, "lamp-1", "lamp-2")
			w.miss(user, alexa.FE, "lamp-3")
		}
		w.Forward(10*time.Minute - time.Second)
		w.publishes()
		w.Forward(time.Second)
		clear(w.store.calls)
		w.publishes("stale u-0 EU [lamp-1 lamp-2] 1", "stale u-1 EU [lamp-1 lamp-2] 2",
			"stale u-2 EU [lamp-1 lamp-2] 1", "stale u-2 FE [lamp-3] 1")
		c := w.store.calls // two writes for each message: before it and after it
		if c["write"] != 2*3 || c["read"] != 0 || c[grant.RegionName("EU")] != 1 || c[grant.RegionName("FE")] != 1 {
			t.Errorf("calls = %v, want 6 writes and one read of each region's mark", c)
		}
		if refreshes := w.Sim.Counts().Refreshes; refreshes > 1 {
			t.Errorf("refreshes = %d, want only the proof", refreshes)
		}
		// A refresh in the same sweep changes the record, and the message must
		// still be published exactly once.
		w.miss("u-0", alexa.EU, "lamp-1")
		w.Forward(time.Hour)
		w.sweep() // may leave the message to the next sweep
		w.publishes("stale u-0 EU [lamp-1] 1")
		if got := w.Sim.Counts().Refreshes; got < 12 {
			t.Errorf("refreshes = %d, want one of each grant", got)
		}
		w.publishes()
	})
}

// TestUnhealthyRegionIsSpared: while a region is marked unhealthy its messages
// wait. A mark that is not renewed expires.
func TestUnhealthyRegionIsSpared(t *testing.T) {
	t.Parallel()
	inWorld(t, 10, 1, func(t *testing.T, w *world) {
		w.Link(t, "u-2", alexa.FE, "amzn-moved")
		w.miss("u-2", alexa.FE, "lamp-2")
		stale := w.missAll()
		err := grant.ChangeControl(t.Context(), w.Store, grant.RegionName("EU"), func(map[string]any) (map[string]any, error) {
			return grant.RegionMark{UnhealthyAt: w.Now()}.Document(), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Forward(2 * time.Minute)
		clear(w.store.calls)
		w.publishes("stale u-2 FE [lamp-2] 1") // the other region is healthy
		w.publishes()
		if n := w.store.calls["write"]; n != 10+1 {
			t.Errorf("writes = %d, want one for each postponed customer, and one for the message", n)
		}
		for i, id := range w.ids {
			if pause := w.Read(t, user(i)).Grants[id].Behind.Due.Sub(w.Now()); pause < 15*time.Minute || pause > time.Hour {
				t.Errorf("u-%d is postponed by %v, want 15 min to an hour", i, pause)
			}
		}
		published := make(map[string]int)
		for range 12 {
			w.Forward(DefaultPeriod)
			w.sweep()
			for _, line := range w.topic.take() {
				published[line]++
			}
		}
		for _, line := range stale {
			if published[line] != 1 || len(published) != 10 {
				t.Errorf("%s: published %d times in the hour after the mark, of %v; want once", line, published[line], published)
			}
		}
	})
}

// TestMessageWaits: a message stays in the record while the topic fails, and as a
// missed report while the region's mark cannot be read: postponing it would cost a
// write for each customer.
func TestMessageWaits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		breaks func(w *world, err error)
		cause  string
		failed int
		writes int
	}{
		// The sweep gives up then: each attempt may take as long as many refreshes.
		"topic": {func(w *world, err error) { w.topic.err = err }, "announcing", maxAnnounceFailures, 10},
		"mark":  {func(w *world, err error) { w.store.regionErr = err }, "behind", 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, 10, 1, func(t *testing.T, w *world) {
				stale := w.missAll()
				test.breaks(w, errors.New("out of order"))
				clear(w.store.calls)
				for range 2 {
					failed, writes := w.sweep().Failed[test.cause], w.store.calls["write"]
					if failed < test.failed || failed > test.failed+1 || writes != test.writes || len(w.topic.take()) > 0 {
						t.Errorf("failures = %d, writes = %d, want %d, %d", failed, writes, test.failed, test.writes)
					}
					w.Forward(DefaultPeriod)
				}
				test.breaks(w, nil)
				w.publishes(stale...)
				w.Forward(DefaultPeriod)
				w.publishes()
			})
		})
	}
}

// TestSuspectsMissedReportsWait: no report is requested while the grant is suspect.
// It is requested when the grant has recovered.
func TestSuspectsMissedReportsWait(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, 1, func(t *testing.T, w *world) {
		w.edit("u-0", func(r *grant.Record, id string, _ *grant.Grant) { r.Suspect(id, grant.ReasonUnauthorized, w.Now()) })
		w.miss("u-0", alexa.EU, "lamp-1")
		for range 6 {
			w.Forward(DefaultPeriod)
			w.publishes()
		}
		w.edit("u-0", func(r *grant.Record, id string, _ *grant.Grant) { r.Recover(id, w.Now(), w.Now().Add(time.Hour)) })
		w.publishes("stale u-0 EU [lamp-1] 1")
	})
}
