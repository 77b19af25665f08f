//go:build !race

package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/cloudfake"
	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// rollout is a deployment in the fakes, by Terraform and both real providers.
type rollout struct {
	*testing.T
	dir    string
	run    terraform
	google *cloudfake.Google
	amazon *cloudfake.Amazon
}

// TestApply deploys, changes and takes down, which no plan can show: what Google and
// AWS already have decides what an apply meets.
func TestApply(t *testing.T) {
	if os.Getenv("REQUIRE_TERRAFORM") != "1" {
		t.Skip("nothing is applied, which takes minutes, without REQUIRE_TERRAFORM=1")
	}
	t.Parallel()
	d := rollout{T: t, dir: t.TempDir(), google: cloudfake.NewGoogle(t), amazon: cloudfake.NewAmazon(t)}
	d.run = startTerraform(t, d.dir, d.google, d.amazon)
	both := object{
		"NA": object{"location": "us-west2", "firestore_location": "nam5"},
		"EU": object{"location": "europe-west1", "firestore_location": "eur3"},
	}

	// In the first apply Google does not know the functions' accounts yet, then the roles
	// of the build's account are not in force, so that every build fails, then Google does
	// not know the callers' accounts. Each next apply continues.
	d.google.SlowAccounts()
	d.google.RolesInForce() // none
	d.fails("does not exist", both)
	d.fails("You must grant Storage Object Viewer permission", both)
	d.google.RolesInForce()
	d.fails("does not exist", both)
	d.apply(both)
	d.wantFunctions("us-west2/gatepost-na", "europe-west1/gatepost-eu")
	d.unchanged(both)

	// A state of the time when everything was in the root.
	d.moveBack()
	d.unchanged(both)
	d.apply(both)

	// A build that fails in an update leaves the old revision, and is named until it is
	// repeated.
	d.google.FailBuilds("gatepost-eu-sendevent", true)
	d.fails("quota restrictions", both, "-var=max_event_age=10m")
	d.google.FailBuilds("gatepost-eu-sendevent", false)
	if out := d.apply(both, "-var=max_event_age=10m"); !strings.Contains(out, "Not active: gatepost-eu-sendevent (FAILED)") {
		t.Errorf("no warning of the function that is not active:\n%s", out)
	}
	d.apply(both, "-var=max_event_age=10m",
		`-replace=module.google.module.stack["EU"].google_cloudfunctions2_function.function["sendevent"]`)
	d.wantFunctions("us-west2/gatepost-na", "europe-west1/gatepost-eu")
	d.apply(both)

	// Another location.
	moved := maps.Clone(both)
	moved["EU"] = object{"location": "europe-west4", "firestore_location": "eur3"}
	d.apply(moved)
	d.wantFunctions("us-west2/gatepost-na", "europe-west4/gatepost-eu")
	d.unchanged(moved)

	// The guide's way to take a region down.
	if _, err := d.run(append([]string{"state", "rm"}, removedFromState(t)...)...); err != nil {
		t.Fatal(err)
	}
	left := object{"NA": both["NA"]}
	d.apply(left)
	d.wantFunctions("us-west2/gatepost-na")
	for _, kept := range []string{"databases/gatepost-eu", "subscriptions/gatepost-eu-device-events", "secrets/gatepost-token-keyset-eu"} {
		if d.google.Resources()["projects/maker-prod/"+kept] == nil {
			t.Errorf("%s is gone", kept)
		}
	}
	d.unchanged(left)
}

// TestPlanWithoutAWS plans a deployment whose Lambdas are all the maker's own.
func TestPlanWithoutAWS(t *testing.T) {
	t.Parallel()
	run := startTerraform(t, t.TempDir(), cloudfake.NewGoogle(t), nil)
	own := object{"EU": object{"location": "europe-west1", "firestore_location": "eur3", "own_lambda_role": "maker-smart-home"}}
	if _, err := run.plan(settingsWith(t, settingsFile, object{"regions": own})); err != nil {
		t.Error(err)
	}
}

