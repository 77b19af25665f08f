package granttest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/grant/granttest"
)

// flakyCalls calls each method of a store such that it has something to do, and
// reports whether a write happened, which is false for a read.
var flakyCalls = map[string]func(t *testing.T, flaky, behind grant.Store) (err error, happened bool){
	"Read": func(t *testing.T, flaky, _ grant.Store) (error, bool) {
		_, err := flaky.Read(t.Context(), flakyKey)
		return err, false
	},
	"Due": func(t *testing.T, flaky, _ grant.Store) (error, bool) {
		_, err := flaky.Due(t.Context(), grant.DueQuery{Buckets: []int{1}, Limit: 1})
		return err, false
	},
	"CountDue": func(t *testing.T, flaky, _ grant.Store) (error, bool) {
		_, err := flaky.CountDue(t.Context(), grant.DueQuery{Buckets: []int{1}, Limit: 1})
		return err, false
	},
	"CountCustomers": func(t *testing.T, flaky, _ grant.Store) (error, bool) {
		_, err := flaky.CountCustomers(t.Context())
		return err, false
	},
	"ReadDelivery": func(t *testing.T, flaky, _ grant.Store) (error, bool) {
		_, err := flaky.ReadDelivery(t.Context(), grant.DeliveryKey{})
		return notFound(err), false
	},
	"ReadAccount": func(t *testing.T, flaky, _ grant.Store) (error, bool) {
		_, err := flaky.ReadAccount(t.Context(), "a-1")
		return notFound(err), false
	},
	"ReadControl": func(t *testing.T, flaky, _ grant.Store) (error, bool) {
		_, err := flaky.ReadControl(t.Context(), "c-1")
		return notFound(err), false
	},
	"Write": func(t *testing.T, flaky, behind grant.Store) (error, bool) {
		was := current(t.Context(), behind, flakyKey)
		now := was.Clone()
		now.UsedAt = now.UsedAt.Add(time.Second)
		_, err := flaky.Write(t.Context(), was, now)
		return err, current(t.Context(), behind, flakyKey).Revision != was.Revision
	},
	"Delete": func(t *testing.T, flaky, behind grant.Store) (error, bool) {
		was := grant.New(grant.Key{UserID: "to be deleted"})
		if stored := current(t.Context(), behind, was.Key()); stored.Stored() {
			was = stored
		} else {
			now := was.Clone()
			now.UsedAt = time.Unix(1, 0)
			var err error
			if was, err = behind.Write(t.Context(), was, now); err != nil {
				t.Fatal(err)
			}
		}
		err := flaky.Delete(t.Context(), was)
		return err, !current(t.Context(), behind, was.Key()).Stored()
	},
	"WriteDelivery": func(t *testing.T, flaky, behind grant.Store) (error, bool) {
		was := currentDelivery(t.Context(), behind, grant.DeliveryKey{EventID: "e-1"})
		now := was
		now.ExpireAt = now.ExpireAt.Add(time.Second)
		_, err := flaky.WriteDelivery(t.Context(), was, now)
		return err, currentDelivery(t.Context(), behind, was.Key).Revision != was.Revision
	},
	"WriteAccount": func(t *testing.T, flaky, behind grant.Store) (error, bool) {
		was := currentAccount(t.Context(), behind, "a-2")
		now := was
		now.Customer, now.LinkedAt = "c", now.LinkedAt.Add(time.Second)
		_, err := flaky.WriteAccount(t.Context(), was, now)
		return err, currentAccount(t.Context(), behind, was.ID).Revision != was.Revision
	},
	"WriteControl": func(t *testing.T, flaky, behind grant.Store) (error, bool) {
		was := currentControl(t.Context(), behind, "c-2")
		_, err := flaky.WriteControl(t.Context(), was, was)
		return err, currentControl(t.Context(), behind, "c-2").Revision != was.Revision
	},
}

var flakyKey = grant.Key{UserID: "u-1"}

func notFound(err error) error {
	if errors.Is(err, grant.ErrNotFound) {
		return nil
	}
	return err
}

var code = regexp.MustCompile(`code = (\w+)`)

// outcome writes for people how a call ended.
func outcome(err error, happened bool) string {
	var how string
	switch m := code.FindStringSubmatch(fmt.Sprint(err)); {
	case err == nil:
		how = "done"
	case errors.Is(err, grant.ErrConflict):
		how = "conflict"
	case m == nil:
		how = err.Error()
	case errors.Is(err, context.DeadlineExceeded) != (m[1] == "DeadlineExceeded"):
		how = m[1] + ", and not what grantfire makes of it"
	default:
		how = m[1]
	}
	if happened {
		how += " after it was written"
	}
	return how
}

