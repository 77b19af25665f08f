package alexa

import "strings"

// Limits of a discovery answer or report, see
// https://developer.amazon.com/docs/device-apis/alexa-discovery.html.
const (
	MaxEndpoints    = 300       // of a customer, and of one report
	MaxCapabilities = 100       // of an endpoint
	MaxReportBytes  = 256 << 10 // of an AddOrUpdateReport
)

// discoveryShape is the payload of an AddOrUpdateReport, and of a
// Discover.Response. Of what a capability says only what all interfaces have in
// common is looked at, and that with leniency: a whole discovery is for
// scripts/lint to check.
var discoveryShape = objectOf(must("endpoints", listOf(endpointShape, 0)))

var endpointShape = openObjectOf(
	must("endpointId", anEndpointID),
	must("manufacturerName", aLabel), must("description", aLabel),
	asked("friendlyName", &shape{kind: "string", least: 1, most: 256}), // some interfaces need none
	must("displayCategories", &shape{kind: "array", least: 1, unique: true, items: aCategory}),
	must("capabilities", &shape{kind: "array", least: 1, most: MaxCapabilities, unique: true, items: capabilityShape}),
	// The limit is of github.com/openhab/openhab-alexa/pull/540.
	might("cookie", &shape{kind: "object", open: true, others: aText, bytes: 5000, why: ": Alexa hides the endpoint"}),
	might("additionalAttributes", objectOf(may("manufacturer", anAttribute), may("model", anAttribute), may("serialNumber", anAttribute),
		may("firmwareVersion", anAttribute), may("softwareVersion", anAttribute), may("customIdentifier", anAttribute))),
	might("connections", listOf(openObjectOf(must("type", word("TCP_IP", "ZIGBEE", "ZWAVE", "UNKNOWN"))), 0)))

var capabilityShape = openObjectOf(
	must("type", &shape{kind: "string", least: 1, words: []string{"AlexaInterface"}}),
	must("interface", &shape{kind: "string", least: 1, odd: nearInterface}),
	ought("version", aText), might("instance", aText),
	might("properties", openObjectOf(
		may("supported", listOf(objectOf(must("name", aText)), 0)), may("proactivelyReported", aFlag), may("retrievable", aFlag))))

var (
	aLabel      = &shape{kind: "string", least: 1, most: 128}
	anAttribute = &shape{kind: "string", most: 256}
	aCategory   = &shape{kind: "string", least: 1, odd: categoryForm}
	// aFlag may be written in all these ways for many interfaces.
	aFlag = &shape{texts: []string{"true", "false", `"true"`, `"false"`, `"True"`, `"False"`, `"TRUE"`, `"FALSE"`, "0", "1"}}
)

func categoryForm(text string) string {
	if strings.ContainsAny(text, " \t\r\n") {
		return "has a space"
	}
	return ""
}

// discovery looks at what an AddOrUpdateReport says as a whole. One of too many
// endpoints is sent in parts.
func (d *decoder) discovery(payload []byte) {
	var endpoints []byte
	if pick(payload, ignore, member{"endpoints", &endpoints}) != nil || endpoints == nil || endpoints[0] != '[' {
		return
	}
	const path = "event.payload.endpoints"
	d.enter(path)
	defer d.leave()
	n, seen := 0, make(map[string]int)
	_ = each(endpoints, func(i int, value []byte) error { // f returns no error
		n++
		var id []byte
		if value[0] == '{' && pick(value, ignore, member{"endpointId", &id}) == nil && !absent(id) {
			d.enterItem(i)
			d.enter("endpointId")
			d.notTwice(seen, id, i)
			d.leave()
			d.leave()
		}
		return nil
	})
	switch {
	case n == 0:
		d.note(warning(ruleDiscovery, path, "empty"))
	case n > MaxEndpoints:
		d.note(warning(ruleDiscovery, path, "more than %d: they are sent in parts", MaxEndpoints))
	}
}
