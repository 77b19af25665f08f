package lint

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Parts of a discovery, each a line.
const (
	head = `{"event":{"header":{"namespace":"Alexa.Discovery","name":"Discover.Response","payloadVersion":"3","messageId":"m-1"},` +
		`"payload":{"endpoints":[`
	tail   = `]}}}`
	texts  = `"manufacturerName":"Example Co","friendlyName":"Lamp","description":"A lamp","displayCategories":["LIGHT"],`
	alexa3 = `{"type":"AlexaInterface","interface":"Alexa","version":"3"}`
	health = `{"type":"AlexaInterface","interface":"Alexa.EndpointHealth","version":"3.1",` +
		`"properties":{"supported":[{"name":"connectivity"}],"proactivelyReported":true,"retrievable":true}}`
	power = `{"type":"AlexaInterface","interface":"Alexa.PowerController","version":"3",` +
		`"properties":{"supported":[{"name":"powerState"}],"proactivelyReported":true,"retrievable":true}}`
	mode = `{"type":"AlexaInterface","interface":"Alexa.ModeController","instance":"Lamp.Mode","version":"3",` +
		`"properties":{"supported":[{"name":"mode"}],"proactivelyReported":true,"retrievable":true}}`
	bell    = `{"type":"AlexaInterface","interface":"Alexa.DoorbellEventSource","version":"3","proactivelyReported":true}`
	inAlexa = "event.payload.endpoints"
)

// endpoint is an endpoint of three lines, and one more for each capability that
// it has besides the two that Amazon asks for.
func endpoint(id string, capabilities ...string) string {
	return fmt.Sprintf("{\"endpointId\":%q,\n%s\n\"capabilities\":[%s]}", id, texts,
		strings.Join(append([]string{alexa3 + "," + health}, capabilities...), ",\n"))
}

func discovery(endpoints ...string) string { return head + strings.Join(endpoints, ",\n") + tail }

