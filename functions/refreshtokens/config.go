package refreshtokens

import (
	"context"
	"time"

	"github.com/gatepostdev/gatepost/functions/internal/wiring"
	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

// SweepConfig is what a function that sweeps reads from the environment.
type SweepConfig struct {
	Tokens    wiring.TokensConfig
	Period    time.Duration // REFRESH_PERIOD
	MaxRate   float64       // LWA_MAX_RATE, refreshes a second; 0 is no limit
	IdleAfter time.Duration // REFRESH_IDLE_AFTER
}

func readSweep(s *config.Source) SweepConfig {
	return SweepConfig{
		Tokens:    wiring.ReadTokens(s),
		Period:    s.Duration("REFRESH_PERIOD", sweep.DefaultPeriod, time.Minute, sweep.DefaultPeriod),
		MaxRate:   float64(s.Int("LWA_MAX_RATE", 0, 0, 100_000)),
		IdleAfter: wiring.ReadIdleAfter(s),
	}
}

func (c SweepConfig) sweeper(ctx context.Context, p *wiring.Process) *sweep.Sweeper {
	t := p.Tokens(ctx, c.Tokens)
	return &sweep.Sweeper{
		Store: t.Store, Tokens: t.Source, Brake: t.Brake, Announce: t.Announcer, Now: p.Now,
		Period: c.Period, MaxRate: c.MaxRate, IdleAfter: c.IdleAfter,
	}
}

// TokensConfig is what RefreshTokens reads from the environment. With a topic for
// the shards of a sweep it needs nothing else.
type TokensConfig struct {
	Topic  string // REFRESH_TOPIC
	Shards int    // REFRESH_SHARDS
	Sweep  SweepConfig
}

// ReadTokensConfig reads the configuration. Faults go to s.
func ReadTokensConfig(s *config.Source) wiring.Config {
	c := TokensConfig{Topic: wiring.ReadTopic(s, "REFRESH_TOPIC"), Shards: s.Int("REFRESH_SHARDS", 16, 1, grant.Buckets)}
	if c.Topic == "" {
		c.Sweep = readSweep(s)
	}
	return c
}

// Build implements [wiring.Config].
func (c TokensConfig) Build(ctx context.Context, p *wiring.Process) (handler.Func, handler.Limits) {
	p.Note("refresh_shards", c.Shards)
	f := &Function{Shards: c.Shards, Now: p.Now}
	if c.Topic != "" {
		f.Topic = p.Topic(ctx, c.Topic)
	} else {
		f.Sweeper = c.Sweep.sweeper(ctx, p)
	}
	return f.RefreshTokens, Limits
}

// ShardConfig is what RefreshShard reads from the environment.
type ShardConfig struct{ Sweep SweepConfig }

// ReadShardConfig reads the configuration. Faults go to s.
func ReadShardConfig(s *config.Source) wiring.Config { return ShardConfig{readSweep(s)} }

// Build implements [wiring.Config].
func (c ShardConfig) Build(ctx context.Context, p *wiring.Process) (handler.Func, handler.Limits) {
	f := &Function{Sweeper: c.Sweep.sweeper(ctx, p), Period: c.Sweep.Period, Now: p.Now}
	return f.RefreshShard, Limits
}
