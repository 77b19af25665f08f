// Package alexa decodes, checks and encodes the messages between Alexa and a smart home
// skill: the AcceptGrant directive and its two answers, the asynchronous events for the
// event gateway, regions and times.
//
// [DecodeEvent] decodes a device event as a maker's cloud publishes it. If Amazon would
// refuse the event, it returns a [FieldError] that names the field:
//
//	event.payload.change.properties[0].value: missing
//
// [KindOf] looks an event kind up in the table of kinds, [Schema] is the same table for
// publishers in other languages, and the folder examples has an event of each kind.
// Builders like [NewChangeReport], with [Event.Device], are for a maker's own services
// in Go.
//
// An event is first decoded, then checked. decode.go knows the format and passes on
// what it cannot decode; check.go compares the decoded parts with the tables of kinds,
// payloads and values, and [DecodeEvent] is the only caller of the check.
//
// An event is refused only on proof: a current page of Amazon's, or an answer of the
// gateway. A breach of Amazon's recommendations, or of a rule that only its schema of
// 2021 has, causes only a warning, as does a name that resembles one of Alexa's.
// [Checks] selects which faults are reported.
//
// [Event.Append] encodes an event for the gateway, with the fields that a publisher must
// not set: message id, payload version and token. Property values, cookies and payloads
// pass through byte for byte, except for the form of a timestamp.
//
// The list of event kinds is open: an unknown namespace and name get defaults. The
// package does not depend on HTTP, Pub/Sub or the source of tokens, and imports only the
// standard library and package sensitive, so that a maker's own Go services can use it.
package alexa
