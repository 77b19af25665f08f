//go:build !race

package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRealCLIs deploys one of three stacks with the real gcloud and AWS CLI to
// clouds that are made up: from nothing, again, and with changed settings.
func TestRealCLIs(t *testing.T) {
	w := newWorld(t)
	settings := threeRegions(t)

	first := w.deploy(t, settings, false)
	if first.status != exitSecrets {
		t.Fatalf("status %d, want %d, as the secrets are empty\n%s", first.status, exitSecrets, first)
	}
	for _, want := range []string{
		"gcloud secrets versions add gatepost-lwa-credentials --project=maker-prod --data-file=FILE",
		"go run ./scripts/keyset create projects/maker-prod/secrets/gatepost-token-keyset-eu",
	} {
		if !strings.Contains(first.stdout, want) {
			t.Errorf("the first run does not say: %s\n%s", want, first)
		}
	}
	for _, secret := range []string{"gatepost-lwa-credentials", "gatepost-token-keyset-eu"} {
		name := projectPath + "/secrets/" + secret + "/versions/1"
		w.google.store[name] = object{"name": name, "state": "ENABLED"}
	}

	second := w.deploy(t, settings, false)
	for _, want := range []string{
		"arn:aws:lambda:eu-west-1:123456789012:function:gatepost-skill-proxy-eu\n",
		"gcloud pubsub topics add-iam-policy-binding device-events --project=maker-prod --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER\n",
	} {
		if !strings.Contains(second.stdout, want) {
			t.Errorf("the run does not say at its end: %s\n%s", want, second)
		}
	}
	if second.status != exitOK || w.google.uploads != len(functions) {
		t.Fatalf("status %d, want 0, and %d uploads\n%s", second.status, w.google.uploads, second)
	}
	compareWithPlan(t, w, planFile, openFacts())

	third := w.deploy(t, settings, false)
	if third.status != exitOK || len(third.google)+len(third.amazon) != 0 {
		t.Errorf("status %d, and a run with nothing to do changed %q %q\n%s", third.status, third.google, third.amazon, third)
	}

	t.Run("repairs", func(t *testing.T) { repair(t, w, settings) })
	t.Run("changed settings", func(t *testing.T) { changeSettings(t, w, settings) })
	t.Run("no service", func(t *testing.T) { noService(t, w) })
	t.Run("refusals by the cloud", func(t *testing.T) { refusedByCloud(t, w, settings) })
}

// repair has somebody change resources behind the program's back. It puts right
// what the settings decide, by the commands of update.
func repair(t *testing.T, w *world, settings object) {
	before := madeFacts(t, w.google, w.amazon)
	const (
		subscription = projectPath + "/subscriptions/gatepost-eu-device-events"
		provider     = projectPath + "/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda"
		account      = projectPath + "/serviceAccounts/gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com"
		job          = projectPath + "/locations/europe-west1/jobs/gatepost-eu-refresh"
		keyset       = projectPath + "/secrets/gatepost-token-keyset-eu"
		service      = projectPath + "/locations/europe-west1/services/gatepost-eu-sendevent"
		proxy        = "gatepost-skill-proxy-eu"
	)
	w.google.store[subscription]["retryPolicy"] = object{"minimumBackoff": "10s", "maximumBackoff": "600s"}
	w.google.store[subscription]["pushConfig"] = object{"pushEndpoint": "https://old"}
	w.google.store[subscription]["deadLetterPolicy"] = object{}
	w.google.store[projectPath+"/topics/grant-events"]["messageRetentionDuration"] = "600s"
	w.google.store[provider]["attributeCondition"] = "true"
	w.google.store[projectPath+"/locations/global/workloadIdentityPools/gatepost"]["disabled"] = true
	w.google.store[provider]["disabled"] = true
	w.google.store[account]["disabled"] = true
	w.google.store[job]["state"] = "PAUSED"
	// Where any binding has a condition, gcloud wants to be told of one.
	for _, path := range []string{account, keyset, service} {
		w.google.policies[path] = object{"version": 3, "etag": "AAAA", "bindings": []any{object{
			"role": "roles/browser", "members": []any{"user:nightwatch@maker.example"}, "condition": object{"title": "night", "expression": "true"},
		}}}
	}
	w.google.store[projectPath+"/databases/gatepost-eu"]["deleteProtectionState"] = "DELETE_PROTECTION_DISABLED"
	w.amazon.store["lambda "+proxy]["MemorySize"] = 256
	w.amazon.store["role "+proxy]["assume"] = "{}"
	w.clis.forget(tampered...)
	got := w.deploy(t, settings, true)
	// Four were changed, four switched off, one of them the same, and five bindings
	// taken away.
	if got.status != exitOK || len(got.google) != 12 {
		t.Errorf("status %d, want 0, and twelve changes %q\n%s", got.status, got.google, got)
	}
	delete(w.google.store[job], "state")
	if diff := cmp.Diff([]string{"UpdateAssumeRolePolicy " + proxy, "update configuration of " + proxy}, got.amazon); diff != "" {
		t.Errorf("changes in AWS differ (-want +got):\n%s", diff)
	}
	after := madeFacts(t, w.google, w.amazon)
	maps.DeleteFunc(after, func(name string, _ map[string]string) bool { return strings.Contains(name, "nightwatch") })
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what was repaired is not as before (-before +after):\n%s", diff)
	}
	w.clis.forget(tampered...)
}

