package gateway

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// CallTimeout bounds one call. Amazon states no time; a gateway that needs
// longer than this is as good as down, and the caller still has time to hand
// the event back.
const CallTimeout = 5 * time.Second

// maxAnswer is how much of an answer is read. Amazon's are a few hundred bytes.
const maxAnswer = 64 << 10

// Client sends events to one region's gateway. It may be used by many
// goroutines at once.
type Client struct {
	region    alexa.Region
	url       *url.URL
	transport http.RoundTripper
}

// New returns the client of a region. baseURL is the gateway's URL without a
// path; client should keep as many connections as there are calls at a time, see
// package transport. Only its transport is used: there is nothing else in it that
// an event needs, redirects least of all.
func New(region alexa.Region, baseURL *url.URL, client *http.Client) *Client {
	events := *baseURL
	events.Path = path.Join("/", events.Path, "v3/events")
	return &Client{region: region, url: &events, transport: cmp.Or(client.Transport, http.DefaultTransport)}
}

// Receipt is the gateway's word that it took an event. It does not mean that
// Alexa made use of it: what fails later is visible only in Amazon's console.
type Receipt struct {
	Status    int    // 202, or another 2xx
	RequestID string // Amazon's, empty if it gave none
}

// Send posts one event, already encoded, with the access token that is also in
// its body. It makes one attempt that takes at most CallTimeout and returns
// when the gateway took the event, or an [Error]. After an Error that is
// [ErrUnavailable] the gateway may have taken the event all the same.
func (c *Client) Send(ctx context.Context, token sensitive.String, body []byte) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	req, err := c.request(ctx, token, body)
	if err != nil {
		return Receipt{}, fmt.Errorf("gateway %s: %w", c.region, err)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Receipt{}, &Error{Region: c.region, kind: ErrUnavailable, cause: transport.Cause(ctx, err)}
	}
	defer resp.Body.Close()
	// Read to the end, so that the connection can be used again. What could
	// not be read is not missed: status and code decide.
	rest := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode/100 == 2 {
		_, _ = io.Copy(io.Discard, rest)
		return Receipt{Status: resp.StatusCode, RequestID: requestID(resp.Header)}, nil
	}
	answer, _ := io.ReadAll(rest)
	return Receipt{}, newError(c.region, resp, answer, token)
}

// Values of headers that are the same for every event. They are not changed.
var (
	isJSON    = []string{"application/json"}
	userAgent = []string{"gatepost"}
)

// request makes the request. The URL was parsed long ago.
func (c *Client) request(ctx context.Context, token sensitive.String, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.URL, req.Host = c.url, c.url.Host
	req.Header = http.Header{
		"Authorization": {"Bearer " + token.Reveal()},
		"Content-Type":  isJSON,
		"User-Agent":    userAgent,
	}
	return req, nil
}

// requestID finds the id that Amazon's support asks for.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Amzn-Requestid", "X-Amz-Rid"} {
		if id := h.Get(name); id != "" {
			return printable(id, 128)
		}
	}
	return ""
}
