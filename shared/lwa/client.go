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
	// ExchangeTimeout bounds one exchange. Alexa waits 8 s for AcceptGrant, and
	// the deadline of that function is shorter than this.
	ExchangeTimeout = 5 * time.Second
	// RefreshTimeout bounds one refresh. It is long: the refresh token in a late
	// answer may be the only one that is still valid.
	RefreshTimeout = 20 * time.Second
	// defaultLifetime is used when an answer has no expires_in.
	// https://developer.amazon.com/docs/login-with-amazon/access-token.html:
	// access tokens are valid for sixty minutes.
	defaultLifetime = time.Hour
)

// Token holds the tokens that LWA issues for a code or a refresh token.
type Token struct {
	AccessToken  sensitive.String
	RefreshToken sensitive.String // the one that was sent if LWA issued no new one
	ExpiresAt    time.Time
	ClientID     string // the client that LWA issued it to
}

// Client calls Login with Amazon. It is safe for concurrent use.
type Client struct {
	tokenURL string
	http     *http.Client
	ring     ring
	now      func() time.Time
}

// New returns a client for the token endpoint, by default
// https://api.amazon.com/auth/o2/token, which serves every Alexa region. The HTTP
// client must follow no redirects: see package transport. A call tries credentials in
// order as long as LWA refuses the client; there must be at least one.
func New(tokenURL *url.URL, client *http.Client, credentials []Credentials, now func() time.Time) *Client {
	client = &http.Client{Transport: lenient{client.Transport}, CheckRedirect: client.CheckRedirect, Timeout: client.Timeout}
	return &Client{tokenURL: tokenURL.String(), http: client, ring: ring{list: credentials}, now: now}
}

// ReloadFrom sets the function that loads new credentials, so that a secret is rotated
// without a deploy. It is called when LWA refuses all credentials in use, or a grant
// belongs to another client, at most once a minute; if the credentials have changed, a
// refused call is retried. Call ReloadFrom before the Client is used.
func (c *Client) ReloadFrom(load func(context.Context) ([]Credentials, error)) { c.ring.load = load }

// knowTime bounds the reload for an unknown client.
const knowTime = 2 * time.Second

// Knows reports whether clientID is among the credentials in use; it reloads them if
// not. A grant of another client cannot be refreshed, which proves nothing about the
// customer.
func (c *Client) Knows(clientID string) bool {
	used := c.ring.current()
	if len(ofClient(clientID)(used)) > 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), knowTime)
	defer cancel()
	return c.ring.reload(ctx, used, c.now()) && len(ofClient(clientID)(c.ring.current())) > 0
}

// choice returns those of the credentials in use that a call may present.
type choice func([]Credentials) []Credentials

func allClients(list []Credentials) []Credentials { return list }

// ofClient chooses the credentials of one client: several while its secret is rotated.
func ofClient(clientID string) choice {
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

// Exchange redeems the authorization code of an AcceptGrant. A code can be redeemed
// once and is valid for five minutes. A call that could not connect, or was answered
// with a 5xx, is retried once; a call that timed out is not, since it may have used up
// the code. Errors are an [Error].
func (c *Client) Exchange(ctx context.Context, code sensitive.String) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, ExchangeTimeout)
	defer cancel()
	exchange := func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.Exchange(ctx, code.Reveal())
	}
	token, err := c.call(ctx, "exchange", allClients, exchange)
	if retryable(err) && ctx.Err() == nil {
		token, err = c.call(ctx, "exchange", allClients, exchange)
	}
	return token, err
}

// Refresh exchanges a refresh token of the client clientID for new tokens. LWA may
// invalidate the old refresh token, so two refreshes of one grant must never run
// concurrently, and the answer must be saved before it is used. Refresh makes one
// attempt with each secret of that client until LWA accepts one, within RefreshTimeout
// in all. It tries no other client, for which LWA would refuse a valid token just like
// a revoked one. Errors are an [Error].
func (c *Client) Refresh(ctx context.Context, clientID string, refreshToken sensitive.String) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, RefreshTimeout)
	defer cancel()
	return c.call(ctx, "refresh", ofClient(clientID), func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken.Reveal()}).Token()
	})
}

type request func(context.Context, *oauth2.Config) (*oauth2.Token, error)

// call makes the request with the credentials in use. If LWA refuses them, it reloads
// them and retries with new ones.
func (c *Client) call(ctx context.Context, op string, with choice, do request) (Token, error) {
	used := c.ring.current()
	token, err := c.try(ctx, op, with(used), do)
	if errors.Is(err, ErrClientRefused) && c.ring.reload(ctx, used, c.now()) {
		token, err = c.try(ctx, op, with(c.ring.current()), do)
	}
	return token, err
}

// try makes the request with each of the credentials until LWA accepts the client.
func (c *Client) try(ctx context.Context, op string, with []Credentials, do request) (Token, error) {
	var token Token
	var err error = &Error{Op: op, kind: ErrClientRefused} // if there are no credentials
	for _, credentials := range with {
		token, err = c.tryOne(ctx, op, credentials, do)
		if !errors.Is(err, ErrClientRefused) {
			break
		}
	}
	return token, err
}

func (c *Client) tryOne(ctx context.Context, op string, credentials Credentials, do request) (Token, error) {
	config := &oauth2.Config{
		ClientID:     credentials.ClientID,
		ClientSecret: credentials.ClientSecret.Reveal(),
		// In the form, as in Amazon's samples. Without a style the oauth2 package
		// would try both with a code that works once.
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
		// Counted from before the call: LWA issued the token at some point after.
		ExpiresAt: started.Add(lifetime),
		ClientID:  credentials.ClientID,
	}, nil
}

// retryable reports whether a failed exchange may be retried: LWA answered with a 5xx,
// or never saw the code.
func retryable(err error) bool {
	var failed *Error
	if !errors.As(err, &failed) || !errors.Is(failed.kind, ErrUnavailable) {
		return false
	}
	return failed.Status >= 500 || isDial(failed.cause)
}