// tampered are the questions about what repair changes.
var tampered = []string{
	"gcloud pubsub subscriptions list", "gcloud pubsub topics list", "gcloud iam workload-identity-pools providers list", "gcloud firestore databases list",
	"gcloud iam workload-identity-pools list", "gcloud iam service-accounts", "gcloud scheduler jobs list", "gcloud secrets get-iam-policy", "gcloud run services",
	"aws lambda get-function-configuration", "aws iam get-role ",
}

// changeSettings changes a setting for SendEvent, one for the two functions that
// recognize customers, with a comma in it, one for a job, of which RefreshShard
// has to know too, and one for a log. Nothing else may change.
func changeSettings(t *testing.T, w *world, settings object) {
	changed := maps.Clone(settings)
	const resolver = "userinfo:https://id.maker.example/me?fields=id,name"
	maps.Copy(changed, object{"max_event_age": "6m", "grantee": object{"resolver": resolver}, "refresh_schedule": "*/4 * * * *", "log_retention_days": 60})
	got := w.deploy(t, changed, true)
	if got.status != exitOK {
		t.Fatalf("status %d\n%s", got.status, got)
	}
	slices.Sort(got.google)
	const location = projectPath + "/locations/europe-west1"
	want := []string{"PATCH " + location + "/jobs/gatepost-eu-refresh"}
	for _, function := range []string{"acceptgrant", "refreshshard", "sendevent", "skillevent"} {
		want = append(want,
			"PATCH "+location+"/functions/gatepost-eu-"+function,
			// gcloud sees to it that nobody is let in without a token. The callers
			// have to be there still.
			"POST "+location+"/services/gatepost-eu-"+function+":setIamPolicy",
			"POST "+location+"/functions:generateUploadUrl",
			"PUT upload/source")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got.google); diff != "" {
		t.Errorf("changes differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"PutRetentionPolicy /aws/lambda/gatepost-skill-proxy-eu"}, got.amazon); diff != "" {
		t.Errorf("changes in AWS differ (-want +got):\n%s", diff)
	}
	made := madeFacts(t, w.google, w.amazon)
	if env := made["function europe-west1/gatepost-eu-sendevent"]["environment"]; !strings.Contains(env, `"MAX_EVENT_AGE":"6m"`) {
		t.Errorf("the function's environment is %s", env)
	}
	if env := made["function europe-west1/gatepost-eu-refreshshard"]["environment"]; !strings.Contains(env, `"REFRESH_PERIOD":"4m"`) {
		t.Errorf("the function's environment is %s", env)
	}
	if env := decode(made["function europe-west1/gatepost-eu-skillevent"]["environment"]); env["GRANTEE_RESOLVER"] != resolver {
		t.Errorf("the function's environment is %v", env)
	}
	if made[bindingName("service europe-west1/gatepost-eu-sendevent", "roles/run.invoker", "serviceAccount:gatepost-eu-push-sendevent@maker-prod.iam.gserviceaccount.com")] == nil {
		t.Error("Pub/Sub may no longer call the function")
	}
}

// noService asks for the policy of what is not there, to learn what gcloud says.
func noService(t *testing.T, w *world) {
	line := guarded{kind: "service", name: "gatepost-eu-none", location: "europe-west1"}.line("get-iam-policy")
	_, stderr, err := w.clis.execute(t.Context(), newDeployment(t, nil).settings.gcloud(line...).args)
	if err == nil || !strings.Contains(string(stderr), notFound) {
		t.Errorf("error %v, want one that says %s: %s", err, notFound, stderr)
	}
}

// refusedByCloud has the cloud refuse a command of change, and a question.
func refusedByCloud(t *testing.T, w *world, settings object) {
	delete(w.google.store, projectPath+"/topics/grant-events")
	for _, test := range []struct {
		name, request string
		status        int
		command, says string
	}{
		{"conflict", "PUT " + projectPath + "/topics/grant-events", 409, "gcloud pubsub topics create grant-events", ""},
		{"forbidden", "GET " + projectPath + "/services", 403, "gcloud services list", apiIsOff},
		{"API that is off", "GET " + projectPath + "/topics", 403, "gcloud pubsub topics list", apiIsOff},
	} {
		t.Run(test.name, func(t *testing.T) {
			clear(w.google.faults)
			w.google.faults[test.request] = [2]any{test.status, "the fake refuses"}
			w.clis.forget("gcloud pubsub topics list", "gcloud services list")
			got := w.deploy(t, settings, true)
			if got.status != exitFailed || !strings.Contains(got.stderr, test.command) || !strings.Contains(got.stderr, "the fake refuses") ||
				!strings.Contains(got.stderr, "Running this again goes on") || !strings.Contains(got.stderr, test.says) {
				t.Errorf("status %d, want %d, with the command and what the cloud said\n%s", got.status, exitFailed, got)
			}
			if strings.Contains(got.stdout, "functions deploy") {
				t.Errorf("the run went on\n%s", got)
			}
		})
	}
}

// compareWithPlan holds what the requests have made against what Terraform
// plans for the same settings, both ways.
func compareWithPlan(t *testing.T, w *world, file string, want facts) {
	t.Helper()
	plan, made := planFacts(t, readPlanIn(t, file)).onlyEU(), madeFacts(t, w.google, w.amazon)
	open := settle(t, plan, made)
	if diff := cmp.Diff(plan, made); diff != "" {
		t.Errorf("what scripts/deploy makes is not what Terraform makes (-terraform +gcloud and aws):\n%s", diff)
	}
	if diff := cmp.Diff(want, open); diff != "" {
		t.Errorf("what Terraform leaves open until it applies is not as it should be (-want +gcloud and aws):\n%s", diff)
	}
}

// TestRealCLIsOwn deploys a stack with a Lambda of the maker's own, and with most
// settings other than by default.
func TestRealCLIsOwn(t *testing.T) {
	w := newWorld(t)
	settings := settingsIn(t, "testdata/own.json")
	first := w.deploy(t, settings, false)
	if first.status != exitSecrets {
		t.Fatalf("status %d, want %d, as the secrets are empty\n%s", first.status, exitSecrets, first)
	}
	for _, secret := range []string{"gatepost-lwa-credentials", "gatepost-grantee-credentials", "gatepost-token-keyset-eu"} {
		name := projectPath + "/secrets/" + secret + "/versions/1"
		w.google.store[name] = object{"name": name, "state": "ENABLED"}
	}
	second := w.deploy(t, settings, false)
	if second.status != exitOK || len(second.amazon) != 0 {
		t.Fatalf("status %d, want 0, and no change in AWS %q\n%s", second.status, second.amazon, second)
	}
	for _, want := range []string{
		"ACCEPT_GRANT_URL=" + urlOf("gatepost-eu-acceptgrant") + "\n", "SKILL_EVENT_URL=" + urlOf("gatepost-eu-skillevent") + "\n",
		"GOOGLE_SERVICE_ACCOUNT=gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com\n",
		"GOOGLE_WORKLOAD_PROVIDER=//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda\n",
		"gcloud pubsub topics add-iam-policy-binding device-events-eu --project=maker-prod --role=roles/pubsub.publisher --member=serviceAccount:PUBLISHER\n",
	} {
		if !strings.Contains(second.stdout, want) {
			t.Errorf("the run does not say at its end: %s\n%s", want, second)
		}
	}
	open := openFacts()
	maps.DeleteFunc(open, func(name string, _ map[string]string) bool { return strings.Contains(name, "skill-proxy") })
	compareWithPlan(t, w, planOwnFile, open)
}

// openFacts are what a plan cannot show: what depends on the addresses of the
// functions, and what the providers take from other resources.
func openFacts() facts {
	const (
		sendEvent, refreshShard, refreshTokens = "gatepost-eu-sendevent", "gatepost-eu-refreshshard", "gatepost-eu-refreshtokens"
		proxy                                  = "gatepost-skill-proxy-eu"
	)
	open := facts{
		"subscription gatepost-eu-device-events": {"url": urlOf(sendEvent), "audience": urlOf(sendEvent)},
		"subscription gatepost-eu-refresh":       {"url": urlOf(refreshShard), "audience": urlOf(refreshShard)},
		"job europe-west1/gatepost-eu-refresh":   {"url": urlOf(refreshTokens), "audience": urlOf(refreshTokens)},
		"lambda " + proxy: {"role": "arn:aws:iam::123456789012:role/" + proxy, "environment": compact(map[string]string{
			"ACCEPT_GRANT_URL": urlOf("gatepost-eu-acceptgrant"), "SKILL_EVENT_URL": urlOf("gatepost-eu-skillevent"),
			"GOOGLE_SERVICE_ACCOUNT":   "gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com",
			"GOOGLE_WORKLOAD_PROVIDER": "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/gatepost/providers/aws-lambda",
		})},
		"role policy " + proxy + "/log": {"policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogStream","logs:PutLogEvents"],` +
			`"Resource":"arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/gatepost-skill-proxy-eu:*"}]}`},
	}
	for _, f := range functions {
		open["function europe-west1/gatepost-eu-"+strings.ToLower(f.entryPoint)] = map[string]string{
			"build account": "projects/maker-prod/serviceAccounts/gatepost-build@maker-prod.iam.gserviceaccount.com",
		}
	}
	return open
}
