package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit"
)

// TestCloudBuild runs the steps of cloudbuild.yaml that plan and apply, with
// programs that only take notes. Where a build's state is said to be decides
// whether anything is planned, and not what lies in the tree.
func TestCloudBuild(t *testing.T) {
	t.Parallel()
	var (
		token = []string{
			"curl -fsS -H Metadata-Flavor: Google http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/email",
			"curl -fsS -H Metadata-Flavor: Google http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
			"curl -fsS -H @- -H Content-Type: application/json -d {\"audience\": \"gatepost-deploy\", \"includeEmail\": true} " +
				"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/build@fake:generateIdToken",
		}
		start = []string{"terraform init -input=false -backend-config=bucket=state -backend-config=prefix=gatepost"}
		reads = []string{"terraform plan -input=false -lock=false -out=build.tfplan"}
		locks = []string{"terraform plan -input=false -lock=true -out=build.tfplan", "terraform apply -input=false build.tfplan"}
	)
	for _, test := range []struct {
		name      string
		env       []string
		committed bool // there are settings in the tree
		want      [][]string
		fails     bool
	}{
		{name: "no state", env: []string{"TAG=v1", "SETTINGS=gs://state/settings"}, committed: true},
		{name: "settings in the tree", env: []string{"STATE=state"}, committed: true, want: [][]string{token, start, reads}},
		{
			name: "settings elsewhere", env: []string{"STATE=state", "SETTINGS=gs://state/settings"},
			want: [][]string{{"gcloud storage cp gs://state/settings infra/terraform.tfvars.json"}, token, start, reads},
		},
		{name: "no settings", env: []string{"STATE=state", "TAG=v1"}, fails: true},
		{name: "tag", env: []string{"STATE=state", "TAG=v1"}, committed: true, want: [][]string{token, start, locks}},
		{name: "by hand", env: []string{"STATE=state", "APPLY=true"}, committed: true, want: [][]string{token, start, locks}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := build(t, test.env, test.committed)
			if (err != nil) != test.fails {
				t.Errorf("error %v", err)
			}
			var want []string
			for _, lines := range test.want {
				want = append(want, lines...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("commands differ (-want +got):\n%s", diff)
			}
		})
	}
}

// build runs the steps in a tree of its own, and returns the commands they run.
func build(t *testing.T, env []string, committed bool) ([]string, error) {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"infra", "aws"} {
		if err := os.Mkdir(filepath.Join(dir, part), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A plan that somebody left there.
	files := map[string]string{"infra/build.tfplan": "", "infra/backend.tf": ""}
	if committed {
		files["infra/terraform.tfvars.json"] = "{}"
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	notes, path := noteTaking(t, map[string]string{
		"gcloud": "true", "terraform": "true",
		"curl": `case "$*" in */email) printf build@fake ;; */token) printf '{"access_token": "fake-access"}' ;;
*) grep -qx 'Authorization: Bearer fake-access' && printf '{"token": "fake-token"}' ;; esac`,
	})
	for _, step := range []string{"settings", "plan", "apply"} {
		script := filepath.Join(dir, step)
		text := strings.ReplaceAll(stepScript(t, step), "/aws/token", filepath.Join(dir, "aws", "token"))
		testkit.Script(t, script, text)
		command := exec.CommandContext(t.Context(), script)
		command.Dir = dir
		command.Env = append([]string{"PATH=" + path + ":" + os.Getenv("PATH"), "HOME=" + dir, "STATE=", "SETTINGS=", "TAG=", "APPLY=false"}, env...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Logf("%s", out)
			return notesIn(t, notes), err
		}
	}
	if token, err := os.ReadFile(filepath.Join(dir, "aws", "token")); err == nil && string(token) != "fake-token\n" {
		t.Errorf("the token is %q", token)
	}
	return notesIn(t, notes), nil
}

// stepScript is the script of a step of cloudbuild.yaml.
func stepScript(t *testing.T, id string) string {
	t.Helper()
	file, err := os.ReadFile("../../../cloudbuild.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, step, ok := strings.Cut(string(file), "\n  - id: "+id+"\n")
	if !ok {
		t.Fatalf("there is no step %s", id)
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

// noteTaking makes programs that note how they were called, and then run some
// commands; it returns the file of notes and the directory of the programs.
func noteTaking(t *testing.T, programs map[string]string) (notes, path string) {
	t.Helper()
	path = t.TempDir()
	notes = filepath.Join(path, "notes")
	for name, commands := range programs {
		script := "#!/bin/bash\nprintf '%s\\n' \"" + name + " $*\" >>'" + notes + "'\n" + commands + "\n"
		testkit.Script(t, filepath.Join(path, name), script)
	}
	return notes, path
}

// noted runs commands with a terraform that only takes notes and a gcloud that
// answers besides, and returns the notes.
func noted(t *testing.T, commands, gcloud string) string {
	t.Helper()
	notes, path := noteTaking(t, map[string]string{"gcloud": gcloud, "terraform": "true"})
	command := exec.CommandContext(t.Context(), "bash", "-euc", commands)
	command.Dir, command.Env = t.TempDir(), []string{"PATH=" + path + ":" + os.Getenv("PATH")}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.Join(notesIn(t, notes), "\n") + "\n"
}

// notesIn are the lines of a file, none if there is no file.
func notesIn(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}
