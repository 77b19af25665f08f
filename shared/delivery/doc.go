// Package delivery brings one device event to the Alexa event gateway of every
// grant that its customer has, and says what became of it for each.
//
// [Deliverer.Deliver] decodes the event, looks up the customer's record, which
// may be one of a minute ago as long as there is nothing to do but send, and
// sends to the grants side by side. A token that is about to expire is
// refreshed before it is used; one that the gateway refuses is refreshed once,
// and the event sent again with the new token in header and body. An event
// that can never be delivered goes to the dead-letter topic, if there is one.
//
// What has to outlive a process is in the records; a Deliverer itself remembers
// only what saves work and repetitions: what it delivered lately, and which
// gateways and grants asked for a pause. [OutcomeOf] alone decides what an error
// means for the message. Deliver acknowledges nothing: the function that received
// the message answers Pub/Sub.
package delivery
