package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
)

// SuspectError: the gateway's refusal has made the grant suspect. The event is
// retried, and is suspended then like those that follow.
type SuspectError struct {
	Reason  string // why, as the record has it
	Refusal error  // the gateway's answer
}

// Error names the reason and the refusal.
func (e *SuspectError) Error() string {
	return fmt.Sprintf("grant is suspect (%s): %v", e.Reason, e.Refusal)
}

// Unwrap returns the refusal and ErrSuspect.
func (e *SuspectError) Unwrap() []error { return []error{ErrSuspect, e.Refusal} }

// admit returns nil if an event of a suspect grant may be sent. A grant whose refresh
// Login with Amazon refused gets events until its access token expires, and then the
// event that finds the next refresh due.
func (s *sending) admit(ctx context.Context) error {
	now := s.d.Now()
	switch {
	case !s.grant.Doubted():
		return s.claimProbe(ctx)
	case !s.grant.TokenEnded(now), !s.grant.Waits(now):
		return nil
	}
	s.tellMaker(ctx)
	return s.suspended()
}

// suspended returns the error for an event that is not sent to a suspect grant. An
// event that no later one supersedes is dead-lettered.
func (s *sending) suspended() error {
	if s.event.Kind().Life.Lasting() {
		return ErrMissed
	}
	return ErrSuspended
}

// tellMaker announces that the events of a grant are held back, unless that was
// announced. If it fails, the next event tries again.
func (s *sending) tellMaker(ctx context.Context) {
	if !s.grant.ToldAt.IsZero() {
		return
	}
	saved, err := grant.ChangeFrom(ctx, s.d.Store, s.record, func(r *grant.Record) error {
		if r.Grants[s.id].Doubted() {
			r.Tell(s.id, s.d.Now())
		}
		return nil
	})
	if err != nil {
		logging.Add(ctx, slog.String("tell_error", err.Error()))
		return
	}
	s.d.announce(ctx, saved)
}

// claimProbe returns nil if the event is the probe of a suspect grant: a probe is due,
// and this process is the one that moved the time of the next.
func (s *sending) claimProbe(ctx context.Context) error {
	if s.d.Now().Before(s.grant.NextTry) {
		return s.suspended()
	}
	// A probe is not claimed before it can be sent.
	if s.health.open() {
		return ErrPaused
	}
	if err := s.prepare(ctx, 0); err != nil {
		return err
	}
	saved, err := grant.ChangeFrom(ctx, s.d.Store, s.record, func(r *grant.Record) error {
		g := r.Grants[s.id]
		switch {
		case g.State == grant.Active:
			return nil // the refresh for this event proved the grant
		case g.State != grant.Suspect, !g.NextTry.Equal(s.grant.NextTry):
			return ErrSuspended // another process has the probe
		}
		r.Probe(s.id, s.d.Now())
		return nil
	})
	if errors.Is(err, ErrSuspended) {
		return s.suspended()
	}
	if err != nil {
		return fmt.Errorf("claiming a probe: %w", err)
	}
	s.record, s.grant, s.probe = saved, saved.Grants[s.id], true
	return nil
}

// A grant becomes suspect only if the gateway refuses it twice, at least confirmAfter
// and at most confirmWithin apart.
const (
	confirmAfter  = 5 * time.Second
	confirmWithin = 10 * time.Minute
)

// suspect makes the grant suspect because of the gateway's refusal, if the gateway
// refused it confirmAfter ago as well: by then the breaker shows whether the gateway
// refuses every grant, which is not this one's fault. A grant that was suspect before
// has failed its probe.
func (s *sending) suspect(ctx context.Context, reason string, refusal error) error {
	if s.health.refused.State() != breaker.Closed {
		return fmt.Errorf("%w: %w", ErrPaused, refusal)
	}
	if !s.probe && !s.d.memory.confirms(s.id, s.d.Now()) {
		return refusal
	}
	saved, err := grant.Change(ctx, s.d.Store, s.record.Key(), func(r *grant.Record) error {
		g, ok := r.Grants[s.id]
		switch {
		case !ok || g.State == grant.Revoked:
		case g.Since.After(s.started):
			// Its state has changed since this event began.
		case g.State == grant.Active, g.Doubted():
			r.Suspect(s.id, reason, s.d.Now())
		case s.probe:
			r.ProbeFailed(s.id, reason, s.d.Now())
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("noting that a grant is suspect: %w", err)
	}
	s.d.announce(ctx, saved)
	if s.probe {
		return fmt.Errorf("%w: the probe failed: %w", s.suspended(), refusal)
	}
	return &SuspectError{Reason: reason, Refusal: refusal}
}

// confirms reports whether the gateway refused the grant before, confirmAfter to
// confirmWithin ago.
func (m *memory) confirms(id string, now time.Time) bool {
	first, ok := m.refusals.Get(id)
	if !ok || now.Sub(first) > confirmWithin {
		m.refusals.Put(id, now)
		return false
	}
	return now.Sub(first) >= confirmAfter
}

// recovered notes that the gateway took an event of a grant that the gateway, or the
// configuration, had made suspect. If that cannot be saved the grant stays suspect,
// and the next event tries again. A grant that Login with Amazon refuses does not
// recover by this.
func (s *sending) recovered(ctx context.Context) {
	mended := s.grant.Doubted() && s.grant.RefusedAt.IsZero() && !s.token.Renewed
	if !s.probe && !mended {
		return
	}
	saved, err := grant.Change(ctx, s.d.Store, s.record.Key(), func(r *grant.Record) error {
		r.Recover(s.id, s.d.Now(), grant.RefreshDue(r.Grants[s.id].ExpiresAt, s.d.Draw()))
		return nil
	})
	if err != nil {
		logging.Add(ctx, slog.String("recover_error", err.Error()))
		return
	}
	s.d.announce(ctx, saved)
}

// announce publishes the announcements that wait in a record. If that fails they stay
// there, and the sweep publishes them.
func (d *Deliverer) announce(ctx context.Context, record grant.Record) {
	if len(record.Announce) == 0 {
		return
	}
	if err := d.Announcer.Announce(ctx, record); err != nil {
		logging.Add(ctx, slog.String(logging.AnnounceError, err.Error()))
	}
}
