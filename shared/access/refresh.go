package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// errHeld: another process has the lease.
var errHeld = errors.New("access: another process is refreshing the grant")

// refresh takes the grant's lease and calls Login with Amazon, or waits for the
// process that has the lease. If record has only its key, it is read first.
func (s *Source) refresh(ctx context.Context, record grant.Record, want request) (Token, error) {
	id := want.id
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
		case g.TokenVersion > want.from:
			token, err := s.open(ctx, record, id)
			token.Renewed, token.Stored = true, true
			return token, err
		}
		if r, ok := s.pending.of(record.Key(), id, want.from); ok {
			return s.save(ctx, r) // newer than what is stored, which Login with Amazon may refuse
		}
		switch {
		case want.forced && !g.LastForcedRefresh.IsZero() && s.Now().Sub(g.LastForcedRefresh) < provenTime:
			return Token{}, ErrProven
		case g.Waits(s.Now()) && !want.forced:
			return Token{}, ErrSuspect
		}
		if !s.LWA.Knows(g.ClientID) {
			return Token{}, s.cannotRefresh(ctx, record, id, !g.TokenEnded(s.Now()) && !want.forced, ErrOtherClient)
		}
		s.configuration.noteFit(grant.ReasonOtherClient, s.Now())
		if err := s.mayRefresh(ctx, record.Key(), id); err != nil {
			return Token{}, err
		}
		if g.Lease.Held(s.Owner, s.Now()) {
			if err := wait.pause(ctx); err != nil {
				return Token{}, err
			}
			record = keyOf(record)
			continue
		}
		token, err := s.refreshUnderLease(ctx, record, want)
		if errors.Is(err, grant.ErrConflict) || errors.Is(err, errHeld) {
			if err := wait.pause(ctx); err != nil {
				return Token{}, err
			}
			record = keyOf(record)
			continue
		}
		return token, err
	}
}

// keyOf returns a record with only its key, which makes the next round read it.
func keyOf(record grant.Record) grant.Record {
	return grant.Record{Skill: record.Skill, UserID: record.UserID}
}

// mayRefresh returns nil if Login with Amazon may be called now, or why it must not.
func (s *Source) mayRefresh(ctx context.Context, key grant.Key, id string) error {
	if after := s.failures.retryAfter(s.Now()); after > 0 {
		return fmt.Errorf("access: %w", lwa.Throttled(after))
	}
	if pause := s.failures.backoff(grantName(key, id), s.Now()); pause > 0 {
		return &BackingOffError{For: pause}
	}
	if !TimeFor(ctx) {
		return ErrBusy
	}
	if s.slowness.latest() >= timeToAnswer(ctx) {
		return ErrNoTime
	}
	return nil
}

// refreshUnderLease opens the refresh token, takes the lease and refreshes. It returns
// grant.ErrConflict if the record has changed.
func (s *Source) refreshUnderLease(ctx context.Context, record grant.Record, want request) (Token, error) {
	id := want.id
	g := record.Grants[id]
	// Before the lease: other processes must not wait for a token that does not open.
	refreshToken, err := s.Sealer.Open(g.RefreshToken, place(record, id, refreshField))
	if err != nil {
		return Token{}, s.unreadable(ctx, record, id, !g.TokenEnded(s.Now()) && !want.forced, err)
	}
	s.configuration.noteFit(grant.ReasonUnreadable, s.Now())
	admitted, err := s.admit(ctx, record.Key(), want)
	if err != nil {
		return Token{}, err
	}
	run := refreshing{
		request: want, token: refreshToken, timeout: timeToAnswer(ctx), attempt: admitted,
		// The lease of a refresh that did not finish: how it ended is unknown.
		abandoned: g.Lease.Owner != "",
	}
	leased := record.Clone()
	leased.Take(id, s.Owner, s.Now().Add(takeTime+run.timeout+saveTime+leaseMargin))
	held, err := s.acquireLease(ctx, record, leased)
	if err != nil {
		admitted.cancel()
		return Token{}, fmt.Errorf("access: taking the lease: %w", err)
	}
	return s.callLWA(ctx, held, run)
}

