package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

var (
	// ErrRevoked: the grant is gone, now or since earlier. There is no token
	// and there will be none.
	ErrRevoked = errors.New("access: grant is revoked")
	// ErrSuspect: the grant has just become suspect; its reason is in the
	// record. It is tried again later.
	ErrSuspect = errors.New("access: grant is suspect")
	// ErrMassInvalidGrant: Login with Amazon answers invalid_grant to too many
	// refreshes for it to be believed. The grant has become suspect, and no
	// sweep should go on. It is an ErrSuspect too.
	ErrMassInvalidGrant = fmt.Errorf("%w: mass invalid_grant: a suspended skill, or a wrong client secret?", ErrSuspect)
	// ErrBusy: another process is refreshing the grant and was not done in the
	// time there was, or there was not enough time for a refresh.
	ErrBusy = errors.New("access: no time to refresh the grant, or to wait for another process that does")
	// ErrOtherClient: the grant was given to an LWA client that is not among
	// the credentials in use, so that nothing can be learned about it.
	ErrOtherClient = errors.New("access: grant belongs to another LWA client")
)

const (
	// A refresh takes the lease, asks Login with Amazon, and saves the answer:
	// each has its own time, so that none can use up the save's.
	takeTime = 2 * time.Second
	saveTime = 5 * time.Second
	// RefreshTime is how long a refresh may take. One that could not be
	// finished before its caller's context ends is not begun.
	RefreshTime = takeTime + lwa.RefreshTimeout + saveTime
	// leaseTime is how long one refresh may hold a grant.
	leaseTime = RefreshTime + 3*time.Second
	// skew is how long before its end an access token is no longer given out:
	// it has to arrive at the gateway while it is valid.
	skew = time.Minute
	// doubtTime is how long after a refresh of unknown outcome the next is made.
	doubtTime = 2 * time.Minute
)

// Refresher is the part of [lwa.Client] that a Source needs.
type Refresher interface {
	Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (lwa.Token, error)
	Knows(clientID string) bool
}

// Announcer publishes the lifecycle messages that wait in a record.
type Announcer interface {
	Announce(ctx context.Context, record grant.Record) error
}

// Source gives out access tokens. All fields are required. It may be used by
// many goroutines at once.
type Source struct {
	Store    grant.Store
	LWA      Refresher
	Sealer   *seal.Sealer
	Announce Announcer
	Owner    string         // names this process in leases: unique among all processes
	Draw     func() float64 // from 0 to 1, random: spreads the times of refreshes
	Now      func() time.Time

	flights  flight.Group[Token]
	opened   opened
	failures failures
	brake    brake
}

// Token is an access token and the version of the grant's tokens it is from.
type Token struct {
	Access  sensitive.String
	Version int64
	Renewed bool // it was refreshed, by whomever, since the record at hand was read
	Stored  bool // Renew found it: nobody asked Login with Amazon for it just now
}

// Token returns an access token of a grant of record, which the caller has
// read: just now, or a short time ago, since nothing is done about a grant whose
// record was changed meanwhile. A token that has expired, or is about to, is
// refreshed first; if that fails, the old one is returned for as long as it is
// valid.
func (s *Source) Token(ctx context.Context, record grant.Record, id string) (Token, error) {
	g := record.Grants[id]
	if g.State == grant.Revoked {
		return Token{}, ErrRevoked
	}
	if s.Now().Before(g.ExpiresAt.Add(-skew)) {
		return s.open(record, id)
	}
	token, err := s.Refresh(ctx, record, id)
	if err == nil || errors.Is(err, ErrRevoked) || errors.Is(err, ErrSuspect) || !s.Now().Before(g.ExpiresAt) {
		return token, err
	}
	return s.open(record, id)
}

// Refresh asks Login with Amazon for new tokens of a grant of record, which
// the caller has read, unless somebody else did so since then.
func (s *Source) Refresh(ctx context.Context, record grant.Record, id string) (Token, error) {
	return s.fly(ctx, record, id, record.Grants[id].TokenVersion, false)
}

// TimeFor reports whether a refresh that begins now can be finished before ctx
// ends.
func TimeFor(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) >= RefreshTime)
}

// fly lets one goroutine of the process do the work for all that want a token
// newer than the version from. They all wait for it, and it does not begin what
// it cannot finish in the time of the one whose request it runs in.
func (s *Source) fly(ctx context.Context, record grant.Record, id string, from int64, forced bool) (Token, error) {
	key := fmt.Sprintf("%s/%d", grantName(record.Key(), id), from)
	for {
		token, led, err := s.flights.Do(ctx, key, func() (Token, error) { return s.refresh(ctx, record, id, from, forced) })
		switch {
		case errors.Is(err, flight.ErrLeft):
			return Token{}, ErrBusy
		case errors.Is(err, ErrBusy) && !led && TimeFor(ctx):
			continue // it was the leader who had no time
		case err != nil:
			return Token{}, err
		}
		return token, nil
	}
}

// open unseals the access token of a grant.
func (s *Source) open(record grant.Record, id string) (Token, error) {
	g := record.Grants[id]
	key := openedKey{customer: record.Key(), grant: id}
	access, ok := s.opened.find(key, g.AccessToken, s.Now())
	if !ok {
		var err error
		if access, err = s.Sealer.Open(g.AccessToken, place(record, id, accessField)); err != nil {
			return Token{}, fmt.Errorf("access: %w", err)
		}
		s.opened.note(key, g.AccessToken, access, s.Now())
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

// Seal turns what Login with Amazon gave for a grant of a customer into what
// is kept of it. draw is from 0 to 1, see [grant.RefreshDue].
func Seal(sealer *seal.Sealer, key grant.Key, id string, token lwa.Token, draw float64) (grant.Tokens, error) {
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
		ExpiresAt: token.ExpiresAt, RefreshDue: grant.RefreshDue(token.ExpiresAt, draw),
	}, nil
}
