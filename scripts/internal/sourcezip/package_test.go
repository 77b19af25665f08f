package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReproducible(t *testing.T) {
	t.Parallel()
	first := packed(t, root)
	tree := another(t, first)
	second := packed(t, tree, "TZ=Asia/Tokyo", "GOFLAGS=-tags=other", "LC_ALL=C")
	if !bytes.Equal(first, second) {
		t.Errorf("two packages of the same source differ: %d and %d bytes", len(first), len(second))
	}
	// The default output is in the tree here, and there still the second time.
	for range 2 {
		told := command(t, tree, nil, "scripts/package")
		if got := readFile(t, filepath.Join(tree, "source.zip")); !bytes.Equal(first, got) {
			t.Errorf("a package into the tree differs: %d and %d bytes", len(first), len(got))
		}
		if want := command(t, tree, nil, "sha256sum", filepath.Join(tree, "source.zip")); told != want {
			t.Errorf("the script wrote %q, want path and SHA-256: %q", told, want)
		}
	}
}

// TestRefusedPackage has the script fail, and the last good package stay.
func TestRefusedPackage(t *testing.T) {
	t.Parallel()
	tree := another(t, packed(t, root))
	writeFile(t, filepath.Join(tree, "functions", "key.json"), []byte("fake"), 0o600)
	out := t.TempDir()
	output := filepath.Join(out, "source.zip")
	writeFile(t, output, []byte("the last one"), 0o600)
	cmd := exec.CommandContext(t.Context(), filepath.Join(tree, "scripts", "package"), output)
	text, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(text), "functions/key.json") {
		t.Errorf("a key beside the code: %v, want a failure that names it: %s", err, text)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 1 || string(readFile(t, output)) != "the last one" {
		t.Errorf("%v (%v) is left, want the last package alone", left, err)
	}
}

// secretLike is how keys and tokens begin that have no business in source: of
// Google's service accounts, of AWS, of Login with Amazon.
var secretLike = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|"private_key"|\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bAtz[ar]\||amzn1\.oa2-cs\.|\bya29\.`)

func TestNothingElse(t *testing.T) {
	t.Parallel()
	files := entries(t, packed(t, root))
	for _, name := range []string{"go.mod", "go.sum", "gatepost.go"} {
		if files[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	for name, text := range files {
		top, _, _ := strings.Cut(name, "/")
		if !slices.Contains([]string{"go.mod", "go.sum", "gatepost.go", "functions", "shared"}, top) {
			t.Errorf("%s is nothing that the functions are built from", name)
		}
		if strings.HasSuffix(name, "_test.go") || bytes.Contains(text, []byte("\nimport \"testing\"\n")) || bytes.Contains(text, []byte("\t\"testing\"\n")) {
			t.Errorf("%s is for tests", name)
		}
		if found := secretLike.Find(text); found != nil {
			t.Errorf("%s holds what looks like a secret: it begins with %.5q", name, found)
		}
	}
}

// TestAsGcloud compares the package with what gcloud would upload by the same
// rules.
func TestAsGcloud(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("gcloud is not installed: what it would upload was not compared with the package")
	}
	data := packed(t, root)
	var want []string
	for name := range entries(t, data) {
		want = append(want, name)
	}
	slices.Sort(want)
	env := []string{"CLOUDSDK_CONFIG=" + t.TempDir(), "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_CORE_DISABLE_PROMPTS=1"}
	for name, tree := range map[string]string{"this tree": root, "another tree": another(t, data)} {
		got := strings.Fields(command(t, tree, env, "gcloud", "meta", "list-files-for-upload"))
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: package and upload differ (-package +upload):\n%s", name, diff)
		}
	}
}
