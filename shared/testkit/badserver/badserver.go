// Package badserver is a server for tests of HTTP clients. It gives prepared
// answers, mostly bad ones, and records the requests. In a bubble of
// testing/synctest it needs no network, so time passes at once while it hangs.
package badserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/transport"
)

// Server answers each request with the next of its answers, and repeats the last
// one.
type Server struct {
	URL string

	answers []http.Handler
	server  *httptest.Server
	dial    func(context.Context, string, string) (net.Conn, error) // nil for the network
	dialled atomic.Int64

	mu       sync.Mutex
	requests []Request
}

// Request is a recorded request.
type Request struct {
	Method, URI, Host, Body string
	Header                  http.Header
}

// Form parses the request's body, which must be a form.
func (r Request) Form() url.Values {
	form, err := url.ParseQuery(r.Body)
	if err != nil {
		panic(err)
	}
	return form
}

// New starts a server that is closed after the test.
func New(t *testing.T, answers ...http.Handler) *Server {
	t.Helper()
	return start(t, nil, (*httptest.Server).Start, answers)
}

// NewHTTP2 is New for HTTP/2 over TLS.
func NewHTTP2(t *testing.T, answers ...http.Handler) *Server {
	t.Helper()
	return start(t, nil, (*httptest.Server).StartTLS, answers)
}

// NewInBubble is New for a test in a bubble. Only the server's own clients reach it.
func NewInBubble(t *testing.T, answers ...http.Handler) *Server {
	t.Helper()
	return start(t, newPipes(t), (*httptest.Server).Start, answers)
}

// NewHTTP2InBubble is NewInBubble for HTTP/2 over TLS.
func NewHTTP2InBubble(t *testing.T, answers ...http.Handler) *Server {
	t.Helper()
	return start(t, newPipes(t), (*httptest.Server).StartTLS, answers)
}

func start(t *testing.T, instead *pipes, start func(*httptest.Server), answers []http.Handler) *Server {
	s := &Server{answers: answers}
	s.server = httptest.NewUnstartedServer(s)
	s.server.EnableHTTP2 = true
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.dialled.Add(1)
		}
	}
	if instead != nil {
		_ = s.server.Listener.Close()
		s.server.Listener, s.dial = instead, instead.dial
	}
	start(s.server)
	t.Cleanup(s.server.Close)
	s.URL = s.server.URL
	return s
}

// Client returns a new client for the server, which keeps all connections and
// follows no redirects.
func (s *Server) Client() *http.Client {
	client := transport.NewClient(64)
	dialer := client.Transport.(*http.Transport)
	if s.dial != nil {
		dialer.DialContext = s.dial
	}
	if s.server.TLS != nil {
		dialer.TLSClientConfig = s.server.Client().Transport.(*http.Transport).TLSClientConfig
	}
	return client
}

// CloseClientConnections closes all connections, busy ones included.
func (s *Server) CloseClientConnections() { s.server.CloseClientConnections() }

// Requests returns the requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Dialled returns the number of connections so far.
func (s *Server) Dialled() int { return int(s.dialled.Load()) }

// ServeHTTP implements [http.Handler]. It reads the body first: only then does
// net/http notice a client that disconnects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	next := s.answers[min(len(s.requests), len(s.answers)-1)]
	s.requests = append(s.requests, Request{r.Method, r.RequestURI, r.Host, string(body), r.Header.Clone()})
	s.mu.Unlock()
	next.ServeHTTP(w, r)
}

// pipes is a listener without a network. It is closed after the test.
type pipes struct {
	conns chan net.Conn
	ctx   context.Context
}

func newPipes(t *testing.T) *pipes { return &pipes{make(chan net.Conn), t.Context()} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (*pipes) Close() error   { return nil }
func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

// Answer is a complete answer. Its content type is JSON unless the header sets
// another.
type Answer struct {
	Status int
	Body   string
	Header http.Header
}

// ServeHTTP implements [http.Handler].
func (a Answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// With returns the answer with another header.
func (a Answer) With(name, value string) Answer {
	a.Header = a.Header.Clone()
	if a.Header == nil {
		a.Header = make(http.Header)
	}
	a.Header.Set(name, value)
	return a
}

// Cut returns the answer with a Content-Length greater than its body.
func (a Answer) Cut() Answer { return a.With("Content-Length", fmt.Sprint(len(a.Body)+100)) }

// Page is the answer of a proxy.
func Page(status int, text string) Answer {
	return Answer{Status: status, Body: "<html>" + text + "</html>"}.With("Content-Type", "text/html")
}

// Endless writes a body until the client stops reading, which must be long before
// 64 MB.
func Endless(t *testing.T, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		page := make([]byte, 32<<10)
		for range 2000 {
			if _, err := w.Write(page); err != nil {
				return
			}
		}
		t.Error("the client read a body of 64 MB")
	}
}

// After delays an answer.
func After(wait time.Duration, answer http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		<-time.After(wait)
		answer.ServeHTTP(w, r)
	}
}