// TestFlakyFails in every way, in every method.
func TestFlakyFails(t *testing.T) {
	t.Parallel()
	if got, want := len(flakyCalls), reflect.TypeFor[grant.Store]().NumMethod(); got != want {
		t.Errorf("%d methods are called, and a store has %d", got, want)
	}
	reads := []string{"Aborted", "DeadlineExceeded", "Internal", "ResourceExhausted", "Unavailable", "Unknown"}
	writes := append([]string{"conflict"}, reads[1:]...)
	for _, how := range slices.Clone(writes) {
		writes = append(writes, how+" after it was written")
	}
	for name, call := range flakyCalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const calls = 300
			behind := grantmem.New()
			if name == "Read" {
				if _, err := behind.Write(t.Context(), grant.New(flakyKey), grant.Record{UserID: "u-1", Version: 5}); err != nil {
					t.Fatal(err)
				}
			}
			flaky := granttest.Flaky(behind, 1, 1)
			seen := make(map[string]bool)
			wrote := false
			for range calls {
				err, happened := call(t, flaky, behind)
				seen[outcome(err, happened)] = true
				wrote = wrote || happened
			}
			want := reads
			if wrote {
				want = writes
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(maps.Keys(seen))); diff != "" {
				t.Errorf("ended in these ways (-want +got):\n%s", diff)
			}
			if got := flaky.Faults(); got != calls {
				t.Errorf("%d faults in %d calls", got, calls)
			}
			flaky.Calm()
			if err, _ := call(t, flaky, behind); err != nil || flaky.Faults() != calls {
				t.Errorf("calm: %v, %d faults", err, flaky.Faults())
			}
		})
	}
}

// TestFlakyIsRepeatable: one seed makes the same faults, another others, and
// about as many as it is to.
func TestFlakyIsRepeatable(t *testing.T) {
	t.Parallel()
	const calls, oneIn = 3000, 3
	run := func(seed uint64) (outcomes []string) {
		behind := grantmem.New()
		flaky := granttest.Flaky(behind, seed, oneIn)
		for range calls {
			outcomes = append(outcomes, outcome(flakyCalls["WriteControl"](t, flaky, behind)))
		}
		if n := flaky.Faults(); n < calls/oneIn*9/10 || n > calls/oneIn*11/10 {
			t.Errorf("seed %d: %d faults in %d calls, want one in %d", seed, n, calls, oneIn)
		}
		return outcomes
	}
	first := run(1)
	if diff := cmp.Diff(first, run(1)); diff != "" {
		t.Errorf("the second time (-first +second):\n%s", diff)
	}
	if slices.Equal(first, run(2)) {
		t.Error("another seed makes the same faults")
	}
}

// TestFlakyKeepsTheContract: what fails by itself is no fault, and a write of
// what is stored already cannot fail.
func TestFlakyKeepsTheContract(t *testing.T) {
	t.Parallel()
	behind := grantmem.New()
	flaky := granttest.Flaky(behind, 1, 1)
	stale := grant.Delivery{Revision: 99}
	for range 50 {
		if _, err := flaky.WriteDelivery(t.Context(), stale, grant.Delivery{ExpireAt: time.Unix(1, 0)}); err == nil {
			t.Error("a stale delivery was written")
		}
		if _, err := behind.ReadDelivery(t.Context(), grant.DeliveryKey{}); !errors.Is(err, grant.ErrNotFound) {
			t.Errorf("a stale delivery was written: %v", err)
		}
	}
	if n := flaky.Faults(); n == 0 || n == 50 {
		t.Errorf("%d of 50 stale writes failed by a fault, want some", n)
	}
	before := flaky.Faults()
	for range 50 {
		_, err := flaky.Write(t.Context(), grant.New(flakyKey), grant.New(flakyKey))
		_, errDelivery := flaky.WriteDelivery(t.Context(), grant.Delivery{ExpireAt: time.Unix(1, 0)}, grant.Delivery{ExpireAt: time.Unix(1, 0)})
		_, errAccount := flaky.WriteAccount(t.Context(), grant.Account{Customer: "c"}, grant.Account{Customer: "c"})
		if err := errors.Join(err, errDelivery, errAccount); err != nil {
			t.Fatal(err)
		}
	}
	if got := flaky.Faults(); got != before {
		t.Errorf("%d faults where no store is asked", got-before)
	}
}
