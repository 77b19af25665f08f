package gateway_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/gateway"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// request is everything of a request that the gateway sees.
type request struct {
	Method, URI, Host, Body string
	Header                  http.Header
}

func TestSendsExactly(t *testing.T) {
	t.Parallel()
	// Spaces, order and escapes are the caller's own: values of properties are
	// carried byte for byte.
	const event = " {\"b\":1.0,\n\t\"a\":\"\\u00e9 é <&> 😀\"}\n"
	for name, path := range map[string]string{"bare host": "", "slash": "/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got request
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got = request{r.Method, r.RequestURI, r.Host, string(body), r.Header}
				w.WriteHeader(http.StatusAccepted)
			}))
			t.Cleanup(srv.Close)
			client := newClient(t, srv.URL+path, transport.NewClient(1))
			if _, err := client.Send(t.Context(), sensitive.New(fakeToken), []byte(event)); err != nil {
				t.Fatal(err)
			}
			want := request{
				Method: "POST", URI: "/v3/events", Host: srv.Listener.Addr().String(), Body: event,
				Header: http.Header{
					"Authorization":   {"Bearer " + fakeToken},
					"Content-Type":    {"application/json"},
					"Content-Length":  {strconv.Itoa(len(event))},
					"Accept-Encoding": {"gzip"},
					"User-Agent":      {"gatepost"},
				},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer http.Handler
		want   gateway.Receipt
	}{
		{"202 without a body", answer{status: 202}, gateway.Receipt{Status: 202}},
		{"another 2xx", answer{status: 204}, gateway.Receipt{Status: 204}},
		{"request id", answer{status: 202, header: http.Header{"X-Amzn-Requestid": {"req-1"}}},
			gateway.Receipt{Status: 202, RequestID: "req-1"}},
		{"request id in the older header", answer{status: 202, header: http.Header{"X-Amz-Rid": {"RID1"}}},
			gateway.Receipt{Status: 202, RequestID: "RID1"}},
		{"both request ids", answer{status: 202, header: http.Header{"X-Amz-Rid": {"RID1"}, "X-Amzn-Requestid": {"req-1"}}},
			gateway.Receipt{Status: 202, RequestID: "req-1"}},
		{"the body does not count", answer{status: 202, body: exception("INVALID_ACCESS_TOKEN_EXCEPTION", "no")},
			gateway.Receipt{Status: 202}},
		{"nor does its end", answer{status: 202, header: http.Header{"Content-Length": {"500"}}, body: "{"},
			gateway.Receipt{Status: 202}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := send(t.Context(), serve(t, test.answer.ServeHTTP))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("receipt (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOddBodies is about refusals whose body is not Amazon's JSON, or not all
// of it: the status decides, and none of it is a failure of its own.
func TestOddBodies(t *testing.T) {
	t.Parallel()
	disabled := exception("SKILL_DISABLED_EXCEPTION", "disabled")
	long := http.Header{"Content-Length": {"5000"}}
	type body struct {
		kind error
		code string
	}
	status := body{gateway.ErrForbidden, ""}
	code := body{gateway.ErrSkillDisabled, "SKILL_DISABLED_EXCEPTION"}
	tests := []struct {
		name   string
		answer http.Handler
		want   body
	}{
		{"empty", answer{status: 403}, status},
		{"empty object", answer{status: 403, body: `{}`}, status},
		{"null", answer{status: 403, body: `null`}, status},
		{"array", answer{status: 403, body: `[]`}, status},
		{"empty payload", answer{status: 403, body: `{"payload":{}}`}, status},
		{"empty code", answer{status: 403, body: exception("", "")}, status},
		{"code is no text", answer{status: 403, body: `{"payload":{"code":7}}`}, status},
		{"description is no text", answer{status: 403, body: `{"payload":{"code":"SKILL_DISABLED_EXCEPTION","description":{}}}`}, code},
		{"type and message", answer{status: 403, body: `{"payload":{"type":"SKILL_DISABLED_EXCEPTION","message":"x"}}`}, status},
		{"HTML", answer{status: 403, header: http.Header{"Content-Type": {"text/html"}}, body: "<html>403 Forbidden</html>"}, status},
		{"cut in the JSON", answer{status: 403, header: long, body: disabled[:len(disabled)-10]}, status},
		{"cut after the JSON", answer{status: 403, header: long, body: disabled}, code},
		{"something after the JSON", answer{status: 403, body: disabled + "x"}, status},
		{"gzip", gzipped(403, disabled, 0), code},
		{"gzip, cut", gzipped(403, disabled, 20), status},
		{"endless", endless(t), status},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := send(t.Context(), serve(t, test.answer.ServeHTTP))
			var refusal *gateway.Error
			if !errors.As(err, &refusal) || refusal.Status != 403 {
				t.Fatalf("error = %v, want a *gateway.Error with status 403", err)
			}
			wantKind(t, err, test.want.kind)
			if refusal.Code != test.want.code {
				t.Errorf("Code = %q, want %q", refusal.Code, test.want.code)
			}
		})
	}
}

// gzipped compresses body and leaves out the last bytes of that.
func gzipped(status int, body string, cut int) answer {
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(zip, body) // a Buffer refuses nothing
	_ = zip.Close()
	zipped.Truncate(zipped.Len() - cut)
	return answer{status: status, header: http.Header{"Content-Encoding": {"gzip"}}, body: zipped.String()}
}

// endless does not stop before the client has had enough, which must be long
// before a call's time is over.
func endless(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		page := make([]byte, 32<<10)
		for range 2000 {
			if _, err := w.Write(page); err != nil {
				return
			}
		}
		t.Error("the client took a body of 64 MB")
	}
}
