package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/breaker"
	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/wait"
)

var (
	// ErrRevoked: the grant is gone. There is no token, and there will be none.
	ErrRevoked = errors.New("access: grant is revoked")
	// ErrSuspect: the grant is, or has just become, suspect; the reason is in the
	// record. It is retried later.
	ErrSuspect = errors.New("access: grant is suspect")
	// ErrBusy: another process is refreshing the grant and did not finish in time, or
	// there is not enough time left for a refresh.
	ErrBusy = errors.New("access: no time to refresh the grant, or to wait for another process to do it")
	// ErrNoTime: Login with Amazon is so slow that its answer might come too late to
	// be saved. It wraps ErrBusy.
	ErrNoTime = fmt.Errorf("%w: login with amazon is slow", ErrBusy)
	// ErrOtherClient: the grant belongs to an LWA client that is not among the
	// credentials in use, so it cannot be refreshed.
	ErrOtherClient = errors.New("access: grant belongs to another LWA client")
)

const (
	// A refresh takes the lease, calls Login with Amazon, and saves the answer. Each
	// step has its own time, so that none can use up the time to save.
	takeTime = 2 * time.Second
	callTime = 5 * time.Second // at least; longer if the request has more time
	saveTime = 5 * time.Second // at least; until the request's deadline
	// RefreshTime is how long a refresh may take. A refresh that could not finish
	// before the caller's deadline is not started.
	RefreshTime = takeTime + callTime + saveTime
	// leaseMargin is how much longer than a refresh its lease lasts.
	leaseMargin = 3 * time.Second
)

// timeToAnswer returns how long Login with Amazon may take to answer a refresh that
// begins now. A late answer is worth waiting for: it may hold the only refresh token
// that is still valid.
func timeToAnswer(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return lwa.RefreshTimeout
	}
	return max(callTime, min(lwa.RefreshTimeout, time.Until(deadline)-takeTime-saveTime))
}

// Refresher is the part of [lwa.Client] that a Source needs.
type Refresher interface {
	Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error)
	Knows(clientID string) bool
}

// Announcer publishes the grant events that are pending in a record.
type Announcer interface {
	Announce(ctx context.Context, record grant.Record) error
}

// Source returns access tokens. All fields but Breaker are required. It is safe for
// concurrent use.
type Source struct {
	Store    grant.Store
	LWA      Refresher
	Sealer   *seal.Sealer
	Announce Announcer
	Brake    *Brake
	Breaker  *breaker.Breaker // guards refreshes that an event waits for; may be nil
	Owner    string           // names this process in leases: unique among all processes
	Now      func() time.Time

	flights       flight.Group[Token]
	opened        opened
	failures      failures
	slowness      slowness
	pending       pending
	configuration configuration
}

// Token is an access token and the version of the grant's tokens that it belongs to.
type Token struct {
	Access  sensitive.String
	Version int64
	Renewed bool // it was refreshed, by any process, since the caller read the record
	Stored  bool // it was in the store already: this call did not refresh
	// Unproven is why the grant, which may be the same link as a newer one, could not
	// be proven: see [grant.Grant]. It is nil for a proven grant.
	Unproven error
}

// Token returns an access token of a grant of record, which the caller has read now
// or a short time ago: a change fails if the stored record is newer. A token that has
// expired, or is about to, is refreshed first, and so is a grant that is unproven
// since the customer linked again. If the refresh fails, the old token is returned as
// long as it is valid.
func (s *Source) Token(ctx context.Context, record grant.Record, id string) (Token, error) {
	g := record.Grants[id]
	switch {
	case g.State == grant.Revoked:
		return Token{}, ErrRevoked
	case !g.TokenEnded(s.Now()) && g.UnprovenSince.IsZero():
		return s.open(ctx, record, id)
	}
	token, err := s.shareRefresh(ctx, record, request{id: id, from: g.TokenVersion, forEvent: true})
	if err == nil || errors.Is(err, ErrRevoked) || errors.Is(err, ErrSuspect) || !s.Now().Before(g.ExpiresAt) {
		return token, err
	}
	token, openErr := s.open(ctx, record, id)
	if !g.UnprovenSince.IsZero() {
		token.Unproven = err
	}
	return token, openErr
}

