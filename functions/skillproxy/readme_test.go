package main

import (
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/federationtest"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
)

// TestReadme has the README show the snippets as they are, and name every
// variable that is read and every outcome that is logged.
func TestReadme(t *testing.T) {
	t.Parallel()
	page := readme.Open(t, "README.md")
	page.ShowsFile("snippets/forward.mjs", "js")
	page.ShowsFile("snippets/forward.py", "python")
	asked := map[string]bool{}
	env := map[string]string{
		"ACCEPT_GRANT_URL": "http://127.0.0.1", "SKILL_EVENT_URL": "http://127.0.0.1", "DIRECTIVE_URL": "http://127.0.0.1", "AWS_REGION": "eu-west-1",
		"GOOGLE_WORKLOAD_PROVIDER": federationtest.Provider, "GOOGLE_SERVICE_ACCOUNT": federationtest.ServiceAccount,
	}
	if _, err := read(func(name string) (string, bool) { asked[name] = true; return env[name], true }); err != nil {
		t.Fatal(err)
	}
	for name := range asked {
		page.Names(name)
	}
	for _, o := range []outcome{
		passed, acknowledged, unsupported, timedOut, unreachable, unavailable, refused, unusable, unauthenticated, panicked,
	} {
		page.Names(string(o))
	}
}
