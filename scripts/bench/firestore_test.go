package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/emulator"
)

// TestFirestoreOperations holds a refresh to what it has to cost: the record is
// read once, by the query that finds it, and written twice, for the lease and
// for the tokens.
func TestFirestoreOperations(t *testing.T) {
	t.Parallel()
	host := emulator.Firestore(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	empty := make(map[int]bool)
	for bucket := range 256 {
		empty[bucket] = true
	}
	for i := range 30 {
		delete(empty, customer(i).Bucket())
	}
	// A sweep reads its mark and the brake, and moves the mark. Once a day one of
	// them counts the customers.
	const counting = 3
	for name, test := range map[string]struct {
		grants, shards int
		want           operations
	}{
		"as in the README":       {500, 16, operations{refreshes: 500, queries: 16 + 1, reads: 500 + 2*16 + counting, writes: 1000 + 16 + 1}},
		"a shard of each bucket": {30, 256, operations{refreshes: 30, queries: 256 + 1, reads: 30 + int64(len(empty)) + 2*256 + counting, writes: 60 + 256 + 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := count(t.Context(), host, test.grants, test.shards)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(operations{})); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
			var text strings.Builder
			if err := got.write(&text); err != nil {
				t.Fatal(err)
			}
			if test.grants == 500 && !strings.Contains(string(readme), indent(text.String())) {
				t.Errorf("README.md does not show\n%s", text.String())
			}
		})
	}
}

// TestEventOperations holds an event to what it has to cost: a customer's
// record is read once in a minute, and nothing is written when all is well.
func TestEventOperations(t *testing.T) {
	t.Parallel()
	host := emulator.Firestore(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	got, err := countEvents(t.Context(), built(t), host, 100, 9)
	if err != nil {
		t.Fatal(err)
	}
	want := eventOperations{customers: 100, repeats: 9, first: [2]int64{100, 0}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(eventOperations{})); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	var text strings.Builder
	if err := got.write(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), indent(text.String())) {
		t.Errorf("README.md does not show\n%s", text.String())
	}
}

func TestFirestoreNeedsTheEmulator(t *testing.T) {
	t.Setenv(emulatorHost, "")
	if status, _, stderr := bench(t, "firestore"); status != exitFailed || !strings.Contains(stderr, emulatorHost) {
		t.Errorf("status %d: %s", status, stderr)
	}
}
