// Package grant defines what Gatepost keeps of a customer's grants, and where.
//
// A grant is what Alexa gives in AcceptGrant: the right to send events for one
// customer and one Amazon account. One [Record] holds all grants of a customer
// for one skill, so that a single read tells everything and every change is
// atomic. A [Store] keeps records; package grantfire keeps them in Firestore,
// package grantmem in memory, and package granttest is the contract that both
// must pass. Beside the records a Store keeps what has become of events, a
// [Delivery] each, and whose an Amazon account is, an [Account] each.
//
// Records are plain values: the functions in this package that change one are
// pure (time is passed in), and a [Store] turns the difference between two
// values into one conditional, field-masked write. The usual way to change a
// stored record is [Change].
//
// The package refuses to know how tokens are sealed or refreshed, how events
// are delivered, and what the time is.
package grant
