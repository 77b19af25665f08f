package access_test

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// seeds returns what the random tests draw from: n seeds that are new with
// each run, or the one of FAULT_SEED, which repeats a run as far as the
// scheduling of goroutines can be repeated.
func seeds(t *testing.T, n int) []uint64 {
	t.Helper()
	if text, ok := os.LookupEnv("FAULT_SEED"); ok {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("FAULT_SEED: %v", err)
		}
		return []uint64{seed}
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = uint64(time.Now().UnixNano()) + uint64(i)
	}
	return list
}

// tellSeed has a test that fails say how to repeat it.
func tellSeed(t *testing.T, seed uint64) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with FAULT_SEED=%d", seed)
		}
	})
}
