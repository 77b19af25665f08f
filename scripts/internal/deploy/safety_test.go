package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPlanIsSafe checks rules for the whole plan, whatever its resources are
// called, and for single resources.
func TestPlanIsSafe(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/plan.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []string{"allUsers", "allAuthenticatedUsers"} {
		if strings.Contains(string(data), public) {
			t.Errorf("the plan grants access to %s", public)
		}
	}
	// Keys, tokens and passwords in their usual forms.
	secret := regexp.MustCompile(`-----BEGIN|AIza[0-9A-Za-z_-]{20}|AKIA[0-9A-Z]{16}|Atza\||Atzr\||ya29\.|amzn1\.oa2-cs|` +
		`(?i)"(client_secret|password|secret_data|private_key|keyset)"`)
	if found := secret.Find(data); found != nil {
		t.Errorf("the plan contains a possible secret, which begins with %q", found[:8])
	}
	accounts := map[string]string{} // function by its account
	var functions, pushing int
	for _, p := range readPlan(t, "testdata/plan.json") {
		switch p.Type {
		case "google_secret_manager_secret_version", "google_service_account_key", "aws_iam_access_key":
			t.Errorf("%s would put a secret into Terraform's state", p.Address)
		case "google_project_iam_binding", "google_project_iam_policy":
			t.Errorf("%s would remove other members", p.Address)
		case "google_project_iam_member":
			projectBinding(t, p)
		case "google_pubsub_subscription":
			if p.Values["push_config"] != nil {
				pushing++
				pushSubscription(t, p)
			}
		case "google_cloudfunctions2_function":
			functions++
			account := p.at("service_config.0.service_account_email")
			if account == "" || account == later || accounts[account] != "" {
				t.Errorf("%s runs as %q, like %q", p.Address, account, accounts[account])
			}
			accounts[account] = p.Address
		}
	}
	if functions != 15 || pushing != 6 {
		t.Errorf("functions = %d, push subscriptions = %d, want 15, 6", functions, pushing)
	}
}

// projectBinding refuses roles on the whole project, except on one database and for
// the build.
func projectBinding(t *testing.T, p planned) {
	role, member := p.at("role"), p.at("member")
	database := regexp.MustCompile(`^resource\.name == "projects/maker-prod/databases/gatepost-(na|eu|fe)"$`).
		FindStringSubmatch(p.at("condition.0.expression"))
	switch {
	case member == "serviceAccount:gatepost-build@maker-prod.iam.gserviceaccount.com" &&
		slices.Contains([]string{"roles/artifactregistry.writer", "roles/logging.logWriter", "roles/storage.objectViewer"}, role):
	case role == "roles/datastore.user" && database != nil && strings.HasPrefix(member, "serviceAccount:gatepost-"+database[1]+"-"):
	default:
		t.Errorf("%s: %s has %s on the project", p.Address, member, role)
	}
}

// pushSubscription checks that undeliverable messages are kept.
func pushSubscription(t *testing.T, p planned) {
	for _, path := range []string{
		"dead_letter_policy.0.dead_letter_topic", "dead_letter_policy.0.max_delivery_attempts",
		"retry_policy.0.minimum_backoff", "retry_policy.0.maximum_backoff", "push_config.0.oidc_token.0.service_account_email",
	} {
		if p.at(path) == "" {
			t.Errorf("%s has no %s", p.Address, path)
		}
	}
}
