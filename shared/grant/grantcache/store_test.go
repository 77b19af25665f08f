package grantcache_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantcache"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/testkit/granttest"
)

// TestStore: what is in front keeps the contract of what is behind.
func TestStore(t *testing.T) {
	t.Parallel()
	granttest.Run(t, func(*testing.T) grant.Admin {
		behind := grantmem.New()
		return admin{grantcache.New(behind, 2, time.Now), behind}
	})
}

// admin adds what operators' tools need, which goes around the cache as they do.
type admin struct {
	*grantcache.Store
	behind grant.Admin
}

func (a admin) List(ctx context.Context, after string, limit int) (grant.ListPage, error) {
	return a.behind.List(ctx, after, limit)
}

func (a admin) Erase(ctx context.Context, key grant.Key) (grant.Erased, error) {
	return a.behind.Erase(ctx, key)
}
