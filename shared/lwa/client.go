package lwa

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const (
	// ExchangeTimeout bounds one exchange. AcceptGrant, for which Alexa waits 8 s,
	// has less.
	ExchangeTimeout = 5 * time.Second
	// RefreshTimeout bounds one refresh. It is long: the refresh token in an
	// answer that comes late may be the only one that is still good.
	RefreshTimeout = 20 * time.Second
	// defaultLifetime is assumed of an access token whose answer does not say.
	// https://developer.amazon.com/docs/login-with-amazon/access-token.html:
	// access tokens are valid for sixty minutes.
	defaultLifetime = time.Hour
)

// Token is what LWA gives for a code or a refresh token.
type Token struct {
	AccessToken  sensitive.String
	RefreshToken sensitive.String // the new one, or the one that was sent when LWA gave no new one
	ExpiresAt    time.Time
	ClientID     string // the client that LWA gave it to
}

// Client talks to Login with Amazon. It may be used by many goroutines at
// once.
type Client struct {
	tokenURL string
	http     *http.Client
	ring     ring
	now      func() time.Time
}

// New returns a client for the token endpoint, by default
// https://api.amazon.com/auth/o2/token, which serves every Alexa region. The
// HTTP client must follow no redirects, see package transport. credentials are
// tried in order as long as LWA refuses the client; there must be at least
// one to begin with.
func New(tokenURL *url.URL, client *http.Client, credentials []Credentials, now func() time.Time) *Client {
	client = &http.Client{Transport: lenient{client.Transport}, CheckRedirect: client.CheckRedirect, Timeout: client.Timeout}
	return &Client{tokenURL: tokenURL.String(), http: client, ring: ring{list: credentials}, now: now}
}

// ReloadFrom says where new credentials come from. They are looked for when LWA
// refuses all that are in use, or a grant is another client's, at most once a
// minute; and if there are others a refused call is made again: a secret is rotated without a deploy. Call it
// before the Client is used.
func (c *Client) ReloadFrom(load func(context.Context) ([]Credentials, error)) { c.ring.load = load }

// knowTime bounds the look for a client that is not known.
const knowTime = 2 * time.Second

// Knows reports whether clientID is among the credentials in use, or among new
// ones that it looks for if not. A grant of another client cannot be refreshed,
// which proves nothing about the customer.
func (c *Client) Knows(clientID string) bool {
	used := c.ring.current()
	if len(of(clientID)(used)) > 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), knowTime)
	defer cancel()
	return c.ring.reload(ctx, used, c.now()) && len(of(clientID)(c.ring.current())) > 0
}

// choice is which of the credentials in use a call may show.
type choice func([]Credentials) []Credentials

func every(list []Credentials) []Credentials { return list }

// of chooses the credentials of a client: several while its secret is rotated.
func of(clientID string) choice {
	return func(list []Credentials) []Credentials {
		var chosen []Credentials
		for _, credentials := range list {
			if credentials.ClientID == clientID {
				chosen = append(chosen, credentials)
			}
		}
		return chosen
	}
}

// Exchange redeems the authorization code of an AcceptGrant. A code can be
// redeemed once and lives five minutes. A call that found no connection, or
// met a failure of LWA, is made a second time; one that ran out of time is
// not, since the code may be used up by then. Errors are an [Error].
func (c *Client) Exchange(ctx context.Context, code sensitive.String) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, ExchangeTimeout)
	defer cancel()
	exchange := func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.Exchange(ctx, code.Reveal())
	}
	token, err := c.call(ctx, "exchange", every, exchange)
	if mayRepeat(err) && ctx.Err() == nil {
		token, err = c.call(ctx, "exchange", every, exchange)
	}
	return token, err
}

// Refresh trades a refresh token of the client clientID for new tokens. LWA may
// end the old refresh token with it, so two refreshes of one grant must never
// run at once, and the answer must be saved before it is used. It makes one
// attempt with each secret of that client until LWA accepts one, in
// RefreshTimeout altogether; shown to another client, a good token would be
// refused like a dead one. Errors are an [Error].
func (c *Client) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, RefreshTimeout)
	defer cancel()
	return c.call(ctx, "refresh", of(clientID), func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken.Reveal()}).Token()
	})
}

type request func(context.Context, *oauth2.Config) (*oauth2.Token, error)

// call makes the request with the credentials in use, and with new ones if LWA
// refuses them and there are any.
func (c *Client) call(ctx context.Context, op string, with choice, do request) (Token, error) {
	used := c.ring.current()
	token, err := c.try(ctx, op, with(used), do)
	if errors.Is(err, ErrClientRefused) && c.ring.reload(ctx, used, c.now()) {
		token, err = c.try(ctx, op, with(c.ring.current()), do)
	}
	return token, err
}

// try makes the request with one credential after the other until LWA accepts
// the client.
func (c *Client) try(ctx context.Context, op string, with []Credentials, do request) (Token, error) {
	var token Token
	var err error = &Error{Op: op, kind: ErrClientRefused} // of no credentials, none is accepted
	for _, credentials := range with {
		token, err = c.once(ctx, op, credentials, do)
		if !errors.Is(err, ErrClientRefused) {
			break
		}
	}
	return token, err
}

func (c *Client) once(ctx context.Context, op string, credentials Credentials, do request) (Token, error) {
	config := &oauth2.Config{
		ClientID:     credentials.ClientID,
		ClientSecret: credentials.ClientSecret.Reveal(),
		// In the form, as Amazon's own samples do; naming the style keeps the
		// oauth2 package from trying both with a code that works once.
		Endpoint: oauth2.Endpoint{TokenURL: c.tokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
	started := c.now()
	token, err := do(context.WithValue(ctx, oauth2.HTTPClient, c.http), config)
	if err != nil {
		return Token{}, newError(ctx, op, err)
	}
	lifetime := time.Duration(token.ExpiresIn) * time.Second
	if lifetime <= 0 {
		lifetime = defaultLifetime
	}
	return Token{
		AccessToken:  sensitive.New(token.AccessToken),
		RefreshToken: sensitive.New(token.RefreshToken),
		// From before the call: the token's life began somewhere in between.
		ExpiresAt: started.Add(lifetime),
		ClientID:  credentials.ClientID,
	}, nil
}

// mayRepeat reports whether a failed exchange surely left the code unused, or
// was LWA's own failure.
func mayRepeat(err error) bool {
	var failed *Error
	if !errors.As(err, &failed) || !errors.Is(failed.kind, ErrUnavailable) {
		return false
	}
	return failed.Status >= 500 || isDial(failed.cause)
}
