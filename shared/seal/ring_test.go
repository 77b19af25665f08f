package seal_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
)

// source is the source of a keyset that is rotated.
type source struct {
	mu     sync.Mutex
	keyset sensitive.String
	err    error
	hang   bool // until the context ends
	loads  int
}

func newSource(t *testing.T) *source {
	t.Helper()
	return &source{keyset: newKeyset(t)}
}

func (s *source) load(ctx context.Context) (sensitive.String, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if s.hang {
		<-ctx.Done()
		return sensitive.String{}, ctx.Err()
	}
	return s.keyset, s.err
}

// sealer returns the Sealer of a process that starts now.
func (s *source) sealer(t *testing.T) *seal.Sealer {
	t.Helper()
	sealer := newSealer(t, s.keyset)
	sealer.ReloadFrom(s.load, time.Now)
	return sealer
}

func (s *source) rotate(t *testing.T) {
	t.Helper()
	s.keyset = rotated(t, s.keyset)
}

// wantOpen opens a value, and checks the number of loads so far.
func (s *source) wantOpen(t *testing.T, sealer *seal.Sealer, sealed []byte, loads int) {
	t.Helper()
	if got, err := sealer.Open(sealed, place); err != nil || !got.Equal(token) {
		t.Errorf("Open() = %v", err)
	}
	s.wantLoads(t, loads)
}

// wantClosed fails to open a value, and returns the error.
func (s *source) wantClosed(t *testing.T, sealer *seal.Sealer, sealed []byte, loads int) error {
	t.Helper()
	got, err := sealer.Open(sealed, place)
	if !errors.Is(err, seal.ErrOpen) || !got.Empty() {
		t.Errorf("Open() = %v, want ErrOpen", err)
	}
	s.wantLoads(t, loads)
	return err
}

func (s *source) wantLoads(t *testing.T, want int) {
	t.Helper()
	if s.loads != want {
		t.Errorf("loads = %d, want %d", s.loads, want)
	}
}

// TestUnknownKeyLoads rotates the keyset while a process runs.
func TestUnknownKeyLoads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		old := s.sealer(t)
		before := mustSeal(t, old)
		s.rotate(t)
		rotated := mustSeal(t, s.sealer(t))
		if old.Fresh(rotated) || !old.Fresh(before) {
			t.Error("Fresh() knows the new key before it is loaded")
		}
		s.wantOpen(t, old, before, 0)
		s.wantOpen(t, old, rotated, 1)
		s.wantOpen(t, old, rotated, 1)
		s.wantOpen(t, old, before, 1)
		if old.Fresh(before) || !old.Fresh(rotated) || !old.Fresh(mustSeal(t, old)) {
			t.Error("Seal uses the old key after the load")
		}
		s.wantLoads(t, 1)
	})
}

// TestUnreadableDoesNotLoad opens values that no keyset can open.
func TestUnreadableDoesNotLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		sealer := s.sealer(t)
		sealed := mustSeal(t, sealer)
		damaged := append([]byte(nil), sealed...)
		damaged[len(damaged)-1] ^= 1
		for _, sealed := range [][]byte{damaged, sealed[:5], sealed[:4], {0}, []byte("Atza|fake-not-sealed")} {
			s.wantClosed(t, sealer, sealed, 0)
		}
	})
}

// TestStormLoadsOnce has many goroutines open values of many unknown keys.
func TestStormLoadsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		old := s.sealer(t)
		s.rotate(t)
		rotated := mustSeal(t, s.sealer(t))
		unknown := func(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{1}, id) }

		var storm sync.WaitGroup
		for i := range 64 {
			storm.Go(func() { _, _ = old.Open(unknown(uint32(i)), place) })
			storm.Go(func() {
				if got, err := old.Open(rotated, place); err != nil || !got.Equal(token) {
					t.Errorf("Open() = %v", err)
				}
			})
			storm.Go(func() {
				if _, err := old.Seal(token, place); err != nil {
					t.Errorf("Seal() = %v", err)
				}
			})
		}
		storm.Wait()
		s.wantLoads(t, 1)

		time.Sleep(10*time.Second - time.Nanosecond)
		s.wantClosed(t, old, unknown(1), 1)
		time.Sleep(time.Nanosecond)
		for i := range 64 {
			s.wantClosed(t, old, unknown(uint32(i)), 2)
		}
	})
}

