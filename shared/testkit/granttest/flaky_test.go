package granttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
)

var faultCode = regexp.MustCompile(`code = (\w+)`)

// ending names a call's result.
func ending(err error) string {
	switch m := faultCode.FindStringSubmatch(fmt.Sprint(err)); {
	case errors.Is(err, grant.ErrConflict):
		return "conflict"
	case m == nil:
		return fmt.Sprint(err)
	case errors.Is(err, context.DeadlineExceeded) != (m[1] == "DeadlineExceeded"):
		return m[1] + ", and not what grantfire makes of it"
	default:
		return m[1]
	}
}

// TestFlakyFails: every method fails in every way. A failed write was made if its
// repetition conflicts.
func TestFlakyFails(t *testing.T) {
	t.Parallel()
	if got, want := len(calls), reflect.TypeFor[grant.Store]().NumMethod(); got != want {
		t.Errorf("methods called = %d, want a store's %d", got, want)
	}
	const seeds = 100
	for method, call := range calls {
		seen := make(map[string]bool)
		faults := 0
		for seed := range uint64(seeds) {
			behind := grantmem.New()
			flaky := Flaky(behind, seed, 1)
			how := ending(call(t.Context(), flaky))
			if strings.HasPrefix(method, "Write") && errors.Is(call(t.Context(), behind), grant.ErrConflict) {
				how += " after it was written"
			}
			seen[how] = true
			faults += flaky.Faults()
			flaky.Calm()
			if got, want := ending(call(t.Context(), flaky)), ending(call(t.Context(), behind)); got != want || flaky.Faults() > 1 {
				t.Errorf("%s, calm: result = %s with %d faults, want %s", method, got, flaky.Faults(), want)
			}
		}
		want := []string{"Aborted", "DeadlineExceeded", "Internal", "ResourceExhausted", "Unavailable", "Unknown"}
		wantFaults := seeds
		switch {
		case method == "Delete": // of a missing record: a Delete that is made is no fault
			want[0], wantFaults = "conflict", faults
		case strings.HasPrefix(method, "Write"):
			want[0] = "conflict"
			for _, how := range slices.Clone(want) {
				want = append(want, how+" after it was written")
			}
		}
		slices.Sort(want)
		wantSame(t, method, slices.Sorted(maps.Keys(seen)), want)
		if faults != wantFaults || faults == 0 {
			t.Errorf("%s: faults = %d, want %d", method, faults, wantFaults)
		}
	}
}

// TestFlakyIsRepeatable: the same seed gives the same faults, another seed other
// ones, and the rate is right.
func TestFlakyIsRepeatable(t *testing.T) {
	t.Parallel()
	const reads, oneIn = 600, 3
	run := func(seed uint64) (endings []string) {
		flaky := Flaky(grantmem.New(), seed, oneIn)
		for range reads {
			endings = append(endings, ending(calls["Read"](t.Context(), flaky)))
		}
		if n := flaky.Faults(); n < reads/oneIn*9/10 || n > reads/oneIn*11/10 {
			t.Errorf("seed %d: faults = %d in %d calls, want one in %d", seed, n, reads, oneIn)
		}
		return endings
	}
	first := run(1)
	wantSame(t, "the second time", run(1), first)
	if slices.Equal(run(2), first) {
		t.Error("another seed gives the same faults")
	}
}

// TestFlakyWritesNothing: a write that changes nothing cannot fail.
func TestFlakyWritesNothing(t *testing.T) {
	t.Parallel()
	flaky := Flaky(grantmem.New(), 1, 1)
	records.put(t, flaky, fullRecord(0, 1), fullRecord(0, 1))
	deliveries.put(t, flaky, fullDelivery(0, 1), fullDelivery(0, 1))
	accounts.put(t, flaky, fullAccount(0, 1), fullAccount(0, 1))
	if n := flaky.Faults(); n > 0 {
		t.Errorf("faults = %d without a call, want 0", n)
	}
}
