package transport_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/gatepostdev/gatepost/shared/testkit/loopback"
	"github.com/gatepostdev/gatepost/shared/transport"
)

// TestConnectionsAreKept proves the reason of this package, and that the
// measure would notice the settings that it replaces.
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
			most := int64(conns * test.hosts)
			if got := dials(t, test.client, test.hosts, conns, rounds); (got <= most) != test.kept {
				t.Errorf("%d dials for %d requests at a time, want at most that: %v", got, most, test.kept)
			}
		})
	}
}

// dials posts n requests at once to each of some hosts, several rounds of
// them, and returns how many connections that took. A host answers a round when
// all of it is there, so that every request needs a connection of its own.
func dials(t *testing.T, client *http.Client, hosts, n, rounds int) int64 {
	t.Helper()
	var urls []string
	var counts []*atomic.Int64
	for range hosts {
		srv := httptest.NewUnstartedServer(newGathering(n))
		counts = append(counts, start(t, srv, false))
		urls = append(urls, srv.URL)
	}
	for range rounds {
		round, ctx := errgroup.WithContext(t.Context())
		for _, url := range urls {
			for range n {
				round.Go(func() error { _, err := post(ctx, client, url); return err })
			}
		}
		if err := round.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	var sum int64
	for _, count := range counts {
		sum += count.Load()
	}
	return sum
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	for name, major := range map[string]int{"offered": 2, "not offered": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.EnableHTTP2 = major == 2
			dialled := start(t, srv, true)
			client := transport.NewClient(1)
			trust(client, srv)
			for range 8 {
				resp, err := post(t.Context(), client, srv.URL)
				if err != nil {
					t.Fatal(err)
				}
				if resp.ProtoMajor != major {
					t.Errorf("the server was spoken to in %s, want HTTP/%d", resp.Proto, major)
				}
			}
			if dialled.Load() != 1 {
				t.Errorf("%d connections, want 1", dialled.Load())
			}
		})
	}
}

func TestHTTP2SharesOneConnection(t *testing.T) {
	t.Parallel()
	const n = 64
	everyone := newGathering(n)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/together" {
			everyone.ServeHTTP(w, r)
		}
	}))
	srv.EnableHTTP2 = true
	dialled := start(t, srv, true)
	client := transport.NewClient(n)
	trust(client, srv)
	// The first request finds out that it is HTTP/2; calls that begin before
	// it has may dial as well.
	if _, err := post(t.Context(), client, srv.URL); err != nil {
		t.Fatal(err)
	}
	group, ctx := errgroup.WithContext(t.Context())
	for range n {
		group.Go(func() error { _, err := post(ctx, client, srv.URL+"/together"); return err })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if dialled.Load() != 1 {
		t.Errorf("%d requests at once took %d connections, want 1", n, dialled.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var visits atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	t.Cleanup(elsewhere.Close)
	client := transport.NewClient(1)
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		t.Cleanup(srv.Close)
		resp, err := post(t.Context(), client, srv.URL)
		if err != nil {
			t.Fatalf("%d: %v", status, err)
		}
		if resp.StatusCode != status {
			t.Errorf("status %d, want the %d itself", resp.StatusCode, status)
		}
	}
	if visits.Load() != 0 {
		t.Errorf("%d redirects were followed", visits.Load())
	}
}

// TestDialerOfTheProcess is about what every other test relies on: a dialer
// set on http.DefaultTransport, here by TestMain, is that of the clients too.
func TestDialerOfTheProcess(t *testing.T) {
	t.Parallel()
	client := transport.NewClient(1)
	client.Transport.(*http.Transport).Proxy = nil
	// An address set aside for documentation, RFC 5737.
	if _, err := post(t.Context(), client, "http://192.0.2.1/"); !errors.Is(err, loopback.ErrElsewhere) {
		t.Errorf("%v, want the dialer's refusal", err)
	}
}
