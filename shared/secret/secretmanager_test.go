package secret_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

func TestReadManager(t *testing.T) {
	t.Parallel()
	// Every answer of version uses this checksum. The value is the check value of
	// CRC-32C.
	if sum := version("", "123456789").Payload.GetDataCrc32C(); sum != 0xE3069283 {
		t.Fatalf("CRC-32C of 123456789 = %#x, want 0xe3069283", sum)
	}
	v := newVault(t, "fake-one", canary+"\n")
	r := v.reader(t)
	want := func(reference, want string) {
		t.Helper()
		if got, err := read(t.Context(), t, r, reference); err != nil || got != want {
			t.Errorf("Read(%s) = %q, %v, want %q, byte for byte", reference, got, err, want)
		}
	}
	want("env:FULL", canary+"\n")
	if got := v.connections.Load(); got != 0 {
		t.Errorf("connections for a variable = %d, want 0", got)
	}
	// Concurrent calls share one client.
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() { want(base, canary+"\n") })
	}
	calls.Wait()
	want(latest, canary+"\n")
	want(base+"/versions/1", "fake-one")
	v.mu.Lock()
	v.versions[1] = "fake-rotated"
	v.mu.Unlock()
	want(base, "fake-rotated")
	if got := v.connections.Load(); got != 1 {
		t.Errorf("connections = %d, want 1", got)
	}

	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if _, err := read(t.Context(), t, r, base); err == nil {
		t.Error("Read() after Close succeeded, want an error")
	}
	want("env:FULL", canary+"\n")
}

func TestReadManagerFaults(t *testing.T) {
	t.Parallel()
	type answer = func(context.Context, *accessRequest) (*accessed, error)
	refusal := func(code codes.Code) answer {
		return func(context.Context, *accessRequest) (*accessed, error) {
			return nil, status.Error(code, "because of the moon")
		}
	}
	spoilt := func(spoil func(*accessed)) answer {
		return func(_ context.Context, r *accessRequest) (*accessed, error) {
			v := version(r.GetName(), canary)
			spoil(v)
			return v, nil
		}
	}
	for name, tt := range map[string]struct {
		answer answer
		want   error // nil for none of the package's
		says   string
	}{
		"no such secret":   {refusal(codes.NotFound), secret.ErrNotFound, "moon"},
		"not allowed":      {refusal(codes.PermissionDenied), secret.ErrDenied, "moon"},
		"unknown caller":   {refusal(codes.Unauthenticated), secret.ErrDenied, "moon"},
		"version disabled": {refusal(codes.FailedPrecondition), nil, "moon"},
		"internal":         {refusal(codes.Internal), nil, "moon"},
		"byte changed":     {spoilt(func(v *accessed) { v.Payload.Data[0] ^= 1 }), nil, ""},
		"cut":              {spoilt(func(v *accessed) { v.Payload.Data = v.Payload.Data[1:] }), nil, ""},
		"no checksum":      {spoilt(func(v *accessed) { v.Payload.DataCrc32C = nil }), nil, ""},
		"no payload":       {spoilt(func(v *accessed) { v.Payload = nil }), nil, ""},
		"empty, and fine":  {spoilt(func(v *accessed) { v.Payload = version("", "").Payload }), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t.Context(), t, answering(t, tt.answer).reader(t), base)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Read() = %q, %v, want an error with %q", got, err, tt.says)
			}
			for _, kind := range []error{secret.ErrNotFound, secret.ErrDenied} {
				if errors.Is(err, kind) != (kind == tt.want) {
					t.Errorf("errors.Is(%v, %v) = %t", err, kind, kind != tt.want)
				}
			}
		})
	}
	r := newReader(t, option.WithAuthCredentialsFile(option.ServiceAccount, write(t, "no JSON")))
	if _, err := read(t.Context(), t, r, base); err == nil {
		t.Error("Read() without a client succeeded, want an error")
	}
}

