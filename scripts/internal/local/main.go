package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/alecthomas/kong"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/console"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/alexa"
	"github.com/gatepostdev/gatepost/shared/grant"
	"github.com/gatepostdev/gatepost/shared/grant/grantfire"
	"github.com/gatepostdev/gatepost/shared/grant/grantmem"
	"github.com/gatepostdev/gatepost/shared/logging"
	"github.com/gatepostdev/gatepost/shared/push"
	"github.com/gatepostdev/gatepost/shared/simulator"
	"github.com/gatepostdev/gatepost/shared/sweep"
)

const (
	// tokenLifetime makes every new token due for a refresh at once, since tokens are
	// refreshed ten minutes or more before they expire.
	tokenLifetime = 10 * time.Minute
	// startTime bounds the start. It takes a tenth of a second, and some with
	// emulators.
	startTime = 10 * time.Second
	// firstReadTime bounds the first read of a database. It takes seconds in an
	// emulator that has just started.
	firstReadTime = 30 * time.Second
	// minBackoff and maxBackoff are short for the user who watches; a deployment waits
	// from 5 to 60 seconds.
	minBackoff, maxBackoff = time.Second, 10 * time.Second
	// grace is longer than a call of the event gateway.
	grace = 8 * time.Second
)

// The variables with the addresses of emulators, for Google's client libraries.
const (
	pubsubHost    = "PUBSUB_EMULATOR_HOST"
	firestoreHost = "FIRESTORE_EMULATOR_HOST"
)

// Command is the command.
type Command struct {
	Open          bool   `help:"Open the console in the browser."`
	Once          bool   `help:"End after the demonstration, with status 0 only if the event was accepted."`
	Refuse        bool   `help:"Make the gateways refuse every event."`
	Logs          bool   `help:"Show the functions' logs on standard error."`
	Project       string `placeholder:"P" default:"gatepost-local" help:"Project in Pub/Sub and in the emulators (${default})."`
	Port          int    `placeholder:"N" default:"8080" help:"Port of the functions (${default}). If a default is taken, another is used."`
	MakerPort     int    `placeholder:"N" default:"8089" help:"Port of the maker's cloud, where events are published (${default})."`
	SimulatorPort int    `placeholder:"N" default:"8090" help:"Port of the simulator (${default}). The gateways have the three after it."`
	PubsubPort    int    `placeholder:"N" default:"8085" help:"Port of Pub/Sub (${default})."`

	// Given are the names of the flags on the command line.
	Given map[string]bool `kong:"-"`
	// Gatepost runs another command in the environment of the local run, and returns its
	// status.
	Gatepost func(ctx context.Context, env *cli.Env, args []string) int `kong:"-"`
}

// Help implements kong's HelpProvider.
func (Command) Help() string {
	return "Everything runs in one process, and needs no other machine. It links a customer, refreshes the token, sends an event, " +
		"and prints commands to try. Ctrl-C ends it. If PUBSUB_EMULATOR_HOST or FIRESTORE_EMULATOR_HOST is set, it uses that emulator."
}

// Example returns an example for the help.
func (Command) Example() string { return "gatepost local --once" }

// AfterApply implements kong's hook: it notes which flags are given.
func (c *Command) AfterApply(parsed *kong.Context) error {
	c.Given = make(map[string]bool)
	for _, step := range parsed.Path {
		if step.Flag != nil {
			c.Given[step.Flag.Name] = true
		}
	}
	return nil
}

const maxPort = 65535

// projectID matches what Google allows.
var projectID = regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