// Refresh refreshes a grant of record, which the caller has read, unless another
// caller or process has refreshed it since.
func (s *Source) Refresh(ctx context.Context, record grant.Record, id string) (Token, error) {
	return s.shareRefresh(ctx, record, request{id: id, from: record.Grants[id].TokenVersion})
}

// request asks for newer tokens of a grant.
type request struct {
	id       string
	from     int64 // the version that the new tokens must be later than
	forced   bool  // because the gateway refused the tokens
	forEvent bool  // an event waits for it
}

// TimeFor reports whether a refresh that begins now can finish before ctx ends.
func TimeFor(ctx context.Context) bool { return wait.HasTime(ctx, RefreshTime) }

// shareRefresh runs one refresh in the process for all callers that want a token
// newer than the version want.from. One of these callers runs it, and starts nothing
// that it cannot finish before its own deadline.
func (s *Source) shareRefresh(ctx context.Context, record grant.Record, want request) (Token, error) {
	key := versionName(record.Key(), want.id, want.from)
	for {
		token, led, err := s.flights.Do(ctx, key, func() (Token, error) { return s.refresh(ctx, record, want) })
		switch {
		case errors.Is(err, flight.ErrLeft):
			return Token{}, ErrBusy
		case errors.Is(err, ErrBusy) && !led && TimeFor(ctx):
			continue // the other caller had no time left; this one has
		case err != nil:
			return Token{}, err
		}
		return token, nil
	}
}

// open unseals the access token of a grant.
func (s *Source) open(ctx context.Context, record grant.Record, id string) (Token, error) {
	g := record.Grants[id]
	key := openedKey{customer: record.Key(), grant: id}
	access, ok := s.opened.find(key, g.AccessToken, s.Now())
	if !ok {
		var err error
		if access, err = s.Sealer.Open(g.AccessToken, place(record, id, accessField)); err != nil {
			return Token{}, s.unreadable(ctx, record, id, false, err)
		}
		s.opened.note(key, g.AccessToken, access, s.Now())
		s.configuration.noteFit(grant.ReasonUnreadable, s.Now())
	}
	return Token{Access: access, Version: g.TokenVersion}, nil
}

// The fields of a record that hold sealed tokens.
const (
	accessField  = "accessToken"
	refreshField = "refreshToken"
)

func place(record grant.Record, id, field string) seal.Place {
	return seal.Place{Customer: record.Key().ID(), Grant: id, Field: field}
}

// Seal returns the tokens of a customer's grant as they are stored. They are
// refreshed at [grant.RefreshDue].
func Seal(sealer *seal.Sealer, key grant.Key, id string, token lwa.Token, now time.Time) (grant.Tokens, error) {
	record := grant.Record{Skill: key.Skill, UserID: key.UserID}
	sealedAccess, err := sealer.Seal(token.AccessToken, place(record, id, accessField))
	if err != nil {
		return grant.Tokens{}, err
	}
	sealedRefresh, err := sealer.Seal(token.RefreshToken, place(record, id, refreshField))
	if err != nil {
		return grant.Tokens{}, err
	}
	return grant.Tokens{
		AccessToken: sealedAccess, RefreshToken: sealedRefresh, ClientID: token.ClientID,
		ExpiresAt: token.ExpiresAt, RefreshDue: grant.RefreshDue(id, now, token.ExpiresAt),
	}, nil
}

// Reseal reseals the tokens of a grant of record that are not sealed with the
// keyset's primary key, and returns their number. A token that cannot be opened stays
// as it is and causes a [seal.ErrOpen]; the other one is still resealed. The tokens
// themselves do not change, so a refresh in flight saves as usual.
func Reseal(sealer *seal.Sealer, record *grant.Record, id string) (moved int, err error) {
	g := record.Grants[id]
	var faults []error
	for field, sealed := range map[string]*[]byte{accessField: &g.AccessToken, refreshField: &g.RefreshToken} {
		if sealer.Fresh(*sealed) {
			continue
		}
		fresh, err := reseal(sealer, *sealed, place(*record, id, field))
		if err != nil {
			faults = append(faults, fmt.Errorf("access: resealing: %w", err))
			continue
		}
		*sealed = fresh
		moved++
	}
	if moved > 0 {
		record.Grants[id] = g
	}
	return moved, errors.Join(faults...)
}

func reseal(sealer *seal.Sealer, sealed []byte, place seal.Place) ([]byte, error) {
	token, err := sealer.Open(sealed, place)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(token, place)
}
