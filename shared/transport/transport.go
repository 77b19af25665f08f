// Package transport creates the HTTP clients of a Gatepost process, and removes secrets
// from their errors.
//
// Go's default transport keeps two idle connections for each host; a function with
// eighty requests in flight would dial, and pay for a TLS handshake, for nearly every
// one. The clients made here keep as many connections as there are requests in flight,
// speak HTTP/2 when the server offers it, detect connections that died while the
// process was frozen, and follow no redirects: a redirected POST would carry a token to
// a host that is not configured.
//
// Deadlines come from each call's context, not from the client. [Cause] returns the
// part of a failed call's error that a log may show.
package transport

import (
	"net/http"
	"strconv"
	"time"
)

// NewBounded is NewClient with at most conns connections for each host, busy ones
// included. A call waits for a free one until its own deadline. Over HTTP/2, where a
// connection carries many calls, net/http does not count a full one, so there may be
// more; that is still far fewer than calls.
//
// NewBounded is for calls of unbounded concurrency: NewClient would dial a slow server
// for each call, and close the connections beyond conns after one use.
func NewBounded(conns int) *http.Client {
	client := NewClient(conns)
	client.Transport.(*http.Transport).MaxConnsPerHost = conns
	return client
}

// NewClient returns a client that keeps up to conns idle connections for each host. It
// starts from a copy of http.DefaultTransport, so that it has the default transport's
// dialer, which the tests replace with one that dials only loopback.
func NewClient(conns int) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 0 // no limit over all hosts: they are few
	t.MaxIdleConnsPerHost = conns
	t.IdleConnTimeout = 90 * time.Second
	t.TLSHandshakeTimeout = 5 * time.Second
	t.ForceAttemptHTTP2 = true
	// Cloud Run and Lambda freeze a process between requests. A ping detects a
	// connection that the server has since closed, long before TCP gives up on it.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 2 * time.Second}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RetryAfter returns the delay of a Retry-After header (RFC 9110, section 10.2.3), 0
// without one. A date is measured against the Date of the same answer, so that this
// machine's clock does not matter. The caller decides on an upper limit.
func RetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	sent, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(sent))
}
