package binary_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/process"
)

// The test binary acts as the programs that the tests start.
const roleEnv = "BINARY_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "tells its environment":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "hangs":
		select {}
	}
}

// play starts the test binary in a role.
func play(t *testing.T, role string) *binary.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := binary.Start(self, map[string]string{roleEnv: role})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestReadyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := play(t, "hangs").Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ready() = %v, want the context's error", err)
	}
}

func TestReadyOfOneThatEnds(t *testing.T) {
	t.Parallel()
	err := play(t, "tells its environment").Ready(testkit.Context(t))
	if !errors.Is(err, process.ErrEnded) || !strings.Contains(err.Error(), roleEnv) {
		t.Errorf("Ready() = %v, want ErrEnded and the output", err)
	}
}

// TestEnvironment does not run in parallel: it changes this process's environment.
func TestEnvironment(t *testing.T) {
	t.Setenv("ALEXA_REGIONS", "inherited")
	p := play(t, "tells its environment")
	if _, err := p.Wait(testkit.Context(t)); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(p.URL(), "http://"), ":")
	for _, want := range []string{"PORT=" + port, roleEnv + "=tells its environment"} {
		if !strings.Contains(p.Output(), want+"\n") {
			t.Errorf("%s is not in the environment", want)
		}
	}
	for line := range strings.Lines(p.Output()) {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "PORT", roleEnv:
		case "PWD", "OLDPWD", "SHLVL", "_": // the shell's
		default:
			t.Errorf("%s is in the environment, want it not inherited", name)
		}
	}
}