func TestDiscovery(t *testing.T) {
	t.Parallel()
	edit := func(part, old, new string) string { return strings.Replace(part, old, new, 1) }
	const (
		capabilities = inAlexa + "[0].capabilities"
		second       = inAlexa + "[0].capabilities[2]"
		byWWA        = " (" + ruleWWA + ")"
		noReports    = "not true: Alexa takes no ChangeReport of these properties" + byReporting
		noState      = "not true: Alexa cannot ask for the state of these properties" + byWWA
	)
	many := func(n int, make func(i int) string) []string {
		list := []string{}
		for i := range n {
			list = append(list, make(i))
		}
		return list
	}
	report := edit(edit(discovery(endpoint("lamp-1", power)), "Discover.Response", "AddOrUpdateReport"), `"payload":{`,
		`"payload":{"scope":{"type":"BearerToken","token":"Atza|fake-1"},`)
	device := edit(edit(discovery(endpoint("lamp-1", power)), "Discover.Response", "AddOrUpdateReport"), `,"messageId":"m-1"`, "")
	for _, test := range []struct {
		name, input string
		want        []string
	}{
		{"nothing wrong", discovery(endpoint("lamp-1", power, mode, bell)), nil},
		{"no devices", discovery(), nil},
		{"a report of no devices", edit(discovery(), "Discover.Response", "AddOrUpdateReport"), []string{"1: warning: " + inAlexa +
			": empty" + byDiscovery}},
		{"no endpoints", edit(discovery(), "endpoints", "devices"), []string{"1: error: " + inAlexa + ": missing" + byDiscovery}},
		{"report as Alexa gets it", report, nil},
		{"report to publish", edit(device, `{`, `{"userId":"u-1",`), nil},
		{"report to publish, without a customer", device, []string{"1: error: userId: missing"}},
		{"report to publish, with a message id",
			edit(edit(report, `"scope":{"type":"BearerToken","token":"Atza|fake-1"},`, ""), `{`, `{"userId":"u-1",`), []string{
				"1: error: event.header.messageId: leave it out, Gatepost sets it",
			}},
		{"report to publish, with faults", edit(edit(edit(device, `{`, `{"userId":"u-1",`), `"Lamp"`, `""`), "retrievable", "retrieved"),
			[]string{
				"2: warning: " + inAlexa + "[0].friendlyName: empty" + byDiscovery,
				"3: warning: " + inAlexa + "[0].capabilities[1].properties.retrievable: " + noState,
			}},
		{"texts", discovery(edit(edit(edit(endpoint("lamp/1"), "Example Co", strings.Repeat("é", 129)), `"friendlyName":"Lamp",`, ""),
			`["LIGHT"]`, "[]")), []string{
			"1: warning: " + inAlexa + "[0].friendlyName: missing" + byDiscovery,
			"1: error: " + inAlexa + "[0].endpointId: has a character other than letters, digits, spaces and _ - = # ; : ? @ &" + byDiscovery,
			"2: error: " + inAlexa + "[0].manufacturerName: longer than 128 characters" + byDiscovery,
			"2: error: " + inAlexa + "[0].displayCategories: empty" + byDiscovery,
		}},
		{"attributes", discovery(edit(endpoint("lamp-1"), "\n", "\n\"additionalAttributes\":{\"model\":\""+strings.Repeat("x", 257)+"\"},")),
			[]string{
				"2: error: " + inAlexa + "[0].additionalAttributes.model: longer than 256 characters" + byDiscovery,
			}},
		{"an attribute for a terminal", discovery(edit(endpoint("lamp-1"), "\n",
			"\n\"additionalAttributes\":{\"a\\n\":\""+strings.Repeat("x", 257)+"\"},")), []string{
			"2: error: " + inAlexa + "[0].additionalAttributes.a?: longer than 256 characters" + byDiscovery,
		}},
		{"the same endpoint twice", discovery(endpoint("lamp-1"), endpoint("lamp-2"), endpoint("lamp-1")), []string{
			"7: error: " + inAlexa + "[2].endpointId: the same as that of endpoints[0]" + byDiscovery,
		}},
		{"301 endpoints", discovery(many(301, func(i int) string { return endpoint(fmt.Sprint("lamp-", i)) })...),
			[]string{"1: error: " + inAlexa + ": more than 300" + byDiscovery}},
		{"101 capabilities", discovery(endpoint("lamp-1",
			many(99, func(i int) string { return edit(mode, "Lamp.Mode", fmt.Sprint("Mode.", i)) })...)), []string{
			"3: error: " + capabilities + ": more than 100" + byDiscovery,
		}},
		{"answer of any size", discovery(many(300, func(i int) string {
			return edit(endpoint(fmt.Sprint("lamp-", i)), "{", `{"cookie":{"x":"`+strings.Repeat("x", 500)+`"},`)
		})...), nil},
		{"too large", edit(discovery(many(300, func(i int) string {
			return edit(endpoint(fmt.Sprint("lamp-", i)), "{", `{"cookie":{"x":"`+strings.Repeat("x", 500)+`"},`)
		})...), "Discover.Response", "AddOrUpdateReport"), []string{"1: error: " + inAlexa + ": 265 KB in all, more than 256" + byDiscovery}},
		{"null for a member", discovery(edit(endpoint("lamp-1"), `"A lamp"`, "null")), []string{
			"2: error: " + inAlexa + "[0].description: null, which counts as missing" + byDiscovery,
		}},
		{"long cookie", discovery(edit(endpoint("lamp-1"), "{", `{"cookie":{"x":"`+strings.Repeat("x", 5000)+`"},`)), []string{
			"1: warning: " + inAlexa + "[0].cookie: more than 5000 bytes: Alexa hides the endpoint (seen in use)",
		}},
		{"nearly an interface", discovery(endpoint("lamp-1", edit(power, "PowerController", "PowerControler"))), []string{
			"4: warning: " + second + ".interface: unknown: did you mean Alexa.PowerController?" + byDiscovery,
		}},
		{"nearly a property", discovery(endpoint("lamp-1", edit(power, "powerState", "powerstate"))), []string{
			"4: warning: " + second + ".properties.supported[0].name: unknown: did you mean powerState?" + byDiscovery,
		}},
		{"nearly a member", edit(discovery(endpoint("lamp-1")), `"endpoints"`, `"enpoints"`), []string{
			"1: error: " + inAlexa + ": missing" + byDiscovery,
		}},
		{"health of version 3", discovery(edit(endpoint("lamp-1"), `"3.1"`, `"3"`)), []string{
			"3: warning: " + capabilities + `[1].version: ought to be "3.1", which tells why an endpoint is UNREACHABLE (` + ruleHealth + ")",
		}},
		{"space does not count", discovery(endpoint("lamp-1")) + strings.Repeat(" ", 300<<10), nil},
		{"capability without anything", discovery(endpoint("lamp-1", "{}")), []string{
			"4: error: " + second + ".type: missing, one of AlexaInterface" + byDiscovery,
			"4: error: " + second + ".interface: missing" + byDiscovery,
			"4: error: " + second + ".version: missing" + byDiscovery,
		}},
		{"retired capability", discovery(endpoint("lamp-1", edit(bell, "Alexa.DoorbellEventSource", "Alexa.EventDetectionSensor"))), []string{
			"4: warning: " + second + ".interface: retired since February 2023 (" + ruleInterfaces + ")",
		}},
		{"null version", discovery(endpoint("lamp-1", edit(bell, `"3"`, `null`))), []string{
			"4: error: " + second + ".version: null, which counts as missing" + byDiscovery,
		}},
		{"capability that is none", discovery(endpoint("lamp-1", "5")), []string{"4: error: " + second + ": must be an object" + byDiscovery}},
		{"another type", discovery(endpoint("lamp-1", edit(bell, "AlexaInterface", "Interface"))), []string{"4: warning: " + second +
			".type: not AlexaInterface" + byDiscovery}},
		{"version 3.0", discovery(endpoint("lamp-1", edit(bell, `"3"`, `"3.0"`))), []string{"4: warning: " + second +
			`.version: ought to be "3"` + byDiscovery}},
		{"version 3.1", discovery(endpoint("lamp-1", edit(bell, `"3"`, `"3.1"`))), nil},
		{"version as a number", discovery(endpoint("lamp-1", edit(bell, `"3"`, `3`))), []string{"4: warning: " + second +
			".version: ought to be a string: not every interface takes a number" + byDiscovery}},
		{"version as an object", discovery(endpoint("lamp-1", edit(bell, `"3"`, `{}`))),
			[]string{"4: error: " + second + ".version: must be a string" + byDiscovery}},
		{"flags as some write them", discovery(endpoint("lamp-1",
			edit(edit(power, `"proactivelyReported":true`, `"proactivelyReported":"True"`), `"retrievable":true`, `"retrievable":"TRUE"`))), nil},
		{"not reported, as some write it", discovery(endpoint("lamp-1",
			edit(power, `"proactivelyReported":true`, `"proactivelyReported":"FALSE"`))), []string{
			"4: warning: " + second + ".properties.proactivelyReported: " + noReports,
		}},
		{"nothing of the interface", discovery(endpoint("lamp-1",
			`{"type":"AlexaInterface","interface":"Alexa.BrightnessController","version":"3"}`)), []string{
			"4: warning: " + second + ".properties: without supported: Alexa does not learn the state of brightness" + byReporting,
		}},
		{"nothing supported", discovery(endpoint("lamp-1",
			edit(power, `"supported":[{"name":"powerState"}],"proactivelyReported":true,"retrievable":true`,
				`"proactivelyReported":false,"retrievable":false`))), []string{
			"4: warning: " + second + ".properties: without supported: Alexa does not learn the state of powerState" + byReporting,
		}},
		{"interface without properties", discovery(endpoint("lamp-1",
			`{"type":"AlexaInterface","interface":"Alexa.SceneController","version":"3"}`)), nil},
		{"without Alexa", discovery(edit(endpoint("lamp-1"), alexa3+",", "")), []string{"3: warning: " + capabilities +
			": without the interface Alexa" + byDiscovery}},
		{"without health", discovery(edit(endpoint("lamp-1"), ","+health, "")), []string{
			"3: warning: " + capabilities + ": without the property connectivity of Alexa.EndpointHealth (" + ruleSkill + ")",
		}},
		{"without connectivity", discovery(edit(endpoint("lamp-1"), `"connectivity"`, `"battery"`)), []string{
			"3: warning: " + capabilities + ": without the property connectivity of Alexa.EndpointHealth (" + ruleSkill + ")",
		}},
		{"instance missing", discovery(endpoint("lamp-1", edit(mode, `"instance":"Lamp.Mode",`, ""))), []string{
			"4: error: " + second + ".instance: missing: an endpoint may have several of this interface" + byDiscovery,
		}},
		{"interface twice", discovery(endpoint("lamp-1", power, mode, edit(mode, "Lamp.Mode", "Lamp.Colour"), mode, power)), []string{
			"7: error: " + capabilities + "[5]: the same interface as capabilities[3]" + byDiscovery,
			"8: error: " + capabilities + "[6]: the same interface as capabilities[2]" + byDiscovery,
		}},
		{"not reported", discovery(endpoint("lamp-1",
			edit(edit(power, `"proactivelyReported":true`, `"proactivelyReported":false`), `"retrievable":true`, `"retrievable":"false"`))),
			[]string{
				"4: warning: " + second + ".properties.proactivelyReported: " + noReports,
				"4: warning: " + second + ".properties.retrievable: " + noState,
			}},
		{"reported by other flags", discovery(endpoint("lamp-1",
			edit(edit(power, `"proactivelyReported":true`, `"proactivelyReported":1`), `"retrievable":true`, `"retrievable":"true"`))), nil},
		{"neither true nor false", discovery(endpoint("lamp-1", edit(power, `"retrievable":true`, `"retrievable":"yes"`))), []string{
			"4: error: " + second + ".properties.retrievable: must be true or false" + byDiscovery,
		}},
		{"property without a name", discovery(endpoint("lamp-1", edit(power, `{"name":"powerState"}`, "{\n}"))), []string{
			"4: error: " + second + ".properties.supported[0].name: missing" + byDiscovery,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			wantLint(t, test.want, test.input)
		})
	}
}

