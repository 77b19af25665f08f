// Package alexa knows the messages that Alexa and a smart home skill exchange:
// the AcceptGrant directive and its two answers, the asynchronous events that
// go to the event gateway, regions and times.
//
// A device event, as a maker's cloud publishes it, is decoded with
// [DecodeEvent], which refuses what Amazon would refuse with a [FieldError]
// that names the field:
//
//	event.payload.change.properties[0].value: missing
//
// It is encoded for the gateway with [Event.Append], which adds what the
// publisher may not give: message id, payload version and token. Property
// values, cookies and payloads pass through byte for byte.
//
// The list of event kinds is open: a namespace and name that this package has
// never heard of are carried with the defaults. It refuses to know about HTTP,
// tokens' origin and Pub/Sub, and it imports nothing but the standard library
// and package sensitive, so that a maker's own Go services can use it.
package alexa
