package binary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// generated is the main package that the buildpack generates for a root package
// that imports the Functions Framework, after
// https://github.com/GoogleCloudPlatform/buildpacks/blob/main/cmd/go/functions_framework/lib/template_declarative.go.
// It differs in the address: the buildpack's listens on all interfaces.
const generated = `package main

import (
	"log"
	"os"

	_ "github.com/gatepostdev/gatepost"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if err := funcframework.StartHostPort("127.0.0.1", port); err != nil {
		log.Fatalf("Function failed to start: %v\n", err)
	}
}
`

// copyProgram has go run copy the program instead of running it.
const copyProgram = `exec cp "$1" "${0%/*}/gatepost"`

// Build builds the program into dir, which must exist, and returns its path. The
// generated main is an overlay: the source tree, which must contain the current
// directory, is not changed. Build uses go run, which keeps linked programs in Go's
// build cache: all calls but the first, in any package, copy a file.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	overlay, err := writeOverlay(dir, filepath.Join(root, "generated", "main.go"))
	script := filepath.Join(dir, "copy")
	if err := errors.Join(err, os.WriteFile(script, []byte(copyProgram), 0o600)); err != nil {
		return "", fmt.Errorf("building the program: %w", err)
	}
	// Stamping with the commit fails where git distrusts the checkout, and the
	// buildpack has no repository.
	cmd := exec.CommandContext(ctx, "go", "run", "-overlay", overlay, "-buildvcs=false", "-exec", "/bin/sh '"+script+"'", "./generated")
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w: %s", err, output)
	}
	return filepath.Join(dir, "gatepost"), nil
}

// moduleRoot returns the directory of the current directory's module.
func moduleRoot(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	mod := strings.TrimSpace(string(output))
	if filepath.Base(mod) != "go.mod" { // os.DevNull outside a module
		return "", errors.New("finding the module: the current directory is in none")
	}
	return filepath.Dir(mod), nil
}

// writeOverlay writes the generated main to dir, with an overlay file that places
// it at place, and returns the overlay's path. See "-overlay" at
// https://pkg.go.dev/cmd/go#hdr-Compile_packages_and_dependencies.
func writeOverlay(dir, place string) (string, error) {
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(generated), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {place: source}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, replace, 0o600)
}
