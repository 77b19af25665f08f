package deploy

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestScript compares the script with the committed one, which scripts/check runs
// through shellcheck.
func TestScript(t *testing.T) {
	t.Parallel()
	const golden = "testdata/script.sh"
	got := scriptOf(t, "--tree", "/gatepost", ownFile)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("script differs; -update rewrites it (-want +got):\n%s", diff)
	}
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is not installed")
	}
	check := exec.CommandContext(t.Context(), "shellcheck", "-")
	check.Stdin = strings.NewReader(scriptOf(t, settingsFile))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestQuoting gives every setting characters with a meaning in a shell. They must
// arrive unchanged.
func TestQuoting(t *testing.T) {
	t.Parallel()
	const hostile = "it's $(touch hostile) `touch hostile` \"$HOME\" ; touch hostile & * \\ #,|"
	s, err := ReadSettings(ownFile)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{"DeviceEvents": true, "Region": true}
	var want []string
	var spoil func(reflect.Value)
	spoil = func(value reflect.Value) {
		for i := range value.NumField() {
			name, field := value.Type().Field(i).Name, value.Field(i)
			switch {
			case kept[name] || !field.CanSet():
			case field.Kind() == reflect.Pointer:
				spoil(field.Elem())
			case field.Kind() == reflect.Struct:
				spoil(field)
			case field.Kind() == reflect.String:
				field.SetString(hostile + name)
				want = append(want, hostile+name)
			}
		}
	}
	spoil(reflect.ValueOf(s).Elem())
	one := s.Regions["FE"]
	spoil(reflect.ValueOf(&one).Elem())
	other := one
	other.OwnLambdaRole = ""
	other.Region, s.Regions["EU"], s.Regions["FE"] = "EU", one, other

	source := filepath.Join(t.TempDir(), hostile)
	if err := os.WriteFile(source, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := deployment{Settings: s, Stacks: []Stack{one, other}, Tree: "/", Source: text(source), Proxy: hostile + "Proxy"}
	m := newModel(t)
	m.account = hostile + "AWSAccountID"
	status, out := m.run(d.script())
	if status != exitOK {
		t.Fatalf("status = %d\n%s", status, out)
	}
	all := strings.Join(m.calls, "\n") + out
	for _, value := range want {
		if name := strings.TrimPrefix(value, hostile); slices.Contains([]string{"SourcePackage", "ProxyPackage", "RefreshSchedule"}, name) {
			continue // in Source and Proxy, and below in two parts
		}
		escaped := strings.ReplaceAll(strings.Trim(compact(value), `"`), `\u0026`, "&")
		if !strings.Contains(all, value) && !strings.Contains(all, escaped) {
			t.Errorf("the value %s does not arrive", value)
		}
	}
}

// wantOutput checks that a run of own.json ends with the values for the developer
// console and the maker's cloud.
func wantOutput(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{
		"ACCEPT_GRANT_URL=" + urlOf("gatepost-eu-acceptgrant") + "\n", "SKILL_EVENT_URL=" + urlOf("gatepost-eu-skillevent") + "\n",
		"GOOGLE_SERVICE_ACCOUNT=gatepost-eu-proxy@maker-prod.iam.gserviceaccount.com\n",
		"GOOGLE_WORKLOAD_PROVIDER=//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/gatepost/" +
			"providers/aws-lambda\n",
		"arn:aws:lambda:us-west-2:123456789012:function:lights-proxy-fe\n",
		"gcloud pubsub topics add-iam-policy-binding device-events-eu --project=maker-prod --role=roles/pubsub.publisher " +
			"--member=serviceAccount:PUBLISHER\n",
		"gcloud pubsub topics add-iam-policy-binding device-events-fe --project=maker-prod ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %s\n%s", want, out)
		}
	}
}

