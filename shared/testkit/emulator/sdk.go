package emulator

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// locate finds java and a jar of the Google Cloud SDK.
func locate(jar string) (javaPath, jarPath string, err error) {
	javaPath, err = exec.LookPath("java")
	if err != nil {
		return "", "", errors.New("there is no java on the PATH")
	}
	for _, root := range roots() {
		if jarPath, ok := match(filepath.Join(root, jar)); ok {
			return javaPath, jarPath, nil
		}
	}
	// The last resort takes a second: gcloud is a Python program.
	if root, err := exec.Command("gcloud", "info", "--format=value(installation.sdk_root)").Output(); err == nil {
		if jarPath, ok := match(filepath.Join(strings.TrimSpace(string(root)), jar)); ok {
			return javaPath, jarPath, nil
		}
	}
	return "", "", fmt.Errorf("no Google Cloud SDK with %s was found", filepath.Base(jar))
}

// roots lists where the SDK may be: where gcloud says that it was started from,
// where the gcloud on the PATH is, and where the installers put it.
func roots() []string {
	var roots []string
	if root := os.Getenv("CLOUDSDK_ROOT_DIR"); root != "" {
		roots = append(roots, root)
	}
	if gcloud, err := exec.LookPath("gcloud"); err == nil {
		if gcloud, err = filepath.EvalSymlinks(gcloud); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(gcloud)))
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, "google-cloud-sdk"))
	}
	return append(roots,
		"/usr/lib/google-cloud-sdk",            // Debian, Fedora
		"/usr/local/google-cloud-sdk",          // the installer, as root
		"/google-cloud-sdk",                    // Google's container image
		"/snap/google-cloud-cli/current",       // Snap
		"/opt/homebrew/share/google-cloud-sdk", // Homebrew
		"/usr/local/share/google-cloud-sdk")
}

// match returns a file that matches the pattern, false if there is none.
func match(pattern string) (string, bool) {
	matches, err := filepath.Glob(pattern)
	if err != nil || len(matches) == 0 {
		return "", false
	}
	return matches[0], true
}
