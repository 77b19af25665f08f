//go:build !race

// The race detector does not see the scripts, which run in other processes.

package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// command runs a program in a directory and returns its output.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// writeFile writes a file, and its directory if necessary.
func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// upload returns a copy of the source without a repository, as on Cloud Build, with
// files that must not be packed.
func upload(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{
		".gcloudignore", ".gitignore", "go.mod", "go.sum", "gatepost.go", "functions", "shared", "scripts/package", "scripts/internal/pack",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		command(t, "../../..", nil, "cp", "-R", name, filepath.Join(dir, name))
	}
	for _, name := range []string{
		".env", "README.md", "LICENSE", "cloudbuild.yaml", "cover.out", "old.zip", "crash.log", "functions/.env", "functions/terraform.tfstate",
		"functions/main_test.go", "functions/testdata/key.json", "infra/terraform.tfvars", "infra/.terraform/key.json",
		"scripts/gatepost/keyset.json", "shared/simulator/server.go",
	} {
		writeFile(t, filepath.Join(dir, name), "fake\n")
	}
	return dir
}

// packed runs a tree's script and returns the zip and the output.
func packed(t *testing.T, tree string, env ...string) ([]byte, string) {
	t.Helper()
	output := filepath.Join(t.TempDir(), "source.zip")
	printed := command(t, t.TempDir(), env, "bash", filepath.Join(tree, "scripts/package"), output)
	if sum := command(t, "", nil, "sha256sum", output); !strings.HasSuffix(printed, sum) {
		t.Errorf("output = %q, want path and SHA-256: %q", printed, sum)
	}
	return readFile(t, output), printed
}

// entries returns the files of a zip by name, and checks their mode, time and
// order.
func entries(t *testing.T, data []byte) map[string]string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
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
			t.Errorf("%s: mode = %v, time = %v", entry.Name, entry.Mode(), entry.Modified)
		}
		names, files[entry.Name] = append(names, entry.Name), string(text)
	}
	if !slices.IsSorted(names) {
		t.Errorf("the entries are not sorted: %q", names)
	}
	return files
}

// secretLike matches the beginnings of keys and tokens that must not be in source:
// of Google's service accounts, of AWS, of Login with Amazon.
var secretLike = regexp.MustCompile(
	`-----BEGIN [A-Z ]*PRIVATE KEY|"private_key"|\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bAtz[ar]\||amzn1\.oa2-cs\.|\bya29\.`)

// TestPackage packs a tree without a repository, and then a commit of it: the bytes
// are equal, without uncommitted files.
func TestPackage(t *testing.T) {
	t.Parallel()
	tree := upload(t)
	first, _ := packed(t, tree)
	files := entries(t, first)
	for _, name := range []string{"go.mod", "go.sum", "gatepost.go"} {
		if files[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	for name, text := range files {
		top, _, _ := strings.Cut(name, "/")
		if !slices.Contains([]string{"go.mod", "go.sum", "gatepost.go", "functions", "shared"}, top) {
			t.Errorf("%s is not part of the functions' source", name)
		}
		if text != string(readFile(t, filepath.Join(tree, name))) {
			t.Errorf("%s has changed", name)
		}
		if strings.HasSuffix(name, "_test.go") || regexp.MustCompile(`\n(import |\t)"testing"\n`).MatchString(text) {
			t.Errorf("%s is a test file", name)
		}
		if found := secretLike.FindString(text); found != "" {
			t.Errorf("%s contains a possible secret, which begins with %.5q", name, found)
		}
	}
	t.Run("as gcloud", func(t *testing.T) { wantUpload(t, tree, files) })
	t.Run("build", func(t *testing.T) { wantBuild(t, files) })

	git := func(args ...string) {
		args = append([]string{"-c", "user.name=x", "-c", "user.email=x@x"}, args...)
		command(t, tree, []string{"GIT_CONFIG_GLOBAL=/dev/null"}, "git", args...)
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "x")
	writeFile(t, filepath.Join(tree, "functions", "new.go"), "package functions\n")
	writeFile(t, filepath.Join(tree, "gatepost.go"), "package changed\n")
	second, printed := packed(t, tree, "TZ=Asia/Tokyo", "GOFLAGS=-tags=other", "LC_ALL=C")
	if !bytes.Equal(first, second) {
		t.Errorf("two packages of the same source differ, with %d and %d bytes", len(first), len(second))
	}
	if !strings.Contains(printed, "not committed are left out") {
		t.Errorf("no warning about uncommitted changes: %s", printed)
	}
}

// wantUpload compares the package with the files that gcloud uploads by the same
// rules.
func wantUpload(t *testing.T, tree string, files map[string]string) {
	if _, err := exec.LookPath("gcloud"); err != nil {
		if os.Getenv("REQUIRE_CLIS") == "1" {
			t.Fatal(err)
		}
		t.Skip("gcloud is not installed: the package was not compared with its upload")
	}
	env := []string{"CLOUDSDK_CONFIG=" + t.TempDir(), "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_CORE_DISABLE_PROMPTS=1"}
	got := strings.Fields(command(t, tree, env, "gcloud", "meta", "list-files-for-upload"))
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(files)), got); diff != "" {
		t.Errorf("package and upload differ (-package +upload):\n%s", diff)
	}
}

