package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// The kinds of refusal. Match them with errors.Is.
var (
	// ErrInvalidRequest: the event is malformed. The same event will never be
	// accepted.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrInvalidAccessToken: the access token is invalid, expired, or belongs
	// to a customer who has disabled the skill.
	ErrInvalidAccessToken = errors.New("invalid access token")
	// ErrForbidden: 403 without a known code, for example a proxy's page.
	ErrForbidden = errors.New("forbidden")
	// ErrSkillDisabled: the customer has disabled the skill, or this is not
	// the gateway of the token's region.
	ErrSkillDisabled = errors.New("skill disabled")
	// ErrSkillNeverEnabled: as ErrSkillDisabled, and also seen in the first
	// minutes after linking.
	ErrSkillNeverEnabled = errors.New("skill never enabled")
	// ErrInsufficientPermission: the skill may not send events. The cause is the
	// skill's configuration, not the customer.
	ErrInsufficientPermission = errors.New("insufficient permission")
	// ErrSkillNotFound: no skill for this token, typically a token of another
	// stage of the skill (development, live).
	ErrSkillNotFound = errors.New("skill not found")
	// ErrAccountNotFound: the account or the directive that the event refers
	// to is unknown, or was removed.
	ErrAccountNotFound = errors.New("account not found")
	// ErrTooLarge: the event is too large, or reports over 300 endpoints.
	ErrTooLarge = errors.New("too large")
	// ErrThrottled: too many requests.
	ErrThrottled = errors.New("throttled")
	// ErrInternal: Alexa failed; the event was not processed.
	ErrInternal = errors.New("internal service error")
	// ErrUnavailable: no answer (network, timeout), 503, or any other answer.
	ErrUnavailable = errors.New("unavailable")
)

// kinds maps payload.code, without its suffix _EXCEPTION, to a kind.
var kinds = map[string]error{
	"INVALID_REQUEST":          ErrInvalidRequest,
	"INVALID_ACCESS_TOKEN":     ErrInvalidAccessToken,
	"SKILL_DISABLED":           ErrSkillDisabled,
	"SKILL_NEVER_ENABLED":      ErrSkillNeverEnabled,
	"INSUFFICIENT_PERMISSION":  ErrInsufficientPermission,
	"SKILL_NOT_FOUND":          ErrSkillNotFound,
	"ACCOUNT_NOT_FOUND":        ErrAccountNotFound,
	"REQUEST_ENTITY_TOO_LARGE": ErrTooLarge,
	"THROTTLING":               ErrThrottled,
	"INTERNAL_SERVICE":         ErrInternal,
	"SERVICE_UNAVAILABLE":      ErrUnavailable,
}

// Error is a refusal, or a call without an answer. It unwraps to its kind and, if there
// was no answer, to the cause.
type Error struct {
	Region      alexa.Region
	Status      int           // HTTP status, 0 without an answer
	Code        string        // payload.code, shortened, without line breaks and token; empty if absent
	Description string        // payload.description, shortened in the same way
	RequestID   string        // Amazon's id of the request
	RetryAfter  time.Duration // the answer's Retry-After, 0 without one

	kind       error
	cause      error
	unanswered bool
}

// Unanswered reports whether some of the event was sent and no answer came, here or to
// a proxy that answers 504: the gateway may have accepted the event.
func (e *Error) Unanswered() bool { return e.unanswered || e.Status == http.StatusGatewayTimeout }

// Error names region, kind, status, code and Amazon's request id.
func (e *Error) Error() string {
	text := fmt.Sprintf("gateway %s: %v", e.Region, e.kind)
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d, code %q, request %q)", e.Status, e.Code, e.RequestID)
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the kind, and the cause if there is one.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

func newError(region alexa.Region, resp *http.Response, answer []byte, token sensitive.String) *Error {
	e := &Error{
		Region:     region,
		Status:     resp.StatusCode,
		RequestID:  redact(requestID(resp.Header), token),
		RetryAfter: transport.RetryAfter(resp.Header),
	}
	var body struct {
		Payload struct {
			Code        string `json:"code"`
			Description string `json:"description"`
		} `json:"payload"`
	}
	// An answer that is not Amazon's JSON leaves both empty; a member of the wrong
	// type leaves only itself empty.
	_ = json.Unmarshal(answer, &body)
	e.Code = printable(redact(body.Payload.Code, token), 128)
	e.Description = printable(redact(body.Payload.Description, token), 512)
	e.kind = kindOf(e.Status, body.Payload.Code, body.Payload.Description)
	return e
}

// kindOf returns the kind for a code, and for the status if the code is unknown.
func kindOf(status int, code, description string) error {
	kind, known := kinds[strings.TrimSuffix(code, "_EXCEPTION")]
	if !known {
		kind = kindOfStatus(status)
	}
	if errors.Is(kind, ErrInternal) && strings.Contains(description, "SkillIdentifier") {
		// Makers have seen this instead of SKILL_DISABLED: an internal error whose
		// text says that the skill's enablement could not be looked up.
		return ErrSkillDisabled
	}
	return kind
}

func kindOfStatus(status int) error {
	switch status {
	case http.StatusBadRequest:
		return ErrInvalidRequest
	case http.StatusUnauthorized:
		return ErrInvalidAccessToken
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	case http.StatusTooManyRequests:
		return ErrThrottled
	case http.StatusInternalServerError:
		return ErrInternal
	}
	return ErrUnavailable
}

// redact replaces the token in a text that may echo it.
func redact(s string, token sensitive.String) string {
	if token.Empty() {
		return s
	}
	return strings.ReplaceAll(s, token.Reveal(), sensitive.Redacted)
}

// printable shortens a text of the gateway's, and replaces characters that would break
// a log line.
func printable(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
