package grantee

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// introspection calls an introspection endpoint (RFC 7662).
type introspection struct {
	url         string
	audience    string
	credentials func(context.Context) (Credentials, error)
	client      *http.Client
	now         func() time.Time
}

func (i *introspection) vouch(ctx context.Context, token sensitive.String) (object, error) {
	const asked = string(kindIntrospection)
	req, err := i.request(ctx, token)
	if err != nil {
		return nil, err
	}
	status, body, err := ask(i.client, asked, req)
	switch {
	case err != nil:
		return nil, err
	// The token is in the form: these refuse the client, not the token.
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return nil, unavailable(asked, status, "the client credentials were refused", nil)
	case status != http.StatusOK:
		return nil, unavailable(asked, status, "unexpected answer", nil)
	}
	claims, ok := decode(body)
	if !ok {
		return nil, unavailable(asked, status, "the answer is not a JSON object", nil)
	}
	return claims, i.judge(claims)
}

func (i *introspection) request(ctx context.Context, token sensitive.String) (*http.Request, error) {
	credentials, err := i.credentials(ctx)
	if err != nil {
		// Not by unavailable, which would drop err: it is this program's own, and
		// names the fault.
		return nil, &Error{Kind: ErrUnavailable, Asked: "credentials", Reason: "cannot be read", Err: err}
	}
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, unavailable(string(kindIntrospection), 0, "the request cannot be made", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// RFC 6749, section 2.3.1: both are form-encoded before they are joined.
	req.SetBasicAuth(url.QueryEscape(credentials.ClientID), url.QueryEscape(credentials.ClientSecret.Reveal()))
	// The request is idempotent, so net/http may retry it if an idle connection is
	// dead, which is common after a function was frozen. An empty list tells
	// net/http, and is not sent.
	req.Header["Idempotency-Key"] = nil
	return req, nil
}

// judge returns an error unless the endpoint vouches for the token. The endpoint has
// checked the times, so an unreadable time is no reason to refuse. A token that has
// expired by its own claims is still refused.
func (i *introspection) judge(claims object) error {
	const asked = string(kindIntrospection)
	switch string(claims["active"]) {
	case "true":
	case "false":
		return rejected(asked, http.StatusOK, "it is not active")
	default:
		return unavailable(asked, http.StatusOK, `the answer does not say whether the token is "active"`, nil)
	}
	if fault := claims.refusal(i.now(), i.audience); fault != "" {
		return rejected(asked, http.StatusOK, fault)
	}
	return nil
}

// userinfo calls a UserInfo endpoint (OpenID Connect Core 1.0, section 5.3).
type userinfo struct {
	url    string
	client *http.Client
}

func (u *userinfo) vouch(ctx context.Context, token sensitive.String) (object, error) {
	const asked = string(kindUserinfo)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, nil)
	if err != nil {
		return nil, unavailable(asked, 0, "the request cannot be made", err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Accept", "application/json")
	status, body, err := ask(u.client, asked, req)
	if err != nil {
		return nil, err
	}
	switch status {
	case http.StatusOK:
	// RFC 6750, section 3.1: invalid_token and insufficient_scope. A 400 is no
	// verdict: it may be about the request as well as about the token.
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, rejected(asked, status, "the identity provider refused it")
	default:
		return nil, unavailable(asked, status, "unexpected answer", nil)
	}
	claims, ok := decode(body)
	if !ok {
		return nil, unavailable(asked, status, "the answer is not a JSON object", nil)
	}
	return claims, nil
}
