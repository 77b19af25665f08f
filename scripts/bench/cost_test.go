package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// round is a plan whose figures can be checked by head: a refresh waits 100 ms,
// so that a shard makes 160 a second.
func round() plan {
	return plan{
		cpu: time.Millisecond, reads: 1, writes: 2, lwaTime: 60 * time.Millisecond, writeTime: 20 * time.Millisecond,
		egress: 1 << 10, shards: 16, shardsPerInstance: 1, vcpu: 1, memory: 0.5, bytes: 1 << 10,
	}
}

func TestBill(t *testing.T) {
	t.Parallel()
	// 2550 customers make a refresh a second, 2,628,000 in a month. 8760 sweeps
	// publish 140,160 messages.
	const seconds = 2_628_000*0.1/16 + 14_016
	want := []item{
		{"Firestore reads", 2_628_000 * 0.03 / 100_000},
		{"Firestore writes", 5_256_000 * 0.09 / 100_000},
		{"Firestore storage", 2550.0 / (1 << 20) * 0.15 * 2},
		{"Cloud Run CPU", seconds * 0.000024},
		{"Cloud Run memory", seconds * 0.0000025 / 2},
		{"Cloud Run requests", 148_920 * 0.40 / 1e6},
		{"Pub/Sub", 140_160 * 2000.0 / (1 << 40) * 40},
		{"Cloud Scheduler", 0.10},
		{"egress", 2_628_000.0 / (1 << 20) * 0.12},
	}
	same := cmp.Options{cmp.AllowUnexported(item{}), cmpopts.EquateApprox(1e-9, 0)}
	if diff := cmp.Diff(want, round().bill(2550), same); diff != "" {
		t.Errorf("bill (-want +got):\n%s", diff)
	}
	idle := round()
	idle.idle = 0.5
	if all, half := round().bill(1e6)[1], idle.bill(1e6)[1]; math.Abs(all.dollars-2*half.dollars) > 1e-9 {
		t.Errorf("%s: %.2f, and %.2f with half of the customers idle", all.name, all.dollars, half.dollars)
	}
}

// TestEventBill checks a bill by head: an event has 10 ms of an instance to
// itself.
func TestEventBill(t *testing.T) {
	t.Parallel()
	p := eventPlan{
		cpu: time.Millisecond, gatewayTime: 99 * time.Millisecond, reads: 0.5, published: 500, logged: 1 << 10, requestLog: 2 << 10, sent: 1 << 10,
		inFlight: 10, vcpu: 1, memory: 0.5,
	}
	const gibs = 1e6 / (1 << 20) // of a million times 1 KiB
	want := []item{
		{"Pub/Sub, publish", 1e9 / (1 << 40) * 40}, {"Pub/Sub, push", 1e9 / (1 << 40) * 40},
		{"Cloud Run requests", 0.40}, {"Cloud Run CPU", 10_000 * 0.000024}, {"Cloud Run memory", 5_000 * 0.0000025},
		{"Firestore reads", 500_000 * 0.03 / 100_000},
		{"log, success line", gibs * 0.50}, {"log of requests", 2 * gibs * 0.50}, {"egress", gibs * 0.12},
	}
	same := cmp.Options{cmp.AllowUnexported(item{}), cmpopts.EquateApprox(1e-9, 0)}
	if diff := cmp.Diff(want, p.bill(), same); diff != "" {
		t.Errorf("bill (-want +got):\n%s", diff)
	}
	busy := p
	busy.cpu, busy.inFlight = 20*time.Millisecond, 80
	if got := busy.paid(); got != 0.020 {
		t.Errorf("an event is charged %v s, less than its CPU", got)
	}
	var out strings.Builder
	if err := p.writeMachine(&out); err != nil {
		t.Fatal(err)
	}
	// 24.46 dollars, and 0.6525 for a million events.
	if !strings.Contains(out.String(), "24.46 dollars a month, as Cloud Run does for 37 million events, 14.3 a second") || !strings.Contains(out.String(), "send 500 a second") {
		t.Error(out.String())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	// Of a period of 300 s a shard works for 43 s.
	want := []limit{
		{"the sweep, 16 shards every 5m0s", 16 * 160 * 43.0 / 300},
		{"10000 writes a second to the database", 5000},
		{"the sweep, 256 shards every 5m0s", 256 * 160 * 43.0 / 300},
		{"the sweep, 256 shards every 1m0s", 256 * 160 * 43.0 / 60},
		{"500 writes a second to the index of each of 256 buckets", 128_000},
	}
	if diff := cmp.Diff(want, round().limits(), cmp.AllowUnexported(limit{}), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	if got := round().utilization(); math.Abs(got-0.16) > 1e-9 {
		t.Errorf("an instance uses %.3f of its CPU, want 0.16", got)
	}
	for customers, want := range map[float64]int{1: 16, 2550 * 16 * 160 * 0.14: 16, 2550 * 100: 16, 2550 * 16 * 160 * 0.15: 17, 1e12: 256} {
		if got := round().needed(customers); got != want {
			t.Errorf("%.0f customers need %d shards, want %d", customers, got, want)
		}
	}
}

func TestRamp(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]time.Duration{
		1: 0, 500: 0, 501: 5 * time.Minute, 750: 5 * time.Minute, 751: 10 * time.Minute, 10_000: 40 * time.Minute,
	} {
		if got := ramp(rate); got != want {
			t.Errorf("to %v a second: %v, want %v", rate, got, want)
		}
	}
}

// TestSize takes the example of
// https://cloud.google.com/firestore/docs/storage-size, without its boolean.
func TestSize(t *testing.T) {
	t.Parallel()
	got, err := size(map[string]any{"type": "Personal", "priority": int64(1), "description": "Learn Cloud Firestore"})
	if err != nil || got != 14+17+34 {
		t.Errorf("size %d, want %d: %v", got, 14+17+34, err)
	}
	nested, err := size(map[string]any{"a": map[string]any{"b": []byte{1, 2, 3}, "at": time.Time{}}})
	if err != nil || nested != 2+2+3+3+8 {
		t.Errorf("size %d, want %d: %v", nested, 2+2+3+3+8, err)
	}
	if _, err := size(map[string]any{"a": []any{}}); err == nil {
		t.Error("the size of a list is known")
	}
}
