package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// command is how a program is run.
type command struct {
	args []string
	env  []string // NAME=value
	// standIn is why the client library is one of testdata, empty if it is not.
	standIn string
}

func goCommand(t *testing.T) command {
	t.Helper()
	path, err := goProgram()
	if err != nil {
		t.Fatal(err)
	}
	return command{args: []string{path}}
}

func pythonCommand(t *testing.T) command {
	t.Helper()
	c := command{args: []string{look(t, "python3"), "python/publish.py"}}
	dir, err := pythonPath()
	if err != nil {
		c.standIn, dir = fmt.Sprintf("no google-cloud-pubsub: %v", err), "testdata/python"
	}
	return c.inPython(dir)
}

func nodeCommand(t *testing.T) command {
	t.Helper()
	node := look(t, "node")
	dir, err := nodeModules()
	if err != nil {
		c := nodeWith(t, node, standInModules(t))
		c.standIn = fmt.Sprintf("no @google-cloud/pubsub: %v", err)
		return c
	}
	return nodeWith(t, node, dir)
}

// nodeWith runs a copy of the program beside a directory node_modules: an import
// is looked for there, and nowhere else.
func nodeWith(t *testing.T, node, modules string) command {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile("node/publish.mjs")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "publish.mjs"), program, 0o600)
	}
	if err == nil {
		err = os.Symlink(modules, filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return command{args: []string{node, filepath.Join(dir, "publish.mjs")}}
}

// standInModules is a directory node_modules with the stand-in.
func standInModules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "@google-cloud", "pubsub"), os.DirFS("testdata/node")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func look(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: what it would publish was not checked", name)
	}
	return path
}

// inPython adds a directory to those where Python looks for modules. It leaves
// nothing there.
func (c command) inPython(dir string) command {
	c.env = []string{"PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1"}
	return c
}

// pythonPath is where google-cloud-pubsub is, empty where the interpreter finds
// it by itself.
var pythonPath = sync.OnceValues(func() (string, error) {
	if exec.Command("python3", "-c", "from google.cloud import pubsub_v1").Run() == nil {
		return "", nil
	}
	return installed("python", func(ctx context.Context, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=0",
			"--target", dir, "google-cloud-pubsub>=2,<3")
	})
})

// nodeModules is the directory node_modules that @google-cloud/pubsub is in.
var nodeModules = sync.OnceValues(func() (string, error) {
	dir, err := installed("node", func(ctx context.Context, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, "npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0",
			"--prefix", dir, "@google-cloud/pubsub@5")
	})
	return filepath.Join(dir, "node_modules"), err
})

// installTime bounds an installation. It takes 20 seconds.
const installTime = 50 * time.Second

// installed returns the directory of a package, which an earlier run has
// installed or, with CI=true, this one does.
func installed(name string, install func(ctx context.Context, dir string) *exec.Cmd) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(cache, "gatepost", "publish-test")
	dir := filepath.Join(parent, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if os.Getenv("CI") != "true" {
		return "", errors.New("not installed (with CI=true it would be)")
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	// What is in the directory is complete: it gets its name when all is there.
	unfinished, err := os.MkdirTemp(parent, name+"-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(unfinished) }()
	ctx, cancel := context.WithTimeout(context.Background(), installTime)
	defer cancel()
	cmd := install(ctx, unfinished)
	cmd.WaitDelay = time.Second // what it has started may live on
	if output, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return "", fmt.Errorf("cannot be installed: %w, %.200s", err, lines[len(lines)-1])
	}
	if err := os.Rename(unfinished, dir); err != nil {
		_, gone := os.Stat(dir) // another process may have been first
		return dir, gone
	}
	return dir, nil
}
