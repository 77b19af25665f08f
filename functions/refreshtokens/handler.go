// Package refreshtokens is the functions RefreshTokens and RefreshShard, which
// start and run the sweeps of package sweep.
//
// Cloud Scheduler calls RefreshTokens, which publishes one message for each
// shard, a group of buckets; Pub/Sub pushes the shards to RefreshShard. With
// no topic configured RefreshTokens sweeps all buckets itself.
package refreshtokens

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

// Limits of both functions.
var Limits = handler.Limits{Body: 64 << 10, Time: sweep.Timeout}

// Publisher publishes to a topic.
type Publisher interface {
	Publish(ctx context.Context, data []byte, attributes map[string]string) error
}

// Sweeper sweeps buckets.
type Sweeper interface {
	Sweep(ctx context.Context, buckets []int) (sweep.Counts, error)
}

// Function is both functions.
type Function struct {
	Shards  int       // messages of a sweep
	Topic   Publisher // nil: RefreshTokens sweeps in its own process
	Sweeper Sweeper
	// Period is how often Cloud Scheduler calls RefreshTokens. A shard message
	// that is older is useless: its successor has already been published.
	Period time.Duration
	Now    func() time.Time
}

// shard is the data of a message on the refresh topic.
type shard struct {
	Shard  int `json:"shard"`  // from 0
	Shards int `json:"shards"` // of how many
}

// RefreshTokens starts a sweep. It answers 200 with counts, or 503 if the sweep
// could not be started, which makes Cloud Scheduler retry.
func (f *Function) RefreshTokens(ctx context.Context, _ handler.Request) handler.Answer {
	if f.Topic == nil {
		return f.sweep(ctx, shard{Shard: 0, Shards: 1})
	}
	var all errgroup.Group
	for i := range f.Shards {
		all.Go(func() error {
			data, err := json.Marshal(shard{Shard: i, Shards: f.Shards})
			if err != nil {
				return err
			}
			return f.Topic.Publish(ctx, data, nil)
		})
	}
	if err := all.Wait(); err != nil {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
		return handler.Fail(http.StatusServiceUnavailable, "the sweep could not be started")
	}
	logging.Add(ctx, slog.Int(logging.Shards, f.Shards))
	return handler.JSON(http.StatusOK, map[string]int{"shards": f.Shards})
}

// RefreshShard sweeps one shard. It answers 200 with counts, so that a message is
// never redelivered: what is left over is due at the next sweep.
func (f *Function) RefreshShard(ctx context.Context, r handler.Request) handler.Answer {
	m, err := push.Decode(r.Body)
	if err != nil {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
		return handler.Fail(http.StatusBadRequest, err.Error())
	}
	s, err := decodeShard(m.Data)
	if err != nil {
		// Acknowledged: it would be no better the next time.
		logging.Raise(ctx, slog.LevelError)
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
		return handler.JSON(http.StatusOK, map[string]string{"error": err.Error()})
	}
	if !m.PublishTime.IsZero() && f.Now().Sub(m.PublishTime) > f.Period {
		logging.Add(ctx, slog.Bool("late", true))
		return handler.JSON(http.StatusOK, sweep.Counts{})
	}
	return f.sweep(ctx, s)
}

func decodeShard(data []byte) (shard, error) {
	var s shard
	if err := json.Unmarshal(data, &s); err != nil {
		return shard{}, fmt.Errorf("not a shard: not JSON, or a field of the wrong type")
	}
	if s.Shards < 1 || s.Shards > grant.Buckets {
		return shard{}, fmt.Errorf("not a shard: shards: must be from 1 to %d", grant.Buckets)
	}
	if s.Shard < 0 || s.Shard >= s.Shards {
		return shard{}, fmt.Errorf("not a shard: shard: must be from 0 to shards - 1")
	}
	return s, nil
}

func (f *Function) sweep(ctx context.Context, s shard) handler.Answer {
	counts, err := f.Sweeper.Sweep(ctx, sweep.Buckets(s.Shard, s.Shards))
	failed := 0
	for _, n := range counts.Failed {
		failed += n
	}
	logging.Add(ctx, slog.Int(logging.Refreshed, counts.Refreshed), slog.Int(logging.Skipped, counts.Skipped),
		slog.Int("revoked", counts.Revoked), slog.Int("refused", counts.Refused), slog.Int("rested", counts.Rested),
		slog.Int("removed", counts.Removed),
		slog.Any(logging.Failed, counts.Failed), slog.Int("failed_count", failed),
		slog.Bool(logging.Remaining, counts.Remaining), slog.Int("left", counts.Left))
	if err != nil {
		logging.Raise(ctx, slog.LevelError)
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
	}
	return handler.JSON(http.StatusOK, counts)
}