// Together answers when n requests are in flight, so that each needs its own
// connection.
func Together(n int, answer http.Handler) http.Handler {
	return &rendezvous{n: n, answer: answer, all: make(chan struct{})}
}

type rendezvous struct {
	n      int
	answer http.Handler

	mu    sync.Mutex
	there int
	all   chan struct{}
}

func (m *rendezvous) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	all := m.all
	if m.there++; m.there == m.n {
		close(all)
		m.there, m.all = 0, make(chan struct{})
	}
	m.mu.Unlock()
	select {
	case <-all:
	case <-r.Context().Done():
	}
	m.answer.ServeHTTP(w, r)
}

// Raw writes text to the connection, status line included, and closes it.
func Raw(text string) http.HandlerFunc {
	return hijacked(func(conn net.Conn) { _, _ = io.WriteString(conn, text) })
}

// Hang is Raw without closing the connection.
func Hang(text string) http.HandlerFunc {
	return hijacked(func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
	})
}

// Reset resets the connection, if there is a network; in a bubble it closes it.
func Reset(w http.ResponseWriter, r *http.Request) {
	hijacked(func(conn net.Conn) {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	})(w, r)
}

// hijacked takes the connection over from net/http.
func hijacked(then func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // closing with unread data would be a reset
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err) // HTTP/2 cannot be hijacked
		}
		then(conn)
		_ = conn.Close()
	}
}

// Faults returns answers that no client can use. Those with a text repeat echo.
func Faults(echo string) map[string]http.Handler {
	const ok = "HTTP/1.1 200 OK\r\n"
	return map[string]http.Handler{
		"5xx without a body":  Answer{Status: 503},
		"5xx of a proxy":      Page(502, echo),
		"5xx of another form": Answer{Status: 500, Body: fmt.Sprintf(`{"error":{"%s":1},"payload":%q,"code":7}`, echo, echo)},
		"cut":                 Answer{Status: 500, Body: `{"error":"` + echo}.Cut(),
		"gzip that is none":   Answer{Status: 500, Body: echo}.With("Content-Encoding", "gzip"),
		"oversized":           Answer{Status: 500, Body: strings.Repeat(echo, 2<<20/len(echo))},
		"nonsense to wait":    Answer{Status: 503, Body: echo}.With("Retry-After", echo),
		"redirect":            Answer{Status: 302}.With("Location", "/?"+echo),
		"malformed redirect":  Answer{Status: 307}.With("Location", "http://%zz/"+echo),
		"reset":               http.HandlerFunc(Reset),
		"closed":              Raw(""),
		"closed in the head":  Raw("HTTP/1.1 200 O"),
		"not HTTP":            Raw(echo + "\r\n\r\n"),
		"malformed status":    Raw("HTTP/1.1 " + echo + "\r\n\r\n"),
		"malformed header":    Raw(ok + echo + "\r\n\r\n"),
		"malformed length":    Raw(ok + "Content-Length: " + echo + "\r\n\r\n"),
		"malformed encoding":  Raw(ok + "Transfer-Encoding: " + echo + "\r\n\r\n"),
		"hangs":               Hang(""),
		"hangs in the head":   Hang(ok + "X-Echo: " + echo),
		"hangs in the body":   Hang("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5000\r\n\r\n" + echo),
	}
}

// EachFault runs a client against each of [Faults], and against more, each in its
// own bubble. call starts a server in the bubble and must return an error without
// the secrets.
func EachFault(t *testing.T, secrets []string, more map[string]http.Handler, call func(*testing.T, http.Handler) error) {
	t.Helper()
	for _, faults := range []map[string]http.Handler{Faults(strings.Join(secrets, "&")), more} {
		for name, fault := range faults {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					err := call(t, fault)
					if err == nil {
						t.Fatal("call succeeded, want an error")
					}
					NoSecret(t, err, secrets...)
				})
			})
		}
	}
}

// NoSecret checks that no printed form of a value contains a secret, nor, if it is
// an error, of the errors it wraps.
func NoSecret(t *testing.T, value any, secrets ...string) {
	t.Helper()
	shown := fmt.Sprintf("%[1]v %+[1]v %[1]s %[1]q %[1]x", value)
	for _, secret := range secrets {
		if strings.Contains(shown, secret) || strings.Contains(shown, fmt.Sprintf("%x", secret)) {
			t.Errorf("%T contains %q: %s", value, secret, shown)
		}
	}
	switch wraps := value.(type) {
	case interface{ Unwrap() []error }:
		for _, inner := range wraps.Unwrap() {
			NoSecret(t, inner, secrets...)
		}
	case error:
		if inner := errors.Unwrap(wraps); inner != nil {
			NoSecret(t, inner, secrets...)
		}
	}
}
