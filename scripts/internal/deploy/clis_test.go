//go:build !race

// The race detector does not see the real CLIs, which run in other processes.

package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/cloudfake"
)

// TestRealCLIs runs the script of a region twice with the real gcloud and AWS CLI, which
// talk to fakes. What the first run makes is what Terraform would, and what is recorded.
// The second run finds it, and creates nothing.
func TestRealCLIs(t *testing.T) {
	needCLIs(t)
	google, amazon := cloudfake.NewGoogle(t), cloudfake.NewAmazon(t)
	for _, secret := range []string{"gatepost-lwa-credentials", "gatepost-token-keyset-eu"} {
		google.Put("projects/maker-prod/secrets/"+secret+"/versions/1", object{"state": "ENABLED"})
	}
	google.Put("projects/maker-prod/sinks/_Default", object{"exclusions": []any{object{"name": "makers-own", "filter": "severity<INFO"}}})
	source := filepath.Join(t.TempDir(), "source.zip")
	if err := os.WriteFile(source, []byte("PK\x05\x06"+strings.Repeat("\x00", 18)), 0o600); err != nil { // an empty zip
		t.Fatal(err)
	}
	script := scriptOf(t, "--region", "EU", "--source", source, "--proxy", source, settingsFile)
	gcloud, aws := realGcloud(t, google.URL), realAWS(t, amazon.URL)
	env := programs(t, func(args []string) reply {
		switch args[0] {
		case "gcloud":
			return gcloud(args[1:])
		case "aws":
			return aws(args[1:])
		}
		if err := os.CopyFS(args[len(args)-1], fstest.MapFS{"go.mod": {Data: []byte("module m\n")}}); err != nil { // unzip
			t.Error(err)
		}
		return reply{}
	}, "gcloud", "aws", "unzip")

	if status, out := shell(t, script, env); status != exitOK || google.Uploads() != 5 {
		t.Fatalf("status %d, and %d uploads, want 0 and 5\n%s", status, google.Uploads(), out)
	}
	made := google.Resources()
	maps.Copy(made, amazon.Resources())
	wantMeant(t, made)
	wantRecorded(t, made)

	status, out := shell(t, script, env)
	if status != exitOK || strings.Contains(out, " create") || strings.Contains(out, " deploy ") || strings.Contains(out, " add-permission ") {
		t.Errorf("status = %d, want 0, and nothing created\n%s", status, out)
	}
}

// needCLIs skips a test where the CLIs are not installed.
func needCLIs(t *testing.T) {
	t.Helper()
	for _, name := range []string{"gcloud", "aws"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("REQUIRE_CLIS") == "1" {
				t.Fatalf("%s is not on the PATH", name)
			}
			t.Skipf("not tried with the real CLIs: %s is not on the PATH", name)
		}
	}
}

// recording is what a deployment makes in the fakes. gatepost doctor is tested with it,
// also where there are no CLIs.
const recording = "../doctor/testdata/deployed.json"

// wantRecorded compares the resources with the recording, or writes it, each resource on
// a line.
func wantRecorded(t *testing.T, made map[string]object) {
	t.Helper()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(made)) {
		lines = append(lines, compact(name)+": "+compact(made[name]))
	}
	text := "{\n" + strings.Join(lines, ",\n") + "\n}\n"
	if *update {
		if err := os.WriteFile(recording, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	recorded, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(recorded), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("the deployment differs from %s; -update rewrites it (-recorded +made):\n%s", recording, diff)
	}
}

