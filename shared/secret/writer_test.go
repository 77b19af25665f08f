package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatepostdev/gatepost/shared/secret"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/badserver"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

var errChange = errors.New("change refused")

// appendNew is a change that keeps its input visible.
func appendNew(old sensitive.String) (sensitive.String, error) {
	return sensitive.New(old.Reveal() + "+new"), nil
}

func refuse(sensitive.String) (sensitive.String, error) { return sensitive.String{}, errChange }

// wantError checks an error's kind, and that it names the reference and contains no
// secret.
func wantError(t *testing.T, got secret.Ref, err, want error, reference string) {
	t.Helper()
	if err == nil || want != nil && !errors.Is(err, want) || got != (secret.Ref{}) {
		t.Fatalf("reference, error = %s, %v, want error %v", got, err, want)
	}
	if !strings.Contains(err.Error(), reference) {
		t.Errorf("error = %v, want %s in it", err, reference)
	}
	badserver.NoSecret(t, err, canary)
}

func TestWriteVersions(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	w := v.writer(t)
	got, err := w.Create(t.Context(), parse(t, base), sensitive.New("first\n"))
	if want := base + "/versions/1"; err != nil || got.String() != want {
		t.Fatalf("Create() = %s, %v, want %s", got, err, want)
	}
	// Secret Manager's latest is still none.
	got, err = w.Create(t.Context(), parse(t, base), sensitive.New(canary))
	wantError(t, got, err, secret.ErrExists, base)
	for number, want := range []string{base + "/versions/2", base + "/versions/3"} {
		v.latest = number // stale again
		if got, err := w.Replace(t.Context(), parse(t, latest), appendNew); err != nil || got.String() != want {
			t.Fatalf("Replace() = %s, %v, want %s", got, err, want)
		}
	}
	expect.Equal(t, "versions", []string{"first\n", "first\n+new", "first\n+new+new"}, v.versions)
}

func TestWriteRefusals(t *testing.T) {
	t.Parallel()
	another := func(v *vault) {
		v.between = func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.versions = append(v.versions, "another's")
		}
	}
	refused := func(code codes.Code) func(*vault) {
		return func(v *vault) { v.refused = status.Error(code, "because of the moon") }
	}
	for name, tt := range map[string]struct {
		create bool // a secret without a version
		spoil  func(*vault)
		change func(sensitive.String) (sensitive.String, error)
		want   error // nil for any
		stored int   // versions afterwards
	}{
		"another creates first":   {true, another, nil, secret.ErrChanged, 2},
		"another replaces first":  {false, another, appendNew, secret.ErrChanged, 3},
		"no such secret":          {false, refused(codes.NotFound), appendNew, secret.ErrNotFound, 1},
		"not allowed":             {false, refused(codes.PermissionDenied), appendNew, secret.ErrDenied, 1},
		"change refused":          {false, func(*vault) {}, refuse, errChange, 1},
		"nothing to replace":      {false, func(v *vault) { v.versions = nil }, appendNew, secret.ErrNotFound, 0},
		"another value is stored": {false, func(v *vault) { v.instead = "something else" }, appendNew, secret.ErrChanged, 2},
		"cannot be read back":     {false, func(v *vault) { v.disabled = 2 }, appendNew, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, canary)
			var got secret.Ref
			var err error
			if tt.create {
				v = newVault(t)
				tt.spoil(v)
				got, err = v.writer(t).Create(t.Context(), parse(t, base), sensitive.New(canary))
			} else {
				tt.spoil(v)
				got, err = v.writer(t).Replace(t.Context(), parse(t, base), tt.change)
			}
			wantError(t, got, err, tt.want, base)
			if len(v.versions) != tt.stored {
				t.Errorf("versions = %d, want %d", len(v.versions), tt.stored)
			}
		})
	}
}

