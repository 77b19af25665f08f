// Package deptest tests rules about the source tree that no compiler checks: which
// package may import which, what files the module's root may contain if Google's
// Go buildpack is to build the functions, and whether Terraform creates the
// Firestore index that the code's query needs.
//
// It exports nothing and nothing imports it. Every failure names the file, the rule
// and the rule's purpose; if there is a better reason, change the rule in the same
// commit. Each checker has tests with invalid trees.
//
// The tests read the source files themselves, without the go command: the go
// command's test cache records every file that a test opens, so a cached pass is
// never older than the tree.
package deptest
