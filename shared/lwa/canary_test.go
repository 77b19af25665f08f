package lwa_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// canary is in everything that is sent, and in all that comes back.
const canary = "canary-8f1c"

func canaryCalls(client *lwa.Client) map[string]error {
	_, exchanged := client.Exchange(context.Background(), sensitive.New("AN"+canary))
	_, refreshed := client.Refresh(context.Background(), fakeID, sensitive.New("Atzr|"+canary))
	return map[string]error{"exchange": exchanged, "refresh": refreshed}
}

// TestErrorsShowNothing makes LWA repeat what it was sent, and the tokens that
// it gives, in every place of an answer that could end up in an error.
func TestErrorsShowNothing(t *testing.T) {
	t.Parallel()
	const echo = "code=" + canary + "&refresh_token=Atzr|" + canary + "&client_secret=" + canary
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	raw := func(text string) http.Handler {
		return hijacked(t, func(conn net.Conn) { _, _ = io.WriteString(conn, text) })
	}
	tests := []struct {
		name   string
		amazon http.Handler
	}{
		{"description of a refused grant", answer{status: 400, body: `{"error":"invalid_grant","error_description":"` + echo + `"}`}},
		{"description of a refused client", answer{status: 401, body: `{"error":"invalid_client","error_uri":"` + echo + `"}`}},
		{"error", answer{status: 400, body: `{"error":"` + canary + `"}`}},
		{"error in 200", answer{status: 200, body: `{"error":"` + canary + `","access_token":"Atza|` + canary + `"}`}},
		{"HTML", answer{502, header("Content-Type", "text/html"), "<html>" + echo + "</html>"}},
		{"HTML in 200", answer{200, header("Content-Type", "text/html"), "<html>" + echo + "</html>"}},
		{"malformed form", answer{200, header("Content-Type", "text/plain"), "%" + canary + echo}},
		{"no access token", answer{status: 200, body: `{"refresh_token":"Atzr|` + canary + `"}`}},
		{"access token of another type", answer{status: 200, body: `{"access_token":{"` + canary + `":1}}`}},
		{"cut", answer{200, header("Content-Length", "500"), `{"access_token":"Atza|` + canary}},
		{"throttled", answer{429, header("Retry-After", canary), echo}},
		{"redirect", answer{307, header("Location", "http://127.0.0.1/?"+echo), ""}},
		{"malformed redirect", answer{307, header("Location", "http://%zz/?"+echo), ""}},
		{"not HTTP", raw(`{"access_token":"Atza|` + canary + `"}` + "\r\n\r\n")},
		{"malformed status", raw("HTTP/1.1 " + echo + "\r\n\r\n")},
		{"malformed header", raw("HTTP/1.1 200 OK\r\n" + echo + "\r\n\r\n")},
		{"malformed length", raw("HTTP/1.1 200 OK\r\nContent-Length: " + echo + "\r\n\r\n")},
		{"closed", raw("")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := serveFor(t, test.amazon, []lwa.Credentials{{ClientID: fakeID, ClientSecret: sensitive.New(canary)}})
			for op, err := range canaryCalls(client) {
				if err == nil {
					t.Fatalf("%s: no error", op)
				}
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
					wantNoCanary(t, op+" "+verb, fmt.Sprintf(verb, err))
				}
				for _, cause := range err.(interface{ Unwrap() []error }).Unwrap() {
					wantNoCanary(t, op+" cause", fmt.Sprintf("%v %+v", cause, cause))
				}
			}
		})
	}
}

// TestValuesShowNothing is about what the package hands out and takes in.
func TestValuesShowNothing(t *testing.T) {
	t.Parallel()
	credentials := []lwa.Credentials{{ClientID: fakeID, ClientSecret: sensitive.New(canary)}}
	client := serveFor(t, answer{status: 200, body: `{"access_token":"Atza|` + canary + `","refresh_token":"Atzr|` + canary + `"}`}, credentials)
	token, err := client.Refresh(t.Context(), fakeID, sensitive.New("Atzr|"+canary))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		wantNoCanary(t, "token "+verb, fmt.Sprintf(verb, token))
		wantNoCanary(t, "credentials "+verb, fmt.Sprintf(verb, credentials))
		wantNoCanary(t, "client "+verb, fmt.Sprintf(verb, client))
	}
}

func wantNoCanary(t *testing.T, where, text string) {
	t.Helper()
	if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
		t.Errorf("%s shows a secret: %s", where, text)
	}
}
