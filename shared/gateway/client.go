package gateway

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"path"
	"sync/atomic"
	"time"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// CallTimeout bounds one call. Amazon states no limit. A gateway that takes longer is
// treated as down, while the caller still has time to hand the event back.
const CallTimeout = 5 * time.Second

// PatientTimeout bounds one call of a client made by [NewPatient].
const PatientTimeout = 20 * time.Second

// maxAnswer is how much of an answer is read. Amazon's are a few hundred bytes.
const maxAnswer = 64 << 10

// Client sends events to one region's gateway. It is safe for concurrent use.
type Client struct {
	region    alexa.Region
	url       *url.URL
	transport http.RoundTripper
	timeout   time.Duration
}

// New returns the client of a region. baseURL is the gateway's URL without a path.
// client should keep as many connections as there are calls in flight: see package
// transport. Only its transport is used: an event needs no cookies, and must not follow
// a redirect.
func New(region alexa.Region, baseURL *url.URL, client *http.Client) *Client {
	events := *baseURL
	events.Path = path.Join("/", events.Path, "v3/events")
	return &Client{region: region, url: &events, transport: cmp.Or(client.Transport, http.DefaultTransport), timeout: CallTimeout}
}

// NewPatient is like New, for events that must not be sent twice. A call waits for
// PatientTimeout, since an event whose call got no answer cannot be resent. client must
// not reuse a connection that was idle for long, since a request on it may be lost.
func NewPatient(region alexa.Region, baseURL *url.URL, client *http.Client) *Client {
	c := New(region, baseURL, client)
	c.timeout = PatientTimeout
	return c
}

// Receipt confirms that the gateway accepted an event. Alexa may still fail to process
// it, which is visible only in Amazon's console.
type Receipt struct {
	Status    int    // 202, or another 2xx
	RequestID string // Amazon's, empty if it gave none
}

// Send posts one encoded event with the access token that is also in its body. It makes
// one attempt within the client's timeout, and returns an [Error] unless the gateway
// accepted the event. If the Error is Unanswered, the gateway may still have accepted
// it.
func (c *Client) Send(ctx context.Context, token sensitive.String, body []byte) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a := &attempt{}
	req := a.request(ctx, c.url, token, body)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Receipt{}, &Error{Region: c.region, kind: ErrUnavailable, cause: transport.Cause(ctx, err), unanswered: a.sent.Load()}
	}
	defer resp.Body.Close()
	// Read to the end, so that the connection can be reused. A failed read does not
	// matter: the status decides then.
	rest := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode/100 == 2 {
		_, _ = io.Copy(io.Discard, rest)
		return Receipt{Status: resp.StatusCode, RequestID: requestID(resp.Header)}, nil
	}
	answer, _ := io.ReadAll(rest)
	return Receipt{}, newError(c.region, resp, answer, token)
}

// Header values that all events share. They must not be changed.
var (
	isJSON    = []string{"application/json"}
	userAgent = []string{"gatepost"}
)

// attempt is one request, and records whether any of it was sent. It is one allocation.
// net/http writes head and body together, since it knows that a [bytes.Reader] does not
// block.
type attempt struct {
	body  bytes.Reader
	trace httptrace.ClientTrace
	sent  atomic.Bool

	authorization [1]string
}

// request returns the HTTP request.
func (a *attempt) request(ctx context.Context, to *url.URL, token sensitive.String, body []byte) *http.Request {
	a.body.Reset(body)
	a.authorization[0] = "Bearer " + token.Reveal()
	a.trace.WroteHeaders = func() { a.sent.Store(true) }
	req := &http.Request{
		Method: http.MethodPost, URL: to, Host: to.Host, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Authorization": a.authorization[:],
			"Content-Type":  isJSON,
			"User-Agent":    userAgent,
		},
		Body: io.NopCloser(&a.body), ContentLength: int64(len(body)),
		// net/http retries with it if an idle connection turns out to be closed.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}
	return req.WithContext(httptrace.WithClientTrace(ctx, &a.trace))
}

// requestID returns Amazon's id of the request, which Amazon's support asks for.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Amzn-Requestid", "X-Amz-Rid"} {
		if id := h.Get(name); id != "" {
			return printable(id, 128)
		}
	}
	return ""
}
