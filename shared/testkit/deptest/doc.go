// Package deptest holds the agreements about the source tree that no compiler
// checks, as tests: which package may import which, what the module's root may
// hold so that Google's Go buildpack can build the functions from it, and that
// the Firestore index which Terraform creates is the one the code's query
// needs.
//
// It exports nothing and nothing imports it. Every failure says which file
// breaks which agreement, and what the agreement is for; whoever has a better
// reason changes the rule here, in the same commit. Each checker is itself
// proved by made-up trees that break it.
//
// The tests read the source files themselves and ask no go command for them:
// the go command's test cache notices every file that a test opens, so a
// cached pass is never older than the tree.
package deptest
