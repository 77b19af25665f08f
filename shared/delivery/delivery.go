package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/outcome"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/telemetry"
)

// Gateway is the part of [gateway.Client] that a Deliverer needs.
type Gateway interface {
	Send(ctx context.Context, token sensitive.String, body []byte) (gateway.Receipt, error)
}

// Tokens is the part of [access.Source] that a Deliverer needs.
type Tokens interface {
	Token(ctx context.Context, record grant.Record, id string) (access.Token, error)
	Renew(ctx context.Context, key grant.Key, id string, refused int64) (access.Token, error)
}

// Deliverer delivers device events. It may be used by many goroutines at once.
type Deliverer struct {
	Skill       string
	Store       grant.Store
	Tokens      Tokens
	Gateways    map[alexa.Region]Gateway // of the regions that this process serves
	DeadLetters Publisher                // nil: there is no dead-letter topic
	MaxEventAge time.Duration            // for reports; other kinds have ages of their own
	Checks      alexa.Checks
	Now         func() time.Time
}

// Result is what became of one event for one grant; GrantID is empty when the
// event did not get as far as a grant.
type Result struct {
	GrantID string
	outcome.Outcome
	Err error // why, nil for an accepted event
}

// Deliver brings the message's event to every grant it is for, and returns one
// result for each. No results mean that there is nothing to do: the customer
// has no grants here, or the message is for a region served elsewhere. A
// result whose decision is DeadLetter has been published to the dead-letter
// topic, if there is one; if that failed its decision is Retry.
func (d *Deliverer) Deliver(ctx context.Context, m push.Message) []Result {
	event, err := d.read(ctx, m)
	if err != nil {
		return []Result{d.conclude(ctx, m, "", err)}
	}
	if event.elsewhere {
		return nil
	}
	record, err := d.Store.Read(ctx, grant.Key{Skill: d.Skill, UserID: event.UserID})
	if errors.Is(err, grant.ErrNotFound) {
		return nil
	}
	if err != nil {
		return []Result{d.conclude(ctx, m, "", fmt.Errorf("reading the customer: %w", err))}
	}
	ids := d.addressees(record, event.region)
	telemetry.Add(ctx, slog.Int(telemetry.Grants, len(ids)))
	if max := maxAge(&event.Event, d.MaxEventAge); max > 0 && d.Now().Sub(event.published) > max {
		return expired(ids)
	}
	results := make([]Result, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { results[i] = d.conclude(ctx, m, id, d.send(ctx, event, record, id)) })
	}
	wg.Wait()
	return results
}

// event is a decoded message.
type event struct {
	alexa.Event
	id        string // identity
	region    alexa.Region
	published time.Time
	elsewhere bool // for a region that another stack serves
}

// read decodes the message and notes what it is in the log line.
func (d *Deliverer) read(ctx context.Context, m push.Message) (event, error) {
	id, err := identity(m)
	if err != nil {
		return event{}, err
	}
	telemetry.Add(ctx, slog.String(telemetry.EventID, id), slog.Int(telemetry.Attempt, m.Attempt))
	region, err := addressee(m)
	if err != nil {
		return event{}, err
	}
	if _, served := d.Gateways[region]; region != "" && !served {
		return event{elsewhere: true}, nil
	}
	published := firstPublished(m, d.Now())
	decoded, advice, err := alexa.DecodeEvent(m.Data, published, d.Checks)
	if err != nil {
		return event{}, err
	}
	telemetry.Add(ctx,
		slog.String(telemetry.Customer, grant.CustomerHash(decoded.UserID)),
		slog.String(telemetry.EndpointID, decoded.EndpointID()),
		slog.String(telemetry.Kind, decoded.Header.Namespace+"."+decoded.Header.Name),
		slog.Int64(telemetry.AgeMS, d.Now().Sub(published).Milliseconds()))
	if len(advice) > 0 {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String(telemetry.Advice, errors.Join(asErrors(advice)...).Error()))
	}
	return event{Event: decoded, id: id, region: region, published: published}, nil
}

func asErrors(advice []*alexa.FieldError) []error {
	errs := make([]error, len(advice))
	for i, a := range advice {
		errs[i] = a
	}
	return errs
}

// addressees returns the ids of the grants that an event for region is for, in
// a fixed order. Grants of regions that this process does not serve are not
// its business.
func (d *Deliverer) addressees(record grant.Record, region alexa.Region) []string {
	var ids []string
	for id, g := range record.Grants {
		if _, served := d.Gateways[g.Region]; served && (region == "" || g.Region == region) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func expired(ids []string) []Result {
	results := make([]Result, len(ids))
	for i, id := range ids {
		results[i] = Result{GrantID: id, Outcome: outcome.Outcome{Decision: outcome.Ack, Name: outcome.Expired}}
	}
	return results
}

// conclude turns an attempt's error into its result, and puts a dead letter
// where dead letters go.
func (d *Deliverer) conclude(ctx context.Context, m push.Message, id string, err error) Result {
	result := Result{GrantID: id, Outcome: outcome.Of(err), Err: err}
	if result.Decision == outcome.DeadLetter && d.DeadLetters != nil {
		if err := d.bury(ctx, m, result); err != nil {
			result.Outcome, result.Err = outcome.Of(err), err
		}
	}
	return result
}
