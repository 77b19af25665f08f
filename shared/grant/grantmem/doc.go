// Package grantmem keeps grant records in the memory of one process.
//
// It is what a local run, a test and a maker's CI use instead of Firestore. It
// keeps the whole contract of [grant.Store], revisions and field masks
// included, because what works with it must work in production: a record is
// held as the document that package grantfire would write.
//
// It refuses to be more than that: nothing outlives the process, no other
// process sees it, and delivery records stay after their ExpireAt. It fails
// with grant.ErrNotFound and grant.ErrConflict, with the context's error, and
// when it is asked for what no store can do, such as moving a record.
package grantmem
