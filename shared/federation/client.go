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
	// exchangeTime bounds all that it takes to get one ID token.
	exchangeTime = 3 * time.Second
	// retryPause is how long a service is left alone after a passing fault.
	retryPause = 200 * time.Millisecond
	// accessSpare is what a federated access token must have left to be used.
	accessSpare = time.Minute
	// maxBody is far more than either service answers.
	maxBody = 64 << 10
)

// Config says who asks whom for what.
type Config struct {
	// Provider is the workload identity provider that knows the AWS account:
	// //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/Q
	Provider string
	// ServiceAccount is the email address of the account whose ID tokens are
	// asked for. The AWS role needs roles/iam.serviceAccountOpenIdTokenCreator
	// on it.
	ServiceAccount string
	AWSRegion      string
	// AWS has the role's credentials, in the variables in which Lambda gives them.
	AWS config.Env

	STSURL         *url.URL // https://sts.googleapis.com/v1/token
	CredentialsURL *url.URL // https://iamcredentials.googleapis.com
}

// Token is an ID token.
type Token struct {
	Text      sensitive.String
	ExpiresAt time.Time
}

// Client asks for ID tokens. It keeps the federated access token, with which
// the token for another audience takes one round trip. It may be used by many
// goroutines at once.
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

// IDToken gets a new ID token for an audience, within three seconds. After a
// fault that may pass (no answer, 429, 5xx) it tries once more: a customer may
// be linking the skill, and would have to begin again.
//
// It asks the IAM Credentials API itself, because the ready-made sources of ID
// tokens (cloud.google.com/go/auth/credentials/idtoken, and
// google.golang.org/api/idtoken on top of it) send that request without
// credentials when they are configured with an external account, and get 401:
// https://github.com/googleapis/google-cloud-go/issues/19939.
func (c *Client) IDToken(ctx context.Context, audience string) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	token, err := c.exchange(ctx, audience)
	if err == nil || !passing(err) || wait.For(ctx, retryPause) != nil {
		return token, err
	}
	return c.exchange(ctx, audience)
}

// exchange takes the round trips to an ID token that are needed: one if a
// federated token is kept, else two.
func (c *Client) exchange(ctx context.Context, audience string) (Token, error) {
	access := c.keptAccess()
	kept := !access.Empty()
	if !kept {
		var err error
		if access, err = c.federate(ctx); err != nil {
			return Token{}, fmt.Errorf("getting a federated token: %w", err)
		}
	}
	token, err := c.generate(ctx, access, audience)
	refused, ok := errors.AsType[*RefusedError](err)
	if ok && refused.Status == http.StatusUnauthorized {
		c.forget(access)
		if kept { // it may have been revoked; a new one will tell
			return c.exchange(ctx, audience)
		}
	}
	if err != nil {
		return Token{}, fmt.Errorf("getting an ID token: %w", err)
	}
	return token, nil
}

// keptAccess is the federated token that an earlier call got, empty if that
// is about to expire.
func (c *Client) keptAccess() sensitive.String {
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

// federate trades the AWS role for a federated access token, and keeps it.
func (c *Client) federate(ctx context.Context) (sensitive.String, error) {
	seen := &witness{next: c.http.Transport}
	client := &http.Client{Transport: seen, CheckRedirect: c.http.CheckRedirect}
	source, err := externalaccount.NewTokenSource(context.WithValue(ctx, oauth2.HTTPClient, client), externalaccount.Config{
		Audience:                       c.config.Provider,
		SubjectTokenType:               "urn:ietf:params:aws:token-type:aws4_request",
		TokenURL:                       c.config.STSURL.String(),
		Scopes:                         []string{"https://www.googleapis.com/auth/cloud-platform"},
		AwsSecurityCredentialsSupplier: role{c.config.AWSRegion, c.config.AWS},
		// No ServiceAccountImpersonationURL: it would make an access token of
		// the service account on the way, a third round trip.
	})
	if err != nil {
		return sensitive.String{}, err // names a missing field
	}
	started := c.now()
	token, err := source.Token()
	if err != nil {
		return sensitive.String{}, seen.why(ctx, err)
	}
	access := sensitive.New(token.AccessToken)
	if access.Empty() {
		return sensitive.String{}, errNoToken
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The library counts by its own clock.
	c.access = Token{Text: access, ExpiresAt: started.Add(time.Until(token.Expiry))}
	return access, nil
}

// generate makes an ID token of the service account, see
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

// readIDToken finds out when a token expires. Whether it is genuine is for the
// function to judge that it is shown to.
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
