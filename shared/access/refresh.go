package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// refresh takes the grant's lease and asks Login with Amazon, or waits for
// whoever has the lease. record may be a mere key, and is then read first.
func (s *Source) refresh(ctx context.Context, record grant.Record, id string, from int64, forced bool) (Token, error) {
	for wait := newBackoff(); ; {
		if !record.Stored() {
			var err error
			if record, err = s.read(ctx, record.Key()); err != nil {
				return Token{}, err
			}
		}
		g, ok := record.Grants[id]
		switch {
		case !ok || g.State == grant.Revoked:
			return Token{}, ErrRevoked
		case g.TokenVersion > from:
			token, err := s.open(record, id)
			token.Renewed, token.Stored = true, true
			return token, err
		case forced && !g.LastForcedRefresh.IsZero() && s.Now().Sub(g.LastForcedRefresh) < provenTime:
			return Token{}, ErrProven
		case g.Doubted(s.Now()):
			return Token{}, ErrSuspect
		case !s.LWA.Knows(g.ClientID):
			return Token{}, ErrOtherClient
		case s.failures.wait(grantName(record.Key(), id), s.Now()) > 0:
			return Token{}, &BackingOffError{For: s.failures.wait(grantName(record.Key(), id), s.Now())}
		case !TimeFor(ctx):
			return Token{}, ErrBusy
		case g.Lease.Held(s.Owner, s.Now()):
			if err := wait.pause(ctx); err != nil {
				return Token{}, err
			}
			record = grant.Record{Skill: record.Skill, UserID: record.UserID}
			continue
		}
		// Before the lease: what does not open must not cost others a wait.
		refreshToken, err := s.Sealer.Open(g.RefreshToken, place(record, id, refreshField))
		if err != nil {
			return Token{}, fmt.Errorf("access: %w", err)
		}
		leased := record.Clone()
		leased.Take(id, s.Owner, s.Now().Add(leaseTime))
		held, err := s.take(ctx, record, leased)
		if errors.Is(err, grant.ErrConflict) {
			record = grant.Record{Skill: record.Skill, UserID: record.UserID}
			continue
		}
		if err != nil {
			return Token{}, fmt.Errorf("access: taking the lease: %w", err)
		}
		// A lease that was left behind, by this process or another, belongs to a
		// refresh whose end nobody knows.
		abandoned := g.Lease.Owner != ""
		return s.ask(ctx, held, refreshing{id: id, from: from, token: refreshToken, forced: forced, abandoned: abandoned})
	}
}

func (s *Source) take(ctx context.Context, record, leased grant.Record) (grant.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, takeTime)
	defer cancel()
	return s.Store.Write(ctx, record, leased)
}

func (s *Source) read(ctx context.Context, key grant.Key) (grant.Record, error) {
	record, err := s.Store.Read(ctx, key)
	if errors.Is(err, grant.ErrNotFound) {
		return grant.Record{}, ErrRevoked
	}
	if err != nil {
		return grant.Record{}, fmt.Errorf("access: reading the record: %w", err)
	}
	return record, nil
}

// refreshing is one refresh under way.
type refreshing struct {
	id        string
	from      int64 // version of the tokens that it replaces
	token     sensitive.String
	forced    bool // by a refusal of the gateway
	abandoned bool // an earlier refresh of the same version has no known end
	braked    bool // too many are refused for a refusal to be believed
}

// ask refreshes under the lease that held shows. From here on the end of the
// request does not count: what Login with Amazon answers must be saved.
func (s *Source) ask(ctx context.Context, held grant.Record, now refreshing) (Token, error) {
	ctx = context.WithoutCancel(ctx)
	fresh, err := s.LWA.Refresh(ctx, held.Grants[now.id].ClientID, now.token)
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	switch {
	case err == nil:
		s.brake.count(s.Now(), false)
		s.failures.forget(grantName(held.Key(), now.id))
		return s.save(ctx, held, now, fresh)
	case errors.Is(err, lwa.ErrInvalidGrant):
		now.braked = s.brake.count(s.Now(), true)
		return s.refused(ctx, held, now)
	}
	s.failures.note(grantName(held.Key(), now.id), s.Now())
	// Nothing is written: what ails Login with Amazon as a whole must not cost
	// a write for each customer. The lease runs out by itself.
	return Token{}, fmt.Errorf("access: %w", err)
}

