//go:build !race

// Under the race detector this would only wait for Terraform.

package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepostdev/gatepost/shared/testkit/cloudfake"
)

// TestPlanIsFresh has Terraform plan infra with the real providers, and compares
// the plan with the committed one, which is the reference for scripts/deploy. With
// -update it writes the committed plan.
func TestPlanIsFresh(t *testing.T) {
	t.Parallel()
	run := startTerraform(t, t.TempDir(), cloudfake.NewGoogle(t), cloudfake.NewAmazon(t))
	for file, settings := range plans {
		comparePlan(t, run, file, settings)
	}
}

func comparePlan(t *testing.T, run terraform, file, settings string) {
	t.Helper()
	settings, err := filepath.Abs(settings)
	if err != nil {
		t.Fatal(err)
	}
	data, err := run.plan(settings)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := reduce(data)
	if err != nil {
		t.Fatal(err)
	}
	want, err := write(plan)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s differs from Terraform's plan (-plan +committed):\n%s", file, diff)
	}
}

// terraform runs Terraform in a copy of infra.
type terraform func(args ...string) ([]byte, error)

// startTerraform makes a copy of infra in dir. The providers' requests are answered by
// the fakes. Without one of AWS there are no credentials of AWS either.
func startTerraform(t *testing.T, dir string, google *cloudfake.Google, amazon *cloudfake.Amazon) terraform {
	t.Helper()
	copyInfra(t, dir)
	env := append(os.Environ(), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "GOOGLE_OAUTH_ACCESS_TOKEN=fake",
		"AWS_ACCESS_KEY_ID=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
	if amazon != nil {
		env = append(env, "AWS_ENDPOINT_URL="+amazon.URL, "AWS_ACCESS_KEY_ID=fake", "AWS_SECRET_ACCESS_KEY=fake")
	}
	for api, path := range map[string]string{
		"CLOUDFUNCTIONS2": "/v2/", "CLOUD_BILLING": "/v1/", "CLOUD_RUN_V2": "/v2/", "CLOUD_SCHEDULER": "/v1/", "FIRESTORE": "/v1/",
		"IAM": "/v1/", "IAM_BETA": "/v1/", "LOGGING": "/v2/", "MONITORING": "/", "PUBSUB": "/v1/",
		"RESOURCE_MANAGER": "/v1/", "SECRET_MANAGER": "/v1/",
		"SERVICE_USAGE": "/v1/", "STORAGE": "/storage/v1/",
	} {
		env = append(env, "GOOGLE_"+api+"_CUSTOM_ENDPOINT="+google.URL+path)
	}
	run := func(args ...string) ([]byte, error) { return output(t.Context(), dir, env, "terraform", args...) }
	if _, err := run("init", "-backend=false", "-input=false", "-no-color"); err != nil {
		if os.Getenv("REQUIRE_TERRAFORM") == "1" {
			t.Fatalf("REQUIRE_TERRAFORM=1: %v", err)
		}
		t.Skip("nothing is planned: Terraform and both its providers cannot be had here")
	}
	return run
}

// plan returns a plan with the settings in a file, as JSON.
func (run terraform) plan(settings string) ([]byte, error) {
	if _, err := run("plan", "-refresh=false", "-input=false", "-no-color", "-var-file="+settings, "-out=plan.tfplan"); err != nil {
		return nil, err
	}
	return run("show", "-json", "plan.tfplan")
}

// copyInfra copies the configuration, because Terraform writes beside it. A
// deployment's own settings are not copied.
func copyInfra(t *testing.T, dir string) {
	t.Helper()
	files := os.DirFS(filepath.Join("..", "..", "..", "infra"))
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".tf" && !strings.HasSuffix(name, ".tf.json") || name == "backend.tf" {
			return err
		}
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), source, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"source.zip", "skillproxy.zip"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("made for a plan\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// output returns a command's output. Its error includes standard error.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = dir, env
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", name, args[0], err, stderr.Bytes(), stdout.Bytes())
	}
	return stdout.Bytes(), nil
}
