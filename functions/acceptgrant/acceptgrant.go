// Package acceptgrant is the function AcceptGrant: it answers Alexa's
// directive Alexa.Authorization.AcceptGrant, as the skill proxy forwards it.
//
// The grantee's token is taken to the maker's identity provider, to learn who
// the customer is, while the authorization code is exchanged at Login with
// Amazon. The tokens are stored before the answer is given, because the code
// cannot be exchanged again. Alexa waits eight seconds and does not ask twice;
// the answer is given within five, whatever hangs.
package acceptgrant

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/access"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/flight"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grantee"
	"github.com/gatepostdev/gatepost/shared/host"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/telemetry"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// Limits of the function: a directive is about a kilobyte, and what is left of
// the five seconds after the handler's time is for the answer to travel.
var Limits = host.Limits{Body: 64 << 10, Time: 4700 * time.Millisecond}

// RegionHeader names the Alexa region of the Lambda that got the directive.
const RegionHeader = "X-Alexa-Region"

// duplicateTime is how long a code that Login with Amazon has seen before is
// looked for in the record: the directive may have been delivered twice, and
// the other request still be about to store.
const duplicateTime = 2 * time.Second

// storeTime is what storing the tokens is left in any case.
const storeTime = 1500 * time.Millisecond

// Exchanger is the part of [lwa.Client] that the function needs.
type Exchanger interface {
	Exchange(ctx context.Context, code sensitive.String) (lwa.Token, error)
	Account(ctx context.Context, tokenInfoURL *url.URL, accessToken sensitive.String) (string, error)
}

// Function answers AcceptGrant directives. All fields are required.
type Function struct {
	Skill        string
	Regions      []alexa.Region // that this process serves
	Grantees     grantee.Resolver
	LWA          Exchanger
	TokenInfoURL *url.URL
	Store        grant.Store
	Sealer       *seal.Sealer
	Announce     access.Announcer
	Draw         func() float64 // from 0 to 1, random
	Now          func() time.Time
}

// Handle answers one directive. What is no AcceptGrant directive gets 400 and
// the name of the field; everything else 200 and one of Alexa's two answers.
func (f *Function) Handle(ctx context.Context, r host.Request) host.Answer {
	directive, err := alexa.DecodeAcceptGrant(r.Body)
	if errors.Is(err, alexa.ErrPartition) {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String(telemetry.Outcome, "failed"), slog.String(telemetry.Error, err.Error()))
		return host.Answer{Status: http.StatusOK, Body: alexa.AcceptGrantFailed(uuid.NewString(), err.Error())}
	}
	if err != nil {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String(telemetry.Error, err.Error()))
		return host.Fail(http.StatusBadRequest, "not an AcceptGrant directive: "+err.Error())
	}
	telemetry.Add(ctx, slog.String(telemetry.MessageID, directive.MessageID))
	// A code can be exchanged once: a proxy that hangs up must not keep the
	// tokens from being stored. The time that there is stays the same.
	ctx, cancel := withoutCancel(ctx)
	defer cancel()
	if err := f.accept(ctx, r.Header, directive); err != nil {
		telemetry.Raise(ctx, level(err))
		telemetry.Add(ctx, slog.String(telemetry.Outcome, "failed"), slog.String(telemetry.Error, err.Error()))
		// Amazon shows the text to nobody but developers; the cause is in the log.
		return host.Answer{Status: http.StatusOK, Body: alexa.AcceptGrantFailed(answerID(directive), "the grant could not be accepted")}
	}
	telemetry.Add(ctx, slog.String(telemetry.Outcome, string("accepted")))
	return host.Answer{Status: http.StatusOK, Body: alexa.AcceptGrantResponse(answerID(directive))}
}

// withoutCancel is ctx less its end, but with its deadline.
func withoutCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(context.WithoutCancel(ctx), deadline)
	}
	return context.WithCancel(context.WithoutCancel(ctx))
}

