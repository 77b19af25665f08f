package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

func TestSweepCommand(t *testing.T) {
	t.Parallel()
	wantLines(t, []string{"sweep", "-grants", "300", "-rounds", "1", "-shards", "2", "-latency", "2ms"},
		`300 grants, 2 shards of 16 at a time, 1 rounds, \d+ CPUs`,
		`0s +[\d.]+[mµ]?s .* \S+ %`, `2ms +[\d.]+[mµ]?s .* \S+ %`,
		`most memory of the process, after a sweep of 30 grants: [1-9]\d*\.\d MiB`,
		`most memory of the process, after a sweep of 300 grants: [1-9]\d*\.\d MiB`)
}

// slowLWA is Login with Amazon with a latency of a second; it counts the refreshes
// in flight.
type slowLWA struct {
	now       func() time.Time
	down      bool
	mu        sync.Mutex
	was, most int
}

func (s *slowLWA) Refresh(context.Context, string, sensitive.String) (lwa.Token, error) {
	s.enter(1)
	defer s.enter(-1)
	time.Sleep(time.Second)
	if s.down {
		return lwa.Token{}, fmt.Errorf("an outage: %w", lwa.ErrUnavailable)
	}
	return newToken(tokens{"Atza|fake", "Atzr|fake"}, s.now().Add(lifetime)), nil
}

func (*slowLWA) Knows(string) bool { return true }

func (s *slowLWA) enter(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.was += n
	s.most = max(s.most, s.was)
}

func newFleet(t *testing.T, n int) (*fleet, *slowLWA) {
	t.Helper()
	f := new(fleet)
	amazon := &slowLWA{now: f.now}
	if err := f.fill(n, tokens{"Atza|fake", "Atzr|fake"}, amazon); err != nil {
		t.Fatal(err)
	}
	return f, amazon
}

// TestSweepFails: a sweep that did not refresh every grant gives no figures.
func TestSweepFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, amazon := newFleet(t, 3)
		f.source.Store = &counting{Store: f, counts: make(map[string]int), hide: true}
		if err := f.sweep(t.Context(), 16); err == nil || !strings.Contains(err.Error(), "0 grants were refreshed, not 3") {
			t.Errorf("error without records = %v", err)
		}
		f.source.Store = f
		amazon.down = true
		if err := f.sweep(t.Context(), 16); err == nil || !strings.Contains(err.Error(), "failed: login_with_amazon") {
			t.Errorf("error in an outage = %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.sweep(ctx, 16); err == nil {
			t.Error("sweep after an interrupt succeeded, want an error")
		}
	})
}

// TestPerShard: the bare client and the limits assume a shard's real number of
// refreshes in flight.
func TestPerShard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, amazon := newFleet(t, 500)
		if err := f.sweep(t.Context(), 1); err != nil || amazon.most != perShard {
			t.Errorf("refreshes in flight = %d, want %d: %v", amazon.most, perShard, err)
		}
	})
}

// counting is a store that counts its calls.
type counting struct {
	grant.Store
	hide   bool // hides all records
	mu     sync.Mutex
	counts map[string]int
}

func (c *counting) add(call string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[call] += n
}

func (c *counting) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	page, err := c.Store.Due(ctx, q)
	if c.hide {
		page = grant.DuePage{}
	}
	c.add("reads", len(page.Records))
	return page, err
}

func (c *counting) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	c.add("reads", 1)
	return c.Store.Read(ctx, key)
}

func (c *counting) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	c.add("writes", 1)
	return c.Store.Write(ctx, was, now)
}

func (c *counting) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	c.add("control reads", 1)
	return c.Store.ReadControl(ctx, name)
}

func (c *counting) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	c.add("control writes", 1)
	return c.Store.WriteControl(ctx, was, now)
}

// TestRefreshReadsAndWrites counts a refresh's calls of the store, and those of the
// shards themselves. Once a day one of them counts the customers, with two reads and a
// write of the brake. A query that finds nothing is charged like a read.
func TestRefreshReadsAndWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _ := newFleet(t, 500)
		c := &counting{Store: f, counts: make(map[string]int)}
		f.source.Store = c
		if err := f.sweep(t.Context(), 16); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{
			"reads": 500 * refreshReads, "writes": 500 * refreshWrites,
			"control reads": 16*(sweepReads-1) + 2, "control writes": 16*sweepWrites + 1,
		}
		expect.Equal(t, "calls", want, c.counts)
	})
}

func TestGeneratedRecordsAreFoundOnce(t *testing.T) {
	t.Parallel()
	const n = 500
	f, _ := newFleet(t, n)
	found, want := make(map[grant.Key]int), make(map[grant.Key]int)
	for i := range n {
		want[customer(i)] = 1
	}
	for first := range 16 {
		q := grant.DueQuery{Limit: 7}
		for bucket := range 16 {
			q.Buckets = append(q.Buckets, 16*first+bucket)
		}
		for more := true; more; {
			page, err := f.Due(t.Context(), q)
			if err != nil || len(page.Records) > q.Limit || page.Next != nil && len(page.Records) < q.Limit {
				t.Fatalf("page of %d records: %v", len(page.Records), err)
			}
			for _, record := range page.Records {
				found[record.Key()]++
			}
			q.After, more = page.Next, page.Next != nil
		}
	}
	expect.Equal(t, "found records", want, found)
}

// TestDelayRefreshes: the world answers refreshes with the set latency.
func TestDelayRefreshes(t *testing.T) {
	t.Parallel()
	w, err := startWorld(t.Context(), pins{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Kill()
	list, err := w.tokens(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	form := clientForm("refresh_token")
	form.Set("refresh_token", list[0].Refresh)
	bare := bareClient{http.DefaultClient, w.TokenURL, form.Encode()}
	for _, delay := range []time.Duration{300 * time.Millisecond, 0} {
		began := time.Now()
		err := errors.Join(w.delayRefreshes(t.Context(), delay), bare.post(t.Context(), 1, 1))
		if took := time.Since(began); err != nil || took < delay {
			t.Errorf("refresh took %v, want %v or more: %v", took, delay, err)
		}
	}
}

func TestBareClientFailsWithTheServer(t *testing.T) {
	t.Parallel()
	var requests int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests > 3 || r.FormValue("a") != "b" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	bare := bareClient{server.Client(), server.URL, "a=b"}
	if err := bare.post(t.Context(), 3, 1); err != nil || requests != 3 {
		t.Errorf("requests = %d: %v, want 3", requests, err)
	}
	if err := bare.post(t.Context(), 3, 1); err == nil || requests != 4 {
		t.Errorf("requests = %d, error = %v, want 4 and an error", requests, err)
	}
}
