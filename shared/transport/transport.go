// Package transport makes the HTTP client that a Gatepost process uses for
// one of Amazon's services, and takes what is secret out of its errors.
//
// Go's default transport keeps two idle connections for each host; a function
// that works on eighty requests at once would dial, and pay for a TLS
// handshake, for nearly every one. The clients made here keep as many
// connections as there are requests in flight, speak HTTP/2 when the server
// offers it, notice connections that died while the process was frozen, and
// follow no redirects: a redirected POST would carry a token to a host that
// nobody configured.
//
// Deadlines come from each call's context, not from the client. What a failed
// call's error may show in a log is for [Cause] to say.
package transport

import (
	"net/http"
	"strconv"
	"time"
)

// NewBounded is NewClient with no more than conns connections for each host,
// busy ones included. A call for which there is none waits, within its own time.
// Over HTTP/2, where a connection carries many calls, net/http lets a full one
// not count, and there may be more; that is still far fewer than calls.
// It is for calls of which there may be any number at a time: without a bound a
// slow server would be dialled for each, and the connections beyond those that
// are kept be closed after one use.
func NewBounded(conns int) *http.Client {
	client := NewClient(conns)
	client.Transport.(*http.Transport).MaxConnsPerHost = conns
	return client
}

// NewClient returns a client that keeps up to conns idle connections for each
// host. It starts from a copy of http.DefaultTransport, so a process that
// replaces the default transport's dialer (tests refuse every address but
// loopback that way) replaces it here too.
func NewClient(conns int) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 0 // no bound over all hosts: there are four
	t.MaxIdleConnsPerHost = conns
	t.IdleConnTimeout = 90 * time.Second
	t.TLSHandshakeTimeout = 5 * time.Second
	t.ForceAttemptHTTP2 = true
	// Cloud Run and Lambda freeze a process between requests. A connection that
	// the other side closed meanwhile is found by a ping, instead of by waiting
	// for TCP to give up on it.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 2 * time.Second}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RetryAfter returns the delay that a Retry-After header asks for (RFC 9110,
// section 10.2.3), 0 without one. The header's date form is measured against the Date of the
// same answer, so that this machine's clock plays no part. It sets no upper
// bound: that is the caller's to decide.
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