// level is Warn for what is between Alexa and the customer: a code or a token
// that is not good. Everything else is Error: Alexa sends a code once, so whoever
// met with a fault of ours, or of what we depend on, has to link the skill again.
func level(err error) slog.Level {
	if errors.Is(err, lwa.ErrInvalidGrant) || errors.Is(err, grantee.ErrRejected) {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// accept does the work and returns why it could not be done.
func (f *Function) accept(ctx context.Context, header http.Header, directive alexa.AcceptGrant) error {
	region, err := f.region(header.Get(RegionHeader))
	if err != nil {
		return err
	}
	id := grant.ID(region, f.Skill, directive.Code.Reveal())
	telemetry.Add(ctx, slog.String(telemetry.Region, string(region)), slog.String(telemetry.GrantID, id))

	known, err := f.ask(ctx, directive)
	if err != nil {
		return fmt.Errorf("finding the customer: %w", err)
	}
	key := grant.Key{Skill: f.Skill, UserID: known.userID}
	telemetry.Add(ctx, slog.String(telemetry.Customer, grant.CustomerHash(known.userID)))
	if errors.Is(known.refused, lwa.ErrInvalidGrant) && f.linkedBefore(ctx, key, id) {
		telemetry.Add(ctx, slog.Bool("duplicate", true))
		return nil
	}
	if known.refused != nil {
		return fmt.Errorf("exchanging the code: %w", known.refused)
	}
	if known.token.RefreshToken.Empty() {
		// The link would break within the hour, and nobody would know why.
		return errors.New("exchanging the code: no refresh token came")
	}
	return f.link(ctx, key, id, region, known)
}

// region is the region that the grant belongs to.
func (f *Function) region(header string) (alexa.Region, error) {
	if header == "" {
		if len(f.Regions) == 1 {
			return f.Regions[0], nil
		}
		return "", errors.New("header " + RegionHeader + ": missing, and this process serves several regions")
	}
	region, err := alexa.ParseRegion(header)
	if err != nil {
		return "", fmt.Errorf("header %s: %w", RegionHeader, err)
	}
	if !slices.Contains(f.Regions, region) {
		return "", fmt.Errorf("header %s: region %s is not served here", RegionHeader, region)
	}
	return region, nil
}

// answers is what was asked of others about one directive.
type answers struct {
	userID  string    // the customer, says the maker's identity provider
	token   lwa.Token // for the code
	account string    // hash of the Amazon account, empty if LWA does not tell
	refused error     // why there is no token
}

// ask finds the customer and exchanges the code side by side, in all the time
// that storing does not need. A refused exchange is part of the answers: what it
// means depends on who the customer is.
func (f *Function) ask(ctx context.Context, directive alexa.AcceptGrant) (answers, error) {
	ctx, cancel := wait.Less(ctx, storeTime)
	defer cancel()
	var known answers
	var both errgroup.Group
	both.Go(func() error {
		return flight.Guard(func() (err error) {
			known.userID, err = f.Grantees.Resolve(ctx, directive.GranteeToken)
			return err
		})
	})
	both.Go(func() error {
		return flight.Guard(func() error {
			known.token, known.refused = f.LWA.Exchange(ctx, directive.Code)
			if known.refused == nil {
				known.account = f.account(ctx, known.token)
			}
			return nil
		})
	})
	err := both.Wait()
	return known, err
}

// account asks whose Amazon account the tokens are for. It is good to know, and
// nothing depends on it.
func (f *Function) account(ctx context.Context, token lwa.Token) string {
	account, err := f.LWA.Account(ctx, f.TokenInfoURL, token.AccessToken)
	if err != nil {
		telemetry.Add(ctx, slog.String("account_error", err.Error()))
		return ""
	}
	return grant.AmazonUserHash(account)
}

// link stores the grant, whatever the store answers, for as long as there is
// time: the code cannot be exchanged again. Then it tells the maker's cloud. That
// the latter failed is no reason to refuse the grant: the message stays in the
// record and the sweep publishes it.
func (f *Function) link(ctx context.Context, key grant.Key, id string, region alexa.Region, known answers) error {
	tokens, err := access.Seal(f.Sealer, key, id, known.token, f.Draw())
	if err != nil {
		return err
	}
	record, err := grant.Persist(ctx, f.Store, grant.Record{Skill: key.Skill, UserID: key.UserID}, func(r *grant.Record) error {
		r.Link(id, region, known.account, tokens, f.Now())
		return nil
	})
	if err != nil {
		return fmt.Errorf("storing the grant: %w", err)
	}
	if err := f.Announce.Announce(ctx, record); err != nil {
		telemetry.Raise(ctx, slog.LevelWarn)
		telemetry.Add(ctx, slog.String(telemetry.AnnounceError, err.Error()))
	}
	return nil
}

// linkedBefore reports whether the code that Login with Amazon refuses was
// exchanged by an earlier delivery of the same directive, and waits a little
// for one that is still at it.
func (f *Function) linkedBefore(ctx context.Context, key grant.Key, id string) bool {
	ctx, cancel := context.WithTimeout(ctx, duplicateTime)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		record, err := f.Store.Read(ctx, key)
		if g, ok := record.Grants[id]; err == nil && ok {
			return g.State != grant.Revoked
		}
		if wait.For(ctx, pause) != nil {
			return false
		}
	}
}

// answerSpace is the name space of the ids of answers.
var answerSpace = uuid.MustParse("0b2cf2f5-7c1c-4b8e-8f3f-3f1b7a0d9e55")

// answerID is the message id of the answer to a directive: made from the
// directive's, so that the answer to a repeated directive is the same.
func answerID(directive alexa.AcceptGrant) string {
	return uuid.NewHash(sha256.New(), answerSpace, []byte(directive.MessageID), 8).String()
}