// TestDeadline: a call has five seconds, or what its context leaves; the two calls
// of Newest share them.
func TestDeadline(t *testing.T) {
	t.Parallel()
	deadlines := make(chan time.Time, 2)
	v := newVault(t, canary)
	v.answer = func(ctx context.Context, r *accessRequest) (*accessed, error) {
		deadline, _ := ctx.Deadline()
		deadlines <- deadline
		if strings.HasSuffix(r.GetName(), "/2") {
			return nil, status.Error(codes.NotFound, "no such version")
		}
		return version(base+"/versions/1", canary), nil
	}
	r := v.reader(t)
	want := func(least, most time.Duration) time.Time {
		t.Helper()
		deadline := <-deadlines
		if left := time.Until(deadline); left <= least || left > most {
			t.Errorf("time left = %v, want more than %v and %v or less", left, least, most)
		}
		return deadline
	}
	if _, err := read(t.Context(), t, r, base); err != nil {
		t.Fatal(err)
	}
	want(0, 5*time.Second)
	if _, err := read(testkit.Within(t, time.Minute), t, r, base); err != nil {
		t.Fatal(err)
	}
	want(5*time.Second, time.Minute)
	if _, _, err := r.Newest(t.Context(), parse(t, base)); err != nil {
		t.Fatal(err)
	}
	first, second := want(0, 5*time.Second), want(0, 5*time.Second)
	// The server gets the remaining time to the millisecond or so.
	if apart := second.Sub(first).Abs(); apart > 500*time.Millisecond {
		t.Errorf("deadlines are %v apart", apart)
	}
}

func TestReadManagerEnds(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 2)
	v := answering(t, func(ctx context.Context, _ *accessRequest) (*accessed, error) {
		called <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	r := v.reader(t)

	cancelled, cancel := context.WithCancel(t.Context())
	go func() {
		<-called
		cancel()
	}()
	if _, err := read(cancelled, t, r, base); !errors.Is(err, context.Canceled) {
		t.Errorf("Read() when cancelled = %v, want context.Canceled", err)
	}
	if _, err := read(testkit.Within(t, 50*time.Millisecond), t, r, base); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read() after the deadline = %v, want context.DeadlineExceeded", err)
	}
}

func TestNewest(t *testing.T) {
	t.Parallel()
	path := write(t, canary)
	for name, tt := range map[string]struct {
		versions  []string
		latest    int
		reference string
		want      string
		version   string
	}{
		"latest is the newest": {[]string{"1", "2"}, 2, base, "2", base + "/versions/2"},
		"latest written out":   {[]string{"1", "2"}, 2, latest, "2", base + "/versions/2"},
		"latest is old":        {[]string{"1", "2", "3", "4"}, 2, base, "4", base + "/versions/4"},
		"latest is none yet":   {[]string{"1"}, 0, base, "1", base + "/versions/1"},
		"a version":            {[]string{"1", "2"}, 2, base + "/versions/1", "1", base + "/versions/1"},
		"a file":               {nil, 0, "file:" + path, canary, "file:" + path},
		"a variable":           {nil, 0, "env:FULL", canary + "\n", "env:FULL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, tt.versions...)
			v.latest = tt.latest
			got, version, err := v.reader(t).Newest(t.Context(), parse(t, tt.reference))
			if err != nil || got.Reveal() != tt.want || version.String() != tt.version {
				t.Errorf("Newest() = %q of %s, %v, want %q of %s", got.Reveal(), version, err, tt.want, tt.version)
			}
			if again, err := v.reader(t).Read(t.Context(), version); err != nil || !again.Equal(got) {
				t.Errorf("Read() of that version = %q, %v", again.Reveal(), err)
			}
		})
	}
}

func TestNewestFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		vault    func(t *testing.T) *vault
		notFound bool
		says     string
	}{
		"no version": {func(t *testing.T) *vault { return newVault(t) }, true, latest},
		"empty":      {func(t *testing.T) *vault { return newVault(t, "") }, false, "is empty"},
		"the newest is disabled": {func(t *testing.T) *vault {
			v := newVault(t, canary, canary)
			v.latest, v.disabled = 1, 2
			return v
		}, false, "version 2"},
		"a version without a number": {func(t *testing.T) *vault {
			return answering(t, func(context.Context, *accessRequest) (*accessed, error) { return version(latest, canary), nil })
		}, false, "has no number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, version, err := tt.vault(t).reader(t).Newest(t.Context(), parse(t, base))
			if err == nil || !got.Empty() || version != (secret.Ref{}) {
				t.Fatalf("Newest() = %s of %s, %v, want an error only", got, version, err)
			}
			badserver.NoSecret(t, err, canary)
			if errors.Is(err, secret.ErrNotFound) != tt.notFound || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error = %v, want %q in it; not found: %t", err, tt.says, tt.notFound)
			}
		})
	}
}