func TestWriteReadOnly(t *testing.T) {
	t.Parallel()
	w := newVault(t, canary).writer(t)
	for _, reference := range []string{"env:FULL", base + "/versions/1", base + "/versions/prod"} {
		got, err := w.Create(t.Context(), parse(t, reference), sensitive.New(canary))
		wantError(t, got, err, secret.ErrReadOnly, reference)
		got, err = w.Replace(t.Context(), parse(t, reference), appendNew)
		wantError(t, got, err, secret.ErrReadOnly, reference)
	}
	if got, err := w.Create(t.Context(), secret.Ref{}, sensitive.New(canary)); !errors.Is(err, secret.ErrReadOnly) {
		t.Errorf("Create() of the zero Ref = %s, %v", got, err)
	}
}

// wantDir checks the names, modes and contents of all files in a directory.
func wantDir(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[entry.Name()] = info.Mode().String() + " " + string(content)
	}
	expect.Equal(t, "files", want, got)
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reference := "file:" + filepath.Join(dir, "secret")
	w := secret.NewWriter(newReader(t))
	if got, err := w.Create(t.Context(), parse(t, reference), sensitive.New("first")); err != nil || got.String() != reference {
		t.Fatalf("Create() = %s, %v", got, err)
	}
	wantDir(t, dir, map[string]string{"secret": "-rw------- first\n"})
	got, err := w.Create(t.Context(), parse(t, reference), sensitive.New(canary))
	wantError(t, got, err, secret.ErrExists, reference)
	for range 2 { // the file is read each time
		if got, err := w.Replace(t.Context(), parse(t, reference), appendNew); err != nil || got.String() != reference {
			t.Fatalf("Replace() = %s, %v", got, err)
		}
	}
	wantDir(t, dir, map[string]string{"secret": "-rw------- first+new+new\n"})
}

// TestReplaceFileAsItWas keeps a file's link, mode and owner.
func TestReplaceFileAsItWas(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode fs.FileMode
		want string
	}{
		"stricter":         {0o400, "-r--------"},
		"for all":          {0o644, "-rw-------"},
		"for all, to read": {0o444, "-r--------"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, "first")
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			open, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			links := t.TempDir()
			link := filepath.Join(links, "link")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			if _, err := secret.NewWriter(newReader(t)).Replace(t.Context(), parse(t, "file:"+link), appendNew); err != nil {
				t.Fatal(err)
			}
			wantDir(t, filepath.Dir(path), map[string]string{"secret": tt.want + " first+new\n"})
			if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
				t.Errorf("the link is no longer a link: %v", err)
			}
			// A reader with the file open still reads the old content, since the
			// file is replaced and not overwritten.
			old := make([]byte, 100)
			if n, err := open.Read(old); err != nil || string(old[:n]) != "first" {
				t.Errorf("old file = %q, %v", old[:n], err)
			}
		})
	}
}

func TestWriteFileFaults(t *testing.T) {
	t.Parallel()
	large := func(sensitive.String) (sensitive.String, error) {
		return sensitive.New(strings.Repeat("x", 64<<10)), nil
	}
	nothing := func(sensitive.String) (sensitive.String, error) { return sensitive.String{}, nil }
	missing := filepath.Join(t.TempDir(), "missing", "secret")
	locked := write(t, canary)
	if err := os.WriteFile(locked+".new", []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		path   string
		change func(sensitive.String) (sensitive.String, error)
		want   error // nil for any
	}{
		"refused":           {write(t, canary), refuse, errChange},
		"too large":         {write(t, canary), large, nil},
		"empty":             {write(t, canary), nothing, nil},
		"no such file":      {filepath.Join(t.TempDir(), "secret"), appendNew, secret.ErrNotFound},
		"no directory":      {missing, appendNew, secret.ErrNotFound},
		"locked by another": {locked, appendNew, secret.ErrChanged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := secret.NewWriter(newReader(t)).Replace(t.Context(), parse(t, "file:"+tt.path), tt.change)
			wantError(t, got, err, tt.want, "file:"+tt.path)
			if tt.want == secret.ErrNotFound {
				return
			}
			if content, err := os.ReadFile(tt.path); err != nil || string(content) != canary {
				t.Errorf("file = %.100q, %v, want it unchanged", content, err)
			}
			if _, err := os.Stat(tt.path + ".new"); (err == nil) != (tt.path == locked) {
				t.Errorf("temporary file: %v, want none", err)
			}
		})
	}
}
