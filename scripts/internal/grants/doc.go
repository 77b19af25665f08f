// Package grants is the command gatepost grants: it shows and repairs the records of
// customers in a stack's Firestore database. README.md beside this file explains the
// effects of its commands on a customer.
//
// The commands are safe beside the functions: they write a record only if the record
// has not changed since it was read, and otherwise read and decide again. They publish
// nothing; the record keeps announcements for the sweep.
//
// They never show a token, sealed or not. A customer who is not named on the command
// line is shown as the hash that the logs use.
//
// Commands that walk all customers, and those that cannot be undone, are dry runs
// without --for-real. After an interrupt the command finishes the changes in flight,
// and shows the counts and the value of --after with which to continue. A second one
// ends the process at once, and may leave a change uncounted.
package grants