// Validate implements kong's check.
func (c Command) Validate() error {
	for _, given := range []struct {
		flag      string
		port, max int
	}{
		{"port", c.Port, maxPort}, {"maker-port", c.MakerPort, maxPort}, {"pubsub-port", c.PubsubPort, maxPort},
		{"simulator-port", c.SimulatorPort, maxPort - 3}, // the gateways follow
	} {
		if given.port < 0 || given.port > given.max {
			return fmt.Errorf("--%s=%d: must be from 0 to %d", given.flag, given.port, given.max)
		}
	}
	if !projectID.MatchString(c.Project) {
		return fmt.Errorf("--project=%q: must be 6 to 30 lower-case letters, digits and hyphens, with a letter first and no hyphen last",
			c.Project)
	}
	return nil
}

// Run runs the command.
func (c Command) Run(ctx context.Context, env *cli.Env) error {
	return c.newRun(env, os.Getenv).run(ctx)
}

func (c Command) newRun(env *cli.Env, getenv func(string) string) *run {
	id := strings.ToLower(rand.Text()[:6])
	return &run{
		id: id, name: "run-" + time.Now().UTC().Format("20060102-150405-") + id,
		Command: c, env: env, screen: &screen{w: env.Stdout, now: time.Now}, getenv: getenv,
		amazon: simulator.New(simulator.Options{TokenLifetime: tokenLifetime}),
	}
}

// run is one run of the command.
type run struct {
	Command
	env    *cli.Env
	screen *screen
	getenv func(variable string) string
	amazon *simulator.Simulator
	id     string // differs from those of other runs
	name   string // with the id, for what this run has in emulators

	store    grant.Admin
	database string // in the Firestore emulator, empty for a store in memory
	console  *console.Console
	maker    *maker
	gatepost *oneprocess.Gatepost
}

// run starts everything, runs the demonstration, and returns when ctx ends.
func (r *run) run(ctx context.Context) error {
	began := time.Now()
	if r.Refuse {
		for _, region := range alexa.Regions() {
			r.amazon.Always(simulator.Gateway(region), simulator.Fault{Code: simulator.InvalidRequest})
		}
	}
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	closeStore, err := r.openStore(running)
	if err != nil {
		return err
	}
	defer closeStore()
	if err := r.start(running, fail); err != nil {
		return err
	}
	r.introduce()
	if r.Open {
		r.open(running)
	}
	accepted := r.demonstrate(running, began)
	if !r.Once {
		if running.Err() == nil {
			r.suggest()
		}
		<-running.Done()
	}
	r.maker.close()
	r.console.Stop()
	r.screen.print("\nStopped with %s.\n", r.restInWords(r.gatepost.Stop()))
	switch {
	case ctx.Err() == nil && running.Err() != nil: // not a signal
		return context.Cause(running)
	case r.Once && !accepted:
		return cli.ErrReported // by the demonstration
	}
	return nil
}

// openStore opens the store of grants. In the emulator each run has a database of its
// own: its simulator does not know the tokens of earlier runs, whose customers would
// become suspect.
func (r *run) openStore(ctx context.Context) (closeStore func(), err error) {
	address, err := emulatorAt(ctx, firestoreHost, r.getenv(firestoreHost))
	if err != nil {
		return nil, err
	}
	if address == "" {
		r.store = grantmem.New()
		return func() {}, nil
	}
	r.database = r.name
	client, err := firestore.NewClientWithDatabase(
		context.WithoutCancel(ctx), r.Project, r.database, oneprocess.Emulator(address)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to Firestore: %w", err)
	}
	r.store = grantfire.New(client)
	if err := readFirst(ctx, r.store); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("reading from Firestore: %w", err)
	}
	return func() { _ = client.Close() }, nil // everything is written
}

// readFirst reads once from a new database, so that the first AcceptGrant does not wait
// for a cold emulator.
func readFirst(ctx context.Context, store grant.Store) error {
	ctx, cancel := context.WithTimeout(ctx, firstReadTime)
	defer cancel()
	_, err := store.Read(ctx, grant.Key{Skill: "default", UserID: userID})
	if errors.Is(err, grant.ErrNotFound) {
		return nil
	}
	return err
}

