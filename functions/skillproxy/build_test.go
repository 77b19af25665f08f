package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
)

// zipLimit is the largest size allowed: AWS fetches and unpacks the package at each
// cold start.
const zipLimit = 4 << 20

// build runs scripts/build-proxy of a source tree in a new directory, and returns
// the zip.
func build(t *testing.T, root string, env ...string) []byte {
	t.Helper()
	script, err := filepath.Abs(filepath.Join(root, "scripts", "build-proxy"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), script, "proxy.zip")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	var warnings strings.Builder
	cmd.Stderr = &warnings
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, printed, warnings.String())
	}
	output := filepath.Join(cmd.Dir, "proxy.zip")
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x  %s\n", sha256.Sum256(data), output); string(printed) != want {
		t.Errorf("printed %q, want %q", printed, want)
	}
	return data
}

// TestReproducibleZip builds here, and again from a copy of the source elsewhere
// with other settings in the environment.
func TestReproducibleZip(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	copied := t.TempDir()
	for _, part := range []string{"go.mod", "go.sum", "shared", "functions/skillproxy", "scripts/build-proxy", "scripts/internal/pack"} {
		target := filepath.Join(copied, part)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.CommandContext(t.Context(), "cp", "-R", filepath.Join(root, part), target).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	noGNU := t.TempDir() // a developer's Mac has none of these programs
	for _, name := range []string{"realpath", "sha256sum"} {
		testkit.Script(t, filepath.Join(noGNU, name), "#!/bin/sh\nexit 1\n")
	}
	first := build(t, root)
	second := build(t, copied, "TZ=Asia/Tokyo", "GOFLAGS=-buildvcs=false -tags=other -ldflags=-X=main.x=y",
		"GOOS=windows", "GOARCH=386", "GOEXPERIMENT=arenas", "GOFIPS140=latest", "CGO_ENABLED=1", "PATH="+noGNU+":"+os.Getenv("PATH"))
	if !bytes.Equal(first, second) {
		t.Errorf("two builds differ, with %d and %d bytes", len(first), len(second))
	}
	if len(first) >= zipLimit {
		t.Errorf("zip size = %d, want less than %d", len(first), zipLimit)
	}
	wantBootstrap(t, first)
}

// wantBootstrap checks that Lambda can run a zip:
// https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html.
func wantBootstrap(t *testing.T, data []byte) {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 1 || archive.File[0].Name != "bootstrap" || archive.File[0].Mode() != 0o755 {
		t.Fatalf("the zip contains %v, want one program, bootstrap", archive.File)
	}
	program, err := fs.ReadFile(archive, "bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := binary.ImportedLibraries()
	if binary.Machine != elf.EM_AARCH64 || err != nil || len(libraries) != 0 {
		t.Errorf("the program is for %v and imports %v (%v), want arm64 and no libraries", binary.Machine, libraries, err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(program), filepath.Dir(filepath.Dir(here))) {
		t.Error("the program contains the path of its source")
	}
}
