// Package deploy generates the script that deploys Gatepost with gcloud and the AWS CLI,
// and runs it. scripts/deploy builds and starts its program:
//
//	scripts/deploy --dry-run terraform.tfvars.json   # print the script
//	scripts/deploy terraform.tfvars.json             # pipe it into bash
//
// The script is script.sh.tmpl, executed with the settings. It creates the resources of
// infra/ except those that observe (alerts, metrics, dashboards) and the bucket of the
// source; a test compares the two, flag by attribute. The script is idempotent: it
// creates a resource if it cannot describe it, and repeats the other commands. It builds
// a function only if the function's label shows that source or flags have changed.
//
// The script does not delete, revert changes by others, or validate in advance: it ends
// at the first refusal of the cloud, and shows it. It does not handle values of secrets.
// If a secret is empty, it explains how to fill it, and ends with status 3.
package deploy

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
SETTINGS is a terraform.tfvars.json: the READMEs of infra/modules/google and
infra/modules/aws describe it. gcloud 528 and the AWS CLI 2.14 or 1.31, or later ones, must be on
the PATH, with credentials. The settings of
infra/modules/google/observability.tf and alarm_topic_arns are ignored.

  --dry-run     print the bash script that does it, and run nothing; needs no
                credentials
  --region EU   only the stack of this Alexa region, and what the stacks share;
                may be given more than once
  --source ZIP  the output of scripts/package; built from the checked-out commit
                if neither this nor the setting source_package is given
  --proxy ZIP   the output of scripts/build-proxy; the same with proxy_package

Run it again after a change of settings or source. It does not create alerts,
metrics and dashboards, keep a state, delete resources that the settings no longer name, or
revert changes by others: for those use Terraform.

Exit status: 0 all is done; 1 a command failed, run again to continue;
2 wrong settings or flags; 3 a secret has no value yet.
`

// Main is the program.
func Main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs the command line and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	d, dryRun, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "deploy: %v (-h shows the usage)\n", err)
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
	fmt.Fprintf(stderr, "deploy: %v; run it again to continue\n", err)
	return exitFailed
}

// deployment is the input of the script's template.
type deployment struct {
	*Settings
	Stacks []Stack // to deploy
	Tree   text    // Gatepost's source tree
	Source text    // a package; "" to build it
	Proxy  text    // a package; "" to build it
}

// Proxies returns the stacks with a skill proxy: those without a Lambda of the maker.
func (d deployment) Proxies() []Stack {
	return slices.DeleteFunc(slices.Clone(d.Stacks), func(one Stack) bool { return one.OwnLambdaRole != "" })
}

func parse(args []string) (d deployment, dryRun bool, err error) {
	var regions []string
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run shows the error
	flags.BoolVar(&dryRun, "dry-run", false, "")
	source, proxy := flags.String("source", "", ""), flags.String("proxy", "", "")
	tree := flags.String("tree", ".", "") // scripts/deploy sets it
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
	if d.Settings, err = ReadSettings(flags.Arg(0)); err != nil {
		return d, false, err
	}
	if err = d.onlyTerraform(); err != nil {
		return d, false, err
	}
	if d.Stacks, err = d.Settings.Stacks(regions); err != nil {
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

// script returns the script. A [text] quotes itself, so the template must not put it
// between quotes.
func (d deployment) script() string {
	var script strings.Builder
	script.WriteString("#!/usr/bin/env bash\n") // not in the template, or tools would treat that as a script
	parsed := template.Must(template.New("script").Funcs(template.FuncMap{"word": word}).Parse(scriptTemplate))
	if err := parsed.Execute(&script, d); err != nil {
		panic(err) // a fault of the template: errors do not depend on the settings
	}
	return script.String()
}

// word joins parts into one word of a shell.
func word(parts ...text) text {
	var all text
	for _, part := range parts {
		all += part
	}
	return all
}
