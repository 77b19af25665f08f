// Command deploy writes the script that deploys Gatepost with gcloud and the AWS
// CLI, and runs it. scripts/deploy builds and starts it:
//
//	scripts/deploy --dry-run terraform.tfvars.json   # print the script
//	scripts/deploy terraform.tfvars.json             # pipe it into bash
//
// The script is script.sh.tmpl, filled in with the settings. It makes what infra/
// makes, but for the alert policies and the bucket of the source; a test compares
// the two, flag by attribute. It can be run again at any time: a resource is
// created if it cannot be described, and the other commands set what they set
// once more. A function is built only if its label says that source or flags
// have changed.
//
// It does not delete, repair what others have changed, or check beforehand what
// the cloud will refuse: the script ends at the first refusal, with what the
// cloud says. No secret's value passes through it. Where a secret is empty it
// says how to fill it, and ends with status 3.
package main

import (
	"cmp"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitSecrets = 3
)

const usage = `usage: scripts/deploy [--dry-run] [--region EU]... [--source ZIP] [--proxy ZIP] SETTINGS

Deploys Gatepost with gcloud and the AWS CLI, as Terraform would from infra/.
SETTINGS is a terraform.tfvars.json: infra/variables.tf and infra/settings.tf say
what is in it. gcloud 528 and the AWS CLI 2.14 or 1.31, or later ones, must be on
the PATH, with credentials. alert_channels is ignored.

  --dry-run     print the bash script that does it, and run nothing; needs no
                credentials
  --region EU   only the stack of this Alexa region, and what the stacks share;
                may be given more than once
  --source ZIP  what scripts/package wrote; made of the commit that is checked
                out if neither this nor the setting source_package is given
  --proxy ZIP   what scripts/build-proxy wrote; the same with proxy_package

Run it again after a change of settings or source. It does not make alert
policies, keep a state, delete what the settings no longer name, or undo what
others have changed: for those use Terraform.

Exit status: 0 all is done; 1 a command failed, and running again goes on;
2 wrong settings or flags; 3 a secret has no value yet.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run carries out the command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	d, dryRun, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "deploy: %v (-h says what is possible)\n", err)
		return exitUsage
	}
	script := d.script()
	if dryRun {
		fmt.Fprint(stdout, script)
		return exitOK
	}
	bash := exec.Command("bash")
	bash.Stdin, bash.Stdout, bash.Stderr = strings.NewReader(script), stdout, stderr
	if err = bash.Run(); err == nil {
		return exitOK
	}
	if bash.ProcessState != nil && bash.ProcessState.ExitCode() == exitSecrets {
		return exitSecrets
	}
	fmt.Fprintf(stderr, "deploy: %v; running this again goes on from there\n", err)
	return exitFailed
}

// deployment is what the script is made of.
type deployment struct {
	*settings
	Stacks []stack // those to deploy
	Tree   text    // Gatepost's own
	Source text    // a package; "" to make it
	Proxy  text
}

// Proxies are the stacks with a skill proxy: whose maker has no Lambda already.
func (d deployment) Proxies() []stack {
	return slices.DeleteFunc(slices.Clone(d.Stacks), func(one stack) bool { return one.OwnLambdaRole != "" })
}

func parse(args []string) (d deployment, dryRun bool, err error) {
	var regions []string
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run shows what is wrong
	flags.BoolVar(&dryRun, "dry-run", false, "")
	source, proxy := flags.String("source", "", ""), flags.String("proxy", "", "")
	tree := flags.String("tree", ".", "") // scripts/deploy says where it is
	flags.Func("region", "", func(region string) error {
		regions = append(regions, region)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return d, false, err
	}
	if flags.NArg() != 1 {
		return d, false, errors.New("want one file of settings")
	}
	if d.settings, err = readSettings(flags.Arg(0)); err != nil {
		return d, false, err
	}
	if d.Stacks, err = d.stacks(regions); err != nil {
		return d, false, err
	}
	for path, value := range map[*text]string{
		&d.Tree: *tree, &d.Source: cmp.Or(*source, string(d.SourcePackage)), &d.Proxy: cmp.Or(*proxy, string(d.ProxyPackage)),
	} {
		if value != "" {
			if value, err = filepath.Abs(value); err != nil {
				return d, false, err
			}
		}
		*path = text(value)
	}
	return d, dryRun, nil
}

//go:embed script.sh.tmpl
var scriptTemplate string

// script is the whole deployment. A value is quoted by being a [text]: in the
// template it must not stand between quotes.
func (d deployment) script() string {
	var script strings.Builder
	script.WriteString("#!/usr/bin/env bash\n") // which in the template would have it taken for a script
	parsed := template.Must(template.New("script").Funcs(template.FuncMap{"word": word}).Parse(scriptTemplate))
	if err := parsed.Execute(&script, d); err != nil {
		panic(err) // nothing in it depends on the settings
	}
	return script.String()
}

// word makes one word of a shell out of its parts.
func word(parts ...text) text {
	var all text
	for _, part := range parts {
		all += part
	}
	return all
}
