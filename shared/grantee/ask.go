package grantee

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// maxAnswer is the size of the largest accepted answer. Real ones are a few KiB.
const maxAnswer = 64 << 10

// newClient returns a client that takes only the transport of from, if it has one. It
// has no cookie jar, since one customer's session must not vouch for another. It
// follows no redirects, which would send the token to an address that is not
// configured.
func newClient(from *http.Client, timeout time.Duration) *http.Client {
	client := transport.NewClient(idleConns)
	if from != nil && from.Transport != nil {
		client.Transport = from.Transport
	}
	// Calls have their own deadline. The client's is for go-oidc's fetch of the
	// keys, which outlives the call that caused it.
	client.Timeout = timeout
	return client
}

// idleConns is how many idle connections to the identity provider are kept. It is
// small, since grants are rare.
const idleConns = 8

// ask sends a request and returns the status and the whole body, whatever the status.
// The error is an ErrUnavailable.
func ask(client *http.Client, asked string, req *http.Request) (status int, body []byte, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, unavailable(asked, 0, "no answer", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, unavailable(asked, resp.StatusCode, "the answer was cut off", err)
	}
	if len(body) > maxAnswer {
		return 0, nil, unavailable(asked, resp.StatusCode, "the answer is larger than 64 KiB", nil)
	}
	return resp.StatusCode, body, nil
}

// strictClient returns the client for go-oidc, which by itself reads a body of any size
// and quotes the body of a failed answer in its errors. go-oidc gets the part of a body
// that usable returns; a fault fails the call.
func strictClient(client *http.Client, asked string, usable func([]byte) (part []byte, fault string)) *http.Client {
	return &http.Client{Transport: strict{client, asked, usable}}
}

// whole returns the body unchanged.
func whole(body []byte) ([]byte, string) { return body, "" }

// strict is a transport that returns a complete body with status 200, or an *Error.
type strict struct {
	client *http.Client
	asked  string
	usable func([]byte) ([]byte, string)
}

func (s strict) RoundTrip(req *http.Request) (*http.Response, error) {
	status, body, err := ask(s.client, s.asked, req)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, unavailable(s.asked, status, "unexpected answer", nil)
	}
	body, fault := s.usable(body)
	if fault != "" {
		return nil, unavailable(s.asked, status, fault, nil)
	}
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(bytes.NewReader(body)),
		Request:    req,
	}, nil
}
