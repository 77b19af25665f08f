package granttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatepostdev/gatepost/shared/grant"
)

const (
	walkSteps  = 100             // of one walk; they are printed when it fails
	walksSteps = 30_000          // of all walks, as far as walksTime lasts
	walksTime  = 5 * time.Second // what a slow store may take
)

// seedEnv names the seed of the first walk, to see a failure again.
const seedEnv = "STORE_SEED"

// walks takes one walk after the other, each with a store of its own.
func walks(ctx context.Context, t *testing.T, newStore func(t *testing.T) grant.Admin) {
	seed := firstSeed(t)
	steps, started := 0, time.Now()
	for ; steps < walksSteps && time.Since(started) < walksTime; steps += walkSteps {
		if err := Walk(ctx, newStore(t), seed, walkSteps); err != nil {
			t.Fatalf("seed %d: repeat with %s=%d\n%v", seed, seedEnv, seed, err)
		}
		seed++
	}
	t.Logf("%d operations in %v, the last walk with seed %d", steps, time.Since(started).Round(time.Millisecond), seed-1)
}

func firstSeed(t *testing.T) uint64 {
	text, ok := os.LookupEnv(seedEnv)
	if !ok {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", seedEnv, err)
	}
	return seed
}

// Walk does random operations with a store, which must be empty, and compares
// everything that it answers with what the contract says. It returns the first
// difference, and the operations that led there. The same seed gives the same
// operations, unless the store answers otherwise.
//
// Where the contract leaves something to the store a walk takes any of it: how
// full a page is, what a revision looks like. A walk does one thing at a time,
// never ends a context, and leaves the control documents alone.
func Walk(ctx context.Context, store grant.Admin, seed uint64, steps int) error {
	w := &walk{
		Rand: rand.New(rand.NewPCG(seed, 0)), store: store, reference: newReference(),
		past: make(map[grant.Key][]grant.Record), pastDeliveries: make(map[grant.DeliveryKey][]grant.Delivery),
		pastAccounts: make(map[string][]grant.Account),
	}
	for range steps {
		if err := w.step(ctx); err != nil {
			return w.failed(err)
		}
	}
	if err := w.last(ctx); err != nil {
		return w.failed(err)
	}
	return nil
}

// walk is where a walk has come to.
type walk struct {
	*rand.Rand
	store          grant.Admin
	reference      *reference
	past           map[grant.Key][]grant.Record // every state that was stored, for writers that come late
	pastDeliveries map[grant.DeliveryKey][]grant.Delivery
	pastAccounts   map[string][]grant.Account
	next           *grant.DueCursor // where a sweep goes on
	after          string           // where a list goes on
	history        []string
}

// step does something. What changes a store is more frequent than what empties
// it, so that there is something to find.
func (w *walk) step(ctx context.Context) error {
	switch n := w.IntN(116); {
	case n < 35:
		return w.write(ctx)
	case n < 45:
		return w.read(ctx, w.key())
	case n < 60:
		return w.due(ctx, w.query())
	case n < 70:
		return w.count(ctx, w.query())
	case n < 77:
		return w.list(ctx, w.place(), w.IntN(4))
	case n < 87:
		return w.writeDelivery(ctx)
	case n < 92:
		return w.readDelivery(ctx, w.deliveryKey())
	case n < 97:
		return w.delete(ctx)
	case n < 107:
		return w.writeAccount(ctx)
	case n < 112:
		return w.readAccount(ctx, w.accountID())
	default:
		return w.erase(ctx, w.key())
	}
}

// last looks at everything.
func (w *walk) last(ctx context.Context) error {
	for _, key := range walkKeys {
		if err := w.read(ctx, key); err != nil {
			return err
		}
		for _, event := range walkEvents {
			if err := w.readDelivery(ctx, grant.DeliveryKey{Customer: key.ID(), EventID: event}); err != nil {
				return err
			}
		}
	}
	for _, id := range walkAccounts() {
		if err := w.readAccount(ctx, id); err != nil {
			return err
		}
	}
	if err := w.due(ctx, grant.DueQuery{Buckets: []int{0, 1, 2, 3}, Before: timeOf(60), Limit: 100}); err != nil {
		return err
	}
	w.note("CountCustomers")
	got, err := w.store.CountCustomers(ctx)
	if err := w.same(got, err, len(w.reference.records), nil); err != nil {
		return err
	}
	return w.list(ctx, "", 100)
}

// note writes down what is about to be done.
func (w *walk) note(format string, args ...any) {
	w.history = append(w.history, fmt.Sprintf(format, args...))
}

func (w *walk) failed(err error) error {
	return fmt.Errorf("after these operations:\n  %s\n%w", strings.Join(w.history, "\n  "), err)
}

// exactly compares values as they are kept: times in UTC.
var exactly = cmp.Options{
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
	cmpopts.SortSlices(func(a, b string) bool { return a < b }), // who accepted an event
}

// same reports whether a store answered as the reference did.
func (w *walk) same(got any, err error, want any, wantErr error) error {
	if err != nil && errors.Is(wantErr, errRevision) {
		wantErr = nil // of course it gave none
	}
	if wantErr != nil {
		w.history[len(w.history)-1] += ": " + wantErr.Error()
	}
	switch {
	case errors.Is(wantErr, errRefused):
		return wantRefused("the last one", err)
	case errors.Is(wantErr, errRevision):
		return fmt.Errorf("the last one: %w: %+v", wantErr, got)
	case !errors.Is(err, wantErr):
		return fmt.Errorf("the last one: got error %v, want %v", err, wantErr)
	case err != nil:
		return nil
	}
	return sameValue("the last one", got, want)
}

// sameValue looks fast first: values are equal nearly always.
func sameValue(what string, got, want any) error {
	if reflect.DeepEqual(want, got) {
		return nil
	}
	if diff := cmp.Diff(want, got, exactly); diff != "" {
		return fmt.Errorf("%s (-want +got):\n%s", what, diff)
	}
	return nil
}
