// Command gatepost runs Gatepost on one machine, checks events, and operates stacks:
// see its README, or
//
//	go run ./scripts/gatepost --help
package main

import (
	"context"

	"github.com/alecthomas/kong"

	"github.com/gatepostdev/gatepost/functions"
	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/cutover"
	"github.com/gatepostdev/gatepost/scripts/internal/doctor"
	"github.com/gatepostdev/gatepost/scripts/internal/explain"
	"github.com/gatepostdev/gatepost/scripts/internal/grants"
	"github.com/gatepostdev/gatepost/scripts/internal/keyset"
	"github.com/gatepostdev/gatepost/scripts/internal/lint"
	"github.com/gatepostdev/gatepost/scripts/internal/local"
	"github.com/gatepostdev/gatepost/scripts/internal/replay"
)

// commands is the command line.
type commands struct {
	Local     local.Command    `cmd:"" help:"Run all of Gatepost on this machine."`
	Lint      lint.Command     `cmd:"" help:"Check device events before Alexa does."`
	Simulator simulatorCommand `cmd:"" help:"Simulate Login with Amazon and the event gateways."`
	Explain   explain.Command  `cmd:"" help:"Say why an event did or did not arrive."`
	Doctor    doctor.Command   `cmd:"" help:"Check a deployment, or its prerequisites."`
	Grants    grants.Commands  `cmd:"" help:"Show and repair the records of customers in a stack."`
	Import    cutover.Command  `cmd:"" secretive:"" help:"Take over the refresh tokens of another sender."`
	Replay    replay.Command   `cmd:"" help:"Publish dead letters again, once the cause of their failure is fixed."`
	Keyset    keyset.Commands  `cmd:"" help:"Create and rotate the keyset that seals tokens."`

	Version kong.VersionFlag `help:"Show the version."`
}

// Help implements [kong.HelpProvider].
func (commands) Help() string {
	return "The exit status is 0 if all is done, 1 if something was found or failed, and 2 if the command line is wrong."
}

// localCommands are the commands that look at a local run, in its process.
type localCommands struct {
	Explain explain.Command `cmd:""`
	Doctor  doctor.Command  `cmd:""`
	Grants  grants.Commands `cmd:""`
}

func runLocally(ctx context.Context, env *cli.Env, args []string) int {
	return cli.Run(ctx, env, new(localCommands), args)
}

func main() { cli.Main(functions.Version(), &commands{Local: local.Command{Gatepost: runLocally}}) }
