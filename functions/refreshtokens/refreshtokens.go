// Package refreshtokens is the functions RefreshTokens and RefreshShard, which
// together are the sweep: they refresh the access tokens that will expire
// soon, so that an event finds a token ready.
//
// Cloud Scheduler calls RefreshTokens, which publishes one message for each
// shard, a group of buckets; Pub/Sub pushes the shards to RefreshShard. With
// no topic configured RefreshTokens sweeps all buckets itself. A sweep that is
// cut short loses nothing: what was due is due at the next.
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
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// DefaultPeriod is how often Cloud Scheduler calls RefreshTokens if nothing else
// is configured.
const DefaultPeriod = 5 * time.Minute

// Limits of both functions. The platform allows sixty seconds; a sweep begins no
// refresh that could take longer than its time.
var Limits = host.Limits{Body: 64 << 10, Time: 55 * time.Second}

// Publisher is a topic.
type Publisher interface {
	Publish(ctx context.Context, data []byte, attributes map[string]string) error
}

// Sweeper sweeps buckets.
type Sweeper interface {
	Sweep(ctx context.Context, buckets []int) (Counts, error)
}

// Function is both functions.
type Function struct {
	Shards  int       // messages of a sweep
	Topic   Publisher // nil: RefreshTokens sweeps in its own process
	Sweeper Sweeper
	// Period is how often Cloud Scheduler calls RefreshTokens. A shard message
	// that is older is worth nothing: the next sweep has published its successor.
	Period time.Duration
	Now    func() time.Time
}

// shard is the data of a message on the refresh topic.
type shard struct {
	Shard  int `json:"shard"`  // from 0
	Shards int `json:"shards"` // of how many
}

// buckets are the buckets of a shard. Every bucket is in exactly one of them.
func (s shard) buckets() []int {
	var list []int
	for bucket := s.Shard * grant.Buckets / s.Shards; bucket < (s.Shard+1)*grant.Buckets/s.Shards; bucket++ {
		list = append(list, bucket)
	}
	return list
}

// RefreshTokens starts a sweep. It answers 200 with counts, or 503 if the
// sweep could not be started, which Cloud Scheduler takes as a reason to try
// again.
func (f *Function) RefreshTokens(ctx context.Context, _ host.Request) host.Answer {
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
		telemetry.Raise(ctx, slog.LevelError)
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
		return host.Fail(http.StatusServiceUnavailable, "the sweep could not be started")
	}
	telemetry.Add(ctx, slog.Int(telemetry.Shards, f.Shards))
	return host.JSON(http.StatusOK, map[string]int{"shards": f.Shards})
}

// RefreshShard sweeps one shard. It answers 200 with counts; what is left over
// is due at the next sweep, so that a message is never asked for again.
func (f *Function) RefreshShard(ctx context.Context, r host.Request) host.Answer {
	m, err := push.Decode(r.Body)
	if err != nil {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
		return host.Fail(http.StatusBadRequest, err.Error())
	}
	s, err := decodeShard(m.Data)
	if err != nil {
		// Acknowledged: it would be no better the next time.
		telemetry.Raise(ctx, slog.LevelError)
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
		return host.JSON(http.StatusOK, map[string]string{"error": err.Error()})
	}
	if !m.PublishTime.IsZero() && f.Now().Sub(m.PublishTime) > f.Period {
		telemetry.Add(ctx, slog.Bool("late", true))
		return host.JSON(http.StatusOK, Counts{})
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

func (f *Function) sweep(ctx context.Context, s shard) host.Answer {
	counts, err := f.Sweeper.Sweep(ctx, s.buckets())
	telemetry.Add(ctx, slog.Int(telemetry.Refreshed, counts.Refreshed), slog.Int(telemetry.Skipped, counts.Skipped),
		slog.Int("revoked", counts.Revoked), slog.Int("refused", counts.Refused), slog.Int("rested", counts.Rested),
		slog.Int("removed", counts.Removed),
		slog.Any(telemetry.Failed, counts.Failed), slog.Bool(telemetry.Remaining, counts.Remaining), slog.Int("left", counts.Left))
	if err != nil {
		telemetry.Raise(ctx, slog.LevelError)
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
	}
	return host.JSON(http.StatusOK, counts)
}
