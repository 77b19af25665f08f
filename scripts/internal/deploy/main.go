package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
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
SETTINGS is a terraform.tfvars.json: infra/variables.tf and its neighbours say
what is in it. gcloud 528 and the AWS CLI 2.14 or 1.31, or later ones, must be
on the PATH, with credentials. alert_channels is ignored.

  --dry-run     print each command that a first deployment runs, as a script for
                bash, and run none; needs no credentials
  --region EU   only the stack of this Alexa region, and what the stacks share;
                may be given more than once
  --source ZIP  what scripts/package wrote; built if neither this nor the
                setting source_package is given
  --proxy ZIP   what scripts/build-proxy wrote; the same with proxy_package

Running it again changes only what differs. ` + limits + `

Exit status: 0 all is done; 1 a command failed, and running again goes on;
2 wrong settings or flags; 3 a secret has no value yet.
`

const limits = `It does not make alert policies, keep a
state, delete what the settings no longer name, or undo what others have added:
for those use Terraform.`

// options are what the command line says.
type options struct {
	dryRun        bool
	regions       []string
	source, proxy string
	tree          string
	settings      string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run carries out the command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "deploy: %v (-h says what is possible)\n", err)
		return exitUsage
	}
	d, err := prepare(o, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "deploy: %v\n", err)
		return exitUsage
	}
	if o.dryRun {
		d.dryRun(stdout, o)
		return exitOK
	}
	err = d.packAndDeploy(ctx, o)
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	return d.report(err, stdout, stderr)
}

// errInterrupted is in place of what the commands said that were under way: it
// is of no use.
var errInterrupted = errors.New("interrupted")

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run shows what is wrong
	flags.BoolVar(&o.dryRun, "dry-run", false, "")
	flags.StringVar(&o.source, "source", "", "")
	flags.StringVar(&o.proxy, "proxy", "", "")
	flags.StringVar(&o.tree, "tree", ".", "") // scripts/deploy says where it is
	flags.Func("region", "", func(region string) error {
		if !slices.Contains([]string{"NA", "EU", "FE"}, region) {
			return errors.New("want NA, EU or FE")
		}
		o.regions = append(o.regions, region)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() != 1 {
		return o, errors.New("want one file of settings")
	}
	o.settings = flags.Arg(0)
	return o, nil
}

// prepare reads the settings. The deployment knows of nothing in the cloud yet.
func prepare(o options, out io.Writer) (*deployment, error) {
	s, err := readSettings(o.settings)
	if err != nil {
		return nil, err
	}
	stacks, err := s.only(o.regions)
	if err != nil {
		return nil, err
	}
	names := known{}
	return &deployment{
		settings: s, stacks: stacks, have: newInventory(), known: names,
		runner: &runner{out: out, known: names, execute: fromPath},
	}, nil
}

func (d *deployment) packAndDeploy(ctx context.Context, o options) error {
	work, err := os.MkdirTemp("", "gatepost-deploy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := d.pack(ctx, o, work); err != nil {
		return err
	}
	return d.deploy(ctx)
}

// report says how the run ended, and returns the exit status.
func (d *deployment) report(err error, stdout, stderr io.Writer) int {
	switch {
	case errors.Is(err, errNoSecrets):
		fmt.Fprintf(stderr, "deploy: stopped: %v\n", err)
		return exitSecrets
	case err != nil:
		fmt.Fprintf(stderr, "deploy: %v\nRunning this again goes on from here.\n", err)
		return exitFailed
	}
	fmt.Fprintln(stdout, "\n# Next")
	for _, line := range d.next() {
		fmt.Fprintln(stdout, d.known.resolve(line))
	}
	d.tellLeftBehind(stdout)
	fmt.Fprintf(stdout, "\n%d commands of change. %s\n", d.runner.changes, limits)
	if len(d.settings.alertChannels) > 0 {
		fmt.Fprintln(stdout, "alert_channels is ignored: nobody is told when something is wrong.")
	}
	return exitOK
}
