// Package skillevent is the function SkillEvent. It handles Alexa's skill events
// about account links, which the skill proxy forwards.
//
// SkillAccountLinked maps an Amazon account to a customer of the maker: the maker's
// identity provider resolves the event's token. SkillDisabled names only the Amazon
// account. It makes every grant of that customer due at the next sweep, so the refresh
// comes within minutes instead of within an hour. It revokes nothing. Only a refusal
// by Login with Amazon revokes, and after this event the first refusal is final. So
// the link of another member of the household survives, and an event that is late,
// duplicated or out of order does no harm.
//
// The mapping of an unlinked account is kept for a week.
//
// Alexa does not guarantee delivery. If an event is lost, a refresh or a device event
// notices the unlink later.
package skillevent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
)

// Limits of the function. Alexa does not wait for an answer, but the proxy does.
var Limits = handler.Limits{Body: 64 << 10, Time: 4700 * time.Millisecond}

// The outcomes of a skill event.
const (
	learned = "learned" // the customer of the Amazon account is stored
	proving = "proving" // the customer's grants are due for a refresh
	unknown = "unknown" // no customer is stored for the Amazon account
	nothing = "nothing" // the customer has no grant that could be gone
	refused = "refused" // the identity provider resolves the token to no customer
	ignored = "ignored" // the function does not handle requests of this type
)

// Function answers skill events. All fields are required.
type Function struct {
	Skill    string
	Grantees grantee.Resolver
	Store    grant.Store
	Now      func() time.Time
}

// Handle answers one skill event with 200 and its outcome, even if its type is
// unknown. It answers 503 if a retry may succeed, and 400 with the name of the field
// if the body is not a skill event.
func (f *Function) Handle(ctx context.Context, r handler.Request) handler.Answer {
	event, err := alexa.DecodeSkillEvent(r.Body)
	if err != nil {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
		return handler.Fail(http.StatusBadRequest, "not a skill event: "+err.Error())
	}
	logging.Add(ctx, slog.String(logging.Kind, event.Type), slog.String(logging.MessageID, event.RequestID))
	outcome, err := f.handle(ctx, event)
	if err != nil {
		logging.Raise(ctx, level(err))
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
		if outcome == "" {
			return handler.Fail(http.StatusServiceUnavailable, "the skill event could not be handled")
		}
	}
	logging.Add(ctx, slog.String(logging.Outcome, outcome))
	return handler.JSON(http.StatusOK, map[string]string{"outcome": outcome})
}

// level returns Error if a person has to repair something.
func level(err error) slog.Level {
	if errors.Is(err, grantee.ErrNoCustomer) {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// handle handles an event by its type. An error that comes with an outcome is
// permanent.
func (f *Function) handle(ctx context.Context, event alexa.SkillEvent) (outcome string, err error) {
	switch event.Type {
	case alexa.SkillAccountLinked:
		return f.learn(ctx, event)
	case alexa.SkillDisabled, alexa.SkillAccountUnlinked:
		return f.prove(ctx, event)
	}
	return ignored, nil
}

// learn stores the customer of an Amazon account. The newest event wins, because the
// account may be linked to another customer later.
func (f *Function) learn(ctx context.Context, event alexa.SkillEvent) (string, error) {
	userID, err := f.Grantees.Resolve(ctx, event.AccessToken)
	if errors.Is(err, grantee.ErrRejected) || errors.Is(err, grantee.ErrNoCustomer) {
		return refused, fmt.Errorf("finding the customer: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("finding the customer: %w", err)
	}
	logging.Add(ctx, slog.String(logging.Customer, grant.CustomerHash(userID)))
	linkedAt := event.Created
	// An event from the future would win over every event until then.
	if now := f.Now(); linkedAt.IsZero() || linkedAt.After(now) {
		linkedAt = now
	}
	account := grant.NewAccount(f.accountKey(event), grant.Key{Skill: f.Skill, UserID: userID}, linkedAt)
	if err := f.save(ctx, account); err != nil {
		return "", err
	}
	return learned, nil
}

// saves is how often save tries. Only duplicate events make an account have more than
// one writer at a time.
const saves = 3

// save stores an account, unless the stored one is newer.
func (f *Function) save(ctx context.Context, account grant.Account) error {
	for range saves {
		stored, err := f.Store.ReadAccount(ctx, account.ID)
		if err != nil && !errors.Is(err, grant.ErrNotFound) {
			return fmt.Errorf("reading the account: %w", err)
		}
		if stored.LinkedAt.After(account.LinkedAt) {
			return nil
		}
		stored.ID = account.ID // empty if the account is not stored yet
		_, err = f.Store.WriteAccount(ctx, stored, account)
		if err == nil {
			return nil
		}
		if !errors.Is(err, grant.ErrConflict) {
			return fmt.Errorf("saving the account: %w", err)
		}
	}
	return fmt.Errorf("saving the account: %w", grant.ErrConflict)
}

// prove makes the grants of an Amazon account's customer due for a refresh.
func (f *Function) prove(ctx context.Context, event alexa.SkillEvent) (string, error) {
	account, err := f.Store.ReadAccount(ctx, f.accountKey(event).ID())
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return "", fmt.Errorf("reading the account: %w", err)
	}
	if !account.Live(f.Now()) {
		return unknown, nil
	}
	logging.Add(ctx, slog.String(logging.Customer, grant.CustomerHash(account.UserID)))
	outcome := nothing
	_, err = grant.Change(ctx, f.Store, account.Key(), func(r *grant.Record) error {
		outcome = nothing
		if r.Prove(grant.BySkillEvent, f.Now()) {
			outcome = proving
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return outcome, f.retire(ctx, account)
}

// retentionTime is how long an unlinked account is kept, for late and duplicate
// events.
const retentionTime = 7 * 24 * time.Hour

// retire lets an account expire: Amazon does not use the id again, and a new link has
// another. A conflict is no error, because the other writer has newer knowledge.
func (f *Function) retire(ctx context.Context, account grant.Account) error {
	if !account.ExpireAt.IsZero() {
		return nil
	}
	expiring := account
	expiring.ExpireAt = f.Now().Add(retentionTime)
	if _, err := f.Store.WriteAccount(ctx, account, expiring); err != nil && !errors.Is(err, grant.ErrConflict) {
		return fmt.Errorf("retiring the account: %w", err)
	}
	return nil
}

func (f *Function) accountKey(event alexa.SkillEvent) grant.AccountKey {
	return grant.AccountKey{Skill: f.Skill, AmazonUser: event.AmazonUser}
}
