// Package pump pushes the messages of a Pub/Sub subscription to an HTTP endpoint. It is
// for servers that only support pull, or support push only in part: the fake server of
// the client library (package pstest), and the emulator, whose push leaves out the
// ordering key and the delivery attempt.
//
// A [Pump] does what a push subscription does
// (https://cloud.google.com/pubsub/docs/push). It posts the whole envelope, and treats
// the status of the answer as the acknowledgement. After a failure it backs off, twice
// as long each time, before Pub/Sub may redeliver the message. It posts messages of one
// ordering key one at a time and in order; a failure delays only its own key. The
// subscription's dead-letter policy limits the attempts.
//
// The pump sends no Authorization header, because it has no key to sign one. It does not
// slow down as a whole if an endpoint is unhealthy. It refuses push subscriptions, which
// cannot be pulled.
//
// After a broken stream the pump opens another. It ends with an error if Pub/Sub's error
// is permanent, as for a subscription that does not exist. A message whose
// acknowledgement was lost is redelivered.
//
// The pump keeps the order in which Pub/Sub sends. Some servers, such as the emulator
// but not pstest, send several messages of a key ahead. A failure then returns all of
// them together. They count as delivered once, though only the first was posted, and a
// message that is in flight from the server at that moment may overtake them.
package pump
