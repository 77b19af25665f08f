package secret_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/api/option"

	"github.com/gatepostdev/gatepost/shared/secret"
)

// canary is in every secret of these tests, and must be in no error.
const canary = "fake-canary-5d02"

func lookup(name string) (string, bool) {
	v, ok := map[string]string{"FULL": canary + "\n", "EMPTY": ""}[name]
	return v, ok
}

func newReader(t *testing.T, options ...option.ClientOption) *secret.Reader {
	t.Helper()
	r := secret.NewReader(lookup, options...)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return r
}

// read reads a reference, and checks that an error names it and nothing else.
func read(ctx context.Context, t *testing.T, r *secret.Reader, reference string) (string, error) {
	t.Helper()
	ref, err := secret.ParseRef(reference)
	if err != nil {
		t.Fatal(err)
	}
	value, err := r.Read(ctx, ref)
	if err == nil {
		return value.Reveal(), nil
	}
	if !value.Empty() {
		t.Errorf("a secret came with the error %v", err)
	}
	if !strings.Contains(err.Error(), ref.String()) {
		t.Errorf("error = %v, want it to name %s", err, ref)
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("the error shows the secret: %v", err)
	}
	return "", err
}

func TestReadVariable(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	if got, err := read(t.Context(), t, r, "env:FULL"); err != nil || got != canary+"\n" {
		t.Errorf("Read(env:FULL) = %q, %v, want it byte for byte", got, err)
	}
	if _, err := read(t.Context(), t, r, "env:UNSET"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("Read(env:UNSET) = %v, want ErrNotFound", err)
	}
	if _, err := read(t.Context(), t, r, "env:EMPTY"); err == nil || errors.Is(err, secret.ErrNotFound) {
		t.Errorf("Read(env:EMPTY) = %v, want an error that is not ErrNotFound", err)
	}
}

func TestReadNothing(t *testing.T) {
	t.Parallel()
	if v, err := newReader(t).Read(t.Context(), secret.Ref{}); err == nil {
		t.Errorf("Read() of the zero Ref = %v, want an error", v)
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	largest := strings.Repeat("x", 64<<10)
	for name, tt := range map[string]struct{ content, want string }{
		"as it is":         {canary, canary},
		"line end":         {canary + "\n", canary},
		"Windows line end": {canary + "\r\n", canary},
		"one line end":     {canary + "\n\n", canary + "\n"},
		"half a line end":  {canary + "\r", canary + "\r"},
		"spaces":           {" " + canary + " ", " " + canary + " "},
		"not text":         {"\xff\x00\xfe", "\xff\x00\xfe"},
		"largest":          {largest, largest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, tt.content)
			if got, err := read(t.Context(), t, newReader(t), "file:"+path); err != nil || got != tt.want {
				t.Errorf("Read() = %.40q, %v, want %.40q", got, err, tt.want)
			}
		})
	}
}

func TestReadFileFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path string
		want error
	}{
		"missing":        {filepath.Join(t.TempDir(), "missing"), secret.ErrNotFound},
		"directory":      {t.TempDir(), nil},
		"empty":          {write(t, ""), nil},
		"line end":       {write(t, "\n"), nil},
		"too large":      {write(t, canary+strings.Repeat("x", 64<<10)), nil},
		"through a file": {filepath.Join(write(t, canary), "x"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t.Context(), t, newReader(t), "file:"+tt.path)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Read() = %v, want an error (%v)", err, tt.want)
			}
			if strings.Count(err.Error(), tt.path) != 1 {
				t.Errorf("error = %v, want it to name the path once", err)
			}
		})
	}
}

// A file is read anew each time, so that a mounted secret can be rotated.
func TestReadFileRotated(t *testing.T) {
	t.Parallel()
	path, r := write(t, "fake-old"), newReader(t)
	for _, want := range []string{"fake-old", "fake-new"} {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := read(t.Context(), t, r, "file:"+path); err != nil || got != want {
			t.Errorf("Read() = %q, %v, want %q", got, err, want)
		}
	}
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
