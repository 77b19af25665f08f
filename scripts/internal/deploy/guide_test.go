package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGuide holds infra/README.md to what it says: its settings are good ones,
// and the secrets that it has the reader fill are those of these settings.
func TestGuide(t *testing.T) {
	t.Parallel()
	page := guide(t)
	example := regexp.MustCompile("(?s)```json\n(\\{\n  \"project_id\".*?)```").FindStringSubmatch(page)
	if example == nil {
		t.Fatal("there are no settings")
	}
	s, err := parseSettings([]byte(example[1]))
	if err != nil {
		t.Fatalf("its settings: %v", err)
	}
	secrets := []string{"gatepost-lwa-credentials"}
	for _, one := range s.Regions {
		secrets = append(secrets, string(one.Keyset()))
	}
	filling := regexp.MustCompile(`(?m)^    (?:gcloud secrets versions add |go run \./scripts/keyset create \S+/secrets/)(\S+)`)
	filled := filling.FindAllStringSubmatch(page, -1)
	var got []string
	for _, line := range filled {
		got = append(got, line[1])
	}
	slices.Sort(got)
	slices.Sort(secrets)
	if !slices.Equal(got, secrets) {
		t.Errorf("it has the reader fill %q, want %q", got, secrets)
	}
}

// guide is infra/README.md.
func guide(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../infra/README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestGuideBringsBack runs the guide's commands that bring a region back, with
// programs that only take notes, and holds what they import against the plan:
// everything that stays when a region goes, by the name that Google knows it by.
func TestGuideBringsBack(t *testing.T) {
	t.Parallel()
	const index = "projects/maker-prod/databases/gatepost-eu/collectionGroups/customers/indexes/fake"
	commands := regexp.MustCompile(`(?s)\n      (database=projects/.*?)\n\n\*`).FindStringSubmatch(guide(t))
	if commands == nil {
		t.Fatal("nothing is brought back")
	}
	got := map[string]string{}
	var notes []string
	env := noting(t, &notes, func(args []string) string { return map[string]string{"gcloud": index}[args[0]] }, "gcloud", "terraform")
	if status, out := shell(t, "set -eu\n"+commands[1], env); status != 0 {
		t.Fatalf("status %d\n%s", status, out)
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
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it imports something else (-want +got):\n%s", diff)
	}
}

// TestGuideNames holds what else the guide names against the settings and the
// plan: what is taken out of the state, deleted and watched.
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
		"aws_lambda_function":                        `Name=FunctionName,Value=(\S+)`,
		"google_storage_bucket":                      "`(maker-prod-gatepost-\\S+)`",
		"google_iam_workload_identity_pool":          `workload-identity-pools undelete (\S+)`,
		"google_iam_workload_identity_pool_provider": `providers undelete (\S+)`,
		"google_pubsub_topic":                        `gcloud pubsub topics publish (\S+)`,
	} {
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(page, -1)
		if len(found) == 0 {
			t.Errorf("it names nothing like %s", pattern)
		}
		for _, one := range found {
			names = append(names, kind+" "+one[1])
		}
	}
	for _, name := range names {
		if !planned[name] {
			t.Errorf("it names %s, which is not planned", name)
		}
	}
}

// removedFromState are the addresses that the guide takes out of the state.
func removedFromState(t *testing.T) []string {
	t.Helper()
	command := regexp.MustCompile(`(?m)^ +terraform -chdir=infra state rm (.*)$`).FindStringSubmatch(guide(t))
	if command == nil {
		t.Fatal("the guide takes nothing out of the state")
	}
	var all []string
	for quoted := range strings.FieldsSeq(command[1]) {
		all = append(all, strings.Trim(quoted, "'"))
	}
	return all
}
