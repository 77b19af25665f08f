// Package pump pushes the messages of a Pub/Sub subscription to an HTTP
// endpoint, for servers that only let themselves be pulled from: the fake
// server of the client library (package pstest), and the emulator, whose own
// push leaves out the ordering key and the delivery attempt.
//
// A [Pump] does what a push subscription does
// (https://cloud.google.com/pubsub/docs/push). It posts the whole envelope,
// takes the status of the answer for the acknowledgement, and after a failure
// waits before Pub/Sub may deliver the message again, twice as long after each.
// Messages of one ordering key are posted one at a time and in order; one that
// fails holds up its own key and nothing else. How often a message is tried,
// and where it goes then, is the subscription's dead-letter policy to say.
//
// It sends no Authorization header, for there is no key to sign one with; it
// does not slow down as a whole when an endpoint is ill; and it refuses push
// subscriptions, which cannot be pulled from.
//
// When a stream breaks the pump opens another. It ends with an error if Pub/Sub
// says that there is nothing to be had, as for a subscription that does not
// exist. A message whose acknowledgement was lost is delivered again.
//
// The pump passes on the order in which Pub/Sub sends. Where a server sends
// several messages of a key ahead, as the emulator does and pstest does not, a
// failure hands all of them back together; they count as delivered once
// though only the first was posted, and one that is on its way in that very
// moment may overtake them.
package pump
