// Package grantcache caches customers' records for a minute, so that frequent
// events for one customer do not each cost a read.
//
// A [Store] is a [grant.Store] in front of another. All methods of grant.Store go
// through to that one, reads included: a decision about a grant needs the stored
// record. Only [Store.Recent] returns cached records, to callers for which a
// minute-old record is good enough.
//
// A cached record is at most [Memory] old, however often it is used. A record that
// this process has changed, or has found changed, is no longer returned: every read
// replaces the cached record, and every write, whatever its result, removes it.
// Changes by other processes are seen when the minute is over. The number of
// customers is bounded; the least recently used are evicted first.
//
// Some records are cached for less. The record of a customer with a suspect grant
// is read each time: the time of the next probe must be seen at once, and so must
// the recovery, after which the maker reports everything anew. The exception is a
// grant that is suspect only because it cannot be refreshed, as long as its access
// token is valid. The record of a customer without a live grant is cached for only
// a few seconds: a customer who links now expects the events that follow.
//
// The package caches no error but grant.ErrNotFound.
package grantcache
