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
		test(t, w, &Sweep{Store: w.Store, Tokens: w.Process("p"), Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now, Period: DefaultPeriod})
	})
}

func all() []int { return shard{Shard: 0, Shards: 1}.buckets() }

func TestSweepRefreshesWhatIsDue(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		counts, err := sweep.Sweep(t.Context(), all())
		if diff := cmp.Diff(Counts{Failed: map[string]int{}}, counts); diff != "" || err != nil {
			t.Errorf("before anything is due: %v (-want +got):\n%s", err, diff)
		}
		w.Forward(40*time.Minute + time.Second)
		w.Sim.Disable(alexa.EU, "amzn-7")
		counts, err = sweep.Sweep(t.Context(), all())
		want := Counts{Refreshed: customers - 1, Refused: 1, Failed: map[string]int{}}
		if diff := cmp.Diff(want, counts); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if g := w.Read(t, "u-8").Grants; len(g) != 1 {
			t.Errorf("%v", g)
		}
		if again, err := sweep.Sweep(t.Context(), all()); again.Refreshed+again.Refused+again.Revoked != 0 || err != nil {
			t.Errorf("a second sweep found %+v, %v", again, err)
		}
		if w.Sim.Counts().Refreshes != customers-1 {
			t.Errorf("%d refreshes", w.Sim.Counts().Refreshes)
		}
	})
}

func TestTwoSweepsAtOnceRefreshOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		other := &Sweep{Store: w.Store, Tokens: w.Process("q"), Brake: w.Brake(), Announce: w.Announcer(), Now: w.Now, Period: DefaultPeriod}
		w.Forward(time.Hour)
		var wg sync.WaitGroup
		for _, s := range []*Sweep{sweep, other} {
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

func TestSweepLeavesAnIllServiceAlone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault simulator.Fault
		cause string
		most  int // requests: the limit, and what was under way
	}{
		{"down", simulator.Fault{Status: 503}, "login_with_amazon", sample + elsewhere},
		{"throttling", simulator.Fault{Status: 429}, "login_with_amazon", sample + elsewhere},
		{"asks to be left alone", simulator.Fault{Status: 503, RetryAfter: 30 * time.Second}, "login_with_amazon", concurrency + elsewhere},
		{"our client is refused", simulator.Fault{Code: simulator.LWAInvalidClient}, "client_refused", clientRefusals - 1 + concurrency + elsewhere},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
				w.Forward(time.Hour)
				before, writes := len(w.Sim.LWARequests()), new(writes)
				sweep.Store = counted{w.Store, writes}
				w.Sim.Always(simulator.Refresh, test.fault)
				counts, err := sweep.Sweep(t.Context(), all())
				asked := len(w.Sim.LWARequests()) - before
				if err == nil || !counts.Remaining || counts.Left != customers || counts.Failed[test.cause] < asked || asked > test.most {
					t.Errorf("%+v after %d requests: %v", counts, asked, err)
				}
				if writes.n != 0 {
					t.Errorf("%d writes because of an illness of Login with Amazon", writes.n)
				}
				for i := range customers {
					for _, g := range w.Read(t, fmt.Sprint("u-", i)).Grants {
						if g.State != grant.Active {
							t.Fatalf("grant of u-%d is %s", i, g.State)
						}
					}
				}
			})
		})
	}
}

// counted is a store whose writes count, but for those of the Refresher.
type counted struct {
	grant.Store
	*writes
}

type writes struct {
	mu sync.Mutex
	n  int
}

func (c counted) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	return c.Store.Write(ctx, was, now)
}

// damaged is a store with a record that cannot be read.
type damaged struct{ grant.Store }

func (d damaged) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	page, err := d.Store.Due(ctx, q)
	page.Unreadable = append(page.Unreadable, errors.New("record x: grants: not a map"))
	return page, err
}

func TestDamagedRecordHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *accesstest.World, sweep *Sweep) {
		w.Forward(time.Hour)
		sweep.Store = damaged{w.Store}
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
		if err != nil || !counts.Remaining || counts.Refreshed == 0 || counts.Refreshed > concurrency+1 || counts.Left != customers-counts.Refreshed {
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

// topic keeps shards.
type topic struct {
	mu   sync.Mutex
	data []string
	err  error
}

func (p *topic) Publish(_ context.Context, data []byte, _ map[string]string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data = append(p.data, string(data))
	return p.err
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
	slices.Sort(shards.data)
	want := []string{`{"shard":0,"shards":3}`, `{"shard":1,"shards":3}`, `{"shard":2,"shards":3}`}
	if diff := cmp.Diff(want, shards.data); diff != "" || answer.Status != http.StatusOK || string(answer.Body) != `{"shards":3}` {
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
