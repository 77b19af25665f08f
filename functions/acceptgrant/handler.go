// Package acceptgrant is the function AcceptGrant. It answers Alexa's directive
// Alexa.Authorization.AcceptGrant, which the skill proxy forwards.
//
// The function resolves the grantee's token to a customer at the maker's identity
// provider, and in parallel exchanges the authorization code at Login with Amazon.
// It stores the tokens before it answers, because the code cannot be exchanged
// again. Alexa waits eight seconds and sends the directive once. The function
// answers within five seconds, even if a dependency hangs.
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
	"github.com/gatepostdev/gatepost/shared/handler"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/wait"
)

// Limits of the function. A directive is about a kilobyte. The handler's time leaves
// the rest of the five seconds for the answer to travel.
var Limits = handler.Limits{Body: 64 << 10, Time: 4700 * time.Millisecond}

// RegionHeader names the Alexa region of the Lambda that got the directive.
const RegionHeader = "X-Alexa-Region"

// duplicateTime is how long the function polls the record for a code that Login with
// Amazon refuses: the directive may have been delivered twice, and the other request
// may not have stored yet.
const duplicateTime = 2 * time.Second

// storeTime is reserved for storing the tokens.
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
	Now          func() time.Time
}

// Handle answers one directive with 200 and one of Alexa's two answers. It answers
// 400, and names the field, if the body is not an AcceptGrant directive.
func (f *Function) Handle(ctx context.Context, r handler.Request) handler.Answer {
	directive, err := alexa.DecodeAcceptGrant(r.Body)
	if errors.Is(err, alexa.ErrPartition) {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.Outcome, "failed"), slog.String("failure", "grantee"), slog.String(logging.Error, err.Error()))
		return handler.Answer{Status: http.StatusOK, Body: alexa.AcceptGrantFailed(uuid.NewString(), err.Error())}
	}
	if err != nil {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.Error, err.Error()))
		return handler.Fail(http.StatusBadRequest, "not an AcceptGrant directive: "+err.Error())
	}
	logging.Add(ctx, slog.String(logging.MessageID, directive.MessageID))
	// A code can be exchanged once, so the tokens are stored even if the proxy
	// hangs up.
	ctx, cancel := withDeadlineOnly(ctx)
	defer cancel()
	if err := f.accept(ctx, r.Header, directive); err != nil {
		logging.Raise(ctx, level(err))
		logging.Add(ctx, slog.String(logging.Outcome, "failed"), slog.String("failure", failure(err)), slog.String(logging.Error, err.Error()))
		// Amazon shows the text only to developers; the cause is in the log.
		return handler.Answer{Status: http.StatusOK, Body: alexa.AcceptGrantFailed(answerID(directive), "the grant could not be accepted")}
	}
	logging.Add(ctx, slog.String(logging.Outcome, "accepted"))
	return handler.Answer{Status: http.StatusOK, Body: alexa.AcceptGrantResponse(answerID(directive))}
}

// withDeadlineOnly returns a context that keeps ctx's deadline and values, but is not
// cancelled with it.
func withDeadlineOnly(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(context.WithoutCancel(ctx), deadline)
	}
	return context.WithCancel(context.WithoutCancel(ctx))
}

