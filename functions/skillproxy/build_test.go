package main

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// zipLimit is the largest that the package may become: AWS fetches and unpacks
// it at each cold start.
const zipLimit = 4 << 20

// build runs scripts/build-proxy of a copy of the source, and returns the zip.
func build(t *testing.T, root string, env ...string) []byte {
	t.Helper()
	output := filepath.Join(t.TempDir(), "proxy.zip")
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "scripts", "build-proxy"), output)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestReproducibleZip builds here, and once more from a copy of the source in
// another place, under other settings of the person who builds.
func TestReproducibleZip(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	copied := t.TempDir()
	for _, part := range []string{"go.mod", "go.sum", "shared", "functions/skillproxy", "scripts/build-proxy", "scripts/internal/lambdazip"} {
		target := filepath.Join(copied, part)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.CommandContext(t.Context(), "cp", "-R", filepath.Join(root, part), target).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	first := build(t, root)
	second := build(t, copied, "TZ=Asia/Tokyo", "GOFLAGS=-buildvcs=false -tags=other -ldflags=-X=main.x=y", "GOARCH=amd64", "CGO_ENABLED=1")
	if !bytes.Equal(first, second) {
		t.Errorf("two builds differ: %d and %d bytes", len(first), len(second))
	}
	if len(first) >= zipLimit {
		t.Errorf("the zip has %d bytes, want less than %d", len(first), zipLimit)
	}
	wantBootstrap(t, first)
}

// wantBootstrap holds a zip against what Lambda wants:
// https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html.
func wantBootstrap(t *testing.T, data []byte) {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 1 || archive.File[0].Name != "bootstrap" || archive.File[0].Mode() != 0o755 {
		t.Fatalf("the zip holds %v", archive.File)
	}
	file, err := archive.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	program, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := binary.ImportedLibraries()
	if binary.Machine != elf.EM_AARCH64 || err != nil || len(libraries) != 0 {
		t.Errorf("the program is for %v and needs %v (%v), want arm64 and nothing", binary.Machine, libraries, err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(program), filepath.Dir(filepath.Dir(here))) {
		t.Error("the program holds the place where it was built")
	}
}
