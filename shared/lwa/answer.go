package lwa

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxAnswer is how much of an answer is read. Amazon's are a few KiB.
	maxAnswer = 1 << 20
	// defaultLifetime is assumed of an access token whose answer does not say.
	// https://developer.amazon.com/docs/login-with-amazon/access-token.html:
	// access tokens are valid for sixty minutes.
	defaultLifetime = time.Hour
)

// answer is an answer of the token endpoint. It is JSON whatever its Content-Type
// says, and a member of another type than it should have is absent: tokens are
// given once, and a form that nobody expects is no reason to lose them.
type answer struct {
	status int
	header http.Header

	AccessToken  string          `json:"access_token"`
	RefreshToken string          `json:"refresh_token"`
	ExpiresIn    json.RawMessage `json:"expires_in"`
	Error        any             `json:"error"`
}

// post sends a form, and reads the whole answer. An error means that there is
// none.
func (c *Client) post(ctx context.Context, form url.Values) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	a := &answer{status: resp.StatusCode, header: resp.Header}
	_ = json.Unmarshal(body, a)
	return a, nil
}

// refuses reports whether the answer names an error, which it may do with any
// status, and beside tokens.
func (a *answer) refuses() bool { return a.Error != nil && a.Error != "" }

// lifetime is how long the access token is good: a number of seconds, as it
// should be, with a fraction, or as text.
func (a *answer) lifetime() time.Duration {
	var number json.Number
	_ = json.Unmarshal(a.ExpiresIn, &number)
	seconds, err := number.Float64()
	if err != nil || seconds < 1 {
		return defaultLifetime
	}
	return time.Duration(min(seconds, math.MaxInt32)) * time.Second
}
