package gateway

import (
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

func FuzzNewError(f *testing.F) {
	const token = "Atza|fake-canary"
	f.Add(403, []byte(`{"header":{"namespace":"System"},"payload":{"code":"SKILL_DISABLED_EXCEPTION","description":"disabled"}}`), "req-1", "")
	f.Add(401, []byte(`{"payload":{"code":"INVALID_ACCESS_TOKEN_EXCEPTION","description":"`+token+`"}}`), token, "7")
	f.Add(500, []byte(`{"payload":{"description":"no SkillIdentifier\u0000\u2028\ud800"}}`), "", "Fri, 02 Jan 2026 03:05:05 GMT")
	f.Add(400, []byte(`{"payload":{"code":"`+token+`"`), "", "")
	f.Add(502, []byte("<html>"+token+"</html>"), "\xff\n", "soon")
	f.Add(429, []byte{}, "", "-1")
	f.Fuzz(func(t *testing.T, status int, body []byte, requestID, retryAfter string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}}
		resp.Header.Set("X-Amzn-Requestid", requestID)
		resp.Header.Set("Retry-After", retryAfter)
		e := newError(alexa.NA, resp, body, sensitive.New(token))
		if e.kind == nil || e.cause != nil || e.Status != status || e.RetryAfter < 0 {
			t.Errorf("error = %#v, want a kind and the status", e)
		}
		if len(e.Code) > 128 || len(e.Description) > 512 {
			t.Errorf("lengths of code and description = %d, %d", len(e.Code), len(e.Description))
		}
		for _, text := range []string{e.Code, e.Description, e.RequestID, e.Error()} {
			unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
			if strings.Contains(text, token) || strings.ContainsFunc(text, unprintable) || !utf8.ValidString(text) {
				t.Errorf("text with control characters: %q", text)
			}
		}
	})
}