// TestFailedLoad: a failed load keeps the keyset, and its error is reported.
func TestFailedLoad(t *testing.T) {
	t.Parallel()
	broken := errors.New("the source is broken")
	for name, tt := range map[string]struct {
		spoil func(*source)
		says  string
		takes time.Duration
	}{
		"error":           {func(s *source) { s.err = broken }, broken.Error(), 0},
		"hangs":           {func(s *source) { s.hang = true }, context.DeadlineExceeded.Error(), 2 * time.Second},
		"not a keyset":    {func(s *source) { s.keyset = sensitive.New("canary") }, "not a Tink keyset", 0},
		"empty":           {func(s *source) { s.keyset = sensitive.String{} }, "not a Tink keyset", 0},
		"without the key": {func(*source) {}, "no such key", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSource(t)
				old := s.sealer(t)
				before, good := mustSeal(t, old), s.keyset
				s.rotate(t)
				rotated := mustSeal(t, s.sealer(t))
				rotatedKeyset := s.keyset
				s.keyset = good
				tt.spoil(s)

				began := time.Now()
				for range 2 { // the second time without a load
					err := s.wantClosed(t, old, rotated, 1)
					if id, _ := seal.KeyID(rotated); !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), fmt.Sprint(id)) {
						t.Errorf("error = %v, want the key's id and %q in it", err, tt.says)
					}
					if errors.Is(err, broken) || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "canary") {
						t.Errorf("error = %v, want only ErrOpen", err)
					}
				}
				if took := time.Since(began); took != tt.takes {
					t.Errorf("Open took %v, want %v", took, tt.takes)
				}
				s.wantOpen(t, old, before, 1)
				s.wantOpen(t, old, mustSeal(t, old), 1)

				s.keyset, s.err, s.hang = rotatedKeyset, nil, false
				time.Sleep(10 * time.Second)
				s.wantOpen(t, old, rotated, 2)
				if err := s.wantClosed(t, old, []byte("\x01none"), 2); !strings.Contains(err.Error(), "no such key") {
					t.Errorf("error = %v, want no mention of the earlier failure", err)
				}
			})
		})
	}
}

// TestSealLoadsHourly: without unknown keys a process loads once an hour.
func TestSealLoadsHourly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		sealer := s.sealer(t)
		s.rotate(t)
		sealed := mustSeal(t, s.sealer(t))
		time.Sleep(time.Hour - time.Nanosecond)
		mustSeal(t, sealer)
		s.wantLoads(t, 0)
		time.Sleep(time.Nanosecond)
		for range 3 {
			mustSeal(t, sealer)
		}
		s.wantLoads(t, 1)
		if !sealer.Fresh(sealed) {
			t.Error("Seal uses the old key after an hour")
		}

		s.hang = true
		time.Sleep(time.Hour)
		began := time.Now()
		for range 3 {
			s.wantOpen(t, sealer, mustSeal(t, sealer), 2)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("three Seals took %v while the source hangs, want 1 s", took)
		}

		// A failed load is repeated sooner than in an hour.
		s.hang = false
		s.rotate(t)
		sealed = mustSeal(t, s.sealer(t))
		time.Sleep(time.Minute - time.Second)
		if mustSeal(t, sealer); !sealer.Fresh(sealed) {
			t.Error("Seal uses the old key a minute after the failed load")
		}
	})
}

// TestSealDoesNotWait seals while another goroutine's load hangs. It uses no
// bubble, where a goroutine that waits for a lock would hang the test.
func TestSealDoesNotWait(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	sealer := newSealer(t, s.keyset)
	var moved atomic.Int64 // the clock
	looking, enough := make(chan struct{}), make(chan struct{})
	sealer.ReloadFrom(func(context.Context) (sensitive.String, error) {
		close(looking)
		<-enough
		return s.keyset, nil
	}, func() time.Time { return time.Unix(moved.Load(), 0) })
	moved.Store(3600)

	var both sync.WaitGroup
	both.Go(func() { _, _ = sealer.Seal(token, place) })
	<-looking
	sealed := make(chan error, 1)
	both.Go(func() {
		_, err := sealer.Seal(token, place)
		sealed <- err
	})
	select {
	case err := <-sealed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Seal waits for another goroutine's load")
	}
	close(enough)
	both.Wait()
}

// TestRemovedKey removes the old key when no value needs it.
func TestRemovedKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		sealer := s.sealer(t)
		before := mustSeal(t, sealer)
		s.rotate(t)
		id, ok := seal.KeyID(before)
		if !ok {
			t.Fatal("no key id")
		}
		keyset, err := seal.Remove(s.keyset, id)
		if err != nil {
			t.Fatal(err)
		}
		s.keyset = keyset
		s.wantClosed(t, s.sealer(t), before, 1)
		s.wantOpen(t, sealer, before, 1) // a running process has the key until it loads
		time.Sleep(time.Hour)
		mustSeal(t, sealer)
		time.Sleep(10 * time.Second)
		s.wantClosed(t, sealer, before, 3)
	})
}