// save stores what Login with Amazon gave. It is allowed as long as the stored
// tokens are the ones that were refreshed, whoever has the lease by now; only
// newer ones discard it.
func (s *Source) save(ctx context.Context, held grant.Record, now refreshing, fresh lwa.Token) (Token, error) {
	id := now.id
	tokens, err := Seal(s.Sealer, held.Key(), id, fresh, s.Draw())
	if err != nil {
		return Token{}, fmt.Errorf("access: %w", err)
	}
	saved, err := grant.ChangeFrom(ctx, s.Store, held, func(r *grant.Record) error {
		if g, ok := r.Grants[id]; ok && g.TokenVersion == now.from {
			r.Refreshed(id, sooner(tokens, held.Grants[id], g), s.Now())
			if now.forced {
				r.Forced(id, s.Now())
			}
		}
		return nil
	})
	if err != nil {
		return Token{}, fmt.Errorf("access: saving refreshed tokens: %w", err)
	}
	g, ok := saved.Grants[id]
	if !ok || g.State == grant.Revoked {
		return Token{}, ErrRevoked
	}
	s.announce(ctx, saved)
	token, err := s.open(saved, id)
	token.Renewed = true
	return token, err
}

// sooner is tokens, due when somebody wanted the grant refreshed while these
// were being fetched: what they know, that the link may be gone, is newer. A
// grant whose refresh failed, or is in doubt, is not wanted; it is proved now.
func sooner(tokens grant.Tokens, held, stored grant.Grant) grant.Tokens {
	wanted := stored.RefreshDue
	proved := stored.State != held.State || stored.Failures != held.Failures
	if !proved && !wanted.IsZero() && !wanted.Equal(held.RefreshDue) && wanted.Before(tokens.RefreshDue) {
		tokens.RefreshDue = wanted
	}
	return tokens
}

// refused decides what invalid_grant means: another process was first, an
// earlier refresh may have used the token up, too many are refused to be believed, or the customer took the grant back.
func (s *Source) refused(ctx context.Context, held grant.Record, now refreshing) (Token, error) {
	id := now.id
	var verdict error
	changed, err := grant.ChangeFrom(ctx, s.Store, held, func(r *grant.Record) error {
		g, ok := r.Grants[id]
		switch {
		case !ok || g.State == grant.Revoked:
			verdict = ErrRevoked
		case g.TokenVersion != now.from:
			verdict = nil
		case now.braked:
			verdict = ErrMassInvalidGrant
			next := brakeWindow + time.Duration(s.Draw()*float64(brakeWindow))
			r.Doubt(id, grant.ReasonMassInvalidGrant, s.Now(), s.Now().Add(next))
		case now.abandoned:
			verdict = ErrSuspect
			r.Doubt(id, grant.ReasonRefreshUnknown, s.Now(), s.Now().Add(doubtTime))
		default:
			verdict = ErrRevoked
			r.Revoke(id, grant.ReasonInvalidGrant, s.Now())
		}
		return nil
	})
	if err != nil {
		return Token{}, fmt.Errorf("access: saving a refused refresh: %w", err)
	}
	s.announce(ctx, changed)
	if verdict != nil {
		return Token{}, verdict
	}
	token, err := s.open(changed, id)
	token.Renewed = true
	return token, err
}

// announce publishes what a change left to be announced. If that fails the
// message stays in the record, and the sweep publishes it.
func (s *Source) announce(ctx context.Context, record grant.Record) {
	if len(record.Announce) == 0 {
		return
	}
	if err := s.Announce.Announce(ctx, record); err != nil {
		telemetry.Add(ctx, slog.String(telemetry.AnnounceError, err.Error()))
	}
}
