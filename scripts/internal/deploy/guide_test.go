package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestGuide checks infra/README.md: its settings are valid, and the secrets that
// the reader fills are those of these settings.
func TestGuide(t *testing.T) {
	t.Parallel()
	page := guide(t)
	example := regexp.MustCompile("(?s)```json\n(\\{\n  \"project_id\".*?)```").FindStringSubmatch(page)
	if example == nil {
		t.Fatal("the guide has no settings")
	}
	s, err := parseSettings([]byte(example[1]))
	if err != nil {
		t.Fatalf("settings of the guide: %v", err)
	}
	secrets := []string{"gatepost-lwa-credentials"}
	for _, one := range s.Regions {
		secrets = append(secrets, string(one.Keyset()))
	}
	filling := regexp.MustCompile(`(?m)^    (?:gcloud secrets versions add |go run \./scripts/gatepost keyset create \S+/secrets/)(\S+)`)
	filled := filling.FindAllStringSubmatch(page, -1)
	var got []string
	for _, line := range filled {
		got = append(got, line[1])
	}
	slices.Sort(got)
	slices.Sort(secrets)
	if !slices.Equal(got, secrets) {
		t.Errorf("secrets to fill = %q, want %q", got, secrets)
	}
}

// guide returns infra/README.md.
func guide(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../infra/README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestGuideBringsBack runs the guide's commands that bring a region back, with
// programs that only record their arguments, and compares the imports with the
// plan: everything that is kept when a region goes, by its name in Google's form.
func TestGuideBringsBack(t *testing.T) {
	t.Parallel()
	const index = "projects/maker-prod/databases/gatepost-eu/collectionGroups/customers/indexes/fake"
	commands := regexp.MustCompile(`(?s)\n      (database=projects/.*?)\n\n\*`).FindStringSubmatch(guide(t))
	if commands == nil {
		t.Fatal("the guide has no commands to bring a region back")
	}
	got := map[string]string{}
	var notes []string
	env := noting(t, &notes, func(args []string) string { return map[string]string{"gcloud": index}[args[0]] }, "gcloud", "terraform")
	if status, out := shell(t, "set -eu\n"+commands[1], env); status != 0 {
		t.Fatalf("status = %d\n%s", status, out)
	}
	for _, line := range notes {
		if words := strings.Fields(line); words[0] == "terraform" {
			got[words[3]] = words[4]
		}
	}
	want := map[string]string{}
	for _, p := range readPlan(t, "testdata/plan.json") {
		id := "projects/maker-prod/databases/gatepost-eu"
		switch {
		case p.Type == "google_secret_manager_secret" && p.at("secret_id") == "gatepost-token-keyset-eu":
			want[p.Address] = "projects/maker-prod/secrets/gatepost-token-keyset-eu"
		case p.Type == "google_firestore_database" && p.at("name") == "gatepost-eu":
			want[p.Address] = id
		case p.Type == "google_firestore_index" && p.at("database") == "gatepost-eu":
			want[p.Address] = index
		case p.Type == "google_firestore_field" && p.at("database") == "gatepost-eu":
			want[p.Address] = id + "/collectionGroups/" + p.at("collection") + "/fields/" + p.at("field")
		}
	}
	expect.Equal(t, "imports", want, got)
}

// TestGuideNames compares other names in the guide with the settings and the plan:
// those removed from the state and deleted.
func TestGuideNames(t *testing.T) {
	t.Parallel()
	page, planned := guide(t), map[string]bool{}
	for _, p := range readPlan(t, "testdata/plan.json") {
		planned[p.Address] = true
		for _, name := range []string{"name", "function_name", "workload_identity_pool_id", "workload_identity_pool_provider_id"} {
			planned[p.Type+" "+p.at(name)] = true
		}
	}
	names := removedFromState(t)
	for kind, pattern := range map[string]string{
		"google_pubsub_subscription":                 `gcloud pubsub subscriptions delete (\S+)`,
		"google_firestore_database":                  `--database=(\S+)`,
		"google_storage_bucket":                      "`(maker-prod-gatepost-\\S+)`",
		"google_iam_workload_identity_pool":          `workload-identity-pools undelete (\S+)`,
		"google_iam_workload_identity_pool_provider": `providers undelete (\S+)`,
		"google_pubsub_topic":                        `gcloud pubsub topics publish (\S+)`,
	} {
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(page, -1)
		if len(found) == 0 {
			t.Errorf("the guide names nothing like %s", pattern)
		}
		for _, one := range found {
			names = append(names, kind+" "+one[1])
		}
	}
	for _, name := range names {
		if !planned[name] {
			t.Errorf("the guide names %s, which is not planned", name)
		}
	}
}

// removedFromState returns the addresses that the guide removes from the state.
func removedFromState(t *testing.T) []string {
	t.Helper()
	command := regexp.MustCompile(`(?m)^ +terraform -chdir=infra state rm (.*)$`).FindStringSubmatch(guide(t))
	if command == nil {
		t.Fatal("the guide removes nothing from the state")
	}
	var all []string
	for quoted := range strings.FieldsSeq(command[1]) {
		all = append(all, strings.Trim(quoted, "'"))
	}
	return all
}
