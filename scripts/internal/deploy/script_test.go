package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatepostdev/gatepost/shared/testkit"
)

// stand is in the place of every program that the script of a dry run calls: it
// notes its arguments and answers as the environment says.
const stand = `#!/bin/sh
echo "${0##*/} $*" >> "$CALLED"
case "${0##*/} $*" in
"gcloud secrets versions list "*) printf %s "$FILLED" ;;
"gcloud projects describe "*) echo 123456789012 ;;
"gcloud functions describe "*) printf %s "$URL" ;;
"aws sts get-caller-identity "*) echo "$ACCOUNT" ;;
"gcloud pubsub topics create grant-events "*) exit "$TOPIC" ;;
esac
`

// TestDryRunScript runs the script of a dry run with programs that only note how they
// are called.
func TestDryRunScript(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		environment []string // the last of a name counts
		args        []string
		status      int
		says        string
		last        string // call
		created     bool   // secrets
	}{
		{"all is well", nil, nil, 0, "", "aws lambda add-permission --statement-id=alexa-skill-events", true},
		{"secrets without a value", []string{"FILLED="}, nil, exitSecrets, "go run ./scripts/keyset create projects/maker-prod/secrets/gatepost-token-keyset-eu", "gcloud secrets versions list gatepost-token-keyset-eu", true},
		{"secrets have got one", nil, []string{"go-on"}, 0, "", "aws lambda add-permission --statement-id=alexa-skill-events", false},
		{"other AWS account", []string{"ACCOUNT=210987654321"}, nil, 1, "the AWS credentials are not of account 123456789012", "aws sts get-caller-identity", false},
		{"failure", []string{"TOPIC=1"}, nil, 1, "", "gcloud pubsub topics create grant-events", true},
		{"function without an address", []string{"URL="}, nil, 1, "EU_", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, name := range []string{"gcloud", "aws", "unzip", "go"} {
				testkit.Script(t, filepath.Join(dir, name), stand)
			}
			source, temporary := filepath.Join(dir, "source.zip"), filepath.Join(dir, "tmp")
			if err := errors.Join(os.WriteFile(source, nil, 0o600), os.Mkdir(temporary, 0o700)); err != nil {
				t.Fatal(err)
			}
			script := exec.Command("bash", append([]string{"-s", "--"}, test.args...)...)
			script.Dir = t.TempDir()
			script.Stdin = strings.NewReader(dry(t, "--region", "EU", "--source", source, "--proxy", "proxy.zip", "testdata/settings.json"))
			called := filepath.Join(dir, "called")
			script.Env = append([]string{
				"PATH=" + dir + ":/usr/bin:/bin", "TMPDIR=" + temporary, "CALLED=" + called,
				"FILLED=1", "URL=https://x", "ACCOUNT=123456789012", "TOPIC=0",
			}, test.environment...)
			out, _ := script.CombinedOutput()
			if got := script.ProcessState.ExitCode(); got != test.status || !strings.Contains(string(out), test.says) {
				t.Errorf("status %d, want %d and %q\n%s", got, test.status, test.says, out)
			}
			calls := linesOf(t, called)
			if last := calls[len(calls)-1]; !strings.HasPrefix(last, test.last) {
				t.Errorf("the last call is %q, want %q", last, test.last)
			}
			if created := strings.Contains(strings.Join(calls, "\n"), "gcloud secrets create "); created != test.created {
				t.Errorf("secrets were created: %t, want %t", created, test.created)
			}
			if strings.Contains(strings.Join(calls, "\n"), "--push-endpoint= ") {
				t.Error("a subscription has no address to push to")
			}
			for _, kept := range []string{script.Dir, temporary} {
				if left, err := os.ReadDir(kept); err != nil || len(left) != 0 {
					t.Errorf("%v is left behind, %v", left, err)
				}
			}
		})
	}
}

func linesOf(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
