package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/lwa"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// TestSweepCommand is not parallel: there is one CPU profile in a process.
func TestSweepCommand(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cpu")
	status, stdout, stderr := bench(t, "sweep", "-grants", "300", "-rounds", "1", "-shards", "2", "-latency", "1ms", "-cpuprofile", profile)
	if status != exitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, line := range []string{
		`(?m)^300 grants, 2 shards of 16 at a time, 32 connections kept, 1 rounds, \d+ CPUs$`,
		`(?m)^made up +1ms +[\d.]+[mµ]s .*[1-9]\d* %$`,
		`(?m)^in memory +1ms +[\d.]+[mµ]s .*[1-9]\d* %$`,
		`(?m)^heap: [\d.]+ MiB before a sweep of 30 grants, at most [\d.]+ MiB more during it$`,
		`(?m)^heap: [\d.]+ MiB before a sweep of 300 grants, at most [\d.]+ MiB more during it$`,
	} {
		if !regexp.MustCompile(line).MatchString(stdout) {
			t.Errorf("no line is like %s in\n%s", line, stdout)
		}
	}
	for _, name := range []string{profile + ".made-up", profile + ".in-memory"} {
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Errorf("no profile: %v", err)
		}
	}
}

// TestSweepFails: the figures of a sweep that did not refresh everybody must
// not be shown.
func TestSweepFails(t *testing.T) {
	t.Parallel()
	now := newClock()
	login := &amazon{now: now.now}
	f, err := newFleet(grantmem.New(), login, now, func() float64 { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := f.link(t.Context(), i, login.token(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.sweepAll(t.Context(), 16, 3); err == nil || !strings.Contains(err.Error(), "0 grants were refreshed, not 3") {
		t.Errorf("before they are due: %v", err)
	}
	f.forward(lifetime)
	login.down.Store(true)
	if err := f.sweepAll(t.Context(), 16, 3); err == nil || !strings.Contains(err.Error(), "failed: login_with_amazon") {
		t.Errorf("in an outage: %v", err)
	}
	login.down.Store(false)
	f.forward(time.Minute)
	if err := f.sweepAll(t.Context(), 16, 3); err != nil {
		t.Errorf("after it: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.forward(lifetime)
	if err := f.sweepAll(ctx, 16, 3); err == nil {
		t.Error("no error after an interrupt")
	}
}

// waiting is Login with Amazon when it takes a second, and how many wait for it.
type waiting struct {
	amazon
	mu        sync.Mutex
	now, most int
}

func (w *waiting) Refresh(ctx context.Context, id string, token sensitive.String) (lwa.Token, error) {
	w.enter(1)
	defer w.enter(-1)
	<-time.After(time.Second)
	return w.amazon.Refresh(ctx, id, token)
}

func (w *waiting) enter(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now += n
	w.most = max(w.most, w.now)
}

// TestPerShard: the bare client and the limits count on as many refreshes at a
// time as a shard really makes.
func TestPerShard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := newClock()
		login := &waiting{amazon: amazon{now: now.now}}
		f, err := newFleet(grantmem.New(), login, now, func() float64 { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		const n = 500
		for i := range n {
			if err := f.link(t.Context(), i, login.token(), 0); err != nil {
				t.Fatal(err)
			}
		}
		f.forward(lifetime)
		if err := f.sweepAll(t.Context(), 1, n); err != nil || login.most != perShard {
			t.Errorf("a shard makes %d refreshes at a time, not %d: %v", login.most, perShard, err)
		}
	})
}

func TestMadeUpRecordsAreFoundOnce(t *testing.T) {
	t.Parallel()
	const n = 500
	now := newClock()
	login := &amazon{now: now.now}
	f, err := newFleet(nil, login, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	store := newMadeUp(f, login.token(), n)
	found := make(map[grant.Key]int)
	for first := range 16 {
		q := grant.DueQuery{Limit: 7}
		for bucket := range 16 {
			q.Buckets = append(q.Buckets, 16*first+bucket)
		}
		for {
			page, err := store.Due(t.Context(), q)
			if err != nil || len(page.Records) > q.Limit || page.Next != nil && len(page.Records) < q.Limit {
				t.Fatalf("a page of %d: %v", len(page.Records), err)
			}
			for _, record := range page.Records {
				found[record.Key()]++
			}
			if page.Next == nil {
				break
			}
			q.After = page.Next
		}
	}
	want := make(map[grant.Key]int)
	for i := range n {
		want[customer(i)] = 1
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("records found (-want +got):\n%s", diff)
	}
}

func TestRawFailsWithTheServer(t *testing.T) {
	t.Parallel()
	var requests int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests > 3 || r.FormValue("a") != "b" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	bare := raw{client: server.Client(), url: server.URL, form: "a=b"}
	if err := bare.post(t.Context(), 3, 1); err != nil || requests != 3 {
		t.Errorf("%d requests: %v", requests, err)
	}
	if err := bare.post(t.Context(), 3, 1); err == nil || requests != 4 {
		t.Errorf("%d requests in the end, and error %v", requests, err)
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	cpu := func(times ...time.Duration) (list []effort) {
		for i, d := range times {
			list = append(list, effort{cpu: d * time.Second, wall: time.Duration(i) * time.Second})
		}
		return list
	}
	r := rounds{sweep: cpu(10, 40, 20), raw: cpu(9, 8, 6)} // 90 %, 20 % and 30 %
	if got := r.share(); got < 0.299 || got > 0.301 {
		t.Errorf("share %v, want 0.3", got)
	}
	want := effort{cpu: 20 * time.Second, wall: time.Second}
	if diff := cmp.Diff(want, middle(r.sweep), cmp.AllowUnexported(effort{})); diff != "" {
		t.Errorf("median (-want +got):\n%s", diff)
	}
}
