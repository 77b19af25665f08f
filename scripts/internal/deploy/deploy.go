package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// deployment is the settings held against what is there.
type deployment struct {
	settings settings
	stacks   []stack // those to deploy
	have     inventory
	known    known
	packages
	awsAccount string // that the credentials are of
	runner     *runner
}

// stage is what can be done side by side, once the stages before are done.
type stage struct {
	title    string
	commands func() []command
	// after, if there is one, looks at what has come of it.
	after func(context.Context) error
}

// errNoSecrets is what a first run ends with: somebody else has to go on.
var errNoSecrets = errors.New("the functions cannot start without their secrets: give them a value as shown, and run this again")

// The titles of stages that others refer to.
const (
	stageSecrets   = "Secrets, without a value"
	stageFunctions = "Functions"
)

// stages are the whole deployment, in its order.
func (d *deployment) stages() []stage {
	s := d.settings
	return []stage{
		{"Service accounts, and the skill proxies' roles and logs", func() []command { return append(commands(s, d.accounts()), d.roles()...) }, nil},
		{stageSecrets, func() []command { return commands(s, d.secrets()) }, d.needSecrets},
		{"Databases and topics", func() []command { return append(commands(s, d.databases()), commands(s, d.topics())...) }, nil},
		{"Indexes, and what the functions may do", func() []command { return append(d.indexes(), d.bind("project", "secret", "topic")...) }, nil},
		{stageFunctions, d.functionCommands, d.findFunctions},
		{"Who may call the functions", func() []command { return d.bind("service") }, nil},
		{"Subscriptions, scheduler jobs and workload identity", func() []command {
			return slices.Concat(commands(s, d.subscriptionResources()), commands(s, d.jobs()), commands(s, d.federation()))
		}, nil},
		{"Who may speak as the callers, and forward dead letters", func() []command { return d.bind("subscription", "account") }, nil},
		{"Skill proxies", d.lambdas, nil},
	}
}

// functionCommands are the deploys that are due.
func (d *deployment) functionCommands() []command {
	var all []resource
	for _, one := range d.stacks {
		all = append(all, d.functionResources(one)...)
	}
	return commands(d.settings, all)
}

// deploy makes what is missing and updates what differs.
func (d *deployment) deploy(ctx context.Context) error {
	fmt.Fprintln(d.runner.out, "# Taking stock")
	if err := d.runner.ask(ctx, d.askProject()); err != nil {
		return err
	}
	apis := stage{"APIs", d.switchOn, func(ctx context.Context) error {
		if err := d.takeStock(ctx); err != nil {
			return err
		}
		return d.refuse()
	}}
	for _, next := range append([]stage{apis}, d.stages()...) {
		if err := d.runStage(ctx, next); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) runStage(ctx context.Context, next stage) error {
	if due := next.commands(); len(due) > 0 {
		fmt.Fprintf(d.runner.out, "\n# %s\n", next.title)
		if err := d.runner.run(ctx, due); err != nil {
			return err
		}
	}
	if next.after == nil {
		return nil
	}
	return next.after(ctx)
}

// refuse names everything that is there and not as it should be, and cannot be
// changed. Nothing else has been changed yet when it does.
func (d *deployment) refuse() error {
	var refusals []string
	if d.awsAccount != "" && d.awsAccount != d.settings.awsAccountID {
		refusals = append(refusals, fmt.Sprintf("the AWS credentials are of account %s, and aws_account_id is %s", d.awsAccount, d.settings.awsAccountID))
	}
	for _, r := range slices.Concat(d.secrets(), d.databases(), d.topics(), d.subscriptionResources(), d.jobs(), d.federation()) {
		refusals = append(refusals, r.refusals()...)
	}
	refusals = slices.Concat(refusals, d.deletedFederation(), d.unfinished(), d.unsoundIndexes(), d.foreignPermissions())
	if len(refusals) == 0 {
		return nil
	}
	return errors.New("refused, with nothing but the APIs changed:\n  " + strings.Join(refusals, "\n  "))
}

// needSecrets stops where a secret has no version that can be used.
func (d *deployment) needSecrets(context.Context) error {
	empty := d.emptySecrets()
	if len(empty) == 0 {
		return nil
	}
	fmt.Fprintln(d.runner.out)
	d.tellSecrets(d.runner.out, empty)
	return errNoSecrets
}

// secretAdvice goes before the commands that fill secrets.
const secretAdvice = `# Nothing starts before each secret has a value. FILE holds {"client_id":"…","client_secret":"…"}: delete it afterwards.`

// tellSecrets writes how secrets get their values. No value passes through
// this program.
func (d *deployment) tellSecrets(w io.Writer, names []string) {
	fmt.Fprintln(w, secretAdvice)
	for _, name := range names {
		fmt.Fprintln(w, d.settings.fill(name))
	}
}

// fill is the command that gives a secret its value.
func (s settings) fill(name string) command {
	if strings.HasPrefix(name, "gatepost-token-keyset-") {
		return command{args: []string{"go", "run", "./scripts/keyset", "create", s.secretRef(name)}}
	}
	return command{args: []string{"gcloud", "secrets", "versions", "add", name, "--project=" + s.projectID, "--data-file=FILE"}}
}

// findFunctions learns where the functions are, new ones too.
func (d *deployment) findFunctions(ctx context.Context) error {
	if err := d.runner.ask(ctx, []question{d.askFunctions()}); err != nil {
		return err
	}
	for _, one := range d.stacks {
		for _, f := range functions {
			if d.known[one.urlName(f.entryPoint)] == "" {
				return fmt.Errorf("function %s in %s has no URL", one.function(f.entryPoint), one.location)
			}
		}
	}
	return nil
}
