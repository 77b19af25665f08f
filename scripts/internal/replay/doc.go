// Command replay republishes dead letters to the device-events topic.
//
//	go run ./scripts/replay -project P -subscription dead-letters -topic device-events -code INVALID_REQUEST_EXCEPTION
//	go run ./scripts/replay -project P -subscription dead-letters -topic device-events -code INVALID_REQUEST_EXCEPTION -for-real
//
// The first line is a dry run: it lists the messages that the second would publish.
// README.md beside this file explains the flags and the counts.
//
// The program pulls until no new message arrives. It keeps the leases of all messages
// until the end, because Pub/Sub would redeliver a released one during the run. It
// publishes the messages that the filter selects, and acknowledges each only after the
// topic has it. At the end it releases all others. A message is counted once, even if
// Pub/Sub redelivers it. A message that became a dead letter during the run is left,
// because an event that fails again would be replayed in a loop.
//
// The program refuses DeleteReports older than an hour without -force, and messages
// whose region attribute names no region without -set-region. It refuses a
// subscription that would lose messages by being read, and one on the topic that it
// publishes to, because such a run would never end.
//
// An interrupt finishes the publishes in flight and releases all other messages; a
// second one ends the program at once. A crash may duplicate a message, which keeps
// the identity of its event, and never loses one: Pub/Sub redelivers the messages when
// their leases end.
package main
