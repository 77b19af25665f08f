package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

const (
	fakeToken = "Atza|fake-access/+=="
	fakeEvent = `{"event":{"header":{"namespace":"Alexa","name":"ChangeReport"}}}`
)

type answer = badserver.Answer

func TestMain(m *testing.M) { testkit.Main(m) }

func newClient(t *testing.T, base string, client *http.Client) *gateway.Client {
	t.Helper()
	baseURL, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return gateway.New(alexa.EU, baseURL, client)
}

// serve starts a gateway, and returns its client.
func serve(t *testing.T, answers ...http.Handler) (*badserver.Server, *gateway.Client) {
	t.Helper()
	server := badserver.New(t, answers...)
	return server, newClient(t, server.URL, server.Client())
}

func send(ctx context.Context, client *gateway.Client) (gateway.Receipt, error) {
	return client.Send(ctx, sensitive.New(fakeToken), []byte(fakeEvent))
}

// exception is the body of the gateway's error answers.
func exception(code, description string) string {
	body, err := json.Marshal(map[string]map[string]string{
		"header":  {"namespace": "System", "name": "Exception", "messageId": "00000000-0000-4000-8000-000000000021"},
		"payload": {"code": code, "description": description},
	})
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return string(body)
}

func TestSendsExactly(t *testing.T) {
	t.Parallel()
	// Spaces, order and escapes are the caller's: property values are passed on
	// byte for byte.
	const event = " {\"b\":1.0,\n\t\"a\":\"\\u00e9 é <&> 😀\"}\n"
	for name, path := range map[string]string{"bare host": "", "slash": "/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := badserver.New(t, answer{Status: 202})
			client := newClient(t, server.URL+path, server.Client())
			if _, err := client.Send(t.Context(), sensitive.New(fakeToken), []byte(event)); err != nil {
				t.Fatal(err)
			}
			want := []badserver.Request{{
				Method: "POST", URI: "/v3/events", Host: server.URL[len("http://"):], Body: event,
				Header: http.Header{
					"Authorization":   {"Bearer " + fakeToken},
					"Content-Type":    {"application/json"},
					"Content-Length":  {strconv.Itoa(len(event))},
					"Accept-Encoding": {"gzip"},
					"User-Agent":      {"gatepost"},
				},
			}}
			expect.Equal(t, "requests", want, server.Requests())
		})
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	accepted := answer{Status: 202}
	tests := []struct {
		name   string
		answer http.Handler
		want   gateway.Receipt
	}{
		{"202 without a body", accepted, gateway.Receipt{Status: 202}},
		{"another 2xx", answer{Status: 204}, gateway.Receipt{Status: 204}},
		{"request id in the older header", accepted.With("X-Amz-Rid", "RID1"), gateway.Receipt{Status: 202, RequestID: "RID1"}},
		{"both request ids", accepted.With("X-Amz-Rid", "RID1").With("X-Amzn-Requestid", "req-1"),
			gateway.Receipt{Status: 202, RequestID: "req-1"}},
		{"the body does not count", answer{Status: 202, Body: exception("INVALID_ACCESS_TOKEN_EXCEPTION", "no")},
			gateway.Receipt{Status: 202}},
		{"nor does its end", answer{Status: 202, Body: "{"}.Cut(), gateway.Receipt{Status: 202}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, client := serve(t, test.answer)
			got, err := send(t.Context(), client)
			if err != nil {
				t.Fatal(err)
			}
			expect.Equal(t, "receipt", test.want, got)
		})
	}
}

// TestOddBodies: if a refusal's body is not Amazon's JSON, or incomplete, the
// status decides, and the body is no failure of its own.
func TestOddBodies(t *testing.T) {
	t.Parallel()
	const code = "SKILL_DISABLED_EXCEPTION"
	disabled := exception(code, "disabled")
	refused := func(body string) answer { return answer{Status: 403, Body: body} }
	tests := []struct {
		name   string
		answer http.Handler
		code   string // empty if the status decides
	}{
		{"empty", refused(""), ""},
		{"null", refused(`null`), ""},
		{"array", refused(`[]`), ""},
		{"empty payload", refused(`{"payload":{}}`), ""},
		{"empty code", refused(exception("", "")), ""},
		{"code is no text", refused(`{"payload":{"code":7}}`), ""},
		{"description is no text", refused(`{"payload":{"code":"` + code + `","description":{}}}`), code},
		{"type and message", refused(`{"payload":{"type":"` + code + `","message":"x"}}`), ""},
		{"HTML", badserver.Page(403, "403 Forbidden"), ""},
		{"cut in the JSON", refused(disabled[:len(disabled)-10]).Cut(), ""},
		{"cut after the JSON", refused(disabled).Cut(), code},
		{"something after the JSON", refused(disabled + "x"), ""},
		{"gzip", gzipped(disabled, 0), code},
		{"gzip, cut", gzipped(disabled, 20), ""},
		{"endless", badserver.Endless(t, 403), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, client := serve(t, test.answer)
			_, err := send(t.Context(), client)
			if test.code == "" {
				wantKind(t, err, gateway.ErrForbidden)
			} else {
				wantKind(t, err, gateway.ErrSkillDisabled)
			}
			var refusal *gateway.Error
			if !errors.As(err, &refusal) || refusal.Status != 403 || refusal.Code != test.code {
				t.Errorf("error = %v, want status 403 and code %q", err, test.code)
			}
		})
	}
}

// gzipped is a refusal with a compressed body, without its last bytes.
func gzipped(body string, cut int) answer {
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(zip, body) // a Buffer never fails
	_ = zip.Close()
	zipped.Truncate(zipped.Len() - cut)
	return answer{Status: 403, Body: zipped.String()}.With("Content-Encoding", "gzip")
}
