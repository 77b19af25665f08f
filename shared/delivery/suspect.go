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

// SuspectError is returned if the gateway's refusal has made the grant suspect. The
// event is retried, and is then suspended like later ones.
type SuspectError struct {
	Reason  string // as in the record
	Refusal error  // the gateway's answer
}

// Error names the reason and the refusal.
func (e *SuspectError) Error() string {
	return fmt.Sprintf("grant is suspect (%s): %v", e.Reason, e.Refusal)
}

// Unwrap returns the refusal and ErrSuspect.
func (e *SuspectError) Unwrap() []error { return []error{ErrSuspect, e.Refusal} }

// admit returns nil if an event of a suspect grant may be sent. A grant whose refresh
// Login with Amazon refused gets events until its access token expires. After that it
// gets only an event that arrives when the next refresh is due.
func (s *sending) admit(ctx context.Context) error {
	now := s.d.Now()
	switch {
	case !s.grant.Doubted():
		return s.claimProbe(ctx)
	case !s.grant.TokenEnded(now), !s.grant.Waits(now):
		return nil
	}
	s.announceHold(ctx)
	return s.suspendedError()
}

// suspendedError returns the error for an event that is not sent to a suspect grant. An
// event that no later one supersedes is dead-lettered.
func (s *sending) suspendedError() error {
	if s.event.Kind().Life.Lasting() {
		return ErrMissed
	}
	return ErrSuspended
}

// announceHold announces that a grant's events are held back, unless that was
// announced before. If it fails, the next event retries.
func (s *sending) announceHold(ctx context.Context) {
	if !s.grant.ToldAt.IsZero() {
		return
	}
	saved, err := grant.ChangeFrom(ctx, s.d.Store, s.record, func(r *grant.Record) error {
		if r.Grants[s.id].Doubted() {
			r.AnnounceSuspect(s.id, s.d.Now())
		}
		return nil
	})
	if err != nil {
		logging.Add(ctx, slog.String("tell_error", err.Error()))
		return
	}
	s.d.announce(ctx, saved)
}

// claimProbe makes the event the probe of a suspect grant. It returns nil if a probe
// is due and this process was the one that moved the time of the next.
func (s *sending) claimProbe(ctx context.Context) error {
	if s.d.Now().Before(s.grant.NextTry) {
		return s.suspendedError()
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
		return s.suspendedError()
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
// also refused it confirmAfter ago or earlier: by then the breaker shows whether the
// gateway refuses every grant, which is not this one's fault. A grant that was suspect
// before has failed its probe.
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
		return fmt.Errorf("%w: the probe failed: %w", s.suspendedError(), refusal)
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

// noteRecovery records that the gateway accepted an event of a grant that the gateway,
// or the configuration, had made suspect. If that cannot be saved, the grant stays
// suspect and the next event retries. It does not clear a refusal by Login with
// Amazon.
func (s *sending) noteRecovery(ctx context.Context) {
	cleared := s.grant.Doubted() && s.grant.RefusedAt.IsZero() && !s.token.Renewed
	if !s.probe && !cleared {
		return
	}
	saved, err := grant.Change(ctx, s.d.Store, s.record.Key(), func(r *grant.Record) error {
		r.Recover(s.id, s.d.Now(), grant.RefreshDue(s.id, s.d.Now(), r.Grants[s.id].ExpiresAt))
		return nil
	})
	if err != nil {
		logging.Add(ctx, slog.String("recover_error", err.Error()))
		return
	}
	s.d.announce(ctx, saved)
}

// announce publishes the announcements that are pending in a record. If that fails,
// they stay there for the sweep to publish.
func (d *Deliverer) announce(ctx context.Context, record grant.Record) {
	if len(record.Announce) == 0 {
		return
	}
	if err := d.Announcer.Announce(ctx, record); err != nil {
		logging.Add(ctx, slog.String(logging.AnnounceError, err.Error()))
	}
}
