package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/testkit/loopback"
	"github.com/gatepostdev/gatepost/shared/transport"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var fine = badserver.Answer{Status: 200}

// post makes one request and reads the answer to its end.
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

// TestConnectionsAreKept proves this package's purpose, and that the test would
// detect the default settings.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	const conns, rounds = 64, 4
	goDefaults := func() *http.Client {
		client := transport.NewClient(conns)
		client.Transport.(*http.Transport).MaxIdleConnsPerHost = http.DefaultMaxIdleConnsPerHost
		return client
	}
	boundOverAll := func() *http.Client {
		client := transport.NewClient(conns)
		client.Transport.(*http.Transport).MaxIdleConns = 100
		return client
	}
	tests := []struct {
		name   string
		client *http.Client
		hosts  int
		kept   bool
	}{
		{"one host", transport.NewClient(conns), 1, true},
		{"two hosts", transport.NewClient(conns), 2, true},
		{"two idle connections for each host", goDefaults(), 1, false},
		{"a hundred idle connections over all hosts", boundOverAll(), 2, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			most := conns * test.hosts
			if got := dials(t, test.client, test.hosts, conns, rounds); (got <= most) != test.kept {
				t.Errorf("dials = %d for %d concurrent requests, want no more than those: %v", got, most, test.kept)
			}
		})
	}
}

// dials posts n concurrent requests to each of several hosts, for some rounds, and
// returns the number of connections. A host answers a round when all its requests
// are in flight, so that each needs its own connection.
func dials(t *testing.T, client *http.Client, hosts, n, rounds int) (sum int) {
	t.Helper()
	var servers []*badserver.Server
	for range hosts {
		servers = append(servers, badserver.New(t, badserver.Together(n, fine)))
	}
	for range rounds {
		round, ctx := errgroup.WithContext(t.Context())
		for _, server := range servers {
			for range n {
				round.Go(func() error { _, err := post(ctx, client, server.URL); return err })
			}
		}
		if err := round.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	for _, server := range servers {
		sum += server.Dialled()
	}
	return sum
}

// TestHTTP2: HTTP/2 is used if it is offered, on one connection for any number of
// requests.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	const n = 64
	server := badserver.NewHTTP2(t, fine, badserver.Together(n, fine))
	client := server.Client()
	// The first request finds out that it is HTTP/2; earlier calls may dial too.
	resp, err := post(t.Context(), client, server.URL)
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("response = %v, %v, want HTTP/2", resp, err)
	}
	group, ctx := errgroup.WithContext(t.Context())
	for range n {
		group.Go(func() error { _, err := post(ctx, client, server.URL); return err })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if dialled := server.Dialled(); dialled != 1 {
		t.Errorf("%d concurrent requests took %d connections, want 1", n, dialled)
	}

	old := httptest.NewTLSServer(fine)
	t.Cleanup(old.Close)
	client = transport.NewClient(1)
	client.Transport.(*http.Transport).TLSClientConfig = old.Client().Transport.(*http.Transport).TLSClientConfig
	if resp, err := post(t.Context(), client, old.URL); err != nil || resp.ProtoMajor != 1 {
		t.Errorf("response = %v, %v, want HTTP/1", resp, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := badserver.New(t, fine)
	client := transport.NewClient(1)
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := badserver.New(t, http.RedirectHandler(elsewhere.URL, status))
		if resp, err := post(t.Context(), client, server.URL); err != nil || resp.StatusCode != status {
			t.Errorf("response = %v, %v, want the %d itself", resp, err, status)
		}
	}
	if n := len(elsewhere.Requests()); n != 0 {
		t.Errorf("followed redirects = %d, want 0", n)
	}
}

// TestDialerOfTheProcess: the clients use the dialer of http.DefaultTransport, here
// TestMain's. Every other test relies on it.
func TestDialerOfTheProcess(t *testing.T) {
	t.Parallel()
	client := transport.NewClient(1)
	client.Transport.(*http.Transport).Proxy = nil
	// A documentation address of RFC 5737.
	if _, err := post(t.Context(), client, "http://192.0.2.1/"); !errors.Is(err, loopback.ErrElsewhere) {
		t.Errorf("error = %v, want the dialer's", err)
	}
}

// mortal is a connection that can die like a frozen process's: it loses everything
// without an error.
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

// TestDeadConnectionIsFound simulates a frozen process while the server drops the
// connection. Without the ping a call would wait until its deadline, and so would
// every later one.
func TestDeadConnectionIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := badserver.NewHTTP2InBubble(t, fine)
		client := server.Client()
		defer client.CloseIdleConnections()
		dialer := client.Transport.(*http.Transport)
		dial := dialer.DialContext
		var conns []*mortal
		dialer.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			conns = append(conns, &mortal{Conn: conn})
			return conns[len(conns)-1], err
		}
		if _, err := post(t.Context(), client, server.URL); err != nil {
			t.Fatal(err)
		}
		conns[0].dead.Store(true)

		started := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := post(ctx, client, server.URL); err == nil || ctx.Err() != nil {
			t.Errorf("error over a dead connection = %v, want one before the deadline", err)
		}
		if took := time.Since(started); took > 12*time.Second {
			t.Errorf("found after %v, want 12s or less", took)
		}
		if _, err := post(t.Context(), client, server.URL); err != nil {
			t.Errorf("next call: %v, want a new connection", err)
		}
		if len(conns) != 2 {
			t.Errorf("connections = %d, want 2", len(conns))
		}
	})
}
