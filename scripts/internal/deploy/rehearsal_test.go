//go:build !race

package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/testkit/world"
)

// TestRehearsal follows the guide of infra/README.md from an empty project to the first
// event that the gateway accepts: its settings and commands verbatim, with the real
// gcloud, terraform and providers, against the fakes. See [sandbox].
func TestRehearsal(t *testing.T) {
	if os.Getenv("REQUIRE_TERRAFORM") != "1" {
		t.Skip("the guide is not followed, which takes minutes, without REQUIRE_TERRAFORM=1")
	}
	needCLIs(t)
	dir := t.TempDir()
	s, tree := startSandbox(t, dir), filepath.Join(dir, "gatepost")
	run := func(script string) string {
		t.Helper()
		s.google.RolesInForce() // those that earlier blocks granted
		bash := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
		bash.Dir, bash.Env, bash.Stdin = tree, s.shell, strings.NewReader("yes\n")
		var stderr strings.Builder
		bash.Stderr = &stderr
		out, err := bash.Output()
		t.Logf("$ %s\n%s%s", script, out, stderr.String())
		if err != nil {
			t.Fatalf("%v: %s", err, script)
		}
		return string(out)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "clone", "-q", "../../..", tree).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	steps, example := theSteps(t)

	// 2. Settings.
	settings := filepath.Join(tree, "infra/terraform.tfvars.json")
	save := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save(settings, example)
	if out := run(steps[2][0]); !strings.Contains(out, "\n‼ keyset (EU): secretmanager.googleapis.com is not enabled") ||
		!strings.HasSuffix(out, " ‼, 0 ×, 0 not checked\n") {
		t.Errorf("before anything exists, doctor says:\n%s", out)
	}

	// 3. State, and a notification channel, whose name goes into the settings.
	run(steps[3][0])
	channel := strings.TrimSpace(run(steps[3][1]))
	save(settings, strings.Replace(example, "{", `{"alert_channels": ["`+channel+`"],`, 1))
	run("git add infra/backend.tf infra/terraform.tfvars.json infra/.terraform.lock.hcl && " +
		"git -c user.name=maker -c user.email=maker@maker.example commit -qm settings")

	// 4. to 6.
	run(steps[4][0])
	save(filepath.Join(dir, "lwa.json"), s.credentials)
	for _, block := range append(steps[5], steps[6]...) {
		run(block)
	}

	// 7. The skill, which Alexa knows by its Lambda; and the check.
	if out := run("terraform -chdir=infra output stacks"); !strings.Contains(out, "arn:aws:lambda:eu-west-1:") {
		t.Errorf("no Lambda for the developer console in:\n%s", out)
	}
	run("CGO_ENABLED=0 go build -tags lambda.norpc -o ../lambda ./functions/skillproxy") // for this machine's processor
	s.tick()
	s.wrote("gatepost-eu-refreshshard", `"function":"RefreshShard"`)
	s.wrote("gatepost-na-refreshshard", `"function":"RefreshShard"`)
	run(steps[7][0])

	// 8. The first event.
	if answer, err := s.link(filepath.Join(dir, "lambda"), alexa.EU, "u-1"); err != nil || !strings.Contains(answer, world.Linked) {
		t.Fatalf("AcceptGrant: %s, %v", answer, err)
	}
	if out := run(steps[8][0]); !strings.Contains(out, `"outcome": "accepted"`) {
		t.Errorf("AcceptGrant's line is %s", out)
	}
	run(steps[8][1])
	s.wrote("gatepost-eu-sendevent", `"gateway_status":202`)
	out := run(regexp.MustCompile(`(?m)^gcloud logging read .*$`).FindString(steps[8][1]))
	var entries []struct{ JSONPayload struct{ Outcome string } }
	if err := json.Unmarshal([]byte(out), &entries); err != nil || len(entries) != 1 || entries[0].JSONPayload.Outcome != "accepted" {
		t.Errorf("outcome = %+v, %v, want accepted", entries, err)
	}
	if lamp := s.amazon.State(alexa.EU, "amzn-u-1")["lamp-1"]; len(lamp) == 0 {
		t.Error("Alexa does not know the lamp's state")
	}
}

// theSteps returns the commands of the guide's steps, a text for each block, and its
// settings.
func theSteps(t *testing.T) (steps map[int][]string, settings string) {
	t.Helper()
	_, text, _ := strings.Cut(guide(t), "\n## The first deployment\n")
	text, _, _ = strings.Cut(text, "\n## ")
	steps = map[int][]string{}
	step := 0
	for part := range strings.SplitSeq(text, "\n\n") {
		if number := regexp.MustCompile(`^\*\*(\d)\. `).FindStringSubmatch(part); number != nil {
			step = int(number[1][0] - '0')
		}
		if strings.HasPrefix(part, "    ") {
			steps[step] = append(steps[step], strings.ReplaceAll("\n"+part, "\n    ", "\n"))
		}
		if block, ok := strings.CutPrefix(part, "```json\n"); ok {
			settings = strings.TrimSuffix(block, "```")
		}
	}
	return steps, settings
}
