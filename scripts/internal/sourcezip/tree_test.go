package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// root is the module's, seen from this directory.
const root = "../../.."

// command runs a program in a directory and returns what it wrote.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, &stderr)
	}
	return string(output)
}

// packed runs the script of a tree and returns the zip.
func packed(t *testing.T, tree string, env ...string) []byte {
	t.Helper()
	output := filepath.Join(t.TempDir(), "source.zip")
	command(t, "", env, filepath.Join(tree, "scripts", "package"), output)
	return readFile(t, output)
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, name string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, mode); err != nil {
		t.Fatal(err)
	}
}

// entries returns the files of a zip by name, and fails for one that is not as
// every entry has to be.
func entries(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	var names []string
	for _, entry := range archive.File {
		file, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		if entry.Mode() != 0o644 || !entry.Modified.Equal(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s has mode %v and time %v", entry.Name, entry.Mode(), entry.Modified)
		}
		names, files[entry.Name] = append(names, entry.Name), text
	}
	if !slices.IsSorted(names) {
		t.Errorf("the entries are not sorted: %q", names)
	}
	return files
}

// unpack writes the files of a zip to a new directory and returns its path.
func unpack(t *testing.T, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range entries(t, data) {
		writeFile(t, filepath.Join(dir, name), text, 0o600)
	}
	return dir
}

// another makes a tree of the same source, younger and with other permissions,
// in another place: from a package, and what it takes to pack again. What must
// not be packed lies around in it.
func another(t *testing.T, data []byte) string {
	t.Helper()
	dir := unpack(t, data)
	for _, name := range []string{".gcloudignore", ".gitignore", "scripts/package"} {
		writeFile(t, filepath.Join(dir, name), readFile(t, filepath.Join(root, name)), 0o700)
	}
	for _, name := range []string{"main.go", "pack.go", "rules.go"} {
		writeFile(t, filepath.Join(dir, "scripts/internal/sourcezip", name), readFile(t, name), 0o600)
	}
	for _, name := range []string{
		".env", ".git/config", "README.md", "LICENSE", "cloudbuild.yaml", "cover.out", "old.zip", "crash.log",
		"functions/.env", "functions/terraform.tfstate", "functions/main_test.go", "functions/testdata/key.json",
		"functions/skillproxy/main.go", "infra/terraform.tfvars", "infra/.terraform/key.json", "scripts/keyset/keyset.json",
		"shared/alexa/fuzz_test.go", "shared/alexa/testdata/fuzz/seed", "shared/simulator/server.go", "shared/grant/granttest/suite.go",
	} {
		writeFile(t, filepath.Join(dir, name), []byte("fake\n"), 0o600)
	}
	return dir
}
