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

// evidenceTime is how long a grant that fits the configuration shows that the
// configuration is right.
const evidenceTime = 10 * time.Minute

// configuration tells a grant of another LWA client, or sealed with another keyset,
// from a process with the wrong credentials or keyset. It is the grant's fault only
// if another grant fitted after this one had failed. The zero value is ready to use.
type configuration struct {
	mu     sync.Mutex
	fitted map[string]time.Time           // by reason, when a grant last fitted
	failed cache.Cache[string, time.Time] // by grant and reason, when the grant first failed
}

// noteFit notes that a grant does not have the fault that reason names.
func (c *configuration) noteFit(reason string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fitted == nil {
		c.fitted = make(map[string]time.Time)
	}
	c.fitted[reason] = now
}

// isGrantsFault notes that a grant has the fault that reason names, and reports
// whether that is the grant's fault.
func (c *configuration) isGrantsFault(name, reason string, now time.Time) bool {
	first, known := c.failed.Get(name + reason)
	if !known {
		c.failed.Put(name+reason, now)
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fitted := c.fitted[reason]
	return fitted.After(first) && now.Sub(fitted) < evidenceTime
}

// cannotRefresh makes a grant suspect that does not fit the configuration, for the
// reason that cause stands for, and returns cause. It writes nothing, and returns no
// ErrSuspect, if the configuration may be at fault, or while the access token is
// usable.
func (s *Source) cannotRefresh(ctx context.Context, record grant.Record, id string, usable bool, cause error) error {
	if usable {
		return cause
	}
	reason, now := grant.ReasonUnreadable, s.Now()
	if errors.Is(cause, ErrOtherClient) {
		reason = grant.ReasonOtherClient
	}
	if !s.configuration.isGrantsFault(grantName(record.Key(), id), reason, now) {
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

// unreadable is cannotRefresh for a token that does not open. It returns any other
// error as it is.
func (s *Source) unreadable(ctx context.Context, record grant.Record, id string, usable bool, err error) error {
	err = fmt.Errorf("access: %w", err)
	if errors.Is(err, seal.ErrOpen) {
		return s.cannotRefresh(ctx, record, id, usable, err)
	}
	return err
}
