package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatepostdev/gatepost/shared/wait"
	"github.com/google/uuid"
)

// answer is a response. Handlers return one instead of writing it, so that it can be
// recorded before it is sent, and a fault can affect its sending.
type answer struct {
	status      int
	body        string
	contentType string
	errorType   string // header x-amzn-errortype
	code        string // the error code in the body, for the record
	reason      string // the simulator's own reason, for the record
	accepted    bool   // the request succeeded
	rotatedAway bool   // the refresh token was rotated before
}

// amazonError returns an error in the target's format: the System.Exception message of
// the gateways, or the OAuth error of Login with Amazon.
func amazonError(target Target, status int, code, description string) answer {
	var shape any
	if target.isGateway() {
		shape = map[string]any{
			"header":  map[string]string{"namespace": "System", "name": "Exception", "messageId": uuid.NewString()},
			"payload": map[string]string{"code": code, "description": description},
		}
	} else {
		shape = map[string]string{
			"error_description": description, "error": code,
			"error_index": "fake", "request_id": uuid.NewString(),
		}
	}
	return answer{status: status, body: marshal(shape), contentType: "application/json", code: code}
}

// refuse returns the answer to a request that the simulator refuses.
func refuse(target Target, code, description, reason string) answer {
	a := amazonError(target, known[code].status, code, description)
	a.reason = reason
	return a
}

// marshal encodes a value that always encodes.
func marshal(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

// handle applies the request's fault, processes and records the request, and answers it.
// It records before it answers, so that a test finds the request in the record once it
// has the answer.
func (s *Simulator) handle(w http.ResponseWriter, r *http.Request, seen Request, work func(Fault) answer) {
	fault, scripted := s.script.take(seen)
	seen.Scripted = scripted
	took := func() float64 { return float64(s.options.Now().Sub(seen.Time).Microseconds()) / 1000 }
	if !fault.AnswerLost && !pause(r.Context(), fault.Delay) {
		seen.Took = took()
		s.journal.add(seen)
		panic(http.ErrAbortHandler) // the client has gone
	}
	var a answer
	switch {
	case fault.Reset:
	case fault.replaces():
		a = fault.answer(seen.Target)
	default:
		a = work(fault)
	}
	if !fault.silent() {
		seen.Status, seen.RetryAfter = a.status, retryAfter(fault)
	}
	if seen.Target.isGateway() {
		seen.Answer = a.body
	}
	seen.Took = took()
	seen.Code, seen.Reason, seen.Accepted, seen.RotatedAway = a.code, a.reason, a.accepted, a.rotatedAway
	s.journal.add(seen)
	if fault.AnswerLost {
		pause(r.Context(), fault.Delay)
	}
	send(w, a, fault)
}

func retryAfter(fault Fault) int { return int(math.Ceil(fault.RetryAfter.Seconds())) }

// pause waits, and reports whether the client is still connected.
func pause(ctx context.Context, d time.Duration) bool {
	return d <= 0 || wait.For(ctx, d) == nil
}

// send writes the answer with the fault applied. It aborts the handler to have net/http
// close the connection before the answer is complete.
func send(w http.ResponseWriter, a answer, fault Fault) {
	if fault.silent() {
		panic(http.ErrAbortHandler)
	}
	header := w.Header()
	header.Set("X-Amzn-Requestid", uuid.NewString())
	if a.contentType != "" {
		header.Set("Content-Type", a.contentType)
	}
	if a.errorType != "" {
		header.Set("X-Amzn-Errortype", a.errorType)
	}
	if fault.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(retryAfter(fault)))
	}
	if fault.CutBody {
		header.Set("Content-Length", strconv.Itoa(max(len(a.body), 1)))
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush() // otherwise the half would stay in the buffer
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// readBody reads at most limit bytes, and reports whether that is the whole body.
func readBody(r *http.Request, limit int64) (body []byte, whole bool) {
	var buffer bytes.Buffer
	if r.ContentLength > 0 {
		buffer.Grow(int(min(r.ContentLength, limit)) + bytes.MinRead)
	}
	n, err := buffer.ReadFrom(io.LimitReader(r.Body, limit+1))
	if n > limit {
		return buffer.Bytes()[:limit], false
	}
	return buffer.Bytes(), err == nil
}

// mediaType returns the Content-Type without its parameters.
func mediaType(r *http.Request) string {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

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

// known maps each code to Amazon's status and description. If Amazon's description has
// not been seen, the text only explains the code.
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

// refreshRefused is the description of invalid_grant for a refresh token instead of a
// code.
const refreshRefused = "The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission."

// describe returns the description for a code.
func describe(target Target, code string) string {
	if target == Refresh && code == LWAInvalidGrant {
		return refreshRefused
	}
	return known[code].description
}
