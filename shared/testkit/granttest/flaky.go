package granttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"

	"github.com/gatepostdev/gatepost/shared/grant"
)

// FlakyStore is a store whose calls fail at random. Make one with [Flaky].
type FlakyStore struct {
	behind grant.Store

	mu     sync.Mutex
	draw   *rand.Rand
	oneIn  int // zero means that none fails
	faults int
}

var _ grant.Store = (*FlakyStore)(nil)

// Flaky returns a store that wraps another and fails one in oneIn calls at random,
// as Firestore does: with the status Aborted, Internal, Unknown, Unavailable,
// DeadlineExceeded or ResourceExhausted. Half of the failed writes are still made:
// only their answers are lost.
//
// The errors are those of package grantfire. An aborted write is grant.ErrConflict,
// and so is one that was made and that the client library repeated after a lost
// answer. A write that changes nothing never fails, since it makes no call.
//
// The same seed gives the same faults to the same calls in the same order. The
// store is safe for concurrent use.
func Flaky(store grant.Store, seed uint64, oneIn int) *FlakyStore {
	if oneIn < 1 {
		panic("granttest: oneIn must be 1 or more")
	}
	return &FlakyStore{behind: store, draw: rand.New(rand.NewPCG(seed, 0)), oneIn: oneIn}
}

// Calm ends the faults, so that a test can read the store.
func (f *FlakyStore) Calm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.oneIn = 0
}

// Faults returns how many calls have failed at random.
func (f *FlakyStore) Faults() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.faults
}

// flakyCodes are the retryable failures of Firestore's calls, as gRPC names them.
var flakyCodes = []string{aborted, "Internal", "Unknown", "Unavailable", deadlineExceeded, "ResourceExhausted"}

const (
	aborted          = "Aborted"
	deadlineExceeded = "DeadlineExceeded"
)

// fault draws a call's failure: its code, empty for none, and whether a write is
// still made.
func (f *FlakyStore) fault() (code string, happens bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.oneIn == 0 || f.draw.IntN(f.oneIn) > 0 {
		return "", false
	}
	f.faults++
	return flakyCodes[f.draw.IntN(len(flakyCodes))], f.draw.IntN(2) == 0
}

// flaw returns the error of a code. It has no gRPC status, which only grantfire may
// read.
func flaw(code string) error {
	err := fmt.Errorf("granttest: rpc error: code = %s desc = a fault of the test", code)
	if code == deadlineExceeded {
		return fmt.Errorf("%w (%w)", context.DeadlineExceeded, err)
	}
	return err
}

// flakyRead reads, or fails.
func flakyRead[T any](f *FlakyStore, read func() (T, error)) (T, error) {
	if code, _ := f.fault(); code != "" {
		var none T
		return none, flaw(code)
	}
	return read()
}

// flakyWrite writes, or fails before or after the write. A write that the store
// refuses fails with the store's error.
func flakyWrite[T any](f *FlakyStore, write func() (T, error)) (T, error) {
	code, happens := f.fault()
	if code == "" {
		return write()
	}
	var none T
	if happens {
		if _, err := write(); err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.faults--
			return none, err
		}
	}
	if code == aborted {
		return none, grant.ErrConflict
	}
	return none, flaw(code)
}

// Read implements [grant.Store].
func (f *FlakyStore) Read(ctx context.Context, key grant.Key) (grant.Record, error) {
	return flakyRead(f, func() (grant.Record, error) { return f.behind.Read(ctx, key) })
}

// Write implements [grant.Store].
func (f *FlakyStore) Write(ctx context.Context, was, now grant.Record) (grant.Record, error) {
	write := func() (grant.Record, error) { return f.behind.Write(ctx, was, now) }
	if len(grant.Diff(was, now)) == 0 {
		return write()
	}
	return flakyWrite(f, write)
}

// Delete implements [grant.Store].
func (f *FlakyStore) Delete(ctx context.Context, was grant.Record) error {
	_, err := flakyWrite(f, func() (struct{}, error) { return struct{}{}, f.behind.Delete(ctx, was) })
	return err
}

// Due implements [grant.Store].
func (f *FlakyStore) Due(ctx context.Context, q grant.DueQuery) (grant.DuePage, error) {
	return flakyRead(f, func() (grant.DuePage, error) { return f.behind.Due(ctx, q) })
}

// CountDue implements [grant.Store].
func (f *FlakyStore) CountDue(ctx context.Context, q grant.DueQuery) (int, error) {
	return flakyRead(f, func() (int, error) { return f.behind.CountDue(ctx, q) })
}

// CountCustomers implements [grant.Store].
func (f *FlakyStore) CountCustomers(ctx context.Context) (int, error) {
	return flakyRead(f, func() (int, error) { return f.behind.CountCustomers(ctx) })
}

// ReadDelivery implements [grant.Store].
func (f *FlakyStore) ReadDelivery(ctx context.Context, key grant.DeliveryKey) (grant.Delivery, error) {
	return flakyRead(f, func() (grant.Delivery, error) { return f.behind.ReadDelivery(ctx, key) })
}

// WriteDelivery implements [grant.Store].
func (f *FlakyStore) WriteDelivery(ctx context.Context, was, now grant.Delivery) (grant.Delivery, error) {
	write := func() (grant.Delivery, error) { return f.behind.WriteDelivery(ctx, was, now) }
	if reflect.DeepEqual(was.Document(), now.Document()) {
		return write()
	}
	return flakyWrite(f, write)
}

// ReadAccount implements [grant.Store].
func (f *FlakyStore) ReadAccount(ctx context.Context, id string) (grant.Account, error) {
	return flakyRead(f, func() (grant.Account, error) { return f.behind.ReadAccount(ctx, id) })
}

// WriteAccount implements [grant.Store].
func (f *FlakyStore) WriteAccount(ctx context.Context, was, now grant.Account) (grant.Account, error) {
	write := func() (grant.Account, error) { return f.behind.WriteAccount(ctx, was, now) }
	if reflect.DeepEqual(was.Document(), now.Document()) {
		return write()
	}
	return flakyWrite(f, write)
}

// ReadControl implements [grant.Store].
func (f *FlakyStore) ReadControl(ctx context.Context, name string) (grant.Control, error) {
	return flakyRead(f, func() (grant.Control, error) { return f.behind.ReadControl(ctx, name) })
}

// WriteControl implements [grant.Store].
func (f *FlakyStore) WriteControl(ctx context.Context, was, now grant.Control) (grant.Control, error) {
	return flakyWrite(f, func() (grant.Control, error) { return f.behind.WriteControl(ctx, was, now) })
}