// TestDeclared holds events against a discovery.
func TestDeclared(t *testing.T) {
	t.Parallel()
	edit := func(old, new string) string { return strings.Replace(sound, old, new, 1) }
	const (
		undeclared = "not declared in the discovery" + byDiscovery
		long       = `{"userId":"u-1","event":{"header":{"namespace":"Alexa","name":"ChangeReport"},"endpoint":{"endpointId":"lamp-1"},
 "payload":{"change":{"cause":{"type":"PERIODIC_POLL"},"properties":[
 {"namespace":"Alexa.BrightnessController","name":"brightness","value":5,"timeOfSample":"2026-01-02T03:04:05Z"}]}}},
 "context":{"properties":[
 {"namespace":"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"},"timeOfSample":"2026-01-02T03:04:05Z"},
 {"namespace":"Alexa.PowerController","name":"power","value":"ON","timeOfSample":"2026-01-02T03:04:05Z"}]}}`
	)
	modeOf := func(instance string) string {
		return edit(`Alexa.PowerController","name":"powerState"`, `Alexa.ModeController","name":"mode","instance":"`+instance+`"`)
	}
	added := strings.Replace(strings.Replace(discovery(endpoint("lamp-9", power)), "Discover.Response", "AddOrUpdateReport", 1),
		`"messageId":"m-1"`, `"payloadVersion":"3"`, 1)
	added = strings.Replace(strings.Replace(added, `"payloadVersion":"3",`, "", 1), "{", `{"userId":"u-1",`, 1)
	for _, test := range []struct {
		name, input string
		want        []string
	}{
		{"declared", sound, nil},
		{"endpoint", edit("lamp-1", "lamp-9"), []string{"1: error: endpointId: " + undeclared}},
		{"endpoint, added before", added + "\n" + edit("lamp-1", "lamp-9"), nil},
		{"endpoint, discovered before", discovery(endpoint("lamp-9", power)) + edit("lamp-1", "lamp-9"), nil},
		{"property", edit("powerState", "power"), []string{"2: error: changed[0]: " + undeclared}},
		{"instance", modeOf("Lamp.Mode"), nil},
		{"another instance", modeOf("Lamp.Colour"), []string{"2: error: changed[0]: " + undeclared}},
		{"in the context", edit("connectivity", "battery"), []string{
			"3: warning: unchanged: without the connectivity of Alexa.EndpointHealth" + byReporting, "3: error: unchanged[0]: " + undeclared,
		}},
		{"not reported, and not changed", edit(`"Alexa.EndpointHealth","name":"connectivity","value":{"value":"OK"}`,
			`"Alexa.BrightnessController","name":"brightness","value":5`), []string{
			"3: warning: unchanged: without the connectivity of Alexa.EndpointHealth" + byReporting,
		}},
		{"of the long form", long, []string{
			"3: error: event.payload.change.properties[0]: not declared as proactivelyReported in the discovery" + byReporting,
			"6: error: context.properties[1]: " + undeclared,
		}},
		{"endpoint of the long form", strings.Replace(long, "lamp-1", "lamp-9", 1),
			[]string{"1: error: event.endpoint.endpointId: " + undeclared}},
		{"not decoded", edit(`,"value":"ON"`, ""), []string{"2: error: changed[0].value: missing (seen at the event gateway)"}},
		{"event of an interface", strings.Replace(doorbell, "bell-1", "lamp-2", 1), nil},
		{"event of another interface", strings.Replace(doorbell, "bell-1", "lamp-1", 1), []string{
			"1: warning: event.header.namespace: not among the interfaces that the discovery declares for the endpoint" + byDiscovery,
		}},
		{"event without an endpoint", `{"userId":"u-1","event":{"header":{"namespace":"Alexa.Discovery","name":"DeleteReport"},` +
			`"payload":{"endpoints":[{"endpointId":"lamp-9"}]}}}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := t.TempDir() + "/discovery.json"
			brightness := strings.NewReplacer("PowerController", "BrightnessController", "powerState", "brightness", `"proactivelyReported":true,`,
				"").Replace(power)
			if err := os.WriteFile(file, []byte(discovery(endpoint("lamp-1", power, mode, brightness), endpoint("lamp-2", bell))),
				0o600); err != nil {
				t.Fatal(err)
			}
			wantLint(t, test.want, test.input, "--discovery", file)
		})
	}
}
