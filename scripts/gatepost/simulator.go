package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/shared/simulator"
)

// simulatorCommand simulates Amazon and the maker's identity provider. The default
// ports are fixed, so that an environment exported once stays right.
type simulatorCommand struct {
	LWA    string `name:"lwa" placeholder:"ADDR" default:"127.0.0.1:8090" help:"Login with Amazon, control interface, /userinfo (${default})."`
	NA     string `name:"na" placeholder:"ADDR" default:"127.0.0.1:8091" help:"Event gateway of North America (${default})."`
	EU     string `name:"eu" placeholder:"ADDR" default:"127.0.0.1:8092" help:"Event gateway of Europe (${default})."`
	FE     string `name:"fe" placeholder:"ADDR" default:"127.0.0.1:8093" help:"Event gateway of the Far East (${default})."`
	Public bool   `help:"Allow addresses that other machines can reach. There is no authentication."`
}

// Help implements [kong.HelpProvider].
func (simulatorCommand) Help() string {
	return "It prints the environment that points Gatepost at it, and requests to try. Ctrl-C ends it."
}

// Example returns an example for the help.
func (simulatorCommand) Example() string { return "gatepost simulator --lwa 127.0.0.1:9090" }

// Validate implements kong's check.
func (c simulatorCommand) Validate() error {
	for _, address := range []string{c.LWA, c.NA, c.EU, c.FE} {
		if _, _, err := net.SplitHostPort(address); !c.Public && (err != nil || !cli.IsLoopback(address)) {
			return fmt.Errorf("%q is not on the loopback interface: add --public if you mean that", address)
		}
	}
	return nil
}

// Run serves until ctx ends.
func (c simulatorCommand) Run(ctx context.Context, env *cli.Env) error {
	addresses := simulator.Addresses{LWA: c.LWA, NA: c.NA, EU: c.EU, FE: c.FE}
	server, err := simulator.StartOn(simulator.New(simulator.Options{}), addresses)
	if err != nil {
		return err
	}
	if err := introduce(env.Stdout, server); err != nil {
		return errors.Join(err, server.Close())
	}
	<-ctx.Done()
	return server.Close()
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
