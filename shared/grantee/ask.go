package grantee

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// maxAnswer is the largest answer that is read. Real ones are a few KiB.
const maxAnswer = 64 << 10

// newClient returns a client with the transport of the caller's, if there is
// one, and nothing else of it: there is no cookie jar, since one customer's
// session must not speak for another. Redirects are not followed, since the
// token would go to an address that nobody configured.
func newClient(from *http.Client, timeout time.Duration) *http.Client {
	client := transport.NewClient(idleConns)
	if from != nil && from.Transport != nil {
		client.Transport = from.Transport
	}
	// Calls have their own deadline. This one is for go-oidc's fetch of the
	// keys, which goes on when the call that caused it has ended.
	client.Timeout = timeout
	return client
}

// idleConns is how many connections to the identity provider are kept for the
// next grant. Grants are rare.
const idleConns = 8

// ask sends a request and reads the whole answer, whatever its status. The
// error is an ErrUnavailable.
func ask(client *http.Client, asked string, req *http.Request) (status int, body []byte, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, unavailable(asked, 0, "no answer", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, unavailable(asked, resp.StatusCode, "the answer broke off", err)
	}
	if len(body) > maxAnswer {
		return 0, nil, unavailable(asked, resp.StatusCode, "the answer is larger than 64 KiB", nil)
	}
	return resp.StatusCode, body, nil
}

// strictClient is the client for go-oidc, which by itself reads a body of any
// size and puts the body of a failed answer into its errors. What it gets is what
// usable makes of a body; a fault is one of the whole answer.
func strictClient(client *http.Client, asked string, usable func([]byte) (part []byte, fault string)) *http.Client {
	return &http.Client{Transport: strict{client, asked, usable}}
}

// whole takes a body as it is.
func whole(body []byte) ([]byte, string) { return body, "" }

// strict answers with a complete body and status 200, or with an *Error.
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
