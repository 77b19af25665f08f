package simulator

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// maxFormBytes is far more than a form needs: a code or a token has at most 2048 bytes.
const maxFormBytes = 64 << 10

// tokenCall is a decoded request to the token endpoint.
type tokenCall struct {
	target Target
	form   url.Values
	client Client
	holder *holder // of the code or refresh token, nil if unknown
	broken *answer // the answer if the request cannot be decoded
}

// serveToken serves POST /auth/o2/token: see
// https://developer.amazon.com/docs/login-with-amazon/authorization-code-grant.html.
func (s *Simulator) serveToken(w http.ResponseWriter, r *http.Request) {
	call := s.readTokenCall(r)
	seen := Request{Time: s.options.Now(), Target: call.target, Client: call.client.ID, Body: shownForm(call.form)}
	if call.holder != nil {
		seen.Region, seen.User = call.holder.region, call.holder.user
	}
	s.handle(w, r, seen, func(fault Fault) answer {
		if refusal := s.judgeTokenCall(call); refusal != nil {
			return *refusal
		}
		return s.issueTokens(call, fault)
	})
}

// readTokenCall decodes a token request.
func (s *Simulator) readTokenCall(r *http.Request) tokenCall {
	call := tokenCall{target: neither}
	call.form, call.broken = readForm(r)
	switch call.form.Get("grant_type") {
	case "authorization_code":
		call.target = Exchange
		call.holder = s.ledger.holderOfCode(call.form.Get("code"))
	case "refresh_token":
		call.target = Refresh
		call.holder = s.ledger.holderOf(refreshPrefix, call.form.Get("refresh_token"))
	}
	if call.broken == nil {
		call.client, call.broken = readClient(r, call.form)
	}
	return call
}

// readForm decodes the form of a token request. A query string, or a body of another
// type, does not reach Amazon's parser: the answer is 500 with an empty object, without
// a reason.
func readForm(r *http.Request) (url.Values, *answer) {
	body, whole := readBody(r, maxFormBytes)
	if r.URL.RawQuery != "" || mediaType(r) != "application/x-www-form-urlencoded" {
		return nil, &answer{
			status: http.StatusInternalServerError, body: "{}", contentType: "application/json",
			errorType: "InternalFailure", reason: "the parameters must be in the body, as a form, and only there",
		}
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !whole {
		return nil, invalidRequest("The request is malformed", "the form cannot be read")
	}
	for _, values := range form {
		if len(values) > 1 {
			return form, invalidRequest("The request repeats a parameter", "RFC 6749, 3.2: no parameter twice")
		}
	}
	return form, nil
}

// readClient returns the client's credentials, which are in the form or in an
// Authorization header, but not in both.
func readClient(r *http.Request, form url.Values) (Client, *answer) {
	if r.Header.Get("Authorization") == "" {
		return Client{form.Get("client_id"), sensitive.New(form.Get("client_secret"))}, nil
	}
	id, secret, ok := r.BasicAuth()
	switch {
	case !ok:
		return Client{}, new(refuse(neither, LWAInvalidClient, known[LWAInvalidClient].description, "the Authorization header is not Basic"))
	case form.Has("client_secret"):
		return Client{ID: id}, invalidRequest("The request has more than one client authentication", "RFC 6749, 2.3: form or header, not both")
	}
	return Client{id, sensitive.New(secret)}, nil
}

// judgeTokenCall returns the refusal of a request that Login with Amazon refuses before
// it checks the code or token.
func (s *Simulator) judgeTokenCall(call tokenCall) *answer {
	grantType := call.form.Get("grant_type")
	switch {
	case call.broken != nil:
		return call.broken
	case grantType == "":
		return missingParameter("grant_type")
	case call.client.ID == "":
		return missingParameter("client_id")
	case call.client.Secret.Empty():
		return missingParameter("client_secret")
	case !slices.ContainsFunc(s.options.Clients, call.client.equal):
		return new(refuse(neither, LWAInvalidClient, known[LWAInvalidClient].description, "unknown client, or wrong secret"))
	case call.target == neither:
		return new(refuse(neither, LWAUnsupportedGrantType, known[LWAUnsupportedGrantType].description, ""))
	case call.target == Exchange && call.form.Get("code") == "":
		return missingParameter("code")
	case call.target == Refresh && call.form.Get("refresh_token") == "":
		return missingParameter("refresh_token")
	case call.form.Has("redirect_uri"):
		return invalidRequest("The request has an invalid parameter : redirect_uri", "a code of AcceptGrant has no redirect_uri")
	}
	return nil
}

func (c Client) equal(other Client) bool { return c.ID == other.ID && c.Secret.Equal(other.Secret) }

func invalidRequest(description, reason string) *answer {
	return new(refuse(neither, LWAInvalidRequest, description, reason))
}

func missingParameter(name string) *answer {
	return invalidRequest("The request is missing a required parameter : "+name, "")
}

// tokenAnswer is the body of a successful token request.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in,omitempty"`
}

