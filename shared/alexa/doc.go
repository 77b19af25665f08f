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
// [KindOf] is the table of what is known about kinds of events, [Schema] the
// same for publishers in other languages, and the folder examples has an event
// of each kind. Builders as [NewChangeReport], with [Event.Device], are for a
// maker's own services in Go.
//
// Only what is proven is refused: by a page of Amazon's that is current, or by an
// answer of the gateway. What Amazon only asks for, what its schema of 2021 alone
// refuses and a name that is nearly one of Alexa's are warnings. [Checks] says how
// much of it matters.
//
// An event is encoded for the gateway with [Event.Append], which adds what the
// publisher may not give: message id, payload version and token. Property
// values, cookies and payloads pass through byte for byte, but for the form of a
// timestamp.
//
// The list of event kinds is open: a namespace and name that this package has
// never heard of are carried with the defaults. It refuses to know about HTTP,
// tokens' origin and Pub/Sub, and it imports nothing but the standard library
// and package sensitive, so that a maker's own Go services can use it.
package alexa
