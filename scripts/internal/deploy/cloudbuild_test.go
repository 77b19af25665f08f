package deploy

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit/expect"
)

// TestCloudBuild runs the steps of cloudbuild.yaml that plan and apply, with
// programs that only record their arguments. Whether anything is planned depends on
// the location of the state, not on the files in the tree. Only a plan that an earlier
// build of the tag and stage has shown is applied.
func TestCloudBuild(t *testing.T) {
	t.Parallel()
	var (
		token = []string{
			"curl -fsS -H Metadata-Flavor: Google http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/email",
			"curl -fsS -H Metadata-Flavor: Google http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
			"curl -fsS -H @- -H Content-Type: application/json -d {\"audience\": \"gatepost-deploy\", \"includeEmail\": true} " +
				"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/build@fake:generateIdToken " +
				"<<<Authorization: Bearer fake-access",
		}
		plan = func(lock, prefix string) []string {
			return []string{
				"terraform init -input=false -backend-config=bucket=state -backend-config=prefix=" + prefix,
				"terraform plan -input=false -lock=" + lock + " -out=build.tfplan",
				"terraform show -no-color build.tfplan",
			}
		}
		keep    = []string{"gcloud storage cp infra/plan.txt gs://state/plans/gatepost/v1.txt"}
		compare = func(prefix string) []string {
			return []string{"gcloud storage cp gs://state/plans/" + prefix + "/v1.txt infra/seen.txt"}
		}
		apply = []string{"terraform apply -input=false build.tfplan"}
	)
	for _, test := range []struct {
		name      string
		env       []string
		committed bool   // the tree contains settings
		seen      string // the plan that was approved, if it differs
		want      [][]string
		fails     bool
	}{
		{name: "no state", env: []string{"TAG=v1", "APPLY=true", "SETTINGS=gs://state/settings"}, committed: true},
		{name: "no settings", env: []string{"STATE=state", "TAG=v1"}, fails: true},
		{name: "branch", env: []string{"STATE=state"}, committed: true, want: [][]string{token, plan("false", "gatepost")}},
		{name: "tag", env: []string{"STATE=state", "TAG=v1"}, committed: true, want: [][]string{token, plan("false", "gatepost"), keep}},
		{
			name: "a stage is approved", env: []string{"STATE=state", "PREFIX=gatepost-stage", "TAG=v1", "APPLY=true", "SETTINGS=gs://state/stage"},
			want: [][]string{
				{"gcloud storage cp gs://state/stage infra/terraform.tfvars.json"},
				token, plan("true", "gatepost-stage"), compare("gatepost-stage"), apply,
			},
		},
		{
			name: "another plan was approved", env: []string{"STATE=state", "TAG=v1", "APPLY=true"}, committed: true, seen: "1 to destroy",
			want: [][]string{token, plan("true", "gatepost"), compare("gatepost")}, fails: true,
		},
		{
			name: "no plan was approved", env: []string{"STATE=state", "APPLY=true"}, committed: true,
			want: [][]string{token, plan("true", "gatepost")}, fails: true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := build(t, test.env, test.committed, cmp.Or(test.seen, planText))
			if (err != nil) != test.fails {
				t.Errorf("error = %v", err)
			}
			expect.Equal(t, "commands", slices.Concat(test.want...), got)
		})
	}
}

// interpreter is the path of python3, which may be found by a version manager's
// slow script.
var interpreter = sync.OnceValues(func() (string, error) {
	path, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(path)), err
})

// planText is what terraform shows of each plan.
const planText = "1 to add"

// build runs the steps in a new tree, and returns the commands they run.
func build(t *testing.T, env []string, committed bool, seen string) ([]string, error) {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"infra", "aws"} {
		if err := os.Mkdir(filepath.Join(dir, part), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A plan that was left there.
	files := map[string]string{"infra/build.tfplan": "", "infra/backend.tf": ""}
	if committed {
		files["infra/terraform.tfvars.json"] = "{}"
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var notes []string
	python, err := interpreter()
	if err != nil {
		t.Fatal(err)
	}
	env = slices.Concat(os.Environ(), []string{
		"PATH=" + filepath.Dir(python) + ":" + os.Getenv("PATH"), "HOME=" + dir, "STATE=", "PREFIX=gatepost", "SETTINGS=", "TAG=", "APPLY=false",
	}, env)
	env = append(env, noting(t, &notes, func(args []string) string {
		switch line := strings.Join(args, " "); {
		case strings.HasPrefix(line, "terraform show "):
			return planText
		case strings.HasSuffix(line, " infra/seen.txt"):
			if err := os.WriteFile(filepath.Join(dir, "infra", "seen.txt"), []byte(seen+"\n"), 0o600); err != nil {
				t.Error(err)
			}
			return ""
		case args[0] != "curl":
			return ""
		case strings.HasSuffix(line, "/email"):
			return "build@fake"
		case strings.HasSuffix(line, "/token"):
			return `{"access_token": "fake-access"}`
		}
		return `{"token": "fake-token"}`
	}, "gcloud", "terraform", "curl")...)
	for _, step := range []string{"settings", "plan", "seen", "apply"} {
		script := strings.ReplaceAll(stepScript(t, step), "/aws/token", filepath.Join(dir, "aws", "token"))
		command := exec.CommandContext(t.Context(), "bash", "-c", script)
		command.Dir, command.Env = dir, env
		if out, err := command.CombinedOutput(); err != nil {
			t.Logf("%s", out)
			return notes, err
		}
	}
	if token, err := os.ReadFile(filepath.Join(dir, "aws", "token")); err == nil && string(token) != "fake-token\n" {
		t.Errorf("token = %q", token)
	}
	return notes, nil
}

// stepScript returns the script of a step of cloudbuild.yaml.
func stepScript(t *testing.T, id string) string {
	t.Helper()
	file, err := os.ReadFile("../../../cloudbuild.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, step, ok := strings.Cut(string(file), "\n  - id: "+id+"\n")
	if !ok {
		t.Fatalf("no step %s", id)
	}
	_, block, _ := strings.Cut(step, "    script: |\n")
	var script strings.Builder
	for line := range strings.Lines(block) {
		text, inside := strings.CutPrefix(line, "      ")
		if !inside && line != "\n" {
			break
		}
		script.WriteString(text)
	}
	return script.String()
}

// noting makes programs record their arguments, and write something.
func noting(t *testing.T, notes *[]string, write func(args []string) string, names ...string) []string {
	t.Helper()
	var mu sync.Mutex
	return programs(t, func(args []string) reply {
		mu.Lock()
		defer mu.Unlock()
		*notes = append(*notes, strings.Join(args, " "))
		return reply{stdout: write(args)}
	}, names...)
}
