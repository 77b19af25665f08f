package replay

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/testkit/readme"
)

func TestWrongCalls(t *testing.T) {
	t.Parallel()
	const required = "--subscription s --topic t "
	for args, says := range map[string]string{
		"":                             "missing flags: --subscription=S, --topic=T",
		"--topic t":                    "missing flags: --subscription=S",
		"--subscription s":             "missing flags: --topic=T",
		"--subscription= --topic t":    "--subscription: it is empty",
		"--subscription a/b --topic t": "--subscription: want an id or projects/P/subscriptions/S",
		"--topic projects/p/subscriptions/t --subscription s": "--topic: want an id or projects/P/topics/T",
		required + "all":                                    "unexpected argument all",
		required + "--everything":                           "unknown flag --everything",
		required + "-for-real":                              "two dashes: --for-real",
		required + "--reason refused":                       `"refused" is not a reason: want dead_letter (SendEvent refused the event; --code`,
		required + "--reason invalid_event":                 "or undelivered (Pub/Sub moved the message after the last attempt)",
		required + "--code=":                                "--code: it is empty",
		required + "--region eu":                            "--region: unknown Alexa region (want NA, EU or FE)",
		required + "--set-region=":                          "--set-region: unknown Alexa region (want NA, EU or FE)",
		required + "--customer u-1":                         "--customer: want 16 hex digits; --user takes",
		required + "--user=":                                "--user: it is empty",
		required + "--user u-1 --user u-2":                  "--user is given twice",
		required + "--user u-1 --customer 0123456789abcdef": "the user's hash is " + grant.CustomerHash("u-1"),
		required + "--since yesterday":                      "like 2h",
		required + "--since=-2h":                            "like 2h",
		required + "--since 1h --until 2h":                  "--since is not before --until",
		required + "--max -1":                               "--max",
		required + "--max=-1":                               "--max is negative",
		required + "--idle 0s":                              "--idle is not positive",
	} {
		var out, errs strings.Builder
		env := &cli.Env{Stdout: &out, Stderr: &errs, Now: time.Now}
		status := cli.Run(t.Context(), env, new(grammar), append([]string{"replay"}, strings.Fields(args)...))
		if status != cli.StatusUsage || out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), says) {
			t.Errorf("replay %s: status %d, and it wrote %q and %q, want %d and a line that says %q",
				args, status, out.String(), errs.String(), cli.StatusUsage, says)
		}
	}
}

// TestReadme has the README show what the example shows, and begin with the example of
// the help.
func TestReadme(t *testing.T) {
	t.Parallel()
	page := readme.Open(t, "README.md")
	page.Shows(readme.Output(t, "example_test.go"))
	page.Shows("\n    " + Command{}.Example() + "\n")
	var help strings.Builder
	env := &cli.Env{Stdout: &help, Stderr: &help}
	if status := cli.Run(t.Context(), env, new(grammar), []string{"replay", "--help"}); status != cli.StatusDone {
		t.Errorf("--help: status %d", status)
	}
	for _, flag := range regexp.MustCompile("`(--[a-z-]+)").FindAllStringSubmatch(page.Text, -1) {
		if !strings.Contains(help.String(), flag[1]) {
			t.Errorf("README.md has %s, which the help has not", flag[1])
		}
	}
}