// issueTokens returns the answer with the tokens for the code or the refresh token.
func (s *Simulator) issueTokens(call tokenCall, fault Fault) answer {
	issued, ok, rotatedAway := s.trade(call, fault)
	if !ok {
		a := refuse(call.target, LWAInvalidGrant, describe(call.target, LWAInvalidGrant), "unknown, used, expired, disabled or of another client")
		a.rotatedAway = rotatedAway
		return a
	}
	body := tokenAnswer{AccessToken: issued.access, RefreshToken: issued.refresh, TokenType: "bearer"}
	if fault.OmitRefreshToken {
		body.RefreshToken = ""
	}
	if !fault.OmitExpiresIn {
		body.ExpiresIn = int(s.options.TokenLifetime / time.Second)
	}
	return answer{
		status: http.StatusOK, body: marshal(body), contentType: "application/json;charset=UTF-8",
		accepted: true, rotatedAway: rotatedAway,
	}
}

// trade exchanges the code or the refresh token at the ledger.
func (s *Simulator) trade(call tokenCall, fault Fault) (issued tokens, ok, rotatedAway bool) {
	now := s.options.Now()
	if call.target == Exchange {
		issued, ok = s.ledger.exchange(call.form.Get("code"), call.client.ID, now)
		return issued, ok, false
	}
	if call.holder == nil {
		return tokens{}, false, false
	}
	return s.ledger.refresh(call.holder, call.client.ID, now, !s.options.KeepRefreshToken && !fault.OmitRefreshToken)
}

// shownForm returns a form for the record: the names of the fields, and the values of
// the two that are not secret. Unknown names are left out, since a body in another format
// may have become one long name.
func shownForm(form url.Values) string {
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		switch name {
		case "grant_type", "client_id":
			shown = append(shown, name+"="+form.Get(name))
		case "code", "refresh_token", "client_secret", "redirect_uri", "scope":
			shown = append(shown, name+"="+sensitive.Redacted)
		default:
			shown = append(shown, "[unknown field]")
		}
	}
	return strings.Join(shown, "&")
}

// serveTokenInfo serves GET /auth/o2/tokeninfo, which describes an access token: see
// https://developer.amazon.com/docs/login-with-amazon/verify-access-tokens.html.
func (s *Simulator) serveTokenInfo(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("access_token")
	h := s.ledger.holderOf(accessPrefix, token)
	seen := Request{Time: s.options.Now(), Target: TokenInfo}
	if h != nil {
		seen.Region, seen.User, seen.Client = h.region, h.user, h.client
	}
	s.handle(w, r, seen, func(Fault) answer {
		now := s.options.Now()
		switch {
		case token == "":
			return *missingParameter("access_token")
		case h == nil || s.ledger.standing(h, now) != valid:
			return refuse(TokenInfo, LWAInvalidToken, known[LWAInvalidToken].description, "unknown, expired or disabled")
		}
		return tokenInfo(h, now, s.options.TokenLifetime)
	})
}

// tokenInfo returns the answer for a valid token. Its exp counts seconds from now.
func tokenInfo(h *holder, now time.Time, lifetime time.Duration) answer {
	expires := time.UnixMilli(int64(h.claim.expires))
	return answer{status: http.StatusOK, contentType: "application/json", accepted: true, body: marshal(map[string]any{
		"iss": "https://www.amazon.com", "user_id": h.user, "aud": h.client,
		"app_id": strings.Replace(h.client, "application-oa2-client", "application", 1),
		"exp":    int(expires.Sub(now) / time.Second), "iat": expires.Add(-lifetime).Unix(),
	})}
}
