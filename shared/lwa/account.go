package lwa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

const (
	// AccountTimeout bounds one tokeninfo call. It is short: AcceptGrant can do
	// without the account, and has five seconds in all.
	AccountTimeout = time.Second
	maxAccount     = 64 << 10
)

// Account returns the id of the Amazon account that an access token belongs to, from
// LWA's tokeninfo
// (https://developer.amazon.com/docs/login-with-amazon/obtain-customer-profile.html).
// It is not documented that tokeninfo accepts tokens of AcceptGrant, so callers must
// work without the id. Errors quote neither the answer nor the request, whose URL
// carries the token.
func (c *Client) Account(ctx context.Context, tokenInfoURL *url.URL, accessToken sensitive.String) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, AccountTimeout)
	defer cancel()
	target := *tokenInfoURL
	target.RawQuery = url.Values{"access_token": {accessToken.Reveal()}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return "", errors.New("login with amazon: tokeninfo: the request could not be made")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("login with amazon: tokeninfo: %w", transport.Cause(ctx, err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAccount))
	if err != nil {
		return "", fmt.Errorf("login with amazon: tokeninfo: %w", transport.Cause(ctx, err))
	}
	var info struct {
		UserID string `json:"user_id"`
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &info) != nil || info.UserID == "" {
		return "", fmt.Errorf("login with amazon: tokeninfo: status %d and no user_id", resp.StatusCode)
	}
	return info.UserID, nil
}