func (s *Source) acquireLease(ctx context.Context, record, leased grant.Record) (grant.Record, error) {
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
	request
	token     sensitive.String
	timeout   time.Duration // of the call
	attempt   attempt       // at the breaker
	abandoned bool          // an earlier refresh of the same version ended in an unknown way
}

// callLWA refreshes under the lease in held. From here on, the end of the request does
// not stop the work: the answer of Login with Amazon must be saved.
func (s *Source) callLWA(ctx context.Context, held grant.Record, run refreshing) (Token, error) {
	name := grantName(held.Key(), run.id)
	began := time.Now()
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), run.timeout)
	fresh, err := s.LWA.Refresh(call, held.Grants[run.id].ClientID, run.token)
	cancel()
	took := time.Since(began)
	run.attempt.end(err)
	s.slowness.note(took, err)
	if run.forEvent || run.forced { // a sweep makes many calls, and writes one line
		logging.Add(ctx, slog.Int64(logging.LWAMS, took.Milliseconds()))
	}
	switch {
	case err == nil:
		s.failures.forget(name)
		tokens, err := Seal(s.Sealer, held.Key(), run.id, fresh, s.Now())
		if err != nil {
			return Token{}, fmt.Errorf("access: %w", err)
		}
		return s.save(ctx, refreshed{refreshing: run, held: held, tokens: tokens})
	case errors.Is(err, lwa.ErrInvalidGrant):
		return s.handleInvalidGrant(ctx, held, run)
	}
	s.failures.note(name, err, s.Now())
	// Nothing is written: an outage of Login with Amazon must not cost a write for each
	// customer. The lease expires.
	return Token{}, fmt.Errorf("access: %w", err)
}

// untilSaved returns a context for saving. It ends at the request's deadline, not with
// the request, and lasts at least saveTime.
func untilSaved(ctx context.Context) (context.Context, context.CancelFunc) {
	left := saveTime
	if deadline, ok := ctx.Deadline(); ok {
		left = max(left, time.Until(deadline))
	}
	return context.WithTimeout(context.WithoutCancel(ctx), left)
}

// save stores new tokens, and retries until the request's deadline. Tokens that cannot
// be stored by then stay in the process: see [Source.SavePending].
func (s *Source) save(ctx context.Context, r refreshed) (Token, error) {
	ctx, cancel := untilSaved(ctx)
	defer cancel()
	s.pending.begin(r)
	saved, err := s.store(ctx, r)
	s.pending.end(r, err == nil)
	if err != nil {
		return Token{}, err
	}
	g, ok := saved.Grants[r.id]
	if !ok || g.State == grant.Revoked {
		return Token{}, ErrRevoked
	}
	token, err := s.open(ctx, saved, r.id)
	token.Renewed = true
	return token, err
}

// store stores new tokens, and retries until ctx ends. It does so as long as the
// stored tokens are the ones that were refreshed, even if another process has the
// lease by now. Newer stored tokens win.
func (s *Source) store(ctx context.Context, r refreshed) (grant.Record, error) {
	saved, err := grant.Persist(ctx, s.Store, r.held, func(record *grant.Record) error {
		if g, ok := record.Grants[r.id]; ok && g.TokenVersion == r.from {
			record.Refreshed(r.id, r.held.Grants[r.id], r.tokens, s.Now())
			if r.forced {
				record.Forced(r.id, s.Now())
			}
		}
		return nil
	})
	if err != nil {
		return grant.Record{}, fmt.Errorf("access: saving refreshed tokens: %w", err)
	}
	s.announce(ctx, saved)
	return saved, nil
}