// wantMeant compares the requests that flags cause with those of Terraform, where a
// flag differs from the API's field.
func wantMeant(t *testing.T, made map[string]object) {
	t.Helper()
	const (
		project   = "projects/maker-prod/"
		location  = project + "locations/europe-west1/"
		groups    = project + "databases/gatepost-eu/collectionGroups/"
		policy    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`
		sendEvent = location + "functions/gatepost-eu-sendevent"
	)
	for name, about := range map[string]map[string]string{
		location + "functions/gatepost-eu-acceptgrant": {"serviceConfig.ingressSettings": "ALLOW_ALL"},
		sendEvent: {
			"serviceConfig.ingressSettings":                     "ALLOW_INTERNAL_ONLY",
			"serviceConfig.allTrafficOnLatestRevision":          "true",
			"serviceConfig.environmentVariables.MAX_EVENT_AGE":  "5m",
			"buildConfig.environmentVariables.GOOGLE_GOLDFLAGS": "-s -w",
		},
		project + "databases/gatepost-eu": {
			"type":                          "FIRESTORE_NATIVE",
			"databaseEdition":               "STANDARD",
			"deleteProtectionState":         "DELETE_PROTECTION_ENABLED",
			"pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_ENABLED",
		},
		groups + "customers/indexes/index0": {"queryScope": "COLLECTION", "fields.1.order": "ASCENDING"},
		groups + "customers/fields/*":       {"indexConfig": "{}"},
		groups + "accounts/fields/customer": {
			"indexConfig.indexes.0.queryScope":     "COLLECTION",
			"indexConfig.indexes.0.fields.0.order": "ASCENDING",
		},
		groups + "deliveries/fields/expireAt":        {"ttlConfig.state": "ACTIVE"},
		project + "secrets/gatepost-lwa-credentials": {"replication": `{"automatic":{}}`},
		project + "secrets/gatepost-token-keyset-eu": {"replication.userManaged.replicas.0.location": "europe-west1"},
		project + "subscriptions/gatepost-eu-device-events": {
			"expirationPolicy":                     "{}",
			"ackDeadlineSeconds":                   "60",
			"enableMessageOrdering":                "true",
			"filter":                               `NOT attributes.region = "FE" AND NOT attributes.region = "NA"`,
			"pushConfig.oidcToken.audience":        urlOf("gatepost-eu-sendevent"),
			"deadLetterPolicy.maxDeliveryAttempts": "100",
		},
		project + "sinks/_Default": {
			"exclusions.0.name": "makers-own", "exclusions.1.name": "gatepost-pushes", "exclusions.2.name": "",
			"exclusions.1.filter": `resource.labels.service_name=("gatepost-eu-refreshshard" OR "gatepost-eu-sendevent" OR ` +
				`"gatepost-fe-refreshshard" OR "gatepost-fe-sendevent" OR "gatepost-na-refreshshard" OR "gatepost-na-sendevent") AND ` +
				`log_id("run.googleapis.com/requests") AND severity<WARNING AND httpRequest.status<500`,
		},
		project + "subscriptions/dead-letters": {"pushConfig.pushEndpoint": ""},
		location + "jobs/gatepost-eu-refresh":  {"httpTarget.httpMethod": "POST", "retryConfig.retryCount": "3"},
		location + "services/gatepost-eu-acceptgrant:policy": {
			"bindings.0.members.0": "serviceAccount:gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com",
		},
		"projects/maker-prod:policy": {
			"bindings.3.condition.title":      "gatepost-eu",
			"bindings.3.condition.expression": `resource.name == "projects/maker-prod/databases/gatepost-eu"`,
		},
		"role gatepost-skill-proxy-eu": {
			"assume": policy + `"Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}`,
		},
		"log /aws/lambda/gatepost-skill-proxy-eu": {"retentionInDays": "30"},
		"lambda gatepost-skill-proxy-eu": {
			"Environment.Variables.ACCEPT_GRANT_URL": urlOf("gatepost-eu-acceptgrant"),
			"LoggingConfig.LogGroup":                 "/aws/lambda/gatepost-skill-proxy-eu",
		},
		"policy gatepost-skill-proxy-eu": {
			"Statement.0.Condition.StringEquals.lambda:EventSourceToken": "amzn1.ask.skill.00000000-0000-4000-8000-0123456789ab",
		},
	} {
		if made[name] == nil {
			t.Errorf("no resource %s", name)
		}
		for path, want := range about {
			if got := (planned{Values: made[name]}).at(path); got != want {
				t.Errorf("%s: %s = %q, want %q", name, path, got, want)
			}
		}
	}
}

// realAWS runs the AWS CLI against the fake, without this machine's configuration.
// If the CLI is a Python package it is loaded once.
func realAWS(t *testing.T, url string) func(args []string) reply {
	t.Helper()
	none := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(none, []byte("[default]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(),
		"AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID=AKIAFAKEFAKEFAKEFAKE", "AWS_SECRET_ACCESS_KEY=fake", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none, "AWS_PROFILE=default", "AWS_SESSION_TOKEN=",
		"AWS_PAGER=", "AWS_DEFAULT_OUTPUT=json", "no_proxy=127.0.0.1") // as in the script, which is another process
	if exec.CommandContext(t.Context(), "python3", "-c", "import awscli.clidriver").Run() == nil {
		return loaded(t, env, "python3", "aws")
	}
	return func(args []string) reply {
		var stdout, stderr bytes.Buffer
		aws := exec.Command("aws", args...)
		aws.Env, aws.Stdout, aws.Stderr = env, &stdout, &stderr
		if err := aws.Run(); err != nil {
			stderr.WriteString(err.Error())
		}
		return reply{stdout.String(), stderr.String(), aws.ProcessState.ExitCode()}
	}
}

// realGcloud runs gcloud against the fake.
func realGcloud(t *testing.T, url string) func(args []string) reply {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "gcloud", "info", "--format=value(installation.sdk_root,basic.python_location)").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, python, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
	env := append(os.Environ(),
		"CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true", "CLOUDSDK_CORE_CHECK_GCE_METADATA=false",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
		"CLOUDSDK_SURVEY_DISABLE_PROMPTS=true", "CLOUDSDK_CORE_DISABLE_FILE_LOGGING=true", "no_proxy=127.0.0.1",
		"CLOUDSDK_CORE_PROJECT=maker-prod", "CLOUDSDK_CORE_DISABLE_PROMPTS=1") // as in the script, which is another process
	for _, api := range []string{
		"CLOUDFUNCTIONS", "CLOUDRESOURCEMANAGER", "CLOUDSCHEDULER", "FIRESTORE", "IAM", "LOGGING", "PUBSUB", "RUN", "SECRETMANAGER",
		"SERVICEUSAGE",
	} {
		env = append(env, "CLOUDSDK_API_ENDPOINT_OVERRIDES_"+api+"="+url+"/")
	}
	return loaded(t, env, python, "gcloud", root)
}

// loaded runs a CLI that testdata/cli_server.py loads once.
func loaded(t *testing.T, env []string, python string, cli ...string) func(args []string) reply {
	t.Helper()
	server := exec.CommandContext(t.Context(), python, append([]string{"testdata/cli_server.py"}, cli...)...)
	server.Stderr, server.Env = os.Stderr, env
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait()
	})
	ask, answers := json.NewEncoder(stdin), json.NewDecoder(stdout)
	var ready string
	if err := answers.Decode(&ready); err != nil {
		t.Fatalf("%s could not be loaded: %v", cli[0], err)
	}
	var lock sync.Mutex
	return func(args []string) reply {
		lock.Lock()
		defer lock.Unlock()
		var got struct {
			Status         int
			Stdout, Stderr string
		}
		if err := errors.Join(ask.Encode(args), answers.Decode(&got)); err != nil {
			return reply{stderr: err.Error(), status: 1}
		}
		return reply{got.Stdout, got.Stderr, got.Status}
	}
}
