package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// SuspectError: the gateway's refusal has made the grant suspect. The event is
// asked for again, and is suspended then like all that follow.
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

// admit lets the event of a suspect grant through, or not. One that Login with
// Amazon refuses gets events for as long as its access token lasts, and from then
// on the event that finds that it is time to refresh it.
func (s *sending) admit(ctx context.Context) error {
	now := s.d.Now()
	switch {
	case !s.grant.Doubted():
		return s.claimProbe(ctx)
	case !s.grant.TokenEnded(now), !s.grant.Waits(now):
		return nil
	}
	s.tell(ctx)
	return s.suspended()
}

// suspended is what becomes of an event that is not sent to a suspect grant. What
// no later event tells again is put aside.
func (s *sending) suspended() error {
	if s.event.Kind().Life.Lasting() {
		return ErrMissed
	}
	return ErrSuspended
}

// tell tells the maker that the events of a grant are held back, unless that was
// done. If it cannot be done the next event does it.
func (s *sending) tell(ctx context.Context) {
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
		telemetry.Add(ctx, slog.String("tell_error", err.Error()))
		return
	}
	s.d.announce(ctx, saved)
}

// claimProbe lets the event through as the probe of a suspect grant, if it is
// time for one and no other process takes it: whoever moves the time of the
// next probe sends this one.
func (s *sending) claimProbe(ctx context.Context) error {
	if s.d.Now().Before(s.grant.NextTry) {
		return s.suspended()
	}
	// A probe is not claimed before it can be sent.
	if s.health.open() {
		return ErrPaused
	}
	if err := s.ready(ctx, 0); err != nil {
		return err
	}
	saved, err := grant.ChangeFrom(ctx, s.d.Store, s.record, func(r *grant.Record) error {
		g := r.Grants[s.id]
		switch {
		case g.State == grant.Active:
			return nil // the refresh for this event was the proof that it wanted
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

// A grant that the gateway refuses is suspect only if it still does confirmAfter
// later, and without a word if confirmWithin has passed since.
const (
	confirmAfter  = 5 * time.Second
	confirmWithin = 10 * time.Minute
)

// suspect makes the grant suspect because of the gateway's refusal, if the
// gateway refused it some time ago too: by then it is known whether it refuses
// everybody, which is not the grants' fault. A grant that was suspect before has
// failed its probe; the next is due later.
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
			// It has been judged since this event set out.
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

// confirms reports whether the gateway refused a grant some time ago too.
func (m *memory) confirms(id string, now time.Time) bool {
	first, ok := m.refusals.Get(id)
	if !ok || now.Sub(first) > confirmWithin {
		m.refusals.Put(id, now)
		return false
	}
	return now.Sub(first) >= confirmAfter
}

// recovered notes that the gateway took an event of a grant that it, or the
// configuration, had made suspect. If that cannot be saved the grant stays
// suspect, and the next event does it. A doubt of Login with Amazon's is not the
// gateway's to end.
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
		telemetry.Add(ctx, slog.String("recover_error", err.Error()))
		return
	}
	s.d.announce(ctx, saved)
}

// announce publishes what a change left to be announced. If that fails the
// message stays in the record, and the sweep publishes it.
func (d *Deliverer) announce(ctx context.Context, record grant.Record) {
	if len(record.Announce) == 0 {
		return
	}
	if err := d.Announcer.Announce(ctx, record); err != nil {
		telemetry.Add(ctx, slog.String(telemetry.AnnounceError, err.Error()))
	}
}
