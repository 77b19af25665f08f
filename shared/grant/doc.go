// Package grant defines the records of customers' grants, the changes to a record,
// and the interface of the stores that keep them.
//
// A grant is the right to send events for one customer and one Amazon account.
// Alexa gives it in AcceptGrant. One [Record] holds all grants of a customer for
// one skill, so that a single read returns them all and every change is atomic. A
// [Store] keeps records: package grantfire in Firestore, package grantmem in
// memory. Both pass the contract tests of package granttest. A Store also keeps a
// [Delivery] for each event that must not be repeated or was delivered in part, and
// an [Account] for each Amazon account that skill events name.
//
// Records are plain values. The functions that change one are pure, and take the
// time as an argument. A [Store] writes the difference between two values as one
// conditional, field-masked write. [Change] is the usual way to change a stored
// record.
//
// The package does not seal or refresh tokens, and does not deliver events.
package grant
