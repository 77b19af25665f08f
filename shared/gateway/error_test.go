package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// kinds lists every kind: an error must be of exactly one.
var kinds = []error{
	gateway.ErrInvalidRequest, gateway.ErrInvalidAccessToken, gateway.ErrForbidden, gateway.ErrSkillDisabled,
	gateway.ErrSkillNeverEnabled, gateway.ErrInsufficientPermission, gateway.ErrSkillNotFound, gateway.ErrAccountNotFound,
	gateway.ErrTooLarge, gateway.ErrThrottled, gateway.ErrInternal, gateway.ErrUnavailable,
}

func wantKind(t *testing.T, err, want error) {
	t.Helper()
	for _, kind := range kinds {
		if errors.Is(err, kind) != errors.Is(want, kind) {
			t.Errorf("error = %v, want only the kind %v", err, want)
		}
	}
}

// refusal is a status and a body.
type refusal struct {
	status            int
	code, description string // no body if both are empty
}

func (r refusal) answer() answer {
	if r.code == "" && r.description == "" {
		return answer{Status: r.status}
	}
	return answer{Status: r.status, Body: exception(r.code, r.description)}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	tests := map[refusal]error{}
	// The code decides, with its suffix or without, with the documented and
	// reported status and with any other.
	for code, is := range map[string]struct {
		status int
		kind   error
	}{
		"INVALID_REQUEST":          {400, gateway.ErrInvalidRequest},
		"INVALID_ACCESS_TOKEN":     {401, gateway.ErrInvalidAccessToken},
		"SKILL_DISABLED":           {403, gateway.ErrSkillDisabled},
		"SKILL_NEVER_ENABLED":      {403, gateway.ErrSkillNeverEnabled},
		"INSUFFICIENT_PERMISSION":  {403, gateway.ErrInsufficientPermission},
		"ACCOUNT_NOT_FOUND":        {404, gateway.ErrAccountNotFound},
		"SKILL_NOT_FOUND":          {404, gateway.ErrSkillNotFound},
		"REQUEST_ENTITY_TOO_LARGE": {413, gateway.ErrTooLarge},
		"THROTTLING":               {429, gateway.ErrThrottled},
		"INTERNAL_SERVICE":         {500, gateway.ErrInternal},
		"SERVICE_UNAVAILABLE":      {503, gateway.ErrUnavailable},
	} {
		for _, status := range []int{is.status, 302, 400, 401, 500} {
			tests[refusal{status, code + "_EXCEPTION", ""}] = is.kind
		}
		tests[refusal{is.status, code, ""}] = is.kind
	}
	// The status decides without a known code.
	for status, kind := range map[int]error{
		400: gateway.ErrInvalidRequest,
		401: gateway.ErrInvalidAccessToken,
		403: gateway.ErrForbidden,
		404: gateway.ErrUnavailable,
		408: gateway.ErrUnavailable,
		413: gateway.ErrTooLarge,
		429: gateway.ErrThrottled,
		500: gateway.ErrInternal,
		502: gateway.ErrUnavailable,
		503: gateway.ErrUnavailable,
		504: gateway.ErrUnavailable,
	} {
		for _, code := range []string{"", "NEW_EXCEPTION", "_EXCEPTION", "skill_disabled_exception"} {
			tests[refusal{status, code, ""}] = kind
		}
	}
	// An internal error that mentions the skill's enablement is not internal; in
	// other refusals the word has no effect.
	const lookup = "Unable to find enablement for SkillIdentifier amzn1.ask.skill.0"
	tests[refusal{500, "INTERNAL_SERVICE_EXCEPTION", lookup}] = gateway.ErrSkillDisabled
	tests[refusal{500, "INTERNAL_SERVICE_EXCEPTION", strings.Repeat("at x.y.Z; ", 100) + lookup}] = gateway.ErrSkillDisabled
	tests[refusal{500, "", lookup}] = gateway.ErrSkillDisabled
	tests[refusal{400, "INVALID_REQUEST_EXCEPTION", lookup}] = gateway.ErrInvalidRequest
	tests[refusal{503, "SERVICE_UNAVAILABLE_EXCEPTION", lookup}] = gateway.ErrUnavailable

	for refusal, want := range tests {
		t.Run(fmt.Sprintf("%d %s %.30s", refusal.status, refusal.code, refusal.description), func(t *testing.T) {
			t.Parallel()
			server, client := serve(t, refusal.answer())
			receipt, err := send(t.Context(), client)
			wantKind(t, err, want)
			if receipt != (gateway.Receipt{}) {
				t.Errorf("receipt of a refusal = %v, want none", receipt)
			}
			if n := len(server.Requests()); n != 1 {
				t.Errorf("requests = %d, want 1: the client does not resend", n)
			}
		})
	}
}

func TestErrorTells(t *testing.T) {
	t.Parallel()
	throttled := refusal{429, "THROTTLING_EXCEPTION", "Request could not\nbe processed."}.answer()
	_, client := serve(t, throttled.With("X-Amzn-Requestid", "req-1").With("Retry-After", "7"))
	_, err := send(t.Context(), client)
	want := &gateway.Error{
		Region: alexa.EU, Status: 429, Code: "THROTTLING_EXCEPTION", Description: "Request could not be processed.",
		RequestID: "req-1", RetryAfter: 7 * time.Second,
	}
	var got *gateway.Error
	if !errors.As(err, &got) {
		t.Fatalf("error = %v, want a *gateway.Error", err)
	}
	expect.Equal(t, "error", want, got, cmpopts.IgnoreUnexported(gateway.Error{}))
	const text = `gateway EU: throttled (status 429, code "THROTTLING_EXCEPTION", request "req-1")`
	if err.Error() != text {
		t.Errorf("text = %s, want %s", err, text)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, token, said, want string
	}{
		{"token twice", fakeToken, "token " + fakeToken + fakeToken + " is not valid", "token [redacted][redacted] is not valid"},
		{"token at the end of what is kept", fakeToken, strings.Repeat("x", 508) + fakeToken, strings.Repeat("x", 508) + "[red"},
		{"no token was sent", "", "The request was malformed.", "The request was malformed."},
		{"line breaks", fakeToken, "a\r\nb\tc\x00d\u2028e\u202ef", "a  b c d e f"},
		{"long", fakeToken, strings.Repeat("x", 600), strings.Repeat("x", 512)},
		{"long, cut in a rune", fakeToken, "x" + strings.Repeat("é", 600), "x" + strings.Repeat("é", 255)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// Twice, because the code is cleaned like the description.
			_, client := serve(t, refusal{400, test.said, test.said}.answer())
			_, err := client.Send(t.Context(), sensitive.New(test.token), []byte(fakeEvent))
			var refusal *gateway.Error
			if !errors.As(err, &refusal) || refusal.Description != test.want {
				t.Fatalf("error = %#v, want Description %q", err, test.want)
			}
			if code := refusal.Code; !strings.HasPrefix(test.want, code) || len(code) > 128 || !utf8.ValidString(code) {
				t.Errorf("Code = %q, want the first 128 bytes of %q", code, test.want)
			}
		})
	}
}
