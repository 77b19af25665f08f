package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestCounts: the other counts are proved elsewhere. When this fails, what is
// proved there has changed, and so has the bill.
func TestCounts(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"functions/sendevent/reads_test.go":    fmt.Sprintf(`read, none := map[string]int{"BatchGetDocuments": %d}, `, eventReads),
		"shared/grant/grantfire/store_test.go": `{"due", 1, `,
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %s any more: %v", file, want, err)
		}
	}
}

// TestBills checks bills by head: a refresh waits 100 ms, so that a shard makes
// 160 a second, and an event has 10 ms of an instance to itself.
func TestBills(t *testing.T) {
	t.Parallel()
	c := &cost{
		lwa: 60 * time.Millisecond, write: 20 * time.Millisecond, shards: 16, perInstance: 1,
		eventCPU: time.Millisecond, gatewayIn: 99 * time.Millisecond,
	}
	// 2550 customers make a refresh a second, 2,628,000 in a month. 8760 sweeps
	// publish 140,160 messages.
	const refreshes, seconds = 2_628_000, 2_628_000*0.1/16 + 14_016
	same := cmpopts.EquateApprox(1e-9, 0)
	if diff := cmp.Diff(bill{
		"Firestore reads": refreshes * 0.03 / 100_000, "Firestore writes": 2 * refreshes * 0.09 / 100_000,
		"Firestore storage": 2550 * 1400.0 / (1 << 30) * 0.30,
		"Cloud Run CPU":     seconds * 0.000024, "Cloud Run memory": seconds * 0.0000025 / 2,
		"Cloud Run requests": 148_920 * 0.40 / 1e6, "Pub/Sub": 140_160 * 2000.0 / (1 << 40) * 40, "Cloud Scheduler": 0.10,
		"egress": refreshes * 1500.0 / (1 << 30) * 0.12,
	}, c.refreshing(2550, 0), same); diff != "" {
		t.Errorf("bill of refreshes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(bill{
		"Firestore reads": 0.15, "Cloud Run CPU": 10_000 * 0.000024, "Cloud Run memory": 5_000 * 0.0000025, "Cloud Run requests": 0.40,
		"Pub/Sub": 2e9 / (1 << 40) * 40, "logs": 1.1e9 / (1 << 30) * 0.50, "egress": 2e9 / (1 << 30) * 0.12,
	}, c.delivering(1e6, 10, 0.5, 0.5), same); diff != "" {
		t.Errorf("bill of events (-want +got):\n%s", diff)
	}
	c.eventCPU = 20 * time.Millisecond
	for name, test := range map[string]struct{ got, want float64 }{
		"an event pays for its CPU at least": {c.delivering(1e6, 80, 1, 1)["Cloud Run CPU"], 20_000 * 0.000024},
		"half of the customers idle":         {2 * c.refreshing(1e6, 0.5)["Firestore writes"], c.refreshing(1e6, 0)["Firestore writes"]},
		// Of a period of 300 s a shard works for 43 s.
		"refreshes a second of 16 shards": {c.capacity(16), 16 * 160 * 43.0 / 300},
		// Twice as many customers as 16 shards can serve take 32.
		"messages of more shards": {c.refreshing(2*2550*c.capacity(16), 0)["Pub/Sub"], 2 * 140_160 * 2000.0 / (1 << 40) * 40},
	} {
		if math.Abs(test.got-test.want) > 1e-9*test.want {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
}
