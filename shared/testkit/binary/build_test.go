package binary_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
)

func TestBuild(t *testing.T) {
	t.Parallel()
	program, err := binary.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join("..", "..", "generated")); !os.IsNotExist(err) {
		t.Errorf("the generated main is in the source tree (%v)", err)
	}
	p, err := binary.Start(program, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	status, err := p.Wait(testkit.Context(t))
	if err != nil || status != 1 || !strings.Contains(p.Output(), "ALEXA_REGIONS") {
		t.Errorf("status without a configuration = %d, %v, want 1 and the variables named; output: %s", status, err, p.Output())
	}
}

func TestBuildOutsideOfAModule(t *testing.T) {
	t.Chdir(t.TempDir())
	program, err := binary.Build(t.Context(), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "the current directory is in none") {
		t.Errorf("Build() = %q, %v, want an error", program, err)
	}
}

func TestBuildIntoNothing(t *testing.T) {
	t.Parallel()
	if program, err := binary.Build(t.Context(), filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Errorf("Build() = %q, want an error", program)
	}
}
