package simulator

import "net/http"

// Codes of the event gateway, for [Fault].
const (
	InvalidRequest         = "INVALID_REQUEST_EXCEPTION"          // 400
	InvalidAccessToken     = "INVALID_ACCESS_TOKEN_EXCEPTION"     // 401
	SkillDisabled          = "SKILL_DISABLED_EXCEPTION"           // 403
	SkillNeverEnabled      = "SKILL_NEVER_ENABLED_EXCEPTION"      // 403
	InsufficientPermission = "INSUFFICIENT_PERMISSION_EXCEPTION"  // 403
	AccountNotFound        = "ACCOUNT_NOT_FOUND_EXCEPTION"        // 404, by the order of Amazon's table
	SkillNotFound          = "SKILL_NOT_FOUND_EXCEPTION"          // 404, by the order of Amazon's table
	TooLarge               = "REQUEST_ENTITY_TOO_LARGE_EXCEPTION" // 413
	Throttling             = "THROTTLING_EXCEPTION"               // 429
	InternalService        = "INTERNAL_SERVICE_EXCEPTION"         // 500
	ServiceUnavailable     = "SERVICE_UNAVAILABLE_EXCEPTION"      // 503
)

// Codes of Login with Amazon, for [Fault].
const (
	LWAInvalidGrant         = "invalid_grant"          // 400
	LWAInvalidRequest       = "invalid_request"        // 400
	LWAInvalidToken         = "invalid_token"          // 400, from tokeninfo
	LWAUnauthorizedClient   = "unauthorized_client"    // 400
	LWAUnsupportedGrantType = "unsupported_grant_type" // 400
	LWAInvalidClient        = "invalid_client"         // 401
)

// known is how Amazon answers with each code: the status, and the description
// where one has been seen. Where none has, the text only says what is meant.
var known = map[string]struct {
	status      int
	description string
}{
	InvalidRequest:         {http.StatusBadRequest, "The request was malformed."},
	InvalidAccessToken:     {http.StatusUnauthorized, "Access token is not valid."},
	SkillDisabled:          {http.StatusForbidden, "The user does not have a valid enablement for your skill."},
	SkillNeverEnabled:      {http.StatusForbidden, "The user has never enabled the skill."},
	InsufficientPermission: {http.StatusForbidden, "The token lacks a required permission."},
	AccountNotFound:        {http.StatusNotFound, "The account was not found."},
	SkillNotFound:          {http.StatusNotFound, "The skill was not found."},
	TooLarge:               {http.StatusRequestEntityTooLarge, "The request is too large."},
	Throttling:             {http.StatusTooManyRequests, "Request could not be processed due to throttling."},
	InternalService:        {http.StatusInternalServerError, "An internal error occurred."},
	ServiceUnavailable:     {http.StatusServiceUnavailable, "The service is unavailable."},

	LWAInvalidGrant:         {http.StatusBadRequest, "The request has an invalid grant parameter : code"},
	LWAInvalidRequest:       {http.StatusBadRequest, "The request is missing a required parameter or otherwise malformed"},
	LWAInvalidToken:         {http.StatusBadRequest, "The request has an invalid parameter : access_token"},
	LWAUnauthorizedClient:   {http.StatusBadRequest, "The client is not authorized to request an access token using this method"},
	LWAUnsupportedGrantType: {http.StatusBadRequest, "The authorization grant type is not supported by the authorization server"},
	LWAInvalidClient:        {http.StatusUnauthorized, "Client authentication failed"},
}

// refreshRefused is the description of invalid_grant when it was a refresh
// token that was refused, and not a code.
const refreshRefused = "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission."

// describe is the description that goes with a code.
func describe(target Target, code string) string {
	if target == Refresh && code == LWAInvalidGrant {
		return refreshRefused
	}
	return known[code].description
}
