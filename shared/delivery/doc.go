// Package delivery sends one device event to the Alexa event gateway of every
// grant that its customer has, and returns the outcome for each.
//
// [Deliverer.Deliver] decodes the event, finds the customer's record, which may be
// cached for up to a minute, and sends to the grants in parallel. A token that is
// about to expire is refreshed before it is used. A token that the gateway refuses
// is refreshed once, and the event is resent with the new token in header and body.
// An event that can never be delivered goes to the dead-letter topic, if there is
// one.
//
// State that has to outlive a process is in the records. A Deliverer keeps in memory
// only what saves work and avoids duplicates: what it delivered lately, the circuit
// breakers of the gateways, and the grants that are throttled. [OutcomeOf] alone
// maps an error to acknowledge, retry or dead-letter. Deliver acknowledges nothing:
// the function that received the message answers Pub/Sub.
package delivery
