package alexa

// Limits of a discovery answer or report, see
// https://developer.amazon.com/docs/device-apis/alexa-discovery.html.
const (
	MaxEndpoints    = 300       // of a customer, and of one report
	MaxCapabilities = 100       // of an endpoint
	MaxReportBytes  = 256 << 10 // of a discovery report
)

// discoveryShape is the payload of an AddOrUpdateReport, and of a
// Discover.Response. What a capability says is not looked at: that is for
// whoever checks a whole discovery, see scripts/lint.
var discoveryShape = openObjectOf(must("endpoints", &shape{kind: "array", items: endpointShape, least: 1, most: MaxEndpoints}))

var endpointShape = openObjectOf(
	must("endpointId", anEndpointID),
	must("manufacturerName", aLabel), must("friendlyName", aLabel), must("description", aLabel),
	must("displayCategories", listOf(aName, 1)),
	must("capabilities", &shape{kind: "array", items: openObjectOf(must("type", aName), must("interface", aName)), least: 1, most: MaxCapabilities}))

var aLabel = &shape{kind: "string", least: 1, most: 128}
