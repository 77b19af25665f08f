package emulator

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOneOfEach: there is one instance of each emulator, on this machine, and it
// answers.
func TestOneOfEach(t *testing.T) {
	t.Parallel()
	for name, product := range map[string]struct {
		address func(testing.TB) string
		call    call
	}{
		"Firestore": {Firestore, call{http.MethodPatch, "/v1/projects/" + Project() + "/databases/(default)/documents/c/d", `{"fields":{}}`}},
		"Pub/Sub":   {PubSub, call{http.MethodPut, "/v1/projects/" + Project() + "/topics/some-topic", "{}"}},
	} {
		first, second := product.address(t), product.address(t)
		host, _, err := net.SplitHostPort(first)
		if ip := net.ParseIP(host); err != nil || first != second || host != "localhost" && !ip.IsLoopback() {
			t.Errorf("addresses of %s = %q and %q, want one loopback address", name, first, second)
		}
		if !product.call.succeeds(t.Context(), first) {
			t.Errorf("%s does not answer", name)
		}
	}
}

func TestProjectIsUnique(t *testing.T) {
	t.Parallel()
	if a, b := Project(), Project(); a == b || len(a) > 30 {
		t.Errorf("projects = %q and %q, want two ids of at most 30 characters", a, b)
	}
}

// outcome records how a test would end.
type outcome struct {
	testing.TB
	skipped, failed string
}

func (*outcome) Helper()                        {}
func (o *outcome) Skip(args ...any)             { o.skipped = fmt.Sprint(args...) }
func (o *outcome) Fatalf(f string, args ...any) { o.failed = fmt.Sprintf(f, args...) }

func TestMissingEmulator(t *testing.T) {
	missing := func() (instance, error) { return instance{}, errors.New("no emulator") }
	for required, want := range map[string]outcome{
		"":  {skipped: "no emulator"},
		"1": {failed: "no emulator (REQUIRE_EMULATORS=1)"},
	} {
		t.Setenv("REQUIRE_EMULATORS", required)
		var got outcome
		if address := address(&got, missing); got != want || address != "" {
			t.Errorf("REQUIRE_EMULATORS=%q: outcome = %+v, address %q, want %+v", required, got, address, want)
		}
	}
}

func TestRunningEmulatorIsUsed(t *testing.T) {
	t.Setenv("PATH", "") // nothing can be started
	t.Setenv("SOME_EMULATOR_HOST", "127.0.0.1:1")
	got, err := product{env: "SOME_EMULATOR_HOST"}.find()
	if want := (instance{address: "127.0.0.1:1"}); err != nil || got != want {
		t.Errorf("find() = %+v, %v, want %+v", got, err, want)
	}
}

func TestEmulatorThatDoesNotStart(t *testing.T) {
	t.Parallel()
	java := filepath.Join(t.TempDir(), "java")
	writeFile(t, java, "#!/bin/sh\necho needs a newer version >&2\nexit 1\n")
	p := product{args: func(jar, host, port string) []string { return []string{jar, host, port} }}
	got, err := p.launch(java, "some.jar")
	if err == nil || got.process != nil || !strings.Contains(err.Error(), "needs a newer version") || strings.Contains(err.Error(), "\n") {
		t.Errorf("launch() = %+v, %v, want one line with the program's output", got, err)
	}
}

func TestLocate(t *testing.T) {
	const jar = "platform/fake-emulator/lib/fake-*-all.jar"
	sdk := t.TempDir()
	wantJar := filepath.Join(sdk, "platform/fake-emulator/lib/fake-0.8.20-all.jar")
	writeFile(t, wantJar, "")
	writeFile(t, filepath.Join(sdk, "bin/gcloud"), "#!/bin/sh\n")
	bin := func(files map[string]string) string {
		dir := t.TempDir()
		for name, content := range files {
			writeFile(t, filepath.Join(dir, name), content)
		}
		return dir
	}
	const program = "#!/bin/sh\n"
	linked := bin(map[string]string{"java": program})
	if err := os.Symlink(filepath.Join(sdk, "bin/gcloud"), filepath.Join(linked, "gcloud")); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.Symlink(sdk, filepath.Join(home, "google-cloud-sdk")); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		path, root, home string
		found            bool
	}{
		"named by CLOUDSDK_ROOT_DIR": {path: bin(map[string]string{"java": program}), root: sdk, found: true},
		"gcloud is a symbolic link":  {path: linked, found: true},
		"in the home directory":      {path: bin(map[string]string{"java": program}), home: home, found: true},
		"gcloud tells where": {
			path: bin(map[string]string{"java": program, "gcloud": program + `[ "$1" = info ] && echo ` + sdk + "\n"}), found: true,
		},
		"gcloud without emulators": {path: bin(map[string]string{"java": program, "gcloud": program})},
		"no gcloud":                {path: bin(map[string]string{"java": program})},
		"no java":                  {path: bin(map[string]string{"gcloud": program}), root: sdk},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", tt.path)
			t.Setenv("CLOUDSDK_ROOT_DIR", tt.root)
			t.Setenv("HOME", tt.home)
			java, jar, err := locate(jar)
			if !tt.found {
				if err == nil {
					t.Errorf("locate() = %s, %s, want an error", java, jar)
				}
				return
			}
			got, _ := filepath.EvalSymlinks(jar)
			want, _ := filepath.EvalSymlinks(wantJar)
			if err != nil || java != filepath.Join(tt.path, "java") || got != want {
				t.Errorf("locate() = %s, %s, %v, want the java of %s and %s", java, jar, err, tt.path, want)
			}
		})
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// A child forked while the file is open for writing would hold the descriptor
	// until it execs: "text file busy".
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}
