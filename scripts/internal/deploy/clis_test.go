//go:build !race

// The real CLIs run in other processes, which the race detector does not see,
// and take most of a minute: under it they would prove nothing more.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// clis are the real gcloud and AWS CLI, which reach nothing but the fakes.
type clis struct {
	socket string // of testdata/gcloud_server.py
	dir    string
	serial atomic.Int64

	// answers of the commands of the run before, for a run that is sure to get
	// the same ones: as long as nothing has changed, asking again proves nothing.
	mu       sync.Mutex
	answers  map[string][]byte
	repeated bool
}

// needCLIs skips the test, with one line, where a CLI is not installed. With
// REQUIRE_CLIS=1 that fails.
func needCLIs(t *testing.T) {
	t.Helper()
	for _, name := range []string{"gcloud", "aws"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("REQUIRE_CLIS") == "1" {
				t.Fatalf("%s is not on the PATH", name)
			}
			t.Skipf("not tried with the real CLIs: %s is not on the PATH", name)
		}
	}
}

// endpoints are of the APIs that gcloud calls here, as it names them in its properties.
var endpoints = []string{
	"CLOUDFUNCTIONS", "CLOUDRESOURCEMANAGER", "CLOUDSCHEDULER", "FIRESTORE", "IAM", "PUBSUB", "RUN", "SECRETMANAGER", "SERVICEUSAGE",
}

// useClouds has the CLIs of this process's environment talk to the fakes only.
func useClouds(t *testing.T, g *google, a *amazon) {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{
		"CLOUDSDK_CONFIG": filepath.Join(dir, "gcloud"), "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
		"CLOUDSDK_CORE_CHECK_GCE_METADATA": "false", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true", "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "true", "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "true",
		"AWS_ENDPOINT_URL": a.url, "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE", "AWS_SECRET_ACCESS_KEY": "fake", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": filepath.Join(dir, "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "none"),
	} {
		t.Setenv(name, value)
	}
	// Whatever this machine has would lead elsewhere.
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "") // to have it back after the test
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, api := range endpoints {
		t.Setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_"+api, g.url+"/")
	}
}

// startCLIs starts what runs gcloud commands.
func startCLIs(t *testing.T) *clis {
	t.Helper()
	out, err := exec.Command("gcloud", "info", "--format=value(installation.sdk_root,basic.python_location)").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, python, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
	dir, err := os.MkdirTemp("", "deploy") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &clis{socket: filepath.Join(dir, "gcloud"), dir: dir, answers: map[string][]byte{}}
	server := exec.Command(python, "testdata/gcloud_server.py", root, c.socket)
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("gcloud could not be loaded: %q, %v", line, err)
	}
	return c
}

// execute is an [execute] that runs the real CLIs.
func (c *clis) execute(ctx context.Context, args []string) (stdout, stderr []byte, err error) {
	key := strings.Join(args, " ")
	c.mu.Lock()
	known, ok := c.answers[key]
	c.mu.Unlock()
	if ok && c.repeated {
		return known, nil, nil
	}
	if args[0] == "gcloud" {
		stdout, stderr, err = c.gcloud(args[1:])
	} else {
		stdout, stderr, err = fromPath(ctx, args)
	}
	if err == nil {
		c.mu.Lock()
		c.answers[key] = stdout
		c.mu.Unlock()
	}
	return stdout, stderr, err
}

// forget has the commands that begin so asked again.
func (c *clis) forget(beginnings ...string) {
	maps.DeleteFunc(c.answers, func(line string, _ []byte) bool {
		return slices.ContainsFunc(beginnings, func(beginning string) bool { return strings.HasPrefix(line, beginning) })
	})
}

func (c *clis) gcloud(args []string) (stdout, stderr []byte, err error) {
	name := filepath.Join(c.dir, strconv.FormatInt(c.serial.Add(1), 10))
	files := map[string]any{"args": args, "stdout": name + ".out", "stderr": name + ".err"}
	connection, err := net.Dial("unix", c.socket)
	if err != nil {
		return nil, nil, err
	}
	defer connection.Close()
	if _, err := fmt.Fprintln(connection, compact(files)); err != nil {
		return nil, nil, err
	}
	status, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return nil, nil, fmt.Errorf("gcloud ended without a status: %w", err)
	}
	stdout, _ = os.ReadFile(name + ".out")
	stderr, _ = os.ReadFile(name + ".err")
	if status != "0\n" {
		err = fmt.Errorf("exit status %s", strings.TrimSpace(status))
	}
	return stdout, stderr, err
}

// cloudRun is one run of the program against the fakes.
type cloudRun struct {
	status         int
	stdout, stderr string
	google, amazon []string // requests that changed something
}

func (r cloudRun) String() string { return r.stdout + r.stderr }

// world is the program and what it runs in.
type world struct {
	google        *google
	amazon        *amazon
	clis          *clis
	source, proxy string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	needCLIs(t)
	w := &world{google: newGoogle(t), amazon: newAmazon(t)}
	useClouds(t, w.google, w.amazon)
	w.clis = startCLIs(t)
	w.source, w.proxy = zipFile(t, map[string]string{"go.mod": "module example.com/m\n", "gatepost.go": "package m\n"}), zipFile(t, map[string]string{"bootstrap": "fake"})
	return w
}

// deploy runs the program with these settings, for the stack of EU. Answers are
// those of the run before where repeated says that it changed nothing.
func (w *world) deploy(t *testing.T, s object, repeated bool) cloudRun {
	t.Helper()
	w.clis.repeated = repeated
	if !repeated {
		clear(w.clis.answers)
	}
	o := options{regions: []string{"EU"}, source: w.source, proxy: w.proxy, settings: settingsFile(t, s)}
	var stdout, stderr bytes.Buffer
	d, err := prepare(o, &stdout)
	if err != nil {
		t.Fatal(err)
	}
	d.runner.execute = w.clis.execute
	w.google.changes, w.amazon.changes = nil, nil
	status := d.report(d.packAndDeploy(t.Context(), o), &stdout, &stderr)
	return cloudRun{status, stdout.String(), stderr.String(), slices.Clone(w.google.changes), slices.Clone(w.amazon.changes)}
}

func settingsFile(t *testing.T, s object) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "terraform.tfvars.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