// TestStatus deploys one region step by step. The status tells how each run ended,
// and the next run continues from there: nothing is built before each secret has a
// value, and the script prints how to add it. Nothing is created in the other
// region, and its Lambda keeps its roles.
func TestStatus(t *testing.T) {
	m := newModel(t)
	for _, variable := range programs(t, m.answer, "gcloud", "aws", "unzip") {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	for _, test := range []struct {
		fails          string
		empty, nowhere bool
		status         int
		says           []string
		built          int    // functions so far
		never          string // prefix of no command
	}{
		{"gcloud services", false, false, exitFailed, []string{"the model refuses", "run it again to continue"}, 0, "gcloud iam"},
		{"", true, false, exitSecrets, []string{
			"--role=roles/storage.objectViewer", // in force by the run that builds
			"Fill the secrets, and run this again",
			"\ngcloud secrets versions add gatepost-lwa-credentials --project=maker-prod --data-file=FILE\n",
			"\ngcloud secrets versions add gatepost-grantee-credentials --project=maker-prod --data-file=FILE\n",
			"\ngo run ./scripts/gatepost keyset create projects/maker-prod/secrets/gatepost-token-keyset-eu\n",
		}, 0, "gcloud pubsub"},
		{"gcloud pubsub topics create grant-events", false, false, exitFailed, []string{"NOT_FOUND"}, 0, "gcloud functions"},
		{"gcloud functions deploy gatepost-eu-skillevent", false, false, exitFailed, []string{"the model refuses"}, 4, "gcloud run"},
		{"", false, true, exitFailed, nil, 5, "gcloud pubsub subscriptions"},
		{"", false, false, exitOK, []string{"# The environment of your own Lambda for EU:"}, 5, "gcloud functions deploy"},
	} {
		m.fails, m.empty, m.nowhere, m.calls = test.fails, test.empty, test.nowhere, nil
		var out strings.Builder
		status := run([]string{"--region=EU", "--source=testdata/own.json", ownFile}, &out, &out)
		if status != test.status || len(m.built) != test.built {
			t.Errorf("status = %d, built = %v, want %d and %d functions\n%s", status, m.built, test.status, test.built, out.String())
		}
		for _, want := range test.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the output lacks %s\n%s", want, out.String())
			}
		}
		for _, call := range m.calls {
			if strings.HasPrefix(call, test.never) {
				t.Errorf("the script continued with %s", call)
			}
		}
	}
	for key := range m.made {
		if strings.Contains(key, "gatepost-fe") || strings.Contains(key, "events-fe") || strings.HasPrefix(key, "aws") {
			t.Errorf("%s was created", key)
		}
	}
	condition := m.made["gcloud iam workload-identity-pools providers aws-lambda"]["attribute-condition"]
	if !strings.Contains(condition, "lights-proxy-fe") || !strings.Contains(condition, "maker-skill-eu") {
		t.Errorf("condition = %s, want the roles of both regions", condition)
	}
}

// TestOtherAccount: with credentials of another AWS account nothing is created.
func TestOtherAccount(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	m.account = "210987654321"
	status, out := m.run(scriptOf(t, settingsFile))
	if status != 1 || !strings.Contains(out, "not of the account 123456789012") || len(m.made) > 0 {
		t.Errorf("status = %d, created = %v\n%s", status, m.made, out)
	}
}

// TestBuilds: a second run changes nothing. Only a function whose source or
// settings changed, or that does not work, is built again.
func TestBuilds(t *testing.T) {
	t.Parallel()
	args := []string{"--region", "EU"}
	m := newModel(t)
	m.deploy(append(args, settingsFile)...)
	built := func(want ...string) {
		t.Helper()
		var got []string
		for _, name := range m.built {
			got = append(got, strings.TrimPrefix(name, "gatepost-eu-"))
		}
		slices.Sort(got)
		expect.Equal(t, "built functions", want, got)
	}

	before := maps.Clone(m.made)
	m.deploy(append(args, settingsFile)...)
	built()
	if diff := cmp.Diff(before, m.made); diff != "" {
		t.Errorf("a second run changed resources (-before +after):\n%s", diff)
	}

	m.made["gcloud functions gatepost-eu-skillevent"]["state"] = "FAILED"
	m.deploy(append(args, settingsWith(t, settingsFile, object{
		"refresh_schedule": "*/4 * * * *", "lwa_max_rate": 7, "exclude_accepted": 0.5,
		"scaling": object{"AcceptGrant": object{"min_instances": nil, "max_instances": "7"}},
	}))...)
	built("acceptgrant", "refreshshard", "skillevent")
	schedule := m.made["gcloud scheduler jobs gatepost-eu-refresh"]["schedule"]
	told := m.made["gcloud functions gatepost-eu-refreshshard"]["set-env-vars"]
	if schedule != "*/4 * * * *" || !strings.Contains(told, "REFRESH_PERIOD=4m") {
		t.Errorf("the job's schedule = %s, RefreshShard's period = %s", schedule, told)
	}

	const accepted = "gcloud logging exclusions gatepost-accepted"
	if filter := m.made[accepted]["filter"]; !strings.HasSuffix(filter, " AND sample(jsonPayload.customer, 0.5)") {
		t.Errorf("the filter of accepted events = %s", filter)
	}

	// Another source, no such filter, and another skill, which AWS refuses.
	settings := settingsWith(t, settingsFile, object{"skill_id": "amzn1.ask.skill.00000000-0000-4000-8000-000000000000"})
	status, out := m.run(scriptOf(t, append(args, "--source", settingsFile, "--proxy", "p.zip", settings)...))
	if status == exitOK || !strings.Contains(out, "ALREADY_EXISTS") {
		t.Errorf("status = %d, want that AWS refuses another skill\n%s", status, out)
	}
	built("acceptgrant", "refreshshard", "refreshtokens", "sendevent", "skillevent")
	if m.made[accepted] != nil {
		t.Errorf("%s was not removed", accepted)
	}
}

