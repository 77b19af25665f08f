package main

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

// TestBuild does with the package what Google's Go buildpack does, see
// https://github.com/GoogleCloudPlatform/buildpacks/blob/main/cmd/go/functions_framework/lib/lib.go:
// it tidies the module, generates a main that imports the root, and builds
// that. Tidying fetches what a new module cache lacks: it reads the tests of the
// dependencies, which go test and go mod download do not.
func TestBuild(t *testing.T) {
	data, _ := packed(t, upload(t))
	dir := t.TempDir()
	for name, text := range entries(t, data) {
		writeFile(t, filepath.Join(dir, name), text)
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	sums := strings.Split(string(readFile(t, "go.sum")), "\n")
	command(t, "", nil, "go", "mod", "tidy")
	for _, sum := range strings.Split(string(readFile(t, "go.sum")), "\n") {
		if !slices.Contains(sums, sum) {
			t.Errorf("the buildpack would build from a module that go.sum does not name: %s", sum)
		}
	}
	wantNeeded(t, dir)

	program, err := binary.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	process, err := binary.Start(program, map[string]string{
		"FUNCTION_TARGET": "RefreshTokens",
		"ALEXA_REGIONS":   "EU",
		"GRANT_STORE":     "memory",
		"LWA_CREDENTIALS": "env:LWA_CLIENT",
		"LWA_CLIENT":      `{"client_id":"amzn1.application-oa2-client.fake","client_secret":"fake"}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Kill()
	if err := process.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(process.URL(), "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"refreshed"`)) {
		t.Errorf("RefreshTokens answered %d, %s (%v), want 200 and counts", response.StatusCode, body, err)
	}
}
