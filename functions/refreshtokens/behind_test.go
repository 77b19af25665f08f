package refreshtokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lifecycle"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

// grantEvents is the topic of that name. It keeps what is published, and fails
// while it is told to.
type grantEvents struct {
	mu       sync.Mutex
	failing  bool
	messages []lifecycle.Message
}

func (g *grantEvents) Publish(_ context.Context, data []byte, _ map[string]string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failing {
		return errors.New("the topic is out of order")
	}
	var m lifecycle.Message
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	g.messages = append(g.messages, m)
	return nil
}

// take returns what was published since the last call, as lines.
func (g *grantEvents) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var lines []string
	for _, m := range g.messages {
		lines = append(lines, fmt.Sprint(m.Type, " ", m.UserID, " ", m.Region, " ", m.EndpointIDs, " ", m.Discovery, " ", m.ActiveGrants))
	}
	slices.Sort(lines)
	g.messages = nil
	return lines
}

// traffic counts what goes to a store.
type traffic struct {
	grant.Store

	mu             sync.Mutex
	reads, writes  int
	controls       map[string]int // reads, by name
	controlFailure error
}

func (c *traffic) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.Store.Read(ctx, key)
}

func (c *traffic) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.Store.Write(ctx, was, now)
}

func (c *traffic) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	c.mu.Lock()
	c.controls[name]++
	err := c.controlFailure
	c.mu.Unlock()
	if err != nil && name == grant.RegionName("EU") {
		return grant.Control{}, err
	}
	return c.Store.ReadControl(ctx, name)
}

// behindWorld is customers whose grants have missed something.
type behindWorld struct {
	*accesstest.World
	topic *grantEvents
	store *traffic
	sweep *Sweep
}

// newBehind links customers u-0 to u-9.
func newBehind(t *testing.T) *behindWorld {
	t.Helper()
	w := &behindWorld{World: accesstest.New(t, simulator.Options{}), topic: new(grantEvents)}
	for i := range 10 {
		w.Link(t, fmt.Sprint("u-", i), alexa.EU, fmt.Sprint("amzn-", i))
	}
	w.store = &traffic{Store: w.Store, controls: make(map[string]int)}
	announcer := &lifecycle.Announcer{Store: w.store, Topic: w.topic, Log: slog.New(slog.DiscardHandler), Now: w.Now}
	w.sweep = &Sweep{Store: w.store, Tokens: w.Process("p"), Brake: w.Brake(), Announce: announcer, Now: w.Now, Period: DefaultPeriod}
	return w
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
	if diff := cmp.Diff(want, w.topic.take()); diff != "" {
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
		t.Errorf("%d writes and %d reads for three customers, want two writes each: the announcement, and that it was made", w.store.writes, w.store.reads)
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
	for i := range 10 {
		w.miss(t, fmt.Sprint("u-", i), alexa.EU, "lamp-1")
	}
	w.miss(t, "u-2", alexa.FE, "lamp-2")
	w.Forward(10 * time.Minute)
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
			if pause := g.Behind.Due.Sub(w.Now()); g.Region == alexa.EU && (pause < 15*time.Minute || pause > time.Hour || !slices.Equal(g.Behind.Endpoints, []string{"lamp-1"})) {
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
		for _, line := range w.topic.take() {
			asked[line]++
		}
	}
	for i := range 10 {
		if line := fmt.Sprintf("stale u-%d EU [lamp-1] false 1", i); asked[line] != 1 {
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
	for i := range 10 {
		w.miss(t, fmt.Sprint("u-", i), alexa.EU, "lamp-1")
	}
	w.Forward(10 * time.Minute)
	w.store.controlFailure = errors.New("the store is out of order")
	w.store.writes = 0
	counts, err := w.sweep.Sweep(t.Context(), all())
	if err != nil || counts.Failed["behind"] != 10 || w.store.writes != 0 || len(w.topic.take()) != 0 {
		t.Errorf("%+v, %v, %d writes", counts, err, w.store.writes)
	}
	w.store.controlFailure = nil
	w.Forward(DefaultPeriod)
	if _, err := w.sweep.Sweep(t.Context(), all()); err != nil || len(w.topic.take()) != 10 {
		t.Errorf("when it can be read again not all are asked: %v", err)
	}
}

// TestAskedAtLeastOnce: what a topic that fails does not take waits in the
// record.
func TestAskedAtLeastOnce(t *testing.T) {
	t.Parallel()
	w := newBehind(t)
	var want []string
	for i := range 10 {
		w.miss(t, fmt.Sprint("u-", i), alexa.EU, "lamp-1")
		want = append(want, fmt.Sprintf("stale u-%d EU [lamp-1] false 1", i))
	}
	w.Forward(10 * time.Minute)
	w.topic.failing = true
	w.publishes(t)
	w.Forward(DefaultPeriod)
	w.publishes(t)
	w.topic.failing = false
	w.Forward(DefaultPeriod)
	w.publishes(t, want...)
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
