package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// kinds lists every kind, since an error must be of one and no other.
var kinds = []error{
	gateway.ErrInvalidRequest, gateway.ErrInvalidAccessToken, gateway.ErrForbidden, gateway.ErrSkillDisabled,
	gateway.ErrSkillNeverEnabled, gateway.ErrInsufficientPermission, gateway.ErrSkillNotFound, gateway.ErrAccountNotFound,
	gateway.ErrTooLarge, gateway.ErrThrottled, gateway.ErrInternal, gateway.ErrUnavailable,
}

func wantKind(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want a kind of %v", err, want)
	}
	for _, kind := range kinds {
		if !errors.Is(kind, want) && errors.Is(err, kind) {
			t.Errorf("error = %v, is %v as well as %v", err, kind, want)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	const lookup = "Unable to find enablement for SkillIdentifier amzn1.ask.skill.0"
	tests := []struct {
		name              string
		status            int
		code, description string // no body when both are empty
		want              error
	}{
		// As Amazon and makers have reported them.
		{"malformed", 400, "INVALID_REQUEST_EXCEPTION", "The request was malformed.", gateway.ErrInvalidRequest},
		{"token", 401, "INVALID_ACCESS_TOKEN_EXCEPTION", "Access token is not valid.", gateway.ErrInvalidAccessToken},
		{"disabled", 403, "SKILL_DISABLED_EXCEPTION", "The user does not have a valid enablement for your skill.", gateway.ErrSkillDisabled},
		{"never enabled", 403, "SKILL_NEVER_ENABLED_EXCEPTION", "", gateway.ErrSkillNeverEnabled},
		{"permission", 403, "INSUFFICIENT_PERMISSION_EXCEPTION", "", gateway.ErrInsufficientPermission},
		{"account", 404, "ACCOUNT_NOT_FOUND_EXCEPTION", "", gateway.ErrAccountNotFound},
		{"skill", 404, "SKILL_NOT_FOUND_EXCEPTION", "", gateway.ErrSkillNotFound},
		{"large", 413, "REQUEST_ENTITY_TOO_LARGE_EXCEPTION", "", gateway.ErrTooLarge},
		{"throttled", 429, "THROTTLING_EXCEPTION", "Request could not be processed due to throttling.", gateway.ErrThrottled},
		{"internal", 500, "INTERNAL_SERVICE_EXCEPTION", "", gateway.ErrInternal},
		{"unavailable", 503, "SERVICE_UNAVAILABLE_EXCEPTION", "", gateway.ErrUnavailable},

		// A code without its suffix is the same code.
		{"malformed, short", 400, "INVALID_REQUEST", "", gateway.ErrInvalidRequest},
		{"token, short", 401, "INVALID_ACCESS_TOKEN", "", gateway.ErrInvalidAccessToken},
		{"disabled, short", 403, "SKILL_DISABLED", "", gateway.ErrSkillDisabled},
		{"never enabled, short", 403, "SKILL_NEVER_ENABLED", "", gateway.ErrSkillNeverEnabled},
		{"permission, short", 403, "INSUFFICIENT_PERMISSION", "", gateway.ErrInsufficientPermission},
		{"account, short", 404, "ACCOUNT_NOT_FOUND", "", gateway.ErrAccountNotFound},
		{"skill, short", 404, "SKILL_NOT_FOUND", "", gateway.ErrSkillNotFound},
		{"large, short", 413, "REQUEST_ENTITY_TOO_LARGE", "", gateway.ErrTooLarge},
		{"throttled, short", 429, "THROTTLING", "", gateway.ErrThrottled},
		{"internal, short", 500, "INTERNAL_SERVICE", "", gateway.ErrInternal},
		{"unavailable, short", 503, "SERVICE_UNAVAILABLE", "", gateway.ErrUnavailable},

		// The status decides where there is no code.
		{"bare 400", 400, "", "", gateway.ErrInvalidRequest},
		{"bare 401", 401, "", "", gateway.ErrInvalidAccessToken},
		{"bare 403", 403, "", "", gateway.ErrForbidden},
		{"bare 404", 404, "", "", gateway.ErrUnavailable},
		{"bare 408", 408, "", "", gateway.ErrUnavailable},
		{"bare 413", 413, "", "", gateway.ErrTooLarge},
		{"bare 429", 429, "", "", gateway.ErrThrottled},
		{"bare 500", 500, "", "", gateway.ErrInternal},
		{"bare 502", 502, "", "", gateway.ErrUnavailable},
		{"bare 503", 503, "", "", gateway.ErrUnavailable},
		{"bare 504", 504, "", "", gateway.ErrUnavailable},

		// So it does where the code is unknown.
		{"unknown in 400", 400, "NEW_EXCEPTION", "", gateway.ErrInvalidRequest},
		{"unknown in 401", 401, "NEW_EXCEPTION", "", gateway.ErrInvalidAccessToken},
		{"unknown in 403", 403, "NEW_EXCEPTION", "", gateway.ErrForbidden},
		{"unknown in 404", 404, "NEW_EXCEPTION", "", gateway.ErrUnavailable},
		{"unknown in 500", 500, "NEW_EXCEPTION", "", gateway.ErrInternal},
		{"suffix only", 403, "_EXCEPTION", "", gateway.ErrForbidden},
		{"other case", 403, "skill_disabled_exception", "", gateway.ErrForbidden},

		// The code decides against the status.
		{"disabled in 500", 500, "SKILL_DISABLED_EXCEPTION", "", gateway.ErrSkillDisabled},
		{"disabled in 401", 401, "SKILL_DISABLED_EXCEPTION", "", gateway.ErrSkillDisabled},
		{"throttled in 403", 403, "THROTTLING_EXCEPTION", "", gateway.ErrThrottled},
		{"throttled in 400", 400, "THROTTLING_EXCEPTION", "", gateway.ErrThrottled},
		{"token in 403", 403, "INVALID_ACCESS_TOKEN_EXCEPTION", "", gateway.ErrInvalidAccessToken},
		{"malformed in 500", 500, "INVALID_REQUEST_EXCEPTION", "", gateway.ErrInvalidRequest},
		{"internal in 400", 400, "INTERNAL_SERVICE_EXCEPTION", "", gateway.ErrInternal},
		{"account in 400", 400, "ACCOUNT_NOT_FOUND_EXCEPTION", "", gateway.ErrAccountNotFound},
		{"large in 400", 400, "REQUEST_ENTITY_TOO_LARGE_EXCEPTION", "", gateway.ErrTooLarge},
		{"disabled in 302", 302, "SKILL_DISABLED_EXCEPTION", "", gateway.ErrSkillDisabled},

		// An internal error that names the skill's enablement is no internal
		// error; in a refusal of another kind the word means nothing.
		{"SkillIdentifier", 500, "INTERNAL_SERVICE_EXCEPTION", lookup, gateway.ErrSkillDisabled},
		{"SkillIdentifier without a code", 500, "", lookup, gateway.ErrSkillDisabled},
		{"SkillIdentifier far behind", 500, "INTERNAL_SERVICE_EXCEPTION", strings.Repeat("at x.y.Z; ", 100) + lookup, gateway.ErrSkillDisabled},
		{"SkillIdentifier in 400", 400, "INVALID_REQUEST_EXCEPTION", lookup, gateway.ErrInvalidRequest},
		{"SkillIdentifier in 503", 503, "SERVICE_UNAVAILABLE_EXCEPTION", lookup, gateway.ErrUnavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			says := answer{status: test.status, header: http.Header{"Content-Type": {"application/json"}}}
			if test.code != "" || test.description != "" {
				says.body = exception(test.code, test.description)
			}
			var requests atomic.Int64
			receipt, err := send(t.Context(), serve(t, counted(&requests, says)))
			wantKind(t, err, test.want)
			if receipt != (gateway.Receipt{}) {
				t.Errorf("receipt %v for a refusal", receipt)
			}
			if requests.Load() != 1 {
				t.Errorf("%d requests, want 1: resending is not this package's", requests.Load())
			}
		})
	}
}

