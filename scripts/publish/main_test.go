package publish

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// goProgram builds the Go program once.
var goProgram = sync.OnceValues(func() (string, error) {
	dir, err := testkit.WorkDir()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	path := filepath.Join(dir, "publish")
	// Stamping with the commit fails where git distrusts the checkout.
	output, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "./go").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the Go program: %w: %s", err, output)
	}
	return path, nil
})
