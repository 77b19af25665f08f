package federation

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google/externalaccount"

	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
	"github.com/gatepostdev/gatepost/shared/wait"
)

const (
	// exchangeTime bounds getting one ID token, the retry included.
	exchangeTime = 3 * time.Second
	// retryPause is the pause before the retry after a transient fault.
	retryPause = 200 * time.Millisecond
	// accessSpare is the least remaining lifetime of a federated access token that
	// is used.
	accessSpare = time.Minute
	// maxBody is far larger than an answer of either service.
	maxBody = 64 << 10
)

// Config configures a Client.
type Config struct {
	// Provider is the workload identity provider of the AWS account:
	// //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/Q
	Provider string
	// ServiceAccount is the email address of the account that the ID tokens are issued
	// for. The AWS role needs roles/iam.serviceAccountOpenIdTokenCreator on it.
	ServiceAccount string
	AWSRegion      string
	// AWS holds the variables in which Lambda provides the role's credentials.
	AWS config.Env

	STSURL         *url.URL // https://sts.googleapis.com/v1/token
	CredentialsURL *url.URL // https://iamcredentials.googleapis.com
}

// Token is an ID token.
type Token struct {
	Text      sensitive.String
	ExpiresAt time.Time
}

// Client gets ID tokens. It caches the federated access token, with which another ID
// token takes one round trip. It is safe for concurrent use.
type Client struct {
	config      Config
	generateURL string
	http        *http.Client
	now         func() time.Time

	mu     sync.Mutex
	access Token
}

// New returns a Client. The HTTP client must follow no redirects, see package
// transport.
func New(config Config, client *http.Client, now func() time.Time) *Client {
	generate := config.CredentialsURL.JoinPath("v1", "projects", "-", "serviceAccounts", config.ServiceAccount+":generateIdToken")
	return &Client{config: config, generateURL: generate.String(), http: client, now: now}
}

// IDToken returns a new ID token for an audience, within three seconds. It retries once
// after a transient fault (no answer, 429, 5xx): a customer may be linking the skill,
// and would have to start over.
//
// It calls the IAM Credentials API itself, because the token sources of Google's
// libraries (cloud.google.com/go/auth/credentials/idtoken, and
// google.golang.org/api/idtoken on top of it) send that request without credentials if
// they are configured with an external account, and get 401:
// https://github.com/googleapis/google-cloud-go/issues/19939.
func (c *Client) IDToken(ctx context.Context, audience string) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	token, err := c.exchange(ctx, audience)
	if err == nil || !transient(err) || wait.For(ctx, retryPause) != nil {
		return token, err
	}
	return c.exchange(ctx, audience)
}

// exchange gets an ID token in one round trip if a federated token is cached, else in
// two.
func (c *Client) exchange(ctx context.Context, audience string) (Token, error) {
	access := c.cachedAccess()
	cached := !access.Empty()
	if !cached {
		var err error
		if access, err = c.federate(ctx); err != nil {
			return Token{}, fmt.Errorf("getting a federated token: %w", err)
		}
	}
	token, err := c.generate(ctx, access, audience)
	refused, ok := errors.AsType[*RefusedError](err)
	if ok && refused.Status == http.StatusUnauthorized {
		c.forget(access)
		if cached { // it may have been revoked: try a new one
			return c.exchange(ctx, audience)
		}
	}
	if err != nil {
		return Token{}, fmt.Errorf("getting an ID token: %w", err)
	}
	return token, nil
}

// cachedAccess returns the cached federated token, empty if it is about to expire.
func (c *Client) cachedAccess() sensitive.String {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.access.ExpiresAt.Sub(c.now()) < accessSpare {
		return sensitive.String{}
	}
	return c.access.Text
}

func (c *Client) forget(access sensitive.String) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.access.Text.Equal(access) {
		c.access = Token{}
	}
}

// federate exchanges the AWS role for a federated access token, and caches it.
func (c *Client) federate(ctx context.Context) (sensitive.String, error) {
	seen := &recorder{next: c.http.Transport}
	client := &http.Client{Transport: seen, CheckRedirect: c.http.CheckRedirect}
	source, err := externalaccount.NewTokenSource(context.WithValue(ctx, oauth2.HTTPClient, client), externalaccount.Config{
		Audience:                       c.config.Provider,
		SubjectTokenType:               "urn:ietf:params:aws:token-type:aws4_request",
		TokenURL:                       c.config.STSURL.String(),
		Scopes:                         []string{"https://www.googleapis.com/auth/cloud-platform"},
		AwsSecurityCredentialsSupplier: role{c.config.AWSRegion, c.config.AWS},
		// No ServiceAccountImpersonationURL: it would add a round trip for an
		// access token of the service account.
	})
	if err != nil {
		return sensitive.String{}, err // it names a missing field
	}
	started := c.now()
	token, err := source.Token()
	if err != nil {
		return sensitive.String{}, seen.cause(ctx, err)
	}
	access := sensitive.New(token.AccessToken)
	if access.Empty() {
		return sensitive.String{}, errNoToken
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Expiry is by time.Now, which the library uses, and not by c.now.
	c.access = Token{Text: access, ExpiresAt: started.Add(time.Until(token.Expiry))}
	return access, nil
}

// generate gets an ID token of the service account: see
// https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken.
func (c *Client) generate(ctx context.Context, access sensitive.String, audience string) (Token, error) {
	body, err := json.Marshal(map[string]any{"audience": audience, "includeEmail": true})
	if err != nil {
		return Token{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.generateURL, bytes.NewReader(body))
	if err != nil {
		return Token{}, err
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return Token{}, transport.Cause(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return Token{}, transport.Cause(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return Token{}, refused(resp.StatusCode, answer)
	}
	var got struct{ Token string }
	if err := json.Unmarshal(answer, &got); err != nil {
		return Token{}, transport.Cause(ctx, err)
	}
	return readIDToken(got.Token)
}

// readIDToken returns a token with its expiry. It does not verify the token: the called
// function does.
func readIDToken(text string) (Token, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Token{}, errNoToken
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Token{}, errNoToken
	}
	var claims struct{ Exp int64 }
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Exp <= 0 {
		return Token{}, errNoToken
	}
	return Token{Text: sensitive.New(text), ExpiresAt: time.Unix(claims.Exp, 0)}, nil
}
