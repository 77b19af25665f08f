// Package grantcache lets a process that delivers events remember its
// customers for a minute, so that a chatty one does not cost a read for each
// event.
//
// A [Store] is a [grant.Store] in front of another. Everything that the
// contract of grant.Store promises goes through to that one, reads included:
// whoever decides about a grant decides from what is stored. Only
// [Store.Recent] answers from memory, for whoever can live with a record of a
// minute ago.
//
// What is remembered is at most [Memory] old, however often it is asked for,
// and nothing that this process has changed, or has found changed, is given out
// any more: every read replaces what is remembered and every write, whatever
// came of it, removes it. What another process changes is seen when the minute
// is over. The number of customers is bounded, those asked for least recently
// are forgotten first.
//
// Not everything is worth remembering. A customer with a suspect grant is read
// each time, because the time of the next probe and the recovery, after which
// the maker reports everything anew, must be seen at once; unless the grant is
// suspect only because it cannot be refreshed, and its access token still lasts.
// One without a live grant is remembered for a few seconds only: whoever links
// now wants the events that follow.
//
// The package refuses to hand out a record that could not be read: an error is
// never remembered, but for grant.ErrNotFound.
package grantcache