// TestRefreshPeriod: RefreshShard gets the period of a schedule that is not the
// default.
func TestRefreshPeriod(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[text]text{"*/5 * * * *": "", "*/4 * * * *": "4m", "*/1 * * * *": "1m", "* * * * *": "1m"} {
		s := &Settings{RefreshSchedule: schedule}
		if got := (Stack{settings: s}).Functions()[3].Env["REFRESH_PERIOD"]; got != want {
			t.Errorf("%s: the period is %q, want %q", string(schedule), string(got), string(want))
		}
	}
}

// TestPackages: packages that are not given are built in Gatepost's tree, and a
// skill proxy only if there is one to deploy.
func TestPackages(t *testing.T) {
	t.Parallel()
	region := object{"location": "europe-west1", "firestore_location": "eur3", "own_lambda_role": "maker"}
	ownLambda := object{"regions": object{"EU": region}}
	for _, test := range []struct {
		name    string
		changes object
		args    []string
		want    []string // packages that are built
	}{
		{"nothing given", nil, nil, []string{"package source.zip", "build-proxy skillproxy.zip"}},
		{"own Lambda", ownLambda, nil, []string{"package source.zip"}},
		{"source given", nil, []string{"--source", "testdata/own.json"}, []string{"build-proxy skillproxy.zip"}},
		{"in the settings", object{"source_package": "terraform.tfvars.json", "proxy_package": "p.zip"}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tree := t.TempDir()
			if err := os.Mkdir(filepath.Join(tree, "scripts"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"package", "build-proxy"} { // they only create an empty file
				if err := os.Symlink("/usr/bin/touch", filepath.Join(tree, "scripts", name)); err != nil {
					t.Fatal(err)
				}
			}
			args := slices.Concat([]string{"--tree", tree, "--region", "EU"}, test.args, []string{settingsWith(t, settingsFile, test.changes)})
			m := newModel(t)
			m.fails = "gcloud firestore" // the next command
			_, out := m.run(scriptOf(t, args...))
			if calls := strings.Join(m.calls, "\n"); !strings.Contains(calls, "\nunzip -q ") {
				t.Errorf("the source was not unpacked\n%s", out)
			}
			var got []string
			for _, made := range regexp.MustCompile(`\+ scripts/(\S+) \S+/(\S+)\n`).FindAllStringSubmatch(out, -1) {
				got = append(got, made[1]+" "+made[2])
			}
			expect.Equal(t, "packages", test.want, got)
		})
	}
}

// TestProgram runs scripts/deploy in another directory, which paths are relative
// to.
func TestProgram(t *testing.T) {
	t.Parallel()
	program, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	deploy := exec.CommandContext(t.Context(), "bash", program, "--dry-run", "--source", "s.zip", filepath.Base(ownFile))
	deploy.Dir = filepath.Dir(ownFile)
	out, err := deploy.CombinedOutput()
	source, _ := filepath.Abs("testdata/s.zip")
	tree, _ := filepath.Abs("../../..")
	if err != nil || !strings.Contains(string(out), "\n  source="+source+"\n") || !strings.Contains(string(out), "\n  cd "+tree+"\n") {
		t.Errorf("error = %v, want a script with %s and %s\n%s", err, source, tree, out)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"help", []string{"-h"}, exitOK, "usage: scripts/deploy"},
		{"nothing", nil, exitUsage, "want one file"},
		{"two files", []string{"a", "b"}, exitUsage, "want one file"},
		{"no such file", []string{"testdata/none.json"}, exitUsage, "no such file"},
		{"region not in the settings", []string{"--region", "NA", ownFile}, exitUsage, "no such region"},
		{
			"a setting of Terraform's", []string{settingsWith(t, settingsFile, object{"tags": object{"team": "a"}})},
			exitUsage, "tags: scripts/deploy does not",
		},
		{"settings", []string{settingsWith(t, settingsFile, object{"project_id": nil})}, exitUsage, "project_id: must be"},
		{"no such flag", []string{"--force", settingsFile}, exitUsage, "-force"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if status := run(test.args, &out, &out); status != test.status || !strings.Contains(out.String(), test.want) {
				t.Errorf("status = %d, want %d and %q\n%s", status, test.status, test.want, out.String())
			}
		})
	}
}
