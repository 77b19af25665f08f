package local

import (
	"fmt"
	"os"
	"strings"

	"github.com/gatepostdev/gatepost/shared/alexa"
)

// introduce shows the addresses of all parts.
func (s *stack) introduce() {
	var gateways []string
	for _, region := range alexa.Regions() {
		gateways = append(gateways, string(region)+" "+s.amazon.GatewayURL(region))
	}
	s.screen.print("Gatepost runs on this machine, as process %d.\n\n", os.Getpid())
	for _, line := range [][2]string{
		{"functions", s.functions},
		{"maker's cloud", s.maker.url},
		{"simulator", s.amazon.ControlURL},
		{"gateways", strings.Join(gateways, "  ")},
		{"Pub/Sub", s.broker.String() + ", project " + s.broker.project},
		{"grants", storeName()},
	} {
		s.screen.print("  %-14s %s\n", line[0], line[1])
	}
}

// command is a command to try.
type command struct{ title, shell string }

// commands are for a POSIX shell with curl.
func (s *stack) commands() []command {
	const event = `{"userId":"u-1","endpointId":"lamp-1","cause":"APP_INTERACTION","changed":[
  {"namespace":"Alexa.PowerController","name":"powerState","value":"OFF"}],"unchanged":[
  {"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"}}]}`
	const curl = `curl -sS -w '\n'`
	return []command{
		{"Link another customer, u-2 in North America",
			fmt.Sprintf(`code=$(curl -sS -d '{"region":"NA","user":"amzn-2"}' %[2]s/codes | cut -d '"' -f 4)
%[1]s -H 'X-Alexa-Region: NA' %[3]s/AcceptGrant -d '{"directive":{
  "header":{"namespace":"Alexa.Authorization","name":"AcceptGrant","payloadVersion":"3","messageId":"m-2"},
  "payload":{"grant":{"type":"OAuth2.AuthorizationCode","code":"'"$code"'"},"grantee":{"type":"BearerToken","token":"grantee-u-2"}}}}'`,
				curl, s.amazon.ControlURL, s.functions)},
		{"Publish a device event; the outcome is shown here",
			fmt.Sprintf(`%s '%s/publish?region=EU&key=u-1/lamp-1' -d '%s'`, curl, s.maker.url, event)},
		{"Push an event to the function as Pub/Sub would", fmt.Sprintf(`data=$(printf %%s '%s' | base64 | tr -d '\n')
%s %s/SendEvent -d '{"message":{"messageId":"by-hand-'"$(date +%%s)"'","data":"'"$data"'"},"subscription":"by-hand"}'`, event, curl,
			s.functions)},
		{"Throttle the next two events for Europe", fmt.Sprintf(
			`%s %s/faults -d '{"target":"gateway/EU","code":"THROTTLING_EXCEPTION","times":2}'`, curl, s.amazon.ControlURL)},
		{"Expire the access token of u-1", fmt.Sprintf(`%s %s/expire -d '{"region":"EU","user":"amzn-1"}'`, curl, s.amazon.ControlURL)},
		{"Start a sweep, as the scheduler does every five minutes", fmt.Sprintf(`%s -X POST %s/RefreshTokens`, curl, s.functions)},
		{"See the state of u-1's devices at Alexa", fmt.Sprintf(`%s '%s/state?region=EU&user=amzn-1'`, curl, s.amazon.ControlURL)},
		{"See what the gateways and Login with Amazon received", fmt.Sprintf(`%s %s/requests`, curl, s.amazon.ControlURL)},
		{"See the totals", fmt.Sprintf(`%s %s/counts`, curl, s.amazon.ControlURL)},
		{"Remove all faults", fmt.Sprintf(`%s -X DELETE %s/faults`, curl, s.amazon.ControlURL)},
	}
}

// suggest shows the commands, each followed by an empty line.
func (s *stack) suggest() {
	text := "\nCommands to try in another terminal:\n\n"
	for _, c := range s.commands() {
		text += "# " + c.title + "\n" + c.shell + "\n\n"
	}
	s.screen.print("%sCtrl-C, or kill -TERM %d, ends it. What happens:\n\n", text, os.Getpid())
}
