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

// CallTimeout bounds one call. Amazon states no time; a gateway that needs
// longer than this is as good as down, and the caller still has time to hand
// the event back.
const CallTimeout = 5 * time.Second

// PatientTimeout bounds one call of a client made by [NewPatient].
const PatientTimeout = 20 * time.Second

// maxAnswer is how much of an answer is read. Amazon's are a few hundred bytes.
const maxAnswer = 64 << 10

// Client sends events to one region's gateway. It may be used by many
// goroutines at once.
type Client struct {
	region    alexa.Region
	url       *url.URL
	transport http.RoundTripper
	timeout   time.Duration
}

// New returns the client of a region. baseURL is the gateway's URL without a
// path; client should keep as many connections as there are calls at a time, see
// package transport. Only its transport is used: there is nothing else in it that
// an event needs, redirects least of all.
func New(region alexa.Region, baseURL *url.URL, client *http.Client) *Client {
	events := *baseURL
	events.Path = path.Join("/", events.Path, "v3/events")
	return &Client{region: region, url: &events, transport: cmp.Or(client.Transport, http.DefaultTransport), timeout: CallTimeout}
}

// NewPatient is New for events that must not be repeated: a call waits for
// PatientTimeout, since after a call without an answer nobody may send the event
// again. client must not use a connection that was idle for long, on which a
// request may be lost.
func NewPatient(region alexa.Region, baseURL *url.URL, client *http.Client) *Client {
	c := New(region, baseURL, client)
	c.timeout = PatientTimeout
	return c
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
// Unanswered the gateway may have taken the event all the same.
func (c *Client) Send(ctx context.Context, token sensitive.String, body []byte) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a := &attempt{}
	req := a.request(ctx, c.url, token, body)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Receipt{}, &Error{Region: c.region, kind: ErrUnavailable, cause: transport.Cause(ctx, err), unanswered: a.begun.Load()}
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

// attempt is one request, which knows whether it was sent, or a part of it. It
// is one allocation. net/http writes head and body at once, since it knows that
// a [bytes.Reader] does not wait.
type attempt struct {
	body  bytes.Reader
	trace httptrace.ClientTrace
	begun atomic.Bool

	authorization [1]string
}

// request makes the request.
func (a *attempt) request(ctx context.Context, to *url.URL, token sensitive.String, body []byte) *http.Request {
	a.body.Reset(body)
	a.authorization[0] = "Bearer " + token.Reveal()
	a.trace.WroteHeaders = func() { a.begun.Store(true) }
	req := &http.Request{
		Method: http.MethodPost, URL: to, Host: to.Host, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Authorization": a.authorization[:],
			"Content-Type":  isJSON,
			"User-Agent":    userAgent,
		},
		Body: io.NopCloser(&a.body), ContentLength: int64(len(body)),
		// For a connection that turns out to be closed before anything was written.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}
	return req.WithContext(httptrace.WithClientTrace(ctx, &a.trace))
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
