package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/testkit"
	"github.com/gatepostdev/gatepost/shared/testkit/cloud"
)

// command runs a program.
type command struct {
	args []string
	env  []string // NAME=value
	// standIn is the reason for using a client library of testdata, empty if none
	// is used.
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

// nodeWith runs a copy of the program beside a directory node_modules, the only
// place where imports are found.
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

// standInModules returns a directory node_modules with the stand-in.
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
		t.Skipf("%s is not installed: its message was not checked", name)
	}
	return path
}

// inPython adds a directory to Python's module path. It leaves no files there.
func (c command) inPython(dir string) command {
	c.env = []string{"PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1"}
	return c
}

// pythonPath is the directory of google-cloud-pubsub, empty if the interpreter
// finds it without.
var pythonPath = sync.OnceValues(func() (string, error) {
	if exec.Command("python3", "-c", "from google.cloud import pubsub_v1").Run() == nil {
		return "", nil
	}
	return installed("python", func(ctx context.Context, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=0",
			"--target", dir, "google-cloud-pubsub>=2,<3")
	})
})

// nodeModules is the directory node_modules with @google-cloud/pubsub.
var nodeModules = sync.OnceValues(func() (string, error) {
	dir, err := installed("node", func(ctx context.Context, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, "npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0",
			"--prefix", dir, "@google-cloud/pubsub@5")
	})
	return filepath.Join(dir, "node_modules"), err
})

// installTime bounds an installation, which takes 20 seconds.
const installTime = 50 * time.Second

// installed returns the directory of a package that an earlier run installed or,
// with CI=true, installs it.
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
		return "", errors.New("not installed (CI=true installs it)")
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	// The directory is complete: it gets its name after the installation.
	unfinished, err := os.MkdirTemp(parent, name+"-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(unfinished) }()
	ctx, cancel := context.WithTimeout(context.Background(), installTime)
	defer cancel()
	cmd := install(ctx, unfinished)
	cmd.WaitDelay = time.Second // its child processes may go on
	if output, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return "", fmt.Errorf("cannot be installed: %w, %.200s", err, lines[len(lines)-1])
	}
	if err := os.Rename(unfinished, dir); err != nil {
		_, gone := os.Stat(dir) // another process may have been faster
		return dir, gone
	}
	return dir, nil
}

// published runs a program with a Pub/Sub at host and returns the message in the
// topic device-events.
func published(t *testing.T, c command, host string) push.Message {
	t.Helper()
	project := cloud.At(t, host)
	project.CreateTopic(t, "device-events")
	inbox := project.Pull(t, "device-events")
	c.run(t, "PUBSUB_EMULATOR_HOST="+host, "GOOGLE_CLOUD_PROJECT="+project.ID)
	m := inbox.Wait(t, 1, func(*pubsub.Message) bool { return true })[0]
	return push.Message{ID: m.ID, Data: m.Data, Attributes: m.Attributes, OrderingKey: m.OrderingKey, PublishTime: m.PublishTime}
}

// handedOver runs a program whose client library is a stand-in and returns the
// message that the library got.
func handedOver(t *testing.T, c command) push.Message {
	t.Helper()
	path := filepath.Join(t.TempDir(), "published.json")
	c.run(t, "PUBLISHED="+path, "GOOGLE_CLOUD_PROJECT=p")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Topic, OrderingKey string
		Data               []byte
		Attributes         map[string]string
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.Topic != "projects/p/topics/device-events" {
		t.Errorf("topic = %s", m.Topic)
	}
	return push.Message{Data: m.Data, OrderingKey: m.OrderingKey, Attributes: m.Attributes}
}

// run runs the program to its end.
func (c command) run(t *testing.T, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(testkit.Context(t), c.args[0], c.args[1:]...)
	cmd.Env = slices.Concat(os.Environ(), c.env, env)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", c.args, err, output)
	}
}

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
