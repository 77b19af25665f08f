package refreshtokens

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

// topic records its messages, and fails with err.
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

// sweeper records the buckets.
type sweeper struct{ buckets []int }

func (s *sweeper) Sweep(_ context.Context, buckets []int) (sweep.Counts, error) {
	s.buckets = buckets
	return sweep.Counts{Refreshed: 3, Failed: map[string]int{"store": 2, "unreadable": 1}}, errors.New("stopped early")
}

func TestRefreshTokensPublishesShards(t *testing.T) {
	t.Parallel()
	shards := new(topic)
	f := &Function{Shards: 3, Topic: shards}
	answer := f.RefreshTokens(t.Context(), handler.Request{})
	slices.Sort(shards.data)
	want := []string{`{"shard":0,"shards":3}`, `{"shard":1,"shards":3}`, `{"shard":2,"shards":3}`}
	if diff := cmp.Diff(want, shards.data); diff != "" || answer.Status != http.StatusOK || string(answer.Body) != `{"shards":3}` {
		t.Errorf("answer = %d %s; messages differ (-want +got):\n%s", answer.Status, answer.Body, diff)
	}
	shards.err = errors.New("down")
	ctx, line := logging.Begin(t.Context())
	if answer := f.RefreshTokens(ctx, handler.Request{}); answer.Status != http.StatusServiceUnavailable {
		t.Errorf("answer with the topic down = %d, want 503", answer.Status)
	}
	var written bytes.Buffer
	if line.Write(ctx, logging.New(&written), "RefreshTokens"); !strings.Contains(written.String(), `"severity":"WARNING"`) {
		t.Errorf("log line = %s, want a warning, since Cloud Scheduler retries", &written)
	}
}

func TestRefreshShard(t *testing.T) {
	t.Parallel()
	const swept = `{"refreshed":3,"skipped":0,"revoked":0,"failed":{"store":2,"unreadable":1},"remaining":false}`
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		name, data string
		age        time.Duration
		body       string
		buckets    []int
	}{
		{"good", `{"shard":1,"shards":16}`, sweep.DefaultPeriod, swept, sweep.Buckets(1, 16)},
		{"late", `{"shard":1,"shards":16}`, sweep.DefaultPeriod + 1, `{"refreshed":0,"skipped":0,"revoked":0,"remaining":false}`, nil},
		{"no JSON", `x`, 0, `{"error":"not a shard: not JSON, or a field of the wrong type"}`, nil},
		{"too many", `{"shard":0,"shards":257}`, 0, `{"error":"not a shard: shards: must be from 1 to 256"}`, nil},
		{"outside", `{"shard":16,"shards":16}`, 0, `{"error":"not a shard: shard: must be from 0 to shards - 1"}`, nil},
	} {
		s := new(sweeper)
		f := &Function{Sweeper: s, Period: sweep.DefaultPeriod, Now: func() time.Time { return now }}
		body, err := push.Encode(push.Message{ID: "1", Data: []byte(test.data), PublishTime: now.Add(-test.age)})
		if err != nil {
			t.Fatal(err)
		}
		answer := f.RefreshShard(t.Context(), handler.Request{Body: body})
		if answer.Status != http.StatusOK || string(answer.Body) != test.body || !slices.Equal(s.buckets, test.buckets) {
			t.Errorf("%s: answer = %d %s, swept %v; want 200 %s, %v", test.name, answer.Status, answer.Body, s.buckets, test.body, test.buckets)
		}
	}
	s := new(sweeper)
	f := &Function{Sweeper: s}
	ctx, line := logging.Begin(t.Context())
	answer := f.RefreshTokens(ctx, handler.Request{})
	var written bytes.Buffer
	if line.Write(ctx, logging.New(&written), "RefreshTokens"); !strings.Contains(written.String(), `"failed_count":3,`) {
		t.Errorf("log line = %s, want 3 failed", &written)
	}
	if string(answer.Body) != swept || !slices.Equal(s.buckets, sweep.Buckets(0, 1)) {
		t.Errorf("without a topic: %d %s, swept %v; want all buckets swept", answer.Status, answer.Body, s.buckets)
	}
}
