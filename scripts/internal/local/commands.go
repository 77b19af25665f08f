package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/gatepostdev/gatepost/scripts/internal/cli"
	"github.com/gatepostdev/gatepost/scripts/internal/oneprocess"
	"github.com/gatepostdev/gatepost/shared/alexa"
)

// introduce shows the addresses of all parts.
func (r *run) introduce() {
	var gateways []string
	for _, region := range alexa.Regions() {
		gateways = append(gateways, string(region)+" "+r.gatepost.Amazon.GatewayURL(region))
	}
	pubsub := "in memory, at " + r.gatepost.Broker.Address
	if !r.gatepost.Broker.InMemory {
		pubsub = "the emulator at " + r.gatepost.Broker.Address
	}
	grants := "in memory"
	if r.database != "" {
		grants = "the Firestore emulator, database " + r.database
	}
	r.screen.print("%s\n\nThat is the console of Gatepost, which runs on this machine as process %d.\n\n", r.consoleURL(), os.Getpid())
	for _, line := range [][2]string{
		{"functions", r.gatepost.URL},
		{"maker's cloud", r.maker.url},
		{"simulator", r.gatepost.Amazon.ControlURL},
		{"gateways", strings.Join(gateways, "  ")},
		{"Pub/Sub", pubsub + ", project " + r.Project},
		{"grants", grants},
	} {
		r.screen.print("  %-14s %s\n", line[0], line[1])
	}
	r.warnOfTaken()
}

// warnOfTaken shows which parts are not at their default ports.
func (r *run) warnOfTaken() {
	type part struct {
		name string
		port int
		url  string
	}
	parts := []part{
		{"the functions are", r.Port, r.gatepost.URL}, {"the maker's cloud is", r.MakerPort, r.maker.url},
		{"the simulator is", r.SimulatorPort, strings.TrimSuffix(r.consoleURL(), "/")},
	}
	for i, region := range alexa.Regions() {
		parts = append(parts, part{fmt.Sprintf("the gateway of %s is", region), r.simulatorPort(i + 1), r.gatepost.Amazon.GatewayURL(region)})
	}
	if r.gatepost.Broker.InMemory {
		parts = append(parts, part{"Pub/Sub is", r.PubsubPort, r.gatepost.Broker.Address})
	}
	for _, p := range parts {
		if p.port != 0 && !strings.HasSuffix(p.url, fmt.Sprintf(":%d", p.port)) {
			r.screen.print("port %d is taken: %s at %s\n", p.port, p.name, p.url)
		}
	}
}

// consoleURL is the address of the page.
func (r *run) consoleURL() string {
	return strings.TrimSuffix(r.gatepost.Amazon.ControlURL, "simulator")
}

// open opens the console in the user's browser.
func (r *run) open(ctx context.Context) {
	command := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[runtime.GOOS]
	if command == nil {
		command = []string{"xdg-open"}
	}
	if err := exec.CommandContext(ctx, command[0], append(command[1:], r.consoleURL())...).Start(); err != nil {
		r.screen.print("The browser cannot be opened: %v\n", err)
	}
}

// command is a command to try.
type command struct{ title, shell string }

// commands are for a POSIX shell with curl.
func (r *run) commands() []command {
	const event = `{"userId":"u-1","endpointId":"lamp-1","cause":"APP_INTERACTION","changed":[
  {"namespace":"Alexa.PowerController","name":"powerState","value":"OFF"}],"unchanged":[
  {"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"}}]}`
	const curl = `curl -sS -w '\n'`
	control, functions := r.gatepost.Amazon.ControlURL, r.gatepost.URL
	publish := func(eventID string) string {
		return fmt.Sprintf(`%s "%s/publish?region=EU&key=u-1/lamp-1&eventId=%s-$(date +%%s)" -d '%s'`, curl, r.maker.url, eventID, event)
	}
	local := " --local"
	if r.maker.url != "http://"+cli.DefaultLocalRun {
		local += "=" + strings.TrimPrefix(r.maker.url, "http://")
	}
	return []command{
		{"Link another customer, u-2 in North America",
			fmt.Sprintf(`code=$(curl -sS -d '{"region":"NA","user":"amzn-2"}' %[2]s/codes | cut -d '"' -f 4)
%[1]s -H 'X-Alexa-Region: NA' %[3]s/AcceptGrant -d '{"directive":{
  "header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","payloadVersion":"3","messageId":"m-2"},
  "payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":"'"$code"'"},"grantee":{"type":"BearerToken","token":"grantee-u-2"}}}}'`,
				curl, control, functions)},
		{"Publish a device event; the outcome is shown here", publish("switch")},
		{"Push an event to the function as Pub/Sub would", fmt.Sprintf(`data=$(printf %%s '%s' | base64 | tr -d '\n')
%s %s/SendEvent -d '{"message":{"messageId":"by-hand-'"$(date +%%s)"'","data":"'"$data"'"},"subscription":"by-hand"}'`, event, curl,
			functions)},
		{"Throttle the next two events for Europe", fmt.Sprintf(
			`%s %s/faults -d '{"target":"gateway/EU","code":"THROTTLING_EXCEPTION","times":2}'`, curl, control)},
		{"Expire the access token of u-1", fmt.Sprintf(`%s %s/expire -d '{"region":"EU","user":"amzn-1"}'`, curl, control)},
		{"Start a sweep, as the local run does every five minutes", fmt.Sprintf(`%s -X POST %s/RefreshTokens`, curl, functions)},
		{"See the state of u-1's devices at Alexa", fmt.Sprintf(`%s '%s/state?region=EU&user=amzn-1'`, curl, control)},
		{"See what the gateways and Login with Amazon received", fmt.Sprintf(`%s %s/requests`, curl, control)},
		{"See the totals", fmt.Sprintf(`%s %s/counts`, curl, control)},
		{"See the grants of u-1", gatepost() + " grants show u-1" + local},
		{"See what became of the events of lamp-1", gatepost() + " explain --user u-1 --endpoint lamp-1" + local},
		{"Remove all faults", fmt.Sprintf(`%s -X DELETE %s/faults`, curl, control)},
		{"Publish an event that the gateway refuses: it becomes a dead letter", fmt.Sprintf(
			`%s %s/faults -d '{"target":"gateway/EU","code":"INVALID_REQUEST_EXCEPTION"}'`, curl, control) + "\n" + publish("refused")},
		{"Replay the dead letters; without --for-real they are only listed", fmt.Sprintf(
			`PUBSUB_EMULATOR_HOST=%s %s replay --project %s --subscription %s --topic %s --idle 1s --for-real`,
			r.gatepost.Broker.Address, gatepost(), r.Project, oneprocess.DeadLetters, oneprocess.DeviceEvents)},
	}
}

// gatepost returns how the user has called this program.
func gatepost() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./scripts/gatepost"
	}
	return "gatepost"
}

// suggest shows the commands, each followed by an empty line.
func (r *run) suggest() {
	text := "\nCommands to try in another terminal:\n\n"
	for _, c := range r.commands() {
		text += "# " + c.title + "\n" + c.shell + "\n\n"
	}
	r.screen.print("%sCtrl-C, or kill -TERM %d, ends it. What happens:\n\n", text, os.Getpid())
}
