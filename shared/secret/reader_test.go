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
	ref := parse(t, reference)
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
		kind            error // nil when it can be read
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
				t.Errorf("error = %v, want it to name the reference once", err)
			}
		})
	}
	if v, err := newReader(t).Read(t.Context(), secret.Ref{}); err == nil {
		t.Errorf("Read() of the zero Ref = %v, want an error", v)
	}
}

// errAny stands for an error that is not ErrNotFound.
var errAny = errors.New("another error")

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

func TestParseRef(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"latest by default": {"projects/maker-1/secrets/lwa", "projects/maker-1/secrets/lwa/versions/latest"},
		"latest":            {"projects/maker-1/secrets/lwa/versions/latest", "projects/maker-1/secrets/lwa/versions/latest"},
		"version":           {"projects/maker-1/secrets/lwa/versions/12", "projects/maker-1/secrets/lwa/versions/12"},
		"alias":             {"projects/maker-1/secrets/l_W-9/versions/prod_1", "projects/maker-1/secrets/l_W-9/versions/prod_1"},
		"project number":    {"projects/123/secrets/lwa", "projects/123/secrets/lwa/versions/latest"},
		"domain project":    {"projects/example.com:maker/secrets/lwa", "projects/example.com:maker/secrets/lwa/versions/latest"},
		"absolute file":     {"file:/run/secrets/lwa.json", "file:/run/secrets/lwa.json"},
		"relative file":     {"file:my secrets/lwa", "file:my secrets/lwa"},
		"variable":          {"env:LWA_1", "env:LWA_1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, err := secret.ParseRef(tt.in)
			if err != nil || ref.String() != tt.want {
				t.Fatalf("ParseRef(%q) = %v, %v, want %s", tt.in, ref, err, tt.want)
			}
			again, err := secret.ParseRef(ref.String())
			if err != nil || again != ref {
				t.Errorf("ParseRef(%q) = %v, %v, want the same reference", ref, again, err)
			}
		})
	}
}

// Whatever is refused may be the secret itself.
func TestParseRefRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty":              "",
		"a secret":           "canary-fake-secret",
		"JSON":               `{"client_secret":"canary"}`,
		"no path":            "file:",
		"path with line end": "file:/canary\n",
		"no variable":        "env:",
		"not a variable":     "env:canary-secret",
		"digit first":        "env:1canary",
		"other scheme":       "vault:canary",
		"capital scheme":     "ENV:canary",
		"no secret":          "projects/canary/secrets/",
		"no project":         "projects//secrets/canary",
		"empty version":      "projects/p/secrets/canary/versions/",
		"more behind":        "projects/p/secrets/canary/versions/1/x",
		"line end behind":    "projects/p/secrets/canary\n",
		"space":              "projects/p/secrets/canary secret",
		"regional":           "projects/p/locations/l/secrets/canary",
		"leading slash":      "/projects/p/secrets/canary",
		"long":               "projects/p/secrets/canary" + strings.Repeat("x", 256),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref, err := secret.ParseRef(in)
			if err == nil {
				t.Fatalf("ParseRef() = %v, want an error", ref)
			}
			if ref != (secret.Ref{}) {
				t.Errorf("ParseRef() = %v with an error", ref)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows the value: %v", err)
			}
		})
	}
}

func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"projects/p/secrets/s", "projects/p/secrets/s/versions/1", "file:/x", "env:X", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ref, err := secret.ParseRef(in)
		if err != nil {
			return
		}
		if again, err := secret.ParseRef(ref.String()); err != nil || again != ref {
			t.Errorf("ParseRef(%q) = %v, %v, want the same reference", ref, again, err)
		}
		if !strings.HasPrefix(ref.String(), in) {
			t.Errorf("%q reads as %q", in, ref)
		}
	})
}
