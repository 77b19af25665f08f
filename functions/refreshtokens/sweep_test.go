package refreshtokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/testkit/accesstest"
)

const customers = 150 // more than a page in a group of buckets

// inWorld runs a test in a bubble, with customers who are linked and what
// sweeps them.
func inWorld(t *testing.T, test func(t *testing.T, w *accesstest.World, sweep *Sweep)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := accesstest.InBubble(t, simulator.Options{})
		for i := range customers {
			w.Link(t, fmt.Sprint("u-", i), alexa.EU, fmt.Sprint("amzn-", i))
		}
		test(t, w, sweepOf(w, nil))
	})
}

func all() []int { return shard{Shard: 0, Shards: 1}.buckets() }

// sweepOf is what sweeps a world, with tokens of its own process unless they are
// given.
func sweepOf(w *accesstest.World, tokens Refresher) *Sweep {
	if tokens == nil {
		tokens = w.Process("p")
	}
	return &Sweep{Store: w.Store, Tokens: tokens, Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now, Period: DefaultPeriod}
}

// spy is a store that counts what goes to it, and fails as it is told to.
type spy struct {
	grant.Store
	beforeWrite func(was grant.Record)
	unreadable  []error // of each page

	mu            sync.Mutex
	reads, writes int
	controls      map[string]int // reads, by name
	controlErr    error          // of the mark of the EU
	from          []time.Time    // where sweeps began to look
}

func spyOn(store grant.Store) *spy { return &spy{Store: store, controls: make(map[string]int)} }

func (s *spy) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	return s.Store.Read(ctx, key)
}

func (s *spy) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	s.mu.Lock()
	s.writes++
	s.mu.Unlock()
	if s.beforeWrite != nil {
		s.beforeWrite(was)
	}
	return s.Store.Write(ctx, was, now)
}

func (s *spy) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	s.mu.Lock()
	s.controls[name]++
	err := s.controlErr
	s.mu.Unlock()
	if err != nil && name == grant.RegionName("EU") {
		return grant.Control{}, err
	}
	return s.Store.ReadControl(ctx, name)
}

func (s *spy) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	s.mu.Lock()
	s.from = append(s.from, q.From)
	s.mu.Unlock()
	page, err := s.Store.Due(ctx, q)
	page.Unreadable = append(page.Unreadable, s.unreadable...)
	return page, err
}

// announce is an Announcer.
type announce func(ctx context.Context, record grant.Record) error

func (f announce) Announce(ctx context.Context, record grant.Record) error { return f(ctx, record) }

// topic keeps what is published, and fails while it is told to.
type topic struct {
	mu   sync.Mutex
	data []string
	err  error
}

func (p *topic) Publish(_ context.Context, data []byte, _ map[string]string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.data = append(p.data, string(data))
	}
	return p.err
}

// take returns what was published since the last call, sorted.
func (p *topic) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.data)
	taken := p.data
	p.data = nil
	return taken
}

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

func TestSweepRefreshesWhatIsDue(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		swept(t, sweep, Counts{}) // nothing is due
		w.Forward(40*time.Minute + time.Second)
		w.Sim.Disable(alexa.EU, "amzn-7")
		swept(t, sweep, Counts{Refreshed: customers - 1, Refused: 1})
		swept(t, sweep, Counts{})
		if w.Sim.Counts().Refreshes != customers-1 {
			t.Errorf("%d refreshes", w.Sim.Counts().Refreshes)
		}
	})
}

func TestTwoSweepsAtOnceRefreshOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		w.Forward(time.Hour)
		var wg sync.WaitGroup
		for _, s := range []*Sweep{sweep, sweepOf(w, w.Process("q"))} {
			wg.Go(func() {
				if _, err := s.Sweep(context.Background(), all()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if c := w.Sim.Counts(); c.Refreshes != customers || c.RotatedAway != 0 {
			t.Errorf("%d refreshes, %d with a token that was rotated away; want %d and 0", c.Refreshes, c.RotatedAway, customers)
		}
	})
}

func TestDamagedRecordHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		w.Forward(time.Hour)
		store := spyOn(w.Store)
		store.unreadable = []error{errors.New("record x: grants: not a map")}
		sweep.Store = store
		counts, err := sweep.Sweep(t.Context(), []int{accesstest.Key("u-1").Bucket()})
		if err != nil || counts.Refreshed == 0 || counts.Failed["unreadable"] != 1 {
			t.Errorf("%+v, %v", counts, err)
		}
	})
}

func TestSweepStopsWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		w.Forward(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		w.Sim.Always(simulator.Refresh, simulator.Fault{OmitExpiresIn: true, Match: func(simulator.Request) bool { cancel(); return true }})
		counts, err := sweep.Sweep(ctx, all())
		done := counts.Refreshed
		if err != nil || !counts.Remaining || done == 0 || done > concurrency+1 || counts.Left != customers-done {
			t.Errorf("%+v, %v", counts, err)
		}
	})
}

func TestShardsCoverEveryBucketOnce(t *testing.T) {
	t.Parallel()
	for shards := 1; shards <= grant.Buckets; shards++ {
		var covered []int
		for i := range shards {
			covered = append(covered, shard{Shard: i, Shards: shards}.buckets()...)
		}
		if len(covered) != grant.Buckets || !slices.IsSorted(covered) || len(slices.Compact(covered)) != grant.Buckets {
			t.Errorf("%d shards cover %v", shards, covered)
		}
	}
}

// recorded is a Sweeper that notes the buckets.
type recorded struct{ buckets []int }

func (r *recorded) Sweep(_ context.Context, buckets []int) (Counts, error) {
	r.buckets = buckets
	return Counts{Refreshed: 3}, errors.New("stopped early")
}

func TestRefreshTokensPublishesShards(t *testing.T) {
	t.Parallel()
	shards := new(topic)
	f := &Function{Shards: 3, Topic: shards, Period: DefaultPeriod, Now: time.Now}
	answer := f.RefreshTokens(t.Context(), host.Request{})
	want := []string{`{"shard":0,"shards":3}`, `{"shard":1,"shards":3}`, `{"shard":2,"shards":3}`}
	if diff := cmp.Diff(want, shards.take()); diff != "" || answer.Status != http.StatusOK || string(answer.Body) != `{"shards":3}` {
		t.Errorf("%d %s (-want +got):\n%s", answer.Status, answer.Body, diff)
	}
	shards.err = errors.New("down")
	if answer := f.RefreshTokens(t.Context(), host.Request{}); answer.Status != http.StatusServiceUnavailable {
		t.Errorf("with the topic down: %d", answer.Status)
	}
}

func TestRefreshShard(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name, data string
		age        time.Duration
		body       string
		first, n   int // buckets swept
	}{
		{"good", `{"shard":1,"shards":16}`, 0, `{"refreshed":3,"skipped":0,"revoked":0,"remaining":false}`, 16, 16},
		{"late", `{"shard":1,"shards":16}`, 5*time.Minute + 1, `{"refreshed":0,"skipped":0,"revoked":0,"remaining":false}`, 0, 0},
		{"no JSON", `x`, 0, `{"error":"not a shard: not JSON, or a field of the wrong type"}`, 0, 0},
		{"too many", `{"shard":0,"shards":257}`, 0, `{"error":"not a shard: shards: must be from 1 to 256"}`, 0, 0},
		{"outside", `{"shard":16,"shards":16}`, 0, `{"error":"not a shard: shard: must be from 0 to shards - 1"}`, 0, 0},
	}
	for _, test := range tests {
		sweeper := new(recorded)
		f := &Function{Sweeper: sweeper, Period: DefaultPeriod, Now: func() time.Time { return now }}
		body, err := push.Encode(push.Message{ID: "1", Data: []byte(test.data), PublishTime: now.Add(-test.age)})
		if err != nil {
			t.Fatal(err)
		}
		answer := f.RefreshShard(t.Context(), host.Request{Body: body})
		if answer.Status != http.StatusOK || string(answer.Body) != test.body {
			t.Errorf("%s: %d %s", test.name, answer.Status, answer.Body)
		}
		if len(sweeper.buckets) != test.n || test.n > 0 && sweeper.buckets[0] != test.first {
			t.Errorf("%s: swept %v", test.name, sweeper.buckets)
		}
	}
	f := &Function{Sweeper: new(recorded), Period: DefaultPeriod, Now: func() time.Time { return now }}
	if answer := f.RefreshShard(t.Context(), host.Request{Body: []byte("{}")}); answer.Status != http.StatusBadRequest {
		t.Errorf("no message: %d", answer.Status)
	}
	var counts Counts
	if answer := f.RefreshTokens(t.Context(), host.Request{}); json.Unmarshal(answer.Body, &counts) != nil || counts.Refreshed != 3 {
		t.Errorf("without a topic: %d %s", answer.Status, answer.Body)
	}
}
