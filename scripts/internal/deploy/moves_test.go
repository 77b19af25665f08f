//go:build !race

// As in freshplan_test.go, there is nothing for the race detector to watch.

package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestMoves has Terraform plan changes of a deployment that is there: a stack
// that moves gets its functions before it loses the old ones, and nothing that
// is planned deletes a customer's tokens or what finds them.
func TestMoves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := startTerraform(t, dir)
	plan := func(change func(regions object)) (map[string]planChange, error) {
		all := threeRegions(t)
		change(all["regions"].(object))
		settings := filepath.Join(dir, "changed.json")
		writeJSON(t, settings, all)
		data, err := run.plan(settings)
		if err != nil {
			return nil, err
		}
		return planChanges(t, data), nil
	}
	nothing, err := plan(func(object) {})
	if err != nil {
		t.Fatal(err)
	}
	writeJSON(t, filepath.Join(dir, "terraform.tfstate"), stateOf(nothing))

	moved, err := plan(func(regions object) { regions["EU"].(object)["location"] = "europe-west4" })
	if err != nil {
		t.Fatal(err)
	}
	checkMove(t, moved)

	database := `module.stack["EU"].google_firestore_database.grants`
	_, err = plan(func(regions object) { regions["EU"].(object)["firestore_location"] = "europe-west1" })
	refusesToDestroy(t, err, database)
	down := func(regions object) { delete(regions, "EU") }
	_, err = plan(down)
	refusesToDestroy(t, err, database)

	// As the guide says, then.
	if _, err := run(slices.Concat([]string{"state", "rm"}, removedFromState(t))...); err != nil {
		t.Fatal(err)
	}
	gone, err := plan(down)
	if err != nil {
		t.Fatal(err)
	}
	checkDown(t, gone)
}

// planChange is what a plan does to one resource.
type planChange struct {
	Address       string
	Mode          string
	Type          string
	Name          string
	ModuleAddress string `json:"module_address"`
	ProviderName  string `json:"provider_name"`
	Index         any
	Change        struct {
		Actions       []string
		Before, After object
	}
}

// does says what happens to it, such as "create delete".
func (c planChange) does() string { return strings.Join(c.Change.Actions, " ") }

func planChanges(t *testing.T, data []byte) map[string]planChange {
	t.Helper()
	var plan struct {
		Changes []planChange `json:"resource_changes"`
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	all := map[string]planChange{}
	for _, one := range plan.Changes {
		if one.Mode == "managed" {
			all[one.Address] = one
		}
	}
	return all
}

// checkMove asserts that EU's functions are made before the old ones are
// deleted, that no other stack's are, and no database or subscription.
func checkMove(t *testing.T, moved map[string]planChange) {
	t.Helper()
	var functions int
	for _, one := range moved {
		eu := one.ModuleAddress == `module.stack["EU"]`
		switch one.Type {
		case "google_cloudfunctions2_function", "google_cloud_run_v2_service_iam_member":
			if eu != (one.does() == "create delete") || !eu && strings.Contains(one.does(), "delete") {
				t.Errorf("a move of EU does to %s: %s", one.Address, one.does())
			}
			functions++
		case "google_firestore_database", "google_firestore_index", "google_firestore_field", "google_pubsub_subscription", "google_secret_manager_secret":
			if strings.Contains(one.does(), "delete") {
				t.Errorf("a move of EU does to %s: %s", one.Address, one.does())
			}
		}
	}
	if functions != 30 {
		t.Errorf("%d functions and their callers were looked at, want 30", functions)
	}
}

// checkDown asserts that what is deleted with a region leaves its database as it
// was.
func checkDown(t *testing.T, gone map[string]planChange) {
	t.Helper()
	var kept int
	for _, one := range gone {
		if !strings.Contains(one.does(), "delete") {
			continue
		}
		switch one.Type {
		case "google_firestore_index", "google_firestore_field", "google_secret_manager_secret":
			kept++
			if one.Change.Before["deletion_policy"] != "ABANDON" {
				t.Errorf("%s goes with its region", one.Address)
			}
		case "google_firestore_database":
			t.Errorf("%s goes with its region", one.Address)
		}
	}
	if kept != 8 {
		t.Errorf("%d resources of the database were let go of, want 8", kept)
	}
}

func refusesToDestroy(t *testing.T, err error, address string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "Instance cannot be destroyed") || !strings.Contains(err.Error(), address) {
		t.Errorf("error %v, want a refusal to destroy %s", err, address)
	}
}

// stateOf is a state in which a plan's resources are as they were planned. What
// is known after an apply only is made up, as far as something asks for it.
func stateOf(plan map[string]planChange) object {
	var resources []object
	for _, address := range slices.Sorted(maps.Keys(plan)) {
		one := plan[address]
		attributes := maps.Clone(one.Change.After)
		attributes["id"] = "fake-" + strconv.Itoa(len(resources))
		switch one.Type {
		case "google_cloudfunctions2_function":
			attributes["service_config"].([]any)[0].(object)["uri"] = "https://function-fake.a.run.app"
		case "google_service_account":
			attributes["name"] = "projects/maker-prod/serviceAccounts/" + attributes["email"].(string)
		case "aws_iam_role", "aws_cloudwatch_log_group", "aws_lambda_function":
			attributes["arn"] = "arn:aws:fake:eu-west-1:123456789012:fake"
		}
		instance := object{"schema_version": 0, "attributes": attributes}
		if one.Index != nil {
			instance["index_key"] = one.Index
		}
		resource := object{
			"mode": "managed", "type": one.Type, "name": one.Name, "instances": []object{instance},
			"provider": configuredBy(one),
		}
		if one.ModuleAddress != "" {
			resource["module"] = one.ModuleAddress
		}
		resources = append(resources, resource)
	}
	return object{"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "fake", "outputs": object{}, "resources": resources}
}

// configuredBy is the provider of a resource as a state names it.
func configuredBy(one planChange) string {
	name := `provider["` + one.ProviderName + `"]`
	if region, ok := strings.CutPrefix(one.ModuleAddress, "module.proxy_"); ok {
		name += "." + region[:2]
	}
	return name
}

func writeJSON(t *testing.T, path string, value any) {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
