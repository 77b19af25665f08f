// Command simulator plays Login with Amazon, the three Alexa event gateways and
// the maker's identity provider on ports of this machine.
//
//	go run ./scripts/simulator
//
// It prints the environment that points Gatepost at it, and two requests to
// try. It ends on an interrupt. Everything it can do is in
// shared/simulator/README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/gatepostdev/gatepost/shared/simulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "simulator:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	addresses, err := parse(args, stderr)
	if err != nil {
		return err
	}
	server, err := simulator.StartOn(simulator.New(simulator.Options{}), addresses)
	if err != nil {
		return err
	}
	if err := introduce(stdout, server); err != nil {
		return errors.Join(err, server.Close())
	}
	<-ctx.Done()
	return server.Close()
}

// parse reads the flags. The ports are fixed, so that an environment exported
// once stays right.
func parse(args []string, stderr io.Writer) (simulator.Addresses, error) {
	var addresses simulator.Addresses
	flags := flag.NewFlagSet("simulator", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&addresses.LWA, "addr", "127.0.0.1:8090", "`address` of Login with Amazon, the control interface and /userinfo")
	flags.StringVar(&addresses.NA, "na", "127.0.0.1:8091", "`address` of the event gateway of North America")
	flags.StringVar(&addresses.EU, "eu", "127.0.0.1:8092", "`address` of the event gateway of Europe")
	flags.StringVar(&addresses.FE, "fe", "127.0.0.1:8093", "`address` of the event gateway of the Far East")
	public := flags.Bool("public", false, "allow addresses that other machines can reach; there is no authentication")
	if err := flags.Parse(args); err != nil {
		return addresses, err
	}
	if flags.NArg() > 0 {
		return addresses, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, address := range []string{addresses.LWA, addresses.NA, addresses.EU, addresses.FE} {
		if !*public && !loopback(address) {
			return addresses, fmt.Errorf("%q is not on the loopback interface: add -public if that is meant", address)
		}
	}
	return addresses, nil
}

// loopback reports whether only this machine can reach an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// introduce prints what to export and what to try, as lines for a shell.
func introduce(out io.Writer, server *simulator.Server) error {
	client := simulator.DefaultClient()
	credentials, err := json.Marshal(map[string]string{"client_id": client.ID, "client_secret": client.Secret.Reveal()})
	if err != nil {
		return err
	}
	env := server.Env()
	env["GRANTEE_RESOLVER"] = "userinfo:" + server.UserInfoURL
	env["SIMULATOR_CLIENT"] = "'" + string(credentials) + "'"
	env["LWA_CREDENTIALS"] = "env:SIMULATOR_CLIENT"
	text := "# The simulator listens. Point Gatepost at it:\n"
	for _, name := range slices.Sorted(maps.Keys(env)) {
		text += "export " + name + "=" + env[name] + "\n"
	}
	text += fmt.Sprintf(`
# A code for AcceptGrant; the grantee token of your customer u-1 is grantee-u-1:
curl -d '{"region":"EU","user":"amzn-1"}' %[1]s/codes

# The next two events for Europe are throttled:
curl -d '{"target":"gateway/EU","code":"THROTTLING_EXCEPTION","retryAfter":"1s","times":2}' %[1]s/faults
`, server.ControlURL)
	_, err = io.WriteString(out, text)
	return err
}
