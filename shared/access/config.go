package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/cache"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/seal"
)

// evidenceTime is how long a grant that is of our client, or opens, shows that
// the configuration is right.
const evidenceTime = 10 * time.Minute

// configuration tells a grant of another client, or sealed with another keyset,
// from a process that has the wrong client or keyset. The former shows only
// beside others that are well: it is a grant's own fault if another grant was
// well after this one had failed. The zero value is ready.
type configuration struct {
	mu     sync.Mutex
	well   map[string]time.Time           // by reason, when a grant was last well in that respect
	failed cache.Cache[string, time.Time] // by grant and reason, when it first had the fault
}

// isWell notes that a grant does not have the fault that reason names.
func (c *configuration) isWell(reason string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.well == nil {
		c.well = make(map[string]time.Time)
	}
	c.well[reason] = now
}

// isOwn notes that a grant has the fault that reason names, and reports whether
// that is the grant's own.
func (c *configuration) isOwn(name, reason string, now time.Time) bool {
	first, known := c.failed.Get(name + reason)
	if !known {
		c.failed.Put(name+reason, now)
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	well := c.well[reason]
	return well.After(first) && now.Sub(well) < evidenceTime
}

// cannotRefresh makes a grant suspect that the configuration does not fit, for
// the reason that cause stands for, and returns cause. Nothing is written, and
// no ErrSuspect returned, if the configuration may be at fault, or while the
// access token can be used all the same.
func (s *Source) cannotRefresh(ctx context.Context, record grant.Record, id string, usable bool, cause error) error {
	if usable {
		return cause
	}
	reason, now := grant.ReasonUnreadable, s.Now()
	if errors.Is(cause, ErrOtherClient) {
		reason = grant.ReasonOtherClient
	}
	if !s.configuration.isOwn(grantName(record.Key(), id), reason, now) {
		return cause
	}
	changed, err := grant.ChangeFrom(ctx, s.Store, record, func(r *grant.Record) error {
		if g, ok := r.Grants[id]; ok && g.State != grant.Revoked && g.TokenVersion == record.Grants[id].TokenVersion {
			r.CannotRefresh(id, reason, now)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("access: noting that a grant cannot be refreshed: %w (%w)", err, cause)
	}
	s.announce(ctx, changed)
	return fmt.Errorf("%w: %w", ErrSuspect, cause)
}

// unreadable is cannotRefresh for a token that does not open. Any other error
// comes back as it is.
func (s *Source) unreadable(ctx context.Context, record grant.Record, id string, usable bool, err error) error {
	err = fmt.Errorf("access: %w", err)
	if errors.Is(err, seal.ErrOpen) {
		return s.cannotRefresh(ctx, record, id, usable, err)
	}
	return err
}
