package delivery

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/outcome"
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

// Unwrap returns the refusal and outcome.ErrSuspect.
func (e *SuspectError) Unwrap() []error { return []error{outcome.ErrSuspect, e.Refusal} }

// claimProbe lets the event through as the probe of a suspect grant, if it is
// time for one and no other process takes it: whoever moves the time of the
// next probe sends this one.
func (s *sending) claimProbe(ctx context.Context) error {
	if s.d.Now().Before(s.grant.NextTry) {
		return outcome.ErrSuspended
	}
	// A probe is not claimed before it can be sent.
	if err := s.ready(ctx, 0); err != nil {
		return err
	}
	saved, err := grant.ChangeFrom(ctx, s.d.Store, s.record, func(r *grant.Record) error {
		g := r.Grants[s.id]
		switch {
		case g.State == grant.Active:
			return nil // the refresh for this event was the proof that it wanted
		case g.State != grant.Suspect, !g.NextTry.Equal(s.grant.NextTry):
			return outcome.ErrSuspended // another process has the probe
		}
		r.Probe(s.id, s.d.Now())
		return nil
	})
	if errors.Is(err, outcome.ErrSuspended) {
		return err
	}
	if err != nil {
		return fmt.Errorf("claiming a probe: %w", err)
	}
	s.record, s.grant = saved, saved.Grants[s.id]
	return nil
}

// suspect makes the grant suspect because of the gateway's refusal. A grant
// that was suspect before has failed its probe; the next is due later.
func (s *sending) suspect(ctx context.Context, reason string, refusal error) error {
	probe := s.grant.State == grant.Suspect
	saved, err := grant.Change(ctx, s.d.Store, s.record.Key(), func(r *grant.Record) error {
		g, ok := r.Grants[s.id]
		switch {
		case !ok || g.State == grant.Revoked:
		case g.Since.After(s.started):
			// It has been judged since this event set out.
		case g.State == grant.Active:
			r.Suspect(s.id, reason, s.d.Now())
		case probe:
			r.ProbeFailed(s.id, reason, s.d.Now())
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("noting that a grant is suspect: %w", err)
	}
	s.d.announce(ctx, saved)
	if probe {
		return fmt.Errorf("%w: the probe failed: %w", outcome.ErrSuspended, refusal)
	}
	return &SuspectError{Reason: reason, Refusal: refusal}
}

// recovered notes that the gateway took the probe of a suspect grant. If that
// cannot be saved the grant stays suspect, and the next probe comes.
func (s *sending) recovered(ctx context.Context) error {
	if s.grant.State != grant.Suspect {
		return nil
	}
	saved, err := grant.Change(ctx, s.d.Store, s.record.Key(), func(r *grant.Record) error {
		r.Recover(s.id, s.d.Now(), grant.RefreshDue(r.Grants[s.id].ExpiresAt, s.d.Draw()))
		return nil
	})
	if err == nil {
		s.d.announce(ctx, saved)
	}
	return nil
}

// announce publishes what a change left to be announced. If that fails the
// message stays in the record, and the sweep publishes it.
func (d *Deliverer) announce(ctx context.Context, record grant.Record) {
	if len(record.Announce) > 0 {
		_ = d.Announcer.Announce(ctx, record)
	}
}

// stale tells the maker that an event was not delivered, so that it reports
// the endpoint's state again. A suspended report that is such a repetition
// already says nothing new, and asking for another would make an endless
// circle: when the grant recovers, the maker is told, and reports everything.
func (d *Deliverer) stale(ctx context.Context, e *event, record grant.Record, result Result) Result {
	suspended := result.Name == outcome.Suspended
	if !suspended && result.Name != outcome.Expired {
		return result
	}
	if suspended && e.Change != nil && e.Change.Cause == "PERIODIC_POLL" {
		return result
	}
	region := record.Grants[result.GrantID].Region
	err := d.Announcer.Publish(ctx, record, grant.Announcement{
		Type: grant.Stale, GrantID: result.GrantID, Region: region, Reason: string(result.Name),
		EndpointID: e.EndpointID(), ActiveGrants: record.Left(region), At: d.Now().UTC(),
	})
	if err != nil {
		return resultOf(result.GrantID, err)
	}
	return result
}
