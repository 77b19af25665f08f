package secret_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/gatepostdev/gatepost/shared/secret"
)

func parse(t *testing.T, reference string) secret.Ref {
	t.Helper()
	ref, err := secret.ParseRef(reference)
	if err != nil {
		t.Fatal(err)
	}
	return ref
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
			return &vault{secretManager: startManager(t, func(context.Context, *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
				return version(latest, canary), nil
			})}
		}, false, "has no number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, version, err := tt.vault(t).reader(t).Newest(t.Context(), parse(t, base))
			if err == nil || !got.Empty() || version != (secret.Ref{}) {
				t.Fatalf("Newest() = %s of %s, %v, want an error only", got, version, err)
			}
			if errors.Is(err, secret.ErrNotFound) != tt.notFound || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), canary) {
				t.Errorf("error = %v, want it to say %q; not found: %t", err, tt.says, tt.notFound)
			}
		})
	}
}

// TestNewestDeadline has both calls share the time.
func TestNewestDeadline(t *testing.T) {
	t.Parallel()
	deadlines := make(chan time.Time, 2)
	v := newVault(t, canary)
	answer := v.secretManager.access
	v.secretManager.access = func(ctx context.Context, r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		deadline, _ := ctx.Deadline()
		deadlines <- deadline
		return answer(ctx, r)
	}
	if _, _, err := v.reader(t).Newest(t.Context(), parse(t, base)); err != nil {
		t.Fatal(err)
	}
	first, second := <-deadlines, <-deadlines
	if left := time.Until(first); left <= 0 || left > 5*time.Second {
		t.Errorf("the first call has %v left, want at most 5 s", left)
	}
	// The server learns how much time is left, to the millisecond or so.
	if apart := second.Sub(first).Abs(); apart > 500*time.Millisecond {
		t.Errorf("the second call ends %v after the first", apart)
	}
}
