package transport_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// post makes one request and reads its answer to the end.
func post(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer Atza|fake-access")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

// start starts srv, over TLS if secure, and counts the connections made to it.
func start(t *testing.T, srv *httptest.Server, secure bool) *atomic.Int64 {
	t.Helper()
	dialled := new(atomic.Int64)
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialled.Add(1)
		}
	}
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return dialled
}

// trust makes the client accept the certificate of a started srv.
func trust(client *http.Client, srv *httptest.Server) {
	client.Transport.(*http.Transport).TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
}

// gathering answers when n requests are there.
type gathering struct {
	n int

	mu      sync.Mutex
	waiting int
	all     chan struct{}
}

func newGathering(n int) *gathering { return &gathering{n: n, all: make(chan struct{})} }

func (g *gathering) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-g.join():
	case <-r.Context().Done():
	}
}

func (g *gathering) join() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.all
	if g.waiting++; g.waiting == g.n {
		close(all)
		g.waiting, g.all = 0, make(chan struct{})
	}
	return all
}

// memory is a listener without a socket, so that a synctest bubble sees both
// ends of a connection wait and lets the time pass.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

// dial returns the client's end of a new connection.
func (m *memory) dial() (*mortal, error) {
	near, far := net.Pipe()
	select {
	case m.conns <- far:
		return &mortal{Conn: near}, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// mortal is a connection that can die as those of a frozen process do: nothing
// arrives any more, and nobody says so.
type mortal struct {
	net.Conn
	dead atomic.Bool
}

func (c *mortal) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}
