// Package granttest is the contract of [grant.Store] and [grant.Admin] as
// tests.
//
// Every store calls [Run] in one line. Checks hold the contract in sentences;
// then a random walk does the same operations with the store and with package
// grantmem, and compares the answers. The walk finds what goes wrong only
// after many steps. Of grantmem itself it proves nothing, so the checks alone
// must. This package's own tests hand both of them broken stores.
//
// A walk that fails prints its operations and its seed; the environment
// variable STORE_SEED repeats it:
//
//	STORE_SEED=7 go test -run TestStore/random ./shared/grant/grantfire
//
// For tests of what uses a store, [Flaky] has the calls of any store fail as
// those to Firestore do.
//
// The package refuses to test what only one store has: time-outs of a network,
// fields that a newer version stored, documents that nobody can decode.
package granttest
