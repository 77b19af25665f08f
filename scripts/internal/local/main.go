package local

import (
	"context"
	"io"
	"time"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// tokenLifetime makes every new token due for a refresh at once, since tokens are
// refreshed ten minutes or more before they expire.
const tokenLifetime = 10 * time.Minute

// Command is the command. It can be run once in a process, because the Functions
// Framework has one registry.
type Command struct {
	Once          bool   `help:"End after the demonstration, with status 0 only if the event was accepted."`
	Refuse        bool   `help:"Make the gateways refuse every event."`
	Logs          bool   `help:"Show the functions' logs on standard error."`
	Project       string `placeholder:"P" default:"gatepost-local" help:"Project in Pub/Sub and in the emulators (${default})."`
	Port          int    `placeholder:"N" default:"8080" help:"Port of the functions (${default}). If a port is taken, another is used."`
	MakerPort     int    `placeholder:"N" default:"8089" help:"Port of the maker's cloud, where events are published (${default})."`
	SimulatorPort int    `placeholder:"N" default:"8090" help:"Port of the simulator (${default}). The three after it are those of the gateways."`
}

// Help implements kong's HelpProvider.
func (Command) Help() string {
	return "Everything runs in one process, and needs no other machine. It links a customer, refreshes the token, sends an event, " +
		"and prints commands to try. Ctrl-C ends it. If PUBSUB_EMULATOR_HOST or FIRESTORE_EMULATOR_HOST is set, it uses that emulator."
}

// Example returns an example for the help.
func (Command) Example() string { return "gatepost local --once" }

// Run runs the command.
func (c Command) Run(ctx context.Context, env *cli.Env) error {
	return c.run(ctx, simulator.New(simulator.Options{TokenLifetime: tokenLifetime}), env.Stdout, env.Stderr)
}

// run starts everything, runs the demonstration, and returns when ctx ends.
func (c Command) run(ctx context.Context, sim *simulator.Simulator, stdout, stderr io.Writer) error {
	began := time.Now()
	if c.Refuse {
		for _, region := range alexa.Regions() {
			sim.Always(simulator.Gateway(region), simulator.Fault{Code: simulator.InvalidRequest})
		}
	}
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s, err := start(c, sim, stdout, stderr, fail)
	if err != nil {
		return err
	}
	accepted := s.demonstrate(running, began)
	if !c.Once {
		s.suggest()
		<-running.Done()
	}
	s.stop()
	switch {
	case ctx.Err() == nil && running.Err() != nil: // not a signal
		return context.Cause(running)
	case c.Once && !accepted:
		return cli.ErrReported
	}
	return nil
}
