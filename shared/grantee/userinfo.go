package grantee

import (
	"context"
	"net/http"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// userinfo asks a UserInfo endpoint (OpenID Connect Core 1.0, section 5.3).
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
	// RFC 6750, section 3.1: invalid_token and insufficient_scope. A 400 may be
	// about us as well as about the token, and so is no verdict.
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, rejected(asked, status, "the identity provider refused it")
	default:
		return nil, unavailable(asked, status, "unexpected answer", nil)
	}
	claims, ok := decode(body)
	if !ok {
		return nil, unavailable(asked, status, "the answer is no JSON object", nil)
	}
	return claims, nil
}