// level returns Warn for a code or a token that is refused, since Alexa or the
// customer is the cause. Every other failure is an Error: Alexa sends a code once, so
// the customer has to link the skill again.
func level(err error) slog.Level {
	if errors.Is(err, lwa.ErrInvalidGrant) || errors.Is(err, grantee.ErrRejected) {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// The steps that can fail.
var (
	errGrantee = errors.New("finding the customer")
	errLWA     = errors.New("exchanging the code")
	errStore   = errors.New("storing the grant")
)

// failure names what failed, for the log line. Only code is Alexa's: a grantee token that
// is refused may be the customer's fault, or that of a wrong GRANTEE_AUDIENCE.
func failure(err error) string {
	switch {
	case errors.Is(err, lwa.ErrInvalidGrant):
		return "code"
	case errors.Is(err, errGrantee):
		return "grantee"
	case errors.Is(err, errLWA):
		return "lwa"
	case errors.Is(err, errStore):
		return "store"
	}
	return "internal"
}

// accept links the customer. An error is the reason why it could not.
func (f *Function) accept(ctx context.Context, header http.Header, directive alexa.AcceptGrant) error {
	region, err := f.region(header.Get(RegionHeader))
	if err != nil {
		return err
	}
	id := grant.ID(region, f.Skill, directive.Code.Reveal())
	logging.Add(ctx, slog.String(logging.Region, string(region)), slog.String(logging.GrantID, id))

	got, err := f.resolveAndExchange(ctx, directive)
	if err != nil {
		return fmt.Errorf("%w: %w", errGrantee, err)
	}
	key := grant.Key{Skill: f.Skill, UserID: got.userID}
	logging.Add(ctx, slog.String(logging.Customer, grant.CustomerHash(got.userID)))
	if errors.Is(got.exchangeErr, lwa.ErrInvalidGrant) && f.linkedBefore(ctx, key, id) {
		logging.Add(ctx, slog.Bool("duplicate", true))
		return nil
	}
	if got.exchangeErr != nil {
		return fmt.Errorf("%w: %w", errLWA, got.exchangeErr)
	}
	if got.token.RefreshToken.Empty() {
		// The link would break within the hour, without a trace of the cause.
		return fmt.Errorf("%w: the answer has no refresh token", errLWA)
	}
	return f.link(ctx, key, id, region, got)
}

// region returns the region that the grant belongs to.
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

// answers are the answers of the identity provider and Login with Amazon to one
// directive.
type answers struct {
	userID      string    // the customer
	token       lwa.Token // for the code
	account     string    // hash of the Amazon account; empty if LWA does not tell
	exchangeErr error     // why there is no token
}

// resolveAndExchange resolves the customer and exchanges the code in parallel, in the
// time that is not reserved for storing. A failed exchange is part of the answers,
// because its meaning depends on the customer.
func (f *Function) resolveAndExchange(ctx context.Context, directive alexa.AcceptGrant) (answers, error) {
	ctx, cancel := wait.Less(ctx, storeTime)
	defer cancel()
	var got answers
	var both errgroup.Group
	both.Go(func() error {
		return flight.Guard(func() (err error) {
			got.userID, err = f.Grantees.Resolve(ctx, directive.GranteeToken)
			return err
		})
	})
	both.Go(func() error {
		return flight.Guard(func() error {
			began := f.Now()
			got.token, got.exchangeErr = f.LWA.Exchange(ctx, directive.Code)
			logging.Add(ctx, slog.Int64(logging.LWAMS, f.Now().Sub(began).Milliseconds()))
			if got.exchangeErr == nil {
				got.account = f.accountHash(ctx, got.token)
			}
			return nil
		})
	})
	err := both.Wait()
	return got, err
}

// accountHash returns the hash of the Amazon account that the tokens are for. It is
// optional: if the lookup fails, the hash is empty.
func (f *Function) accountHash(ctx context.Context, token lwa.Token) string {
	account, err := f.LWA.Account(ctx, f.TokenInfoURL, token.AccessToken)
	if err != nil {
		logging.Add(ctx, slog.String("account_error", err.Error()))
		return ""
	}
	return grant.AmazonUserHash(account)
}

// link stores the grant, and retries until the deadline, because the code cannot be
// exchanged again. Then it announces the link to the maker's cloud. A failed
// announcement does not refuse the grant: the message stays in the record, and the
// sweep publishes it.
func (f *Function) link(ctx context.Context, key grant.Key, id string, region alexa.Region, got answers) error {
	tokens, err := access.Seal(f.Sealer, key, id, got.token, f.Now())
	if err != nil {
		return err
	}
	record, err := grant.Persist(ctx, f.Store, grant.Record{Skill: key.Skill, UserID: key.UserID}, func(r *grant.Record) error {
		r.Link(id, region, got.account, tokens, f.Now())
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	if err := f.Announce.Announce(ctx, record); err != nil {
		logging.Raise(ctx, slog.LevelWarn)
		logging.Add(ctx, slog.String(logging.AnnounceError, err.Error()))
	}
	return nil
}

// linkedBefore reports whether an earlier delivery of the same directive has
// exchanged the code that Login with Amazon refuses. It waits for one in flight, for
// duplicateTime.
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

// answerSpace is the UUID name space of the answers' message ids.
var answerSpace = uuid.MustParse("0b2cf2f5-7c1c-4b8e-8f3f-3f1b7a0d9e55")

// answerID returns the message id of the answer to a directive. It is derived from
// the directive's id, so that a repeated directive gets the same answer.
func answerID(directive alexa.AcceptGrant) string {
	return uuid.NewHash(sha256.New(), answerSpace, []byte(directive.MessageID), 8).String()
}