// settings writes the settings of the regions, and returns the flags for them.
func (d rollout) settings(regions object, flags []string) []string {
	d.Helper()
	path := filepath.Join(d.dir, "test.tfvars.json")
	data, err := os.ReadFile(settingsWith(d.T, settingsFile, object{"regions": regions}))
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		d.Fatal(err)
	}
	return append([]string{"-input=false", "-no-color", "-parallelism=64", "-var-file=" + path}, flags...)
}

// apply returns what Terraform writes.
func (d rollout) apply(regions object, flags ...string) string {
	d.Helper()
	out, err := d.run(append([]string{"apply", "-auto-approve"}, d.settings(regions, flags)...)...)
	if err != nil {
		d.Fatal(err)
	}
	return string(out)
}

// fails applies, and checks that each error says what is wanted.
func (d rollout) fails(want string, regions object, flags ...string) {
	d.Helper()
	_, err := d.run(append([]string{"apply", "-auto-approve"}, d.settings(regions, flags)...)...)
	found := regexp.MustCompile(`(?m)^Error: .*`).FindAllString(fmt.Sprint(err), -1)
	if len(found) == 0 {
		d.Fatalf("error = %v, want %q", err, want)
	}
	for _, line := range found {
		if !strings.Contains(line, want) {
			d.Errorf("%s: want nothing but %q", line, want)
		}
	}
}

// unchanged checks that a plan neither changes a resource nor warns.
func (d rollout) unchanged(regions object) {
	d.Helper()
	out, err := d.run(append([]string{"plan", "-out=test.tfplan"}, d.settings(regions, nil)...)...)
	if err != nil {
		d.Fatal(err)
	}
	if strings.Contains(string(out), "Warning") {
		d.Errorf("the plan warns:\n%s", out)
	}
	data, err := d.run("show", "-json", "test.tfplan")
	if err != nil {
		d.Fatal(err)
	}
	var plan struct {
		Changes []struct {
			Address string
			Change  struct{ Actions []string }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		d.Fatal(err)
	}
	for _, one := range plan.Changes {
		if !slices.Equal(one.Change.Actions, []string{"no-op"}) && !slices.Equal(one.Change.Actions, []string{"read"}) {
			d.Errorf("%s: %v", one.Address, one.Change.Actions)
		}
	}
}

// moveBack gives the state the addresses of before there were modules for the clouds.
func (d rollout) moveBack() {
	d.Helper()
	path := filepath.Join(d.dir, "terraform.tfstate")
	data, err := os.ReadFile(path)
	if err != nil {
		d.Fatal(err)
	}
	var state object
	if err := json.Unmarshal(data, &state); err != nil {
		d.Fatal(err)
	}
	for _, resource := range state["resources"].([]any) {
		r := resource.(object)
		module, _ := r["module"].(string)
		if strings.Contains(module, "observability") || r["type"] == "google_logging_project_exclusion" {
			continue // is newer
		}
		module = strings.TrimPrefix(strings.TrimPrefix(module, "module.google"), "module.aws")
		r["module"] = strings.TrimPrefix(module, ".")
	}
	if data, err = json.Marshal(state); err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		d.Fatal(err)
	}
}

// wantFunctions checks that each stack, by its location and prefix, has its functions
// and no other: active, with their one caller, and called by their address.
func (d rollout) wantFunctions(stacks ...string) {
	d.Helper()
	got, want := map[string]string{}, map[string]string{}
	for name, resource := range d.google.Resources() {
		if _, id, ok := strings.Cut(name, "/functions/"); ok {
			location := strings.Split(name, "/")[3]
			got[location+"/"+id] = resource["state"].(string)
			policy := compact(d.google.Resources()[strings.Replace(name, "/functions/", "/services/", 1)+":policy"])
			if strings.Count(policy, "serviceAccount:") != 1 {
				d.Errorf("%s: callers = %s, want one", id, policy)
			}
		}
	}
	for _, stack := range stacks {
		for _, function := range []string{"acceptgrant", "skillevent", "refreshtokens", "refreshshard", "sendevent"} {
			want[stack+"-"+function] = "ACTIVE"
		}
	}
	expect.Equal(d.T, "functions", want, got)
}
