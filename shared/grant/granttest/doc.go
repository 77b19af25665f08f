// Package granttest is the contract of [grant.Store] as tests.
//
// Every store calls [Run] in one line and passes all of it, so that what works
// with the store in memory works with the one in production. The contract is a
// list of [Check] values; each is one sentence, and knows nothing of package
// testing, so that this package's own tests can hand each check a store that
// breaks the sentence and see it refused.
//
// The package refuses to test what only one store has: time-outs of a network,
// fields that a newer version stored, documents that nobody can decode.
package granttest