// wantBuild builds the package as Google's Go buildpack does, see
// https://github.com/GoogleCloudPlatform/buildpacks/blob/main/cmd/go/functions_framework/lib/lib.go:
// it tidies the module, and builds the root with a generated main. Tidying
// downloads modules that a new cache lacks: it reads the tests of the dependencies,
// which go test and go mod download do not.
func wantBuild(t *testing.T, files map[string]string) {
	dir, env := t.TempDir(), []string{"GOWORK=off", "GOFLAGS="}
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), text)
	}
	command(t, dir, env, "go", "mod", "tidy")
	for sum := range strings.Lines(string(readFile(t, filepath.Join(dir, "go.sum")))) {
		if !strings.Contains(files["go.sum"], sum) {
			t.Errorf("the buildpack would use a module that go.sum lacks: %s", sum)
		}
	}
	ours := "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}"
	needed := strings.Fields(command(t, dir, env, "go", "list", "-deps", "-f", ours, "."))
	for name := range files {
		if pkg := path.Join("github.com/gatepostdev/gatepost", path.Dir(name)); path.Ext(name) == ".go" && path.Base(name) != "doc.go" &&
			!slices.Contains(needed, pkg) {
			t.Errorf("%s is of package %s, which no function needs: exclude it in .gcloudignore", name, pkg)
		}
	}

	// In another directory everything would be compiled again. This directory,
	// without the files that are not packed, is mostly cached.
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for _, part := range []string{"functions", "shared"} {
		err := filepath.WalkDir(filepath.Join(root, part), func(file string, entry os.DirEntry, err error) error {
			name, _ := filepath.Rel(root, file)
			if _, packed := files[filepath.ToSlash(name)]; err == nil && !entry.IsDir() && !packed {
				replace[file] = "" // removed
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "overlay.json"), string(overlay))
	command(t, root, env, "go", "build", "-buildvcs=false", "-overlay", filepath.Join(dir, "overlay.json"), ".")
}

// TestRefused: the script fails, and keeps the last package.
func TestRefused(t *testing.T) {
	t.Parallel()
	tree := upload(t)
	output := filepath.Join(t.TempDir(), "source.zip")
	writeFile(t, output, "the last one")
	for name, wanted := range map[string]string{
		"functions/key.json": "functions/key.json", "functions/go.mod": "functions/go.mod", "functions/link.go": "functions/link.go is not",
	} {
		file := filepath.Join(tree, name)
		writeFile(t, file, "fake")
		if strings.HasSuffix(name, "link.go") {
			if err := errors.Join(os.Remove(file), os.Symlink("/etc/passwd", file)); err != nil {
				t.Fatal(err)
			}
		}
		text, err := exec.CommandContext(t.Context(), "bash", filepath.Join(tree, "scripts/package"), output).CombinedOutput()
		if err == nil || !strings.Contains(string(text), wanted) || string(readFile(t, output)) != "the last one" {
			t.Errorf("%s: error = %v, want one that names it, and the last package kept: %s", name, err, text)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(output)); err != nil || len(left) != 1 {
		t.Errorf("files = %v (%v), want only the last package", left, err)
	}
}
