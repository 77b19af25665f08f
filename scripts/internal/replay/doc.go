// Package replay is the command gatepost replay: it republishes dead letters to the
// device-events topic. README.md beside this file explains the flags and the counts.
//
// The command pulls until no new message arrives. It keeps the leases of all messages
// until the end, because Pub/Sub would redeliver a released one during the run. It
// publishes the messages that the filter selects, and acknowledges each only after the
// topic has it. At the end it releases all others. A message is counted once, even if
// Pub/Sub redelivers it. A message that became a dead letter during the run is left,
// because an event that fails again would be replayed in a loop.
//
// The command refuses DeleteReports older than an hour without --force, and messages
// whose region attribute names no region without --set-region. It refuses three
// kinds of subscription: one that would lose messages by being read; one on the
// topic that it publishes to, because the run would never end; and one that, as far
// as Pub/Sub tells, has no dead letters of that topic.
//
// After an interrupt the command finishes the publishes in flight and releases all
// other messages; a second one ends the process at once. A crash never loses a
// message, since Pub/Sub redelivers it when its lease ends. It may duplicate one; the
// duplicate keeps the identity of its event.
package replay
