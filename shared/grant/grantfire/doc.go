// Package grantfire keeps grant records in Firestore.
//
// There is one document per customer and skill in the collection "customers",
// one per event that must not be repeated in "deliveries", and one per Amazon
// account that skill events have named in "accounts". Every method but Erase is
// one call to Firestore, without a transaction: a document's update time is its
// revision, and a write is conditional on the one that was read. Writes name
// the fields they touch, so that an older version of the code leaves the fields
// of a newer one alone.
//
// The package needs one composite index, on bucket and refreshDue of
// "customers", and one single-field index, on customer of "accounts". It wants
// all other single-field indexing off. Deliveries have the time expireAt for a
// TTL policy; nothing here looks at it.
//
// It fails with grant.ErrNotFound, grant.ErrConflict and the context's error;
// any other error means that Firestore did not do what was asked, and wraps
// Firestore's. The client library tries again by itself while a call's context
// lasts, so give every call a deadline. When the answer to a write was lost and
// the library tries again, that write meets itself: ErrConflict is returned
// although the change is stored, and whoever reads again, as ErrConflict asks,
// finds it.
package grantfire
