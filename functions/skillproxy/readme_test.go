package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
)

// TestReadme has the README show the snippets as they are, and name every
// variable that is read and every outcome that is logged.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	for _, name := range []string{"forward.mjs", "forward.py"} {
		snippet, err := os.ReadFile(filepath.Join("snippets", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(readme, string(snippet)+"```\n") {
			t.Errorf("README.md does not show snippets/%s as it is", name)
		}
	}
	asked := map[string]bool{}
	env := map[string]string{
		"ACCEPT_GRANT_URL": "http://127.0.0.1", "SKILL_EVENT_URL": "http://127.0.0.1", "DIRECTIVE_URL": "http://127.0.0.1", "AWS_REGION": "eu-west-1",
		"GOOGLE_WORKLOAD_PROVIDER": federationtest.Provider, "GOOGLE_SERVICE_ACCOUNT": federationtest.ServiceAccount,
	}
	if _, err := read(func(name string) (string, bool) { asked[name] = true; return env[name], true }); err != nil {
		t.Fatal(err)
	}
	for name := range asked {
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("README.md says nothing of %s", name)
		}
	}
	for _, o := range []outcome{
		passed, acknowledged, unsupported, timedOut, unreachable, unavailable, refused, unusable, unauthenticated, panicked,
	} {
		if !strings.Contains(readme, "`"+string(o)+"`") {
			t.Errorf("README.md says nothing of the outcome %s", o)
		}
	}
}
