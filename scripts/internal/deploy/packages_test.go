package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// zipFile writes a zip and returns its path.
func zipFile(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "package.zip")
	writeZip(t, path, files)
	return path
}

func writeZip(t *testing.T, path string, files map[string]string) {
	t.Helper()
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for name, text := range files {
		entry, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPack: what is given is taken, what is not is built, and a skill proxy is
// built only if there is one to deploy.
func TestPack(t *testing.T) {
	t.Parallel()
	ownLambda := object{"regions": object{"EU": object{"location": "europe-west1", "firestore_location": "eur3", "own_lambda_role": "maker"}}}
	for _, test := range []struct {
		name    string
		changes object
		options options
		want    []string // scripts that run
	}{
		{"nothing given", nil, options{}, []string{"/tree/scripts/package", "/tree/scripts/build-proxy"}},
		{"own Lambda", ownLambda, options{}, []string{"/tree/scripts/package"}},
		{"source given", nil, options{source: "given"}, []string{"/tree/scripts/build-proxy"}},
		{"all given", nil, options{source: "given", proxy: "given"}, nil},
		{"in the settings", object{"source_package": "given", "proxy_package": "given"}, options{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			given := zipFile(t, map[string]string{"go.mod": "module m\n", "a/a.go": "package a\n"})
			d, o := newDeployment(t, test.changes), test.options
			for _, path := range []*string{&o.source, &o.proxy, &d.settings.sourcePackage, &d.settings.proxyPackage} {
				if *path == "given" {
					*path = given
				}
			}
			o.tree = "/tree"
			var ran []string
			d.runner.execute = func(_ context.Context, args []string) ([]byte, []byte, error) {
				ran = append(ran, args[0])
				writeZip(t, args[1], map[string]string{"a/a.go": "package a\n"})
				return nil, nil, nil
			}
			if err := d.pack(t.Context(), o, t.TempDir()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ran); diff != "" {
				t.Errorf("scripts differ (-want +got):\n%s", diff)
			}
			if data, err := os.ReadFile(filepath.Join(d.sourceDir, "a", "a.go")); err != nil || string(data) != "package a\n" {
				t.Errorf("the source was not unpacked: %q, %v", data, err)
			}
			if len(d.known[sourceHash]) != hashLength || (d.proxyHash == "") != (len(d.proxies()) == 0) {
				t.Errorf("hashes %q and %q", d.known[sourceHash], d.proxyHash)
			}
		})
	}
}

func TestPackFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		options options
		want    string
	}{
		{"no such file", options{source: "/none.zip", proxy: "/none.zip"}, "/none.zip"},
		{"not a zip", options{source: "testdata/settings.json", proxy: "testdata/settings.json"}, "not a valid zip"},
		{"build", options{}, "scripts/package"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, nil)
			d.runner.execute = func(context.Context, []string) ([]byte, []byte, error) {
				return nil, []byte("sourcezip: no"), errors.New("exit status 1")
			}
			if err := d.pack(t.Context(), test.options, t.TempDir()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %q", err, test.want)
			}
		})
	}
}

// TestUnzipInside: a zip from elsewhere cannot write beside the directory.
func TestUnzipInside(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	if err := unzip(zipFile(t, map[string]string{"../x.go": "package x\n", "y.go": "package y\n"}), filepath.Join(work, "source")); err != nil {
		t.Log(err) // it may refuse, too
	}
	if _, err := os.Stat(filepath.Join(work, "x.go")); err == nil {
		t.Error("a file was written beside the directory")
	}
}

// TestScript runs scripts/deploy itself from another directory: paths are
// relative to that, and the status is the program's.
func TestScript(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile("testdata/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"good.json": settings, "bad.json": []byte("{}")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]int{"good.json": exitOK, "bad.json": exitUsage} {
		run := exec.CommandContext(t.Context(), script, "--dry-run", file)
		run.Dir = dir
		out, err := run.CombinedOutput()
		if run.ProcessState == nil || run.ProcessState.ExitCode() != want {
			t.Errorf("%s: %v, want status %d\n%s", file, err, want, out)
		}
	}
}
