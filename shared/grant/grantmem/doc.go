// Package grantmem keeps grant records in the memory of one process.
//
// A local run, a test and a maker's CI use it instead of Firestore. It implements
// the whole contract of [grant.Store], including revisions and field masks, because
// code that works with it must work in production: a record is held as the document
// that package grantfire would write.
//
// Nothing outlives the process, no other process sees the records, and delivery
// records stay after their ExpireAt. It fails with grant.ErrNotFound and
// grant.ErrConflict, with the context's error, and for what no store allows, such
// as moving a record.
package grantmem