// handleInvalidGrant decides what invalid_grant means: another process refreshed, or
// is refreshing, the grant; too many grants are refused for it to be believed; a
// second witness confirms that the customer unlinked; or the grant becomes suspect.
func (s *Source) handleInvalidGrant(ctx context.Context, held grant.Record, run refreshing) (Token, error) {
	ctx, cancel := untilSaved(ctx)
	defer cancel()
	refused := held.Grants[run.id]
	// An earlier refresh whose answer was lost may be why both tokens are refused, the
	// access token by the gateway and the refresh token by Login with Amazon: these are
	// not two witnesses.
	unknown := run.abandoned || refused.Reason == grant.ReasonRefreshUnknown
	// Nor are they if the access token had expired.
	revokes := refused.Confirms(s.Now()) || run.forced && !unknown && !refused.TokenEnded(s.Now())
	if err := s.countRefusal(ctx, refused, revokes); err != nil {
		s.failures.note(grantName(held.Key(), run.id), err, s.Now())
		return Token{}, err
	}
	var verdict error
	changed, err := grant.ChangeFrom(ctx, s.Store, held, func(r *grant.Record) error {
		g, ok := r.Grants[run.id]
		reason := grant.ReasonRefreshRefused
		if unknown || g.Lease != refused.Lease {
			reason = grant.ReasonRefreshUnknown
		}
		switch {
		case !ok || g.State == grant.Revoked:
			verdict = ErrRevoked
		case g.TokenVersion != run.from:
			verdict = nil
		case g.Lease.Held(s.Owner, s.Now()):
			return errHeld // another process was faster, and may be saving
		case revokes:
			verdict = ErrRevoked
			r.Revoke(run.id, grant.ReasonInvalidGrant, s.Now())
		default:
			verdict = ErrSuspect
			if run.forced {
				r.EndAccess(run.id, s.Now())
			}
			r.RefreshRefused(run.id, reason, s.Now())
		}
		return nil
	})
	if errors.Is(err, errHeld) {
		return Token{}, err
	}
	if err != nil { // %v: the caller must not take it for a lost lease
		return Token{}, fmt.Errorf("access: saving a refused refresh: %v", err)
	}
	s.announce(ctx, changed)
	if verdict != nil {
		return Token{}, verdict
	}
	token, err := s.open(ctx, changed, run.id)
	token.Renewed = true
	return token, err
}

// countRefusal counts a grant's first refusal, or its revocation, with the brake, and
// returns ErrBraked if it must not be saved. The refusal of a link that a newer one
// replaced does not count: any number of customers may relink.
func (s *Source) countRefusal(ctx context.Context, refused grant.Grant, revokes bool) error {
	var err error
	switch proof := !refused.UnprovenSince.IsZero(); {
	case proof && revokes:
		var latched bool
		if latched, err = s.Brake.Latched(ctx); latched {
			err = ErrBraked
		}
	case !proof && (revokes || refused.RefusedAt.IsZero()):
		err = s.Brake.Admit(ctx, revokes)
	}
	if err != nil && !errors.Is(err, ErrBraked) {
		return fmt.Errorf("access: counting a refusal: %w", err)
	}
	return err
}

// announce publishes the announcements that are pending in a record. If that fails,
// they stay there for the sweep to publish.
func (s *Source) announce(ctx context.Context, record grant.Record) {
	if len(record.Announce) == 0 {
		return
	}
	if err := s.Announce.Announce(ctx, record); err != nil {
		logging.Add(ctx, slog.String(logging.AnnounceError, err.Error()))
	}
}

// backoff paces the polls while another process refreshes: short at first, since a
// refresh takes a few hundred milliseconds, then longer, so that a process that died
// with the lease costs few reads. It ends when the longest lease has expired.
type backoff struct {
	next time.Duration
	left time.Duration
}

func newBackoff() *backoff {
	return &backoff{next: 50 * time.Millisecond, left: takeTime + lwa.RefreshTimeout + saveTime + leaseMargin + time.Second}
}

// pause waits for the next poll. It returns ErrBusy if ctx ends or there have been
// enough polls.
func (b *backoff) pause(ctx context.Context) error {
	if b.left < b.next {
		return ErrBusy
	}
	b.left -= b.next
	pause := b.next
	b.next = min(2*b.next, time.Second)
	if wait.For(ctx, pause) != nil {
		return ErrBusy
	}
	return nil
}
