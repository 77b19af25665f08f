package main

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/config"
	"github.com/gatepostdev/gatepost/shared/testkit"
)

var fault = regexp.MustCompile(`\\n  ([A-Z_]+): `)

// TestWrongConfiguration: the program ends before it fetches an invocation, and
// names the faults in one line without the values.
func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	w := newMemoryCloud()
	for _, test := range []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"nothing set", nil, []string{"ACCEPT_GRANT_URL", "AWS_REGION", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_WORKLOAD_PROVIDER"}},
		{"another AWS region", w.env(map[string]string{"AWS_REGION": "eu-central-1"}), []string{"AWS_REGION"}},
		{"everything wrong", w.env(map[string]string{
			"AWS_REGION":                 "canary",
			"ACCEPT_GRANT_URL":           "http://canary.example.com",
			"SKILL_EVENT_URL":            "canary",
			"DIRECTIVE_URL":              "https://canary@example.com",
			"DIRECTIVE_AUTH":             "canary",
			"GOOGLE_WORKLOAD_PROVIDER":   "//iam.googleapis.com/projects/canary",
			"GOOGLE_SERVICE_ACCOUNT":     "canary",
			"GOOGLE_STS_URL":             "https://sts.example.com/?canary",
			"GOOGLE_IAM_CREDENTIALS_URL": "https://example.com/canary",
		}), []string{
			"ACCEPT_GRANT_URL", "AWS_REGION", "DIRECTIVE_AUTH", "DIRECTIVE_URL", "GOOGLE_IAM_CREDENTIALS_URL",
			"GOOGLE_SERVICE_ACCOUNT", "GOOGLE_STS_URL", "GOOGLE_WORKLOAD_PROVIDER", "SKILL_EVENT_URL",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			process := launch(t, test.env)
			status, err := process.Wait(testkit.Within(t, patience))
			if err != nil || status != 1 {
				t.Errorf("exit status %d (%v), want 1", status, err)
			}
			var got []string
			for _, match := range fault.FindAllStringSubmatch(process.Output(), -1) {
				got = append(got, match[1])
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("faults differ (-want +got):\n%s%s", diff, process.Output())
			}
		})
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{
		"https://accept-grant-abc-ew.a.run.app":                           "https://accept-grant-abc-ew.a.run.app",
		"https://accept-grant-abc-ew.a.run.app/AcceptGrant":               "https://accept-grant-abc-ew.a.run.app",
		"https://europe-west1-maker-prod.cloudfunctions.net/accept-grant": "https://europe-west1-maker-prod.cloudfunctions.net/accept-grant",
		"http://127.0.0.1:8080/AcceptGrant":                               "http://127.0.0.1:8080",
	} {
		parsed, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		if got := audience(parsed); got != want {
			t.Errorf("audience(%s) = %s, want %s", at, got, want)
		}
	}
}

// TestReadme: the README shows the snippets, and names every variable and every
// outcome.
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
			t.Errorf("README.md does not contain snippets/%s", name)
		}
	}
	env := config.Env(newMemoryCloud().env(nil))
	source := config.NewSource(env)
	if _, err := read(source, env); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(source.Known(), "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN") {
		if !strings.Contains(readme, "`"+name+"`") {
			t.Errorf("README.md does not name %s", name)
		}
	}
	for _, o := range []outcome{
		passed, acknowledged, unsupported, timedOut, unreachable, unavailable, refused, unusable, unauthenticated, panicked,
	} {
		if !strings.Contains(readme, "`"+string(o)+"`") {
			t.Errorf("README.md does not name the outcome %s", o)
		}
	}
}
