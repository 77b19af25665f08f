package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/sensitive"
)

const (
	canaryToken = "Atza|canary-token-8f1c"
	canaryBody  = `{"event":{"payload":"canary-body-2b7e"}}`
)

// TestErrorsShowNothing makes the gateway repeat what it was sent, in every
// place of an answer that could end up in an error.
func TestErrorsShowNothing(t *testing.T) {
	t.Parallel()
	raw := func(text string) http.HandlerFunc {
		return hijacked(t, func(conn *net.TCPConn) { _, _ = io.WriteString(conn, text) })
	}
	const bearer = "Bearer " + canaryToken
	tests := []struct {
		name   string
		answer http.Handler
	}{
		{"description", answer{status: 401, body: exception("INVALID_ACCESS_TOKEN_EXCEPTION", bearer+" "+canaryBody)}},
		{"code", answer{status: 400, body: exception(canaryToken, "")}},
		{"request id", answer{status: 503, header: http.Header{"X-Amzn-Requestid": {canaryToken}}}},
		{"HTML", answer{status: 502, body: "<html>" + bearer + canaryBody + "</html>"}},
		{"JSON of another shape", answer{status: 500, body: `{"payload":"` + canaryToken + `","code":` + canaryBody + `}`}},
		{"redirect", answer{status: 302, header: http.Header{"Location": {"http://127.0.0.1/" + canaryToken}}}},
		{"malformed redirect", answer{status: 307, header: http.Header{"Location": {"http://%zz/" + canaryToken}}}},
		{"retry after", answer{status: 429, header: http.Header{"Retry-After": {canaryToken}}}},
		{"not HTTP", raw(bearer + canaryBody + "\r\n\r\n")},
		{"malformed status", raw("HTTP/1.1 " + canaryToken + canaryBody + "\r\n\r\n")},
		{"malformed header", raw("HTTP/1.1 202 Accepted\r\n" + canaryToken + canaryBody + "\r\n\r\n")},
		{"malformed length", raw("HTTP/1.1 202 Accepted\r\nContent-Length: " + canaryToken + canaryBody + "\r\n\r\n")},
		{"malformed encoding", raw("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: " + canaryToken + canaryBody + "\r\n\r\n")},
		{"closed", raw("")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, test.answer.ServeHTTP)
			_, err := client.Send(t.Context(), sensitive.New(canaryToken), []byte(canaryBody))
			if err == nil {
				t.Fatal("no error")
			}
			for _, verb := range []string{"%v", "%+v", "%s", "%q", "%x"} {
				wantNoCanary(t, verb, fmt.Sprintf(verb, err), canaryToken, "canary-body")
			}
			// The description may repeat parts of the event: it is for the dead
			// letter, and no text of an error.
			wantNoCanary(t, "%#v", fmt.Sprintf("%#v", err), canaryToken)
			for _, cause := range err.(interface{ Unwrap() []error }).Unwrap() {
				wantNoCanary(t, "cause", fmt.Sprintf("%+v", cause), canaryToken, "canary-body")
			}
		})
	}
}

// TestTokenThatIsNoHeader is about a token that cannot be sent at all.
func TestTokenThatIsNoHeader(t *testing.T) {
	t.Parallel()
	client := serve(t, answer{status: 202}.ServeHTTP)
	_, err := client.Send(t.Context(), sensitive.New(canaryToken+"\r\nX-Injected: 1"), []byte(canaryBody))
	if err == nil {
		t.Fatal("a token with a line break was sent")
	}
	wantNoCanary(t, "%+v", fmt.Sprintf("%+v", err), canaryToken)
}

func wantNoCanary(t *testing.T, where, text string, canaries ...string) {
	t.Helper()
	for _, canary := range canaries {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s shows what was sent: %s", where, text)
		}
	}
}
