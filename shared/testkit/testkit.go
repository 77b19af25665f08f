// Package testkit provides the common parts of many packages' tests: a TestMain
// that keeps them on this machine, the deployed program, and a keyset. Its folders
// hold the larger parts.
package testkit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/shared/seal"
	"github.com/gatepostdev/gatepost/shared/sensitive"
	"github.com/gatepostdev/gatepost/shared/testkit/binary"
	"github.com/gatepostdev/gatepost/shared/testkit/loopback"
)

// Patience bounds waits that are far shorter on an idle machine.
const Patience = 3 * time.Minute

// Context returns the test's context with [Patience] as its deadline.
func Context(t *testing.T) context.Context {
	t.Helper()
	return Within(t, Patience)
}

// Within returns the test's context with a deadline.
func Within(t *testing.T, most time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	t.Cleanup(cancel)
	return ctx
}

// Request makes a request, with pairs of a header's name and value, and returns the answer.
func Request(t *testing.T, method, url, body string, header ...string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(Context(t), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			request.Host = header[i+1]
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// Main is a TestMain: it runs the tests, which can reach only this machine, and
// ends the process. Then it calls leaks, and each secret they find in what the
// tests collected is a failure.
func Main(m *testing.M, leaks ...func() []string) {
	loopback.Only()
	status := m.Run()
	for _, find := range leaks {
		for _, leak := range find() {
			fmt.Println("FAIL: a secret got out:", leak)
			status = 1
		}
	}
	if workDir != "" {
		_ = os.RemoveAll(workDir)
	}
	os.Exit(status)
}

// workDir is for files that are built once. Main removes it.
var workDir string

// WorkDir returns a directory that is removed after the tests, if their TestMain is
// [Main].
var WorkDir = sync.OnceValues(func() (_ string, err error) {
	workDir, err = os.MkdirTemp("", "gatepost-test-")
	return workDir, err
})

// Program builds Gatepost's program as it is deployed, at the first call.
var Program = sync.OnceValues(func() (string, error) {
	dir, err := WorkDir()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return binary.Build(ctx, dir)
})

// Keyset writes a new keyset to a file, and returns its path and its text.
func Keyset(t *testing.T) (path string, text sensitive.String) {
	t.Helper()
	text, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "keyset.json")
	if err := os.WriteFile(path, []byte(text.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, text
}

// Script writes an executable file. If another test forked while the file is open for
// writing, the child would hold the descriptor until it execs, and running the script
// would fail with "text file busy". The lock keeps forks out.
func Script(t *testing.T, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}
