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
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
)

// canary is in every secret of these tests, and must not be in an error.
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

// read reads a reference, and checks that an error names it and contains no secret.
func read(ctx context.Context, t *testing.T, r *secret.Reader, reference string) (string, error) {
	t.Helper()
	ref := parse(t, reference)
	value, err := r.Read(ctx, ref)
	if err == nil {
		return value.Reveal(), nil
	}
	if !value.Empty() {
		t.Errorf("a secret was returned with error %v", err)
	}
	if !strings.Contains(err.Error(), ref.String()) {
		t.Errorf("error = %v, want %s in it", err, ref)
	}
	badserver.NoSecret(t, err, canary)
	return "", err
}

func parse(t *testing.T, reference string) secret.Ref {
	t.Helper()
	ref, err := secret.ParseRef(reference)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestRead(t *testing.T) {
	t.Parallel()
	largest := strings.Repeat("x", 64<<10)
	missing := filepath.Join(t.TempDir(), "missing")
	for name, tt := range map[string]struct {
		reference, want string
		kind            error // nil if it can be read
	}{
		"variable":               {"env:FULL", canary + "\n", nil},
		"unset variable":         {"env:UNSET", "", secret.ErrNotFound},
		"empty variable":         {"env:EMPTY", "", errAny},
		"as it is":               {"file:" + write(t, canary), canary, nil},
		"line end":               {"file:" + write(t, canary+"\n"), canary, nil},
		"Windows line end":       {"file:" + write(t, canary+"\r\n"), canary, nil},
		"one line end":           {"file:" + write(t, canary+"\n\n"), canary + "\n", nil},
		"half a line end":        {"file:" + write(t, canary+"\r"), canary + "\r", nil},
		"spaces":                 {"file:" + write(t, " "+canary+" "), " " + canary + " ", nil},
		"not text":               {"file:" + write(t, "\xff\x00\xfe"), "\xff\x00\xfe", nil},
		"largest":                {"file:" + write(t, largest), largest, nil},
		"missing":                {"file:" + missing, "", secret.ErrNotFound},
		"directory":              {"file:" + t.TempDir(), "", errAny},
		"empty file":             {"file:" + write(t, ""), "", errAny},
		"nothing but a line end": {"file:" + write(t, "\n"), "", errAny},
		"too large":              {"file:" + write(t, canary+largest), "", errAny},
		"a file for a directory": {"file:" + filepath.Join(write(t, canary), "x"), "", errAny},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t.Context(), t, newReader(t), tt.reference)
			if got != tt.want || (err == nil) != (tt.kind == nil) || errors.Is(err, secret.ErrNotFound) != (tt.kind == secret.ErrNotFound) {
				t.Errorf("Read() = %.40q, %v, want %.40q, %v", got, err, tt.want, tt.kind)
			}
			if err != nil && strings.Count(err.Error(), tt.reference) != 1 {
				t.Errorf("error = %v, want the reference in it once", err)
			}
		})
	}
	if v, err := newReader(t).Read(t.Context(), secret.Ref{}); err == nil {
		t.Errorf("Read() of the zero Ref = %v, want an error", v)
	}
}

// errAny stands for any error but ErrNotFound.
var errAny = errors.New("another error")

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
