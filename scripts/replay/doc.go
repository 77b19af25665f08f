// Command replay publishes dead letters to the device-events topic again.
//
//	go run ./scripts/replay -project P -subscription dead-letters -topic device-events -code INVALID_REQUEST_EXCEPTION
//	go run ./scripts/replay -project P -subscription dead-letters -topic device-events -code INVALID_REQUEST_EXCEPTION -for-real
//
// The first line is a dry run: it lists what the second would publish. README.md
// beside this file explains the flags and the counts.
//
// It reads the subscription until nothing more comes, and holds what it has
// read: a message that is put back while others are read would come again and
// again. What a filter selects is published, the publish awaited, and only then
// acknowledged; everything else is put back at the end. A message is counted
// once, however often Pub/Sub hands it out, and one that became a dead letter
// after the run had begun is left, or an event that fails again would be
// replayed for ever.
//
// It refuses DeleteReports older than an hour unless forced to, messages whose
// region attribute names no region unless given one, and subscriptions that
// would lose messages, or the run its end, by being read.
//
// An interrupt finishes what is being published and puts everything else back;
// a second one ends the program at once. A crash may duplicate a message, which
// keeps the identity of its event, and never loses one: what the program held
// comes back when its leases run out.
package main
