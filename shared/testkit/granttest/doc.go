// Package granttest tests the contract of [grant.Store] and [grant.Admin].
//
// Every store calls [Run] in one line. Checks test the sentences of the contract;
// then a random walk runs the same operations on the store and on package grantmem,
// and compares the answers. The walk finds faults that need many steps. It proves
// nothing about grantmem, so the checks must be complete. This package's own tests
// run both on broken stores.
//
// The walks are the same in each run. The environment variable STORE_SEED takes
// others. A walk that fails prints its operations and its seed:
//
//	STORE_SEED=7 go test -run TestStore/random ./shared/grant/grantfire
//
// For tests of a store's users, [Flaky] makes calls of any store fail as calls to
// Firestore do.
//
// The package does not test features of a single store: network timeouts, fields of
// a newer version, unreadable documents.
package granttest
