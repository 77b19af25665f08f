// Package grantfire keeps grant records in Firestore.
//
// There is one document per customer and skill in the collection "customers", one
// per event that must not be repeated or was delivered in part in "deliveries", and
// one per Amazon account that skill events have named in "accounts". Every method
// but Erase is one call to Firestore, without a transaction: a document's update
// time is its revision, and a write is conditional on the revision that was read.
// Writes name the fields they touch, so that an older version of the code leaves
// the fields of a newer one alone.
//
// The package needs one composite index, on bucket and refreshDue of "customers",
// and one single-field index, on customer of "accounts". All other single-field
// indexing should be off. Deliveries have the time expireAt for a TTL policy; this
// package does not read it.
//
// It fails with grant.ErrNotFound, grant.ErrConflict and the context's error. Any
// other error means that Firestore failed, and wraps Firestore's. The client
// library retries while a call's context lasts, so give every call a deadline. If
// the response to a write is lost and the library retries, the write conflicts with
// itself: ErrConflict is returned although the change is stored. A caller that then
// reads again, as ErrConflict demands, finds it.
package grantfire
