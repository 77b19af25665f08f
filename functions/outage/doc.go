// Package outage simulates a gateway that is down for long, and what follows. The
// real delivery and the real sweep work on a store in memory, behind a queue that
// redelivers as Pub/Sub does, for a maker who reports again as told. Time is a
// bubble's: an hour takes seconds.
package outage
