// Package outage simulates a long outage of a gateway, and what follows it. The
// real delivery and the real sweep work on a store in memory, behind a queue that
// redelivers as Pub/Sub does, for a maker who reports again when asked. Time is a
// bubble's: an hour takes seconds.
package outage
