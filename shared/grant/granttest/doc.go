// Package granttest is the contract of [grant.Store] and [grant.Admin] as
// tests.
//
// Every store calls [Run] in one line and passes all of it, so that what works
// with the store in memory works with the one in production. The contract is
// told twice. A list of [Check] values has it in sentences, one for each
// promise. A [Walk] does random operations and compares every answer with that
// of a reference, which is a map and a look at all that is in it: it finds what
// goes wrong only after many steps, and in combinations that nobody thought of.
//
// Both know nothing of package testing, so that this package's own tests can
// hand them stores that break the contract, and see them refused.
//
// A walk that fails prints its operations and its seed; the environment
// variable STORE_SEED repeats it:
//
//	STORE_SEED=7 go test -run TestStore/random ./shared/grant/grantmem
//
// For tests of what uses a store, [Flaky] has the calls of any store fail as
// those to Firestore do.
//
// The package refuses to test what only one store has: time-outs of a network,
// fields that a newer version stored, documents that nobody can decode.
package granttest
