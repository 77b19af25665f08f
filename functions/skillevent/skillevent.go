// Package skillevent is the function SkillEvent: it listens to what Alexa says
// of a skill's links by itself, as the skill proxy forwards it.
//
// SkillAccountLinked teaches which of the maker's customers an Amazon account
// has linked: the maker's identity provider vouches for the token in it.
// SkillDisabled names the Amazon account alone, and has every grant of that
// customer refreshed at the next sweep, minutes instead of up to an hour later.
// It revokes nothing. Only Login with Amazon's refusal does, which it makes
// final at once, so that the link of another member of the household survives,
// and an event that is late, doubled or out of order does no harm.
//
// An account that was unlinked is kept for a week.
//
// Alexa promises no delivery. Whatever is lost here, a refresh or an event finds
// out later.
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
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// Limits of the function: Alexa does not wait for an answer, but the proxy does.
var Limits = host.Limits{Body: 64 << 10, Time: 4700 * time.Millisecond}

// What becomes of a skill event.
const (
	learned = "learned" // whose the Amazon account is
	proving = "proving" // the customer's grants are due for a refresh
	unknown = "unknown" // nobody knows whose the Amazon account is
	nothing = "nothing" // the customer has no grant that could be gone
	refused = "refused" // the identity provider does not know the token
	ignored = "ignored" // a request of a type that means nothing here
)

// Function answers skill events. All fields are required.
type Function struct {
	Skill    string
	Grantees grantee.Resolver
	Store    grant.Store
	Now      func() time.Time
}

// Handle answers one skill event: 200 and what became of it, for a type that
// nobody has heard of as well; 503 if it could be tried again; 400 and the name
// of the field for what is no skill event.
func (f *Function) Handle(ctx context.Context, r host.Request) host.Answer {
	event, err := alexa.DecodeSkillEvent(r.Body)
	if err != nil {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
		return host.Fail(http.StatusBadRequest, "not a skill event: "+err.Error())
	}
	telemetry.Add(ctx, slog.String(telemetry.Kind, event.Type), slog.String(telemetry.MessageID, event.RequestID))
	outcome, err := f.handle(ctx, event)
	if err != nil {
		telemetry.Raise(ctx, level(err))
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
		if outcome == "" {
			return host.Fail(http.StatusServiceUnavailable, "the skill event could not be handled")
		}
	}
	telemetry.Add(ctx, slog.String(telemetry.Outcome, outcome))
	return host.JSON(http.StatusOK, map[string]string{"outcome": outcome})
}

// level is Error for what a person has to mend.
func level(err error) slog.Level {
	if errors.Is(err, grantee.ErrNoCustomer) {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// handle does what an event asks for. An error with an outcome is one that will
// be no better the next time.
func (f *Function) handle(ctx context.Context, event alexa.SkillEvent) (outcome string, err error) {
	switch event.Type {
	case alexa.SkillAccountLinked:
		return f.learn(ctx, event)
	case alexa.SkillDisabled, alexa.SkillAccountUnlinked:
		return f.prove(ctx, event)
	}
	return ignored, nil
}

// learn notes whose an Amazon account is. The newest event counts: an account
// may be linked to one customer today and to another tomorrow.
func (f *Function) learn(ctx context.Context, event alexa.SkillEvent) (string, error) {
	userID, err := f.Grantees.Resolve(ctx, event.AccessToken)
	if errors.Is(err, grantee.ErrRejected) || errors.Is(err, grantee.ErrNoCustomer) {
		return refused, fmt.Errorf("finding the customer: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("finding the customer: %w", err)
	}
	telemetry.Add(ctx, slog.String(telemetry.Customer, grant.CustomerHash(userID)))
	linkedAt := event.Created
	// An event from the future would outlast those of today and tomorrow.
	if now := f.Now(); linkedAt.IsZero() || linkedAt.After(now) {
		linkedAt = now
	}
	account := grant.NewAccount(f.accountKey(event), grant.Key{Skill: f.Skill, UserID: userID}, linkedAt)
	if err := f.save(ctx, account); err != nil {
		return "", err
	}
	return learned, nil
}

// saves bounds how often save begins anew. An account has one writer at a time
// but for events that come doubled.
const saves = 3

// save stores an account, unless what is stored is newer.
func (f *Function) save(ctx context.Context, account grant.Account) error {
	for range saves {
		stored, err := f.Store.ReadAccount(ctx, account.ID)
		if err != nil && !errors.Is(err, grant.ErrNotFound) {
			return fmt.Errorf("reading the account: %w", err)
		}
		if stored.LinkedAt.After(account.LinkedAt) {
			return nil
		}
		stored.ID = account.ID // of an account that is not stored yet
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

// prove has the grants of an Amazon account's customer refreshed.
func (f *Function) prove(ctx context.Context, event alexa.SkillEvent) (string, error) {
	account, err := f.Store.ReadAccount(ctx, f.accountKey(event).ID())
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return "", fmt.Errorf("reading the account: %w", err)
	}
	if !account.Live(f.Now()) {
		return unknown, nil
	}
	telemetry.Add(ctx, slog.String(telemetry.Customer, grant.CustomerHash(account.UserID)))
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

// retired is how long an account that was unlinked is kept, for events that are
// late or doubled.
const retired = 7 * 24 * time.Hour

// retire lets an account expire: the id will not be heard of again, and whoever
// links anew has another. Somebody who has changed it meanwhile knows more.
func (f *Function) retire(ctx context.Context, account grant.Account) error {
	if !account.ExpireAt.IsZero() {
		return nil
	}
	expiring := account
	expiring.ExpireAt = f.Now().Add(retired)
	if _, err := f.Store.WriteAccount(ctx, account, expiring); err != nil && !errors.Is(err, grant.ErrConflict) {
		return fmt.Errorf("retiring the account: %w", err)
	}
	return nil
}

func (f *Function) accountKey(event alexa.SkillEvent) grant.AccountKey {
	return grant.AccountKey{Skill: f.Skill, AmazonUser: event.AmazonUser}
}