func TestErrorTells(t *testing.T) {
	t.Parallel()
	_, err := send(t.Context(), serve(t, answer{
		status: 429,
		header: http.Header{"X-Amzn-Requestid": {"req-1"}, "Retry-After": {"7"}},
		body:   exception("THROTTLING_EXCEPTION", "Request could not\nbe processed."),
	}.ServeHTTP))
	want := &gateway.Error{
		Region: alexa.EU, Status: 429, Code: "THROTTLING_EXCEPTION", Description: "Request could not be processed.",
		RequestID: "req-1", RetryAfter: 7 * time.Second,
	}
	var got *gateway.Error
	if !errors.As(err, &got) {
		t.Fatalf("error = %v, want a *gateway.Error", err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(gateway.Error{})); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	const text = `gateway EU: throttled (status 429, code "THROTTLING_EXCEPTION", request "req-1")`
	if err.Error() != text {
		t.Errorf("text = %s, want %s", err, text)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, value string
		want        time.Duration
	}{
		{"seconds", "30", 30 * time.Second},
		{"zero", "0", 0},
		{"date", "Fri, 02 Jan 2026 03:05:05 GMT", time.Minute},
		{"date passed", "Fri, 02 Jan 2026 03:03:05 GMT", 0},
		{"nonsense", "soon", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Retry-After": {test.value}, "Date": {"Fri, 02 Jan 2026 03:04:05 GMT"}}
			_, err := send(t.Context(), serve(t, answer{status: 503, header: header}.ServeHTTP))
			var refusal *gateway.Error
			if !errors.As(err, &refusal) || refusal.RetryAfter != test.want {
				t.Errorf("error = %#v, want RetryAfter %v", err, test.want)
			}
		})
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, token, said, want string
	}{
		{"token", fakeToken, "token " + fakeToken + " is not valid", "token [redacted] is not valid"},
		{"token twice", fakeToken, fakeToken + fakeToken, "[redacted][redacted]"},
		{"token at the end of what is kept", fakeToken, strings.Repeat("x", 508) + fakeToken, strings.Repeat("x", 508) + "[red"},
		{"no token was sent", "", "The request was malformed.", "The request was malformed."},
		{"line breaks", fakeToken, "a\r\nb\tc\x00d\u2028e\u202ef", "a  b c d e f"},
		{"long", fakeToken, strings.Repeat("x", 600), strings.Repeat("x", 512)},
		{"long, cut in a rune", fakeToken, "x" + strings.Repeat("é", 600), "x" + strings.Repeat("é", 255)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// Twice, as the code is cleaned as the description is.
			client := serve(t, answer{status: 400, body: exception(test.said, test.said)}.ServeHTTP)
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