// start starts Gatepost and the maker's cloud. It calls fail if a part fails later.
func (r *run) start(ctx context.Context, fail func(error)) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	r.console = console.New(r.amazon, r.store, time.Now)
	options := oneprocess.Options{
		Project: r.Project, Run: r.name, Amazon: r.amazon, Store: r.console.Store(), SimulatorAt: simulator.Addresses{Front: r.console.Front},
		MinBackoff: minBackoff, MaxBackoff: maxBackoff, SweepEvery: sweep.DefaultPeriod, Grace: grace,
		OnLine:       func(l oneprocess.Line) { r.showLine(l); r.console.AddLine(l.JSON(), l.Pushed) },
		OnGrantEvent: r.showGrantEvent,
		OnDeadLetter: func(m push.Message) { r.showDeadLetter(m); r.console.AddLetter(m) },
		OnFailure:    fail,
	}
	if r.Logs {
		options.Log = logging.New(r.env.Stderr).Handler()
	}
	if options.PubSubServer, err = emulatorAt(ctx, pubsubHost, r.getenv(pubsubHost)); err != nil {
		return err
	}
	if err := r.chooseAddresses(&options); err != nil {
		return err
	}
	if r.gatepost, err = oneprocess.Start(ctx, options); err != nil {
		return err
	}
	r.console.Start(r.gatepost)
	makerAt, err := r.address("maker-port", r.MakerPort)
	if err == nil {
		r.maker, err = startMaker(makerAt, r, fail)
	}
	if err != nil {
		r.gatepost.Stop()
	}
	return err
}

// chooseAddresses sets the addresses of the options.
func (r *run) chooseAddresses(o *oneprocess.Options) (err error) {
	for i, at := range []*string{&o.SimulatorAt.LWA, &o.SimulatorAt.NA, &o.SimulatorAt.EU, &o.SimulatorAt.FE} {
		if *at, err = r.address("simulator-port", r.simulatorPort(i)); err != nil {
			return err
		}
	}
	if o.FunctionsAt, err = r.address("port", r.Port); err != nil || o.PubSubServer != "" {
		return err
	}
	o.PubSubAt, err = r.address("pubsub-port", r.PubsubPort)
	return err
}

// simulatorPort returns the port of the n-th gateway, or of the simulator if n is 0.
func (r *run) simulatorPort(n int) int {
	if r.SimulatorPort == 0 {
		return 0
	}
	return r.SimulatorPort + n
}

// restInWords describes the device events that were in flight.
func (r *run) restInWords(rest oneprocess.Rest) string {
	text := "no event in flight"
	if n := rest.Acknowledged + rest.HandedBack; n > 0 {
		text = fmt.Sprintf("%s in flight: %d acknowledged, %d returned to Pub/Sub", count(n, "event"), rest.Acknowledged, rest.HandedBack)
	}
	if rest.HandedBack > 0 {
		text += " (whose subscription ends with this process)"
	}
	if !rest.Drained {
		text += "; other requests were cut off"
	}
	return text
}

// loopback is the only interface to listen on.
const loopback = "127.0.0.1"

// address returns the address of a port if it is free. If it is taken, it returns port 0
// for a default, and an error for a port that the flag gives.
func (c Command) address(flag string, port int) (string, error) {
	wanted := net.JoinHostPort(loopback, strconv.Itoa(port))
	listener, err := net.Listen("tcp", wanted)
	switch {
	case err == nil:
		return wanted, listener.Close() // it was only a check
	case c.Given[flag]:
		return "", fmt.Errorf("--%s: port %d: %w", flag, port, err)
	}
	return net.JoinHostPort(loopback, "0"), nil
}

// emulatorAt returns the address of the emulator that a variable names, or "". It
// returns an error if the emulator does not run, because the client libraries would
// retry for long.
func emulatorAt(ctx context.Context, variable, address string) (string, error) {
	if address == "" {
		return "", nil
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("%s: no emulator: %w", variable, err)
	}
	return address, connection.Close()
}
